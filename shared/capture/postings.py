"""From a page to a draft: schema.org's JobPosting in JSON-LD, and nothing else that the page may say.

The shapes are those of schema.org and of what Google's "Job posting (JobPosting) structured data" asks for, which is
what sites write for. What has two meanings is left out. Everything here takes time in proportion to the page, which
html.parser does not, for pages made to hurt it (CVE-2025-6069).
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

from pydantic import TypeAdapter, ValidationError

from shared.applications.models import ApplicationDraft
from shared.capture.currencies import DECIMALS
from shared.capture.fetching import Page
from shared.capture.models import Capture, CapturedDraft, Found

MAX_SCRIPTS = 50
MAX_NODES = 10_000
"""Objects and lists of a page that are looked at."""

MAX_LINE = 500
MAX_NOTES = 20_000
MAX_HTML = 200_000
"""Characters of a description that are read."""

MAX_SEVERAL = 20
"""Values of one property that are listed."""

Node = Mapping[str, Any]

CHARSET = re.compile(
    r"us-ascii|ascii|utf-?8|utf-?16(le|be)?|latin-?1|iso-?8859-\d{1,2}|windows-125[0-8]|cp125[0-8]|koi8-[ru]|shift[_-]jis|"
    r"euc-(jp|kr)|iso-2022-jp|gbk|gb2312|gb18030|big5(-hkscs)?|macintosh"
)
"""Encodings of text on the web. Python has others, some of which never end or are none of text."""

MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
META = re.compile(rb"""<meta[^>]{1,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_-]{1,40})""", re.IGNORECASE)

RAW = re.compile(r"<!--|<(script|style|textarea|title|xmp|iframe|noembed|noframes)(?=[\s/>])", re.IGNORECASE)
"""Where in HTML text begins that is no HTML (HTML standard, section 13.1.2)."""

ATTRIBUTES = re.compile(r"""(?:[^"'>]++|"[^"]*+"|'[^']*+')*+>""")
TYPE = re.compile(r"""\btype\s*+=\s*+["']?\s*+application/ld\+json(?=["'\s;>])""", re.IGNORECASE)
BLOCK = re.compile(r"<(?:/?(?:p|div|ul|ol|h[1-6]|section|article|table|tr|blockquote)|br)\b[^<>]*>", re.IGNORECASE)
ITEM = re.compile(r"<li\b[^<>]*>", re.IGNORECASE)
TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--[^<>]*-->")
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
AMOUNT = re.compile(r"\d{1,15}(\.\d{1,2})?", re.ASCII)
DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ].{0,40})?", re.ASCII)

PERIODS = {"HOUR": "hour", "DAY": "day", "WEEK": "week", "MONTH": "month", "YEAR": "year"}

DRAFT: TypeAdapter[ApplicationDraft] = TypeAdapter(ApplicationDraft)


class NonePosted(Exception):
    """The page describes no job."""


class Several(Exception):
    """The page describes several, and does not say which of them it is about."""


def read(page: Page, *, asked: str) -> Capture:
    """What the page says of the one job it describes; ``asked`` is the address it was asked for by.

    Raises:
        NonePosted, Several: there is not one job.
    """
    text = _decoded(page)
    blocks = [text] if page.media_type == "application/ld+json" else list(_scripts(text))
    nodes = list(_nodes([block for raw in blocks[:MAX_SCRIPTS] if (block := _json(raw)) is not None]))
    found = [node for node in nodes if _is_posting(node)]
    unlike = list({json.dumps(node, sort_keys=True, default=str): node for node in found}.values())
    if not unlike:
        raise NonePosted
    if len(unlike) > 1:
        places = {_place(asked), _place(page.url)}
        unlike = [node for node in unlike if any(_place(urljoin(page.url, one)) in places for one in _addresses(node))]
        if len(unlike) != 1:
            raise Several
    by_id = {node["@id"]: node for node in nodes if isinstance(node.get("@id"), str) and len(node) > 1}
    return _capture(_Posting(unlike[0], by_id), url=page.url if len(page.url) <= 2048 else asked)


# ---------------------------------------------------------------- the page


def _decoded(page: Page) -> str:
    for mark, encoding in MARKS:
        if page.body.startswith(mark):
            return page.body.decode(encoding, "replace")
    declared = META.search(page.body[:4096])
    for name in (page.charset, declared[1].decode().lower() if declared else None):
        if name and CHARSET.fullmatch(name):
            # What says Latin-1 on the web is Windows-1252 (Encoding standard, section 4.2).
            name = "windows-1252" if name in ("iso-8859-1", "latin1", "latin-1", "us-ascii", "ascii") else name
            try:
                return page.body.decode(name, "replace")
            except LookupError:
                continue
    return page.body.decode("utf-8", "replace")


def _scripts(html: str) -> Iterator[str]:
    """The contents of the JSON-LD scripts. What comments and other scripts contain is no script of the page."""
    at = 0
    while begin := RAW.search(html, at):
        if begin[1] is None:
            at = _after(html, "-->", begin.end())
            continue
        attributes = ATTRIBUTES.match(html, begin.end())
        end = attributes and _end(begin[1]).search(html, attributes.end())
        if not attributes or not end:
            return
        if begin[1].lower() == "script" and TYPE.search(attributes[0]):
            yield html[attributes.end() : end.start()]
        at = end.end()


def _end(name: str) -> re.Pattern[str]:
    return re.compile(f"</{name}", re.IGNORECASE)


def _after(text: str, end: str, start: int) -> int:
    found = text.find(end, start)
    return len(text) if found < 0 else found + len(end)


def _json(text: str) -> Any:
    """What a script says; None where it is no JSON. Line breaks within strings, which many sites leave, are taken."""
    text = text.strip().removeprefix("<!--").removesuffix("-->").strip()
    text = text.removeprefix("//").strip().removeprefix("<![CDATA[").removesuffix("]]>").strip().removesuffix("//")
    try:
        return json.loads(text, strict=False, parse_float=_decimal, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def _decimal(text: str) -> Decimal | str:
    number = Decimal(text)
    return number if abs(number.adjusted()) < 30 else text  # written out, 1e999999999 is a gigabyte


def _nodes(blocks: list[Any]) -> Iterator[Node]:
    """Every object, outer ones first, at most MAX_NODES: no recursion, and nothing twice."""
    waiting = list(reversed(blocks))
    for _ in range(MAX_NODES):
        if not waiting:
            return
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(child for child in reversed(value.values()) if isinstance(child, dict | list))
        elif isinstance(value, list):
            waiting.extend(child for child in reversed(value) if isinstance(child, dict | list))


def _is_posting(node: Node) -> bool:
    return any(
        re.split(r"[/#:]", kind)[-1] == "JobPosting" for kind in _listed(node.get("@type")) if isinstance(kind, str)
    )


def _addresses(node: Node) -> Iterator[str]:
    """By which addresses a posting says it goes."""
    for name in ("url", "@id", "mainEntityOfPage", "sameAs"):
        for value in _listed(node.get(name)):
            address = value.get("@id") or value.get("url") if isinstance(value, dict) else value
            if isinstance(address, str) and len(address) <= 2048:
                yield address


def _place(url: str) -> tuple[str, str, str] | None:
    """What tells two addresses of one page from those of two."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").removeprefix("www."), parts.path.rstrip("/"), parts.query
    except ValueError:
        return None


# ---------------------------------------------------------------- the posting


class _Posting:
    """A posting's node, with those of the page that it may refer to by ``@id``."""

    def __init__(self, node: Node, by_id: Mapping[str, Node]) -> None:
        self.node = node
        self._by_id = by_id

    def all(self, name: str, of: Node | None = None) -> list[Any]:
        """The values of a property, each referred to looked up, once: references may go in circles."""
        return [self._meant(value) for value in _listed((self.node if of is None else of).get(name))[:MAX_SEVERAL]]

    def line(self, name: str, of: Node | None = None) -> str | None:
        """The one value of a property, as a line of text; None if there is none, or several that differ."""
        lines = {line for value in self.all(name, of) if (line := _line(value)) is not None}
        return lines.pop() if len(lines) == 1 else None

    def names(self, name: str) -> list[str]:
        """What the things that a property has are called."""
        found = (self.line("name", value) if isinstance(value, dict) else _line(value) for value in self.all(name))
        return list(dict.fromkeys(filter(None, found)))

    def _meant(self, value: Any) -> Any:
        if isinstance(value, dict) and value.keys() <= {"@id", "@type"} and isinstance(value.get("@id"), str):
            return self._by_id.get(value["@id"], value)
        return value


def _capture(posting: _Posting, *, url: str) -> Capture:
    companies = posting.names("hiringOrganization")
    salary, unclear = _salary(posting)
    is_remote = "TELECOMMUTE" in (line.upper() for value in posting.all("jobLocationType") if (line := _line(value)))
    valid_through = posting.line("validThrough")
    draft = {
        "company": companies[0] if len(companies) == 1 else None,
        "position": posting.line("title"),
        "location": _joined(filter(None, (_address(posting, value) for value in posting.all("jobLocation")))),
        "workplace": "remote" if is_remote else None,
        "url": url,
        "source": (urlsplit(url).hostname or "").removeprefix("www.") or None,
        **salary,
        "deadline": _day(valid_through),
        "notes": _prose(posting.node.get("description")),
    }
    draft = _sound({name: value for name, value in draft.items() if value is not None})
    return Capture(
        draft=CapturedDraft.model_validate(draft),
        missing=[name for name in ("company", "position") if name not in draft],
        found=Found(
            employment_type=[line for value in posting.all("employmentType") if (line := _line(value))],
            date_posted=posting.line("datePosted"),
            valid_through=valid_through,
            identifier=_identifier(posting),
            applicant_locations=posting.names("applicantLocationRequirements"),
            salary=unclear,
        ),
    )


def _sound(draft: dict[str, Any]) -> dict[str, Any]:
    """The draft without what an application could not hold."""
    stand_in = {"company": "-", "position": "-"}
    try:
        DRAFT.validate_json(json.dumps(stand_in | draft))
    except ValidationError as invalid:
        wrong = {str(fault["loc"][0]) for fault in invalid.errors() if fault["loc"]}
        return {name: value for name, value in draft.items() if name not in wrong}
    return draft


def _address(posting: _Posting, place: Any) -> str | None:
    """Town, region and country of a place; or what it is called."""
    if not isinstance(place, dict):
        return _line(place)
    for address in posting.all("address", place):
        if not isinstance(address, dict):
            if line := _line(address):
                return line
            continue
        parts = [posting.line(name, address) for name in ("addressLocality", "addressRegion")]
        countries = posting.all("addressCountry", address)
        parts += [
            posting.line("name", country) if isinstance(country, dict) else _line(country) for country in countries
        ]
        if named := list(dict.fromkeys(filter(None, parts))):
            return ", ".join(named)
    return posting.line("name", place)


def _identifier(posting: _Posting) -> str | None:
    found = {
        posting.line("value", value) if isinstance(value, dict) else _line(value) for value in posting.all("identifier")
    } - {None}
    return found.pop() if len(found) == 1 else None


# ---------------------------------------------------------------- pay


def _salary(posting: _Posting) -> tuple[dict[str, Any], str | None]:
    """The fields of a salary with one meaning; or else none, and what the page says."""
    stated = posting.all("baseSalary")
    if not stated:
        return {}, None
    unclear = _line(json.dumps(stated, default=str, ensure_ascii=False))
    if len(stated) > 1:
        return {}, unclear
    amount = stated[0] if isinstance(stated[0], dict) else {"value": stated[0]}
    values = posting.all("value", amount) or [{}]
    value = values[0] if isinstance(values[0], dict) else {"value": values[0]}
    levels = (value, amount)
    currencies = [
        *(posting.line("currency", level) for level in levels),
        posting.line("salaryCurrency"),
    ]
    currency = next(filter(None, currencies), "").upper()
    unit = next(filter(None, (posting.line("unitText", level) for level in levels)), None)
    if currency not in DECIMALS or len(values) > 1 or (unit is not None and unit.upper() not in PERIODS):
        return {}, unclear
    bounds = {}
    for name in ("minValue", "maxValue", "value"):
        given = next((level[name] for level in levels if level.get(name) is not None), None)
        if name == "value" and isinstance(given, dict):
            given = None
        if given is not None and not _is_nothing(given):
            bounds[name] = _minor_units(given, DECIMALS[currency])
    low, high = bounds.get("minValue", bounds.get("value")), bounds.get("maxValue", bounds.get("value"))
    if not bounds or None in bounds.values() or (low is not None and high is not None and low > high):
        return {}, None if not bounds else unclear
    found = {"salary_min": low, "salary_max": high, "salary_currency": currency}
    return found | ({"salary_period": PERIODS[unit.upper()]} if unit else {}), None


def _is_nothing(amount: Any) -> bool:
    """Whether it is how sites say that they do not say: 0, or nothing in quotes."""
    return str(amount).strip() in ("", "0", "0.0", "0.00")


def _minor_units(amount: Any, decimals: int) -> int | None:
    """An amount in the smallest unit; None if it cannot be said in it, or could be read in two ways.

    A number in JSON has one meaning. In text, "80,000" and "80.000" are eighty thousand to some and eighty to others.
    """
    if isinstance(amount, str) and AMOUNT.fullmatch(amount.strip()):
        amount = amount.strip()
    elif isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        return None
    try:
        units = Decimal(amount).scaleb(decimals)
        return int(units) if units == units.to_integral_value() and 0 < units <= 10**15 else None
    except InvalidOperation:
        return None


# ---------------------------------------------------------------- words


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [one for one in value if one is not None]
    return [] if value is None else [value]


def _line(value: Any) -> str | None:
    """A value as one line of plain text; None if it is none, or longer than anything that is one."""
    if isinstance(value, dict) and isinstance(value.get("@value"), str):  # a text with its language
        value = value["@value"]
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    text = " ".join(CONTROL.sub(" ", TAG.sub(" ", unescape(unescape(str(value)[: MAX_LINE * 4])))).split())
    return text if 0 < len(text) <= MAX_LINE else None


def _joined(lines: Iterator[str]) -> str | None:
    """As many of the lines, each whole, as go into one."""
    joined = ""
    for line in dict.fromkeys(lines):
        longer = f"{joined}; {line}" if joined else line
        if len(longer) > MAX_LINE:
            break
        joined = longer
    return joined or None


def _prose(value: Any) -> str | None:
    """A description as plain text: HTML as it is, or, as many sites have it, written as text."""
    if isinstance(value, list):
        value = next((one for one in value if isinstance(one, str)), None)
    if not isinstance(value, str):
        return None
    html = value[:MAX_HTML]
    if "&lt;" in html:
        html = unescape(html)
    html = "".join(_outside_raw_text(html))
    html = " ".join(html.split()) if BLOCK.search(html) or ITEM.search(html) else html
    text = unescape(TAG.sub("", ITEM.sub("\n- ", BLOCK.sub("\n", html))))
    lines = [" ".join(line.split()) for line in CONTROL.sub(" ", text).splitlines()]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    if len(text) > MAX_NOTES:
        text = text[: MAX_NOTES - 2].rsplit(None, 1)[0] + " \u2026"
    return text or None


def _outside_raw_text(html: str) -> Iterator[str]:
    """HTML without what scripts, styles and comments contain."""
    at = 0
    while begin := RAW.search(html, at):
        yield html[at : begin.start()]
        if begin[1] is None:
            at = _after(html, "-->", begin.end())
        else:
            end = _end(begin[1]).search(html, begin.end())
            at = _after(html, ">", end.end()) if end else len(html)
    yield html[at:]


def _day(text: str | None) -> str | None:
    """The day of a date or time, as the page writes it: wherever its zone is, that is the day its readers see."""
    written = DATE.fullmatch(text or "")
    try:
        return date.fromisoformat(written[1]).isoformat() if written else None
    except ValueError:
        return None
