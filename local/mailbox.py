"""``/_local/mailbox``: the mail that the app has put into a directory; and ``/_local/app``: the pages it leads to.

Messages are shown as what they are, words from anywhere: escaped, and their HTML in a frame that may run nothing. The
pages stand in for a front end: each takes the token from the address's fragment and posts it to the API when somebody
presses the button, never before, since a link in a mail is opened by more than people.
"""

import html
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from local.project import APP

SHOWN = 200
"""Messages in the list, the newest."""

EVERY = 5
"""Seconds after which the list is loaded anew."""

ID = re.compile(r"[0-9A-Za-z-]{1,64}")
URL = re.compile(r"https?://[^\s<>\"]+")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the front end: its inputs (name and type), and where it posts them and its address's token."""

    title: str
    button: str = ""
    posts_to: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    has_token: bool = True


PAGES: Mapping[str, Page] = {
    "verify-email": Page("Confirm your e-mail address", "Confirm", "/api/auth/verify-email"),
    "confirm-email": Page("Confirm your new e-mail address", "Confirm", "/api/auth/verify-email"),
    "reset-password": Page(
        "Choose a new password", "Set the password", "/api/auth/reset-password", (("password", "password"),)
    ),
    "forgot-password": Page(
        "Reset your password", "Send me a link", "/api/auth/forgot-password", (("email", "email"),), has_token=False
    ),
    "sign-in": Page("Sign in", has_token=False),
    "security": Page("Your account's security", has_token=False),
    "register": Page("Make an account", has_token=False),
}


@dataclass(frozen=True, slots=True)
class Mail:
    """One message of the directory."""

    id: str
    mail: EmailMessage

    def header(self, name: str) -> str:
        return str(self.mail.get(name, ""))

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    @property
    def recipients(self) -> list[str]:
        return [address.addr_spec.lower() for header in self.mail.get_all("To", []) for address in header.addresses]

    @property
    def links(self) -> list[str]:
        return URL.findall(self.text)

    @property
    def written_at(self) -> str:
        when = self.mail["Date"].datetime if self.mail["Date"] else None
        return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if when else ""

    def _part(self, kind: str) -> str:
        body = self.mail.get_body((kind,))
        return str(body.get_content()) if body else ""


def routes(directory: Path) -> list[Route]:
    """The pages for a directory of ``.eml`` files, which need not be there yet."""

    # Not async: they read files, and Starlette gives them a thread.
    def show_list(_request: Request) -> Response:
        return _page("Mailbox", _list(_newest(directory)), refresh=EVERY)

    def list_json(request: Request) -> Response:
        to = request.query_params.get("to", "").lower()
        found = [mail for mail in _newest(directory) if not to or to in mail.recipients]
        return JSONResponse({"messages": [_document(mail) for mail in found]}, headers={"Cache-Control": "no-store"})

    def show_message(request: Request) -> Response:
        mail = _read(directory, request.path_params["id"])
        return _page(mail.header("Subject"), _message(mail)) if mail else _nothing()

    def show_html(request: Request) -> Response:
        mail = _read(directory, request.path_params["id"])
        if mail is None:
            return _nothing()
        # `sandbox` makes it a page of no origin, wherever it is opened; the base lets its links open beside it.
        allowed = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'"
        return HTMLResponse(
            f'<base target="_blank">{mail.html}',
            headers=HEADERS | {"Content-Security-Policy": f"{allowed}; frame-ancestors 'self'"},
        )

    def show_app(request: Request) -> Response:
        page = PAGES.get(request.path_params["page"])
        return _app(page) if page else _nothing()

    return [
        Route("/_local/mailbox", show_list, methods=["GET"]),
        Route("/_local/mailbox.json", list_json, methods=["GET"]),
        Route("/_local/mailbox/{id}", show_message, methods=["GET"]),
        Route("/_local/mailbox/{id}/html", show_html, methods=["GET"]),
        Route(f"{APP}/{{page}}", show_app, methods=["GET"]),
    ]


def _newest(directory: Path) -> list[Mail]:
    """In the order in which they were posted, which the ids keep: what is sent at once is written in any order."""
    files = sorted(directory.glob("*.eml"), reverse=True)[:SHOWN]
    return [mail for file in files if (mail := _read(directory, file.stem))]


def _read(directory: Path, name: str) -> Mail | None:
    if not ID.fullmatch(name):
        return None
    try:
        mail = message_from_bytes((directory / f"{name}.eml").read_bytes(), policy=policy.default)
    except OSError:
        return None
    return Mail(name, mail)


def _document(mail: Mail) -> dict[str, object]:
    return {
        "id": mail.id,
        "from": mail.header("From"),
        "to": mail.header("To"),
        "subject": mail.header("Subject"),
        "date": mail.header("Date"),
        "links": mail.links,
        "text": mail.text,
        "html": mail.html,
    }


# ---------------------------------------------------------------- what people see

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #888; --link: light-dark(#2456c5, #8fb0ff) }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
a { color: var(--link) } h1 { font-size: 1.4rem; margin: 0 0 .25rem }
table { border-collapse: collapse; width: 100%; margin-top: 1rem } tr { border-bottom: 1px solid var(--line) }
th { text-align: left; font-weight: 500; color: var(--soft) } th, td { padding: .45rem .75rem .45rem 0 }
td:last-child { white-space: nowrap; color: var(--soft); font-variant-numeric: tabular-nums }
td { overflow-wrap: anywhere } p.soft, dt { color: var(--soft) } a.home { text-decoration: none }
dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem 1rem; margin: 1rem 0 } dd { margin: 0 }
dd { overflow-wrap: anywhere } h2 { font-size: 1rem; margin: 1.5rem 0 .5rem }
iframe { box-sizing: border-box; width: 100%; height: 30rem }
iframe { border: 1px solid var(--line); border-radius: 6px; background: #fff }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: 6px; padding: 1rem }
form { display: grid; gap: .75rem; max-width: 24rem; margin-top: 1rem } label { display: grid; gap: .25rem }
input, button { font: inherit; padding: .5rem .75rem } output { min-height: 1.5em; overflow-wrap: anywhere }
"""

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def _page(title: str, body: str, *, refresh: int = 0, script: str = "") -> Response:
    nonce = secrets.token_urlsafe(16)
    policies = [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "frame-src 'self'",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        f"script-src 'nonce-{nonce}'",
    ]
    document = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
{f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""}
<title>{html.escape(title)} - Jobtrail</title>
<style>{STYLE}</style>
</head>
<body>
{body}
{f'<script nonce="{nonce}">{script}</script>' if script else ""}
</body>
</html>
"""
    return HTMLResponse(document, headers=HEADERS | {"Content-Security-Policy": "; ".join(policies)})


def _nothing() -> Response:
    return PlainTextResponse("There is nothing here.\n", 404, headers=HEADERS)


def _list(mails: list[Mail]) -> str:
    rows = "".join(
        f'<tr><td><a href="/_local/mailbox/{mail.id}">{html.escape(mail.header("Subject") or "(no subject)")}</a></td>'
        f"<td>{html.escape(mail.header('To'))}</td><td>{mail.written_at}</td></tr>\n"
        for mail in mails
    )
    table = f"<table><tr><th>Subject</th><th>To</th><th>Sent (UTC)</th></tr>\n{rows}</table>"
    empty = '<p class="soft">No mail yet. What the app sends on this machine comes here, and goes no further.</p>'
    now = datetime.now(UTC).strftime("%H:%M:%S")
    return f"""<h1>Mailbox</h1>
<p class="soft">Mail the app has sent, newest first; loaded anew every {EVERY} seconds, last at {now}.
As <a href="/_local/mailbox.json">JSON</a>.</p>
{table if mails else empty}"""


def _message(mail: Mail) -> str:
    facts = "".join(
        f"<dt>{name}</dt><dd>{html.escape(mail.header(name))}</dd>" for name in ("From", "To", "Date", "Message-ID")
    )
    return f"""<p><a class="home" href="/_local/mailbox">&larr; Mailbox</a></p>
<h1>{html.escape(mail.header("Subject"))}</h1>
<dl>{facts}</dl>
<iframe title="The message" src="/_local/mailbox/{mail.id}/html"
sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe>
<h2>As plain text</h2>
<pre>{_linked(mail.text)}</pre>"""


def _linked(text: str) -> str:
    """The text, escaped, its addresses as links."""
    pieces, end = [], 0
    for found in URL.finditer(text):
        url = html.escape(found[0])
        pieces += [html.escape(text[end : found.start()]), f'<a href="{url}" target="_blank" rel="noopener">{url}</a>']
        end = found.end()
    return "".join((*pieces, html.escape(text[end:])))


# The token leaves the address bar, and with it the history, as soon as it is read.
SCRIPT = """
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);
const form = document.querySelector("form"), said = document.querySelector("output");
if (PAGE.has_token && !token) { said.textContent = "There is no token in this address."; form.hidden = true; }
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = Object.fromEntries(new FormData(form));
  if (PAGE.has_token) body.token = token;
  const answer = await fetch(PAGE.posts_to, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const problem = answer.ok ? null : await answer.json().catch(() => null);
  said.textContent = answer.ok ? `Done (${answer.status}).`
    : `${problem?.title ?? "It failed"} (${answer.status}${problem?.code ? " " + problem.code : ""}).`;
  if (answer.ok) form.hidden = true;
});
"""


def _app(page: Page) -> Response:
    note = '<p class="soft">A page of the local host, in place of the front end\'s.</p>'
    heading = f"<h1>{html.escape(page.title)}</h1>\n{note}"
    if not page.posts_to:
        return _page(page.title, f'{heading}\n<p>There is no front end here: try <a href="/api/docs">the API</a>.</p>')
    inputs = "".join(
        f'<label>{name.capitalize()} <input name="{name}" type="{kind}" required autocomplete="off"></label>'
        for name, kind in page.fields
    )
    form = f"<form>{inputs}<button>{html.escape(page.button)}</button></form>\n<output></output>"
    facts = json.dumps({"posts_to": page.posts_to, "has_token": page.has_token})
    return _page(page.title, f"{heading}\n{form}", script=f"const PAGE = {facts};{SCRIPT}")
