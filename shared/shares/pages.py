"""A share as a page for people: no script, no image, nothing from anywhere, and no markup of anybody's but ours."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from shared.fields import WebPage

WORDS = {
    "saved": "saved",
    "applied": "applied",
    "in_process": "in process",
    "offer": "offer",
    "accepted": "accepted",
    "closed": "closed",
}
"""What categories are called in a sentence."""

WORKPLACES = {"on_site": "on site", "hybrid": "hybrid", "remote": "remote"}

STRANGE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no document may hold (XML 1.0, section 2.2), which XHTML parsers refuse."""


def page_of(view: Mapping[str, Any]) -> WebPage:
    """The page of what a share shows."""
    template, style, policy = _template()
    applications = view["applications"]
    page = template.substitute(
        name=_text(view["name"]),
        style=style,
        summary=_text(_summary(view["counts"], shown=len(applications))),
        applications=_table(applications) if applications else "",
        expires_on=_text(view["expires_at"][:10]),
    )
    return WebPage(page, headers={"Content-Security-Policy": policy})


@lru_cache(maxsize=1)
def _template() -> tuple[Template, str, str]:
    """The page, its style, and the policy that lets a browser apply that style and load or run nothing."""
    here = Path(__file__)
    style = here.with_name("page.css").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Template(here.with_name("page.html").read_text(encoding="utf-8")), style, policy


def _text(text: str) -> str:
    return escape(STRANGE.sub("\ufffd", text))


def _summary(counts: Mapping[str, int], *, shown: int) -> str:
    total = counts["total"]
    if not total:
        return "No applications."
    words = ", ".join(f"{counts[name]} {word}" for name, word in WORDS.items() if counts[name])
    rest = f" The latest {shown} are shown." if shown < total else ""
    return f"{total} application{'s' if total > 1 else ''}: {words}.{rest}"


def _table(applications: list[Mapping[str, Any]]) -> str:
    rows = "\n".join(map(_row, applications))
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("Position", "Company", "Stage", "Applied", "Steps"))
    head = f"<caption>Applications</caption>\n<thead><tr>{heads}</tr></thead>"
    return f"<table>\n{head}\n<tbody>\n{rows}\n</tbody>\n</table>"


def _row(application: Mapping[str, Any]) -> str:
    where = ", ".join(filter(None, (application["location"], WORKPLACES.get(application["workplace"]))))
    place = f'<small dir="auto">{_text(where)}</small>' if where else ""
    steps = "".join(
        f'<li><span dir="auto">{_text(step["stage"])}</span>, {_day(step["on"])}</li>'
        for step in application["timeline"]
    )
    return (
        f'<tr><th scope="row" dir="auto">{_text(application["position"])}{place}</th>'
        f'<td dir="auto">{_text(application["company"])}</td>'
        f'<td><span dir="auto">{_text(application["stage"])}</span>'
        f"<small>since {_day(application['stage_since'])}</small></td>"
        f"<td>{_day(application['applied_on'])}</td>"
        f"<td>{f'<ol>{steps}</ol>' if steps else ''}</td></tr>"
    )


def _day(day: str | None) -> str:
    return f'<time datetime="{_text(day)}">{_text(day)}</time>' if day else ""
