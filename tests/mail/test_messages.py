"""Messages: what they need is checked where they are made, and what they say is only words."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import pytest

from local.project import ROOT
from shared.mail import LINKS, TEMPLATES, Message
from shared.mail.messages import FACTS, needs, render
from shared.mail.models import Letter, Rendered
from shared.mail.senders import Undeliverable, mime
from shared.security.sealing import SealBroken
from tests.conftest import APP_URL
from tests.mail.conftest import ADA, NOTICE, TOKEN, VERIFY

pytestmark = pytest.mark.usefixtures("configured")

NOW = datetime(2026, 11, 20, 21, 35, tzinfo=UTC)
SAMPLES: dict[str, Any] = {
    "token": TOKEN,
    "device": "Firefox on Linux",
    "due": NOW,
    "ip": "203.0.113.7",
    "left": 9,
    "name": "Ada's key",
    "provider": "GitHub",
    "scopes": "applications:read, quotas:consume",
    "things": ["20 November 2026, 09:00: Call them", "And 3 more."],
    "when": NOW,
}


def rendered(message: Message, **later: Any) -> Rendered:
    return render(
        Letter(
            id=UUID("019aa2f0-0000-7000-8000-000000000001"),
            attempt=1,
            recipient=message.recipient or ADA,
            template=message.template,
            sealed=message.sealed(),
            facts=later,
            age=timedelta(0),
            first_sent_at=NOW,
        )
    )


def sample(template: str) -> Message:
    return Message(template, ADA, {name: SAMPLES[name] for name in needs(TEMPLATES[template])})


class Links(HTMLParser):
    """What a message's HTML links to and loads, and its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [str(value) for name, value in attrs if name == "href"]
        self.loads += [str(value) for name, value in attrs if name in ("src", "srcset", "background", "data")]

    def handle_data(self, data: str) -> None:
        self.words += data.split()


# ---------------------------------------------------------------- what they say


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_message_says_the_same_in_text_and_in_html_and_loads_nothing(template: str) -> None:
    message = rendered(sample(template))
    page = Links(message.html)
    assert page.loads == []
    assert page.tags <= {"html", "head", "meta", "title", "body", "div", "h1", "p", "a"}
    in_html = " ".join(page.words)
    for paragraph in message.text.split("\n\n")[1:-1]:
        if "https://" not in paragraph:
            assert " ".join(paragraph.split()) in in_html
    for name in needs(TEMPLATES[template]) - {"token", "when", "due"}:
        said = SAMPLES[name] if isinstance(SAMPLES[name], list) else [str(SAMPLES[name])]
        assert all(text in message.text for text in said)
    link = TEMPLATES[template].link
    assert set(page.links) == (
        {f"{APP_URL}{link.path}" + TEMPLATES[template].has_token * f"#token={TOKEN}"} if link else set()
    )
    assert all(url in message.text for url in page.links)


def test_every_fact_is_some_messages_and_every_page_too() -> None:
    assert set().union(*(needs(template) for template in TEMPLATES.values())) == set(FACTS)
    assert {link.path for link in LINKS} == {template.link.path for template in TEMPLATES.values() if template.link}


def test_a_token_stands_in_the_fragment_which_reaches_no_server() -> None:
    (url,) = set(Links(rendered(VERIFY).html).links)
    assert url == f"{APP_URL}/verify-email#token={TOKEN}"


def test_a_moment_is_shown_in_utc() -> None:
    facts: dict[str, Any] = {
        "when": NOW.astimezone(timezone(timedelta(hours=-9))),
        "ip": "203.0.113.7",
        "device": "phone",
    }
    assert "on 20 November 2026 at 21:35 UTC, from 203.0.113.7" in rendered(Message("new_sign_in", None, facts)).text


# ---------------------------------------------------------------- words only


def test_markup_in_a_fact_is_shown_and_does_nothing() -> None:
    name = '<img src=x onerror="alert(1)"></p><a href="https://evil.example">'
    message = rendered(Message("passkey_added", ADA, {"name": name}))
    assert "img" not in Links(message.html).tags
    assert "https://evil.example" not in Links(message.html).links
    assert name in message.text
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;" in message.html


def test_braces_in_a_fact_are_braces() -> None:
    assert "“{token} {0.__class__}”" in rendered(Message("passkey_added", ADA, {"name": "{token} {0.__class__}"})).text


def test_a_fact_is_one_line_and_not_a_long_one() -> None:
    name = "phone\r\n\r\nYour account is locked:\u2028 call\x1b[31m" + "x" * 500
    text = rendered(Message("passkey_added", ADA, {"name": name})).text
    assert "“phone Your account is locked: call [31mxxx" in text
    assert "x…”" in text
    assert "x" * 120 not in text


def test_a_list_is_lines_of_its_own_of_which_none_is_long() -> None:
    lines = ["Call\r\n\r\nthem", "<b>x</b>" + "x" * 500]
    message = rendered(Message("reminders", later=("things",)), things=lines)
    assert "\n\nCall them\n\n<b>x</b>xxx" in message.text
    assert "x" * 120 not in message.text
    assert "b" not in Links(message.html).tags


@pytest.mark.parametrize("things", [[], ["x"] * 12, [7], "x", None])
def test_a_list_that_is_none_is_no_message(things: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        rendered(Message("reminders", later=("things",)), things=things)


INJECTIONS = pytest.mark.parametrize(
    "recipient",
    [
        "ada@example.com\r\nBcc: eve@example.com",
        "ada@example.com\nSubject: hello",
        "ada@example.com, eve@example.com",
        "ada@example.com,eve@example.com",
        "Ada <ada@example.com>",
        "ada@example.com\0",
        "ada",
        "",
    ],
)


@INJECTIONS
def test_no_recipient_brings_a_header_or_another_recipient(recipient: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        Message("password_changed", recipient)


@INJECTIONS
def test_nor_does_one_that_came_into_the_outbox_another_way(recipient: str) -> None:
    with pytest.raises(Undeliverable):
        mime(replace(rendered(NOTICE), recipient=recipient))


def test_a_message_travels_with_what_tells_it_apart_and_what_asks_for_no_answer() -> None:
    mail = mime(rendered(NOTICE))
    again = mime(rendered(NOTICE))
    assert mail["Message-ID"] == again["Message-ID"] == "<019aa2f0-0000-7000-8000-000000000001@localhost>"
    assert mail["Auto-Submitted"] == "auto-generated"
    parsed = message_from_bytes(bytes(mail), policy=policy.default)
    assert parsed.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
    assert sorted(mail.keys()) == sorted(
        ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    )


def test_a_domain_is_addressed_as_dns_spells_it() -> None:
    assert mime(rendered(Message("password_changed", "ada@bücher.example")))["To"] == "ada@xn--bcher-kva.example"


# ---------------------------------------------------------------- checked where they are made


@pytest.mark.parametrize(
    ("template", "recipient", "facts"),
    [
        ("no_such_message", ADA, {}),
        ("verify_email", ADA, {}),
        ("verify_email", ADA, {"token": TOKEN, "name": "more than it needs"}),
        ("verify_email", None, {"token": TOKEN}),
        ("verify_email", ADA, {"token": "to ken"}),
        ("verify_email", ADA, {"token": "a&next=b"}),
        ("verify_email", ADA, {"token": b"bytes"}),
        ("recovery_code_used", ADA, {"left": "nine"}),
        ("recovery_code_used", ADA, {"left": True}),
        ("account_deletion_requested", ADA, {"due": NOW.replace(tzinfo=None)}),
        ("account_deletion_requested", ADA, {"due": "tomorrow"}),
    ],
)
def test_what_cannot_be_said_is_refused_where_it_is_made(template: str, recipient: str | None, facts: Any) -> None:
    with pytest.raises((ValueError, TypeError)) as refusal:
        Message(template, recipient, facts)
    assert TOKEN not in str(refusal.value)


def test_a_fact_may_come_later_but_never_a_token() -> None:
    message = Message("recovery_code_used", later=("left",))
    assert "Codes left: 9." in rendered(message, left=9).text
    with pytest.raises((ValueError, TypeError)):
        rendered(message)
    with pytest.raises(ValueError, match="token"):
        Message("verify_email", ADA, later=("token",))


def test_a_moment_may_come_as_postgresql_writes_it() -> None:
    message = Message("account_deletion_requested", later=("due",))
    assert "27 November 2026 at 21:35 UTC" in rendered(message, due="2026-11-27T22:35:04.1234+01:00").text


def test_a_message_does_not_show_its_facts_when_it_is_printed() -> None:
    assert TOKEN not in repr(VERIFY)
    assert TOKEN.encode() not in VERIFY.sealed()


def test_a_tokens_seal_opens_for_its_own_recipient_and_message_only() -> None:
    sealed = VERIFY.sealed()

    def letter(template: str, recipient: str) -> Letter:
        return Letter(UUID(int=1), 1, recipient, template, sealed, {}, timedelta(0), NOW)

    assert TOKEN in render(letter("verify_email", ADA)).text
    for template, recipient in [("verify_email", "eve@example.com"), ("reset_password", ADA)]:
        with pytest.raises(SealBroken):
            render(letter(template, recipient))


# ---------------------------------------------------------------- written down


def test_the_documentation_lists_every_message_with_its_facts_and_every_page() -> None:
    text = (ROOT / "docs" / "mail.md").read_text()
    listed = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text.partition("## Messages")[2], re.MULTILINE))
    facts = {name: set(re.findall(r"\w+", cell)) for name, cell in listed.items()}
    assert facts == {name: needs(template) for name, template in TEMPLATES.items()}
    assert set(re.findall(r"`(/[a-z-]+)(?:#token=)?`", text)) >= {link.path for link in LINKS}
