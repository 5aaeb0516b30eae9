"""The mailbox of this machine: what the app sends, shown as words; and the pages it leads to, which wait."""

import json
import re
import shutil
import subprocess
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import azure.functions as func
import pytest

from local.mailbox import PAGES
from local.project import APP
from shared.mail import LINKS, TEMPLATES
from tests.local.conftest import Serve, get, post

EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">'


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAIL_DIRECTORY", str(tmp_path / "mail"))
    return tmp_path / "mail"


@pytest.fixture
def url(directory: Path, app: func.FunctionApp, serving: Serve) -> str:
    return serving(app)


def put(directory: Path, name: str, *, subject: str = "Hello", to: str = "ada@example.com", body: str = "Hi") -> None:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = "Jobtrail <no-reply@localhost>"
    mail["To"] = to
    mail["Subject"] = subject
    mail["Date"] = "Fri, 20 Nov 2026 21:35:00 +0000"
    mail.set_content(f"{body}\nhttps://app.example.com/verify-email#token=abc\n")
    mail.add_alternative(f"<p>{body}</p><a href='https://app.example.com/'>there</a>", subtype="html")
    directory.mkdir(exist_ok=True)
    (directory / f"{name}.eml").write_bytes(bytes(mail))


def test_an_empty_mailbox_says_so(url: str) -> None:
    answer = get(f"{url}/_local/mailbox")
    assert answer.status_code == 200
    assert "No mail yet" in answer.text
    assert get(f"{url}/_local/mailbox.json").json() == {"messages": []}


def test_the_mail_that_was_posted_last_stands_first_whenever_it_was_written(url: str, directory: Path) -> None:
    for name in ("b", "a", "c"):
        put(directory, name, subject=f"Message {name}")
    listed = re.findall(r"Message \w", get(f"{url}/_local/mailbox").text)
    assert listed == ["Message c", "Message b", "Message a"]
    assert [mail["id"] for mail in get(f"{url}/_local/mailbox.json").json()["messages"]] == ["c", "b", "a"]


def test_a_message_is_shown_with_its_links(url: str, directory: Path) -> None:
    put(directory, "a")
    page = get(f"{url}/_local/mailbox/a").text
    link = "https://app.example.com/verify-email#token=abc"
    assert f'<a href="{link}" target="_blank" rel="noopener">{link}</a>' in page
    assert 'src="/_local/mailbox/a/html"' in page
    assert "<a href='https://app.example.com/'>there</a>" in get(f"{url}/_local/mailbox/a/html").text


def test_scripts_and_tests_read_it_as_json(url: str, directory: Path) -> None:
    put(directory, "a", to="ada@example.com")
    put(directory, "b", to="not-ada@example.com")
    (mail,) = get(f"{url}/_local/mailbox.json?to=Ada@example.com").json()["messages"]
    assert (mail["id"], mail["to"], mail["subject"]) == ("a", "ada@example.com", "Hello")
    assert mail["links"] == ["https://app.example.com/verify-email#token=abc"]


# ---------------------------------------------------------------- only words


def test_markup_in_a_message_is_words_on_our_pages(url: str, directory: Path) -> None:
    put(directory, "a", subject=EVIL, to='"<b>x</b>" <ada@example.com>', body=EVIL)
    for page in (get(f"{url}/_local/mailbox").text, get(f"{url}/_local/mailbox/a").text):
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "<b>x" not in page
        assert "&lt;script&gt;alert(1)" in page


def test_a_messages_html_may_run_nothing_and_load_nothing(url: str, directory: Path) -> None:
    put(directory, "a", body=EVIL)
    answer = get(f"{url}/_local/mailbox/a/html")
    assert EVIL in answer.text
    policy = answer.headers["content-security-policy"]
    assert "sandbox allow-popups allow-popups-to-escape-sandbox;" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in get(f"{url}/_local/mailbox/a").text


@pytest.mark.parametrize("name", ["../secret", "..%2Fsecret", "%2e%2e%2fsecret", "a.eml", "nothing", "a%00"])
def test_nothing_outside_the_mailbox_can_be_read(url: str, directory: Path, name: str) -> None:
    put(directory, "a")
    put(directory.parent, "secret")
    for path in (f"/_local/mailbox/{name}", f"/_local/mailbox/{name}/html"):
        assert get(f"{url}{path}").status_code == 404


@pytest.mark.parametrize(
    "path", ["/_local/mailbox", "/_local/mailbox.json", "/_local/mailbox/a", f"{APP}/verify-email"]
)
def test_the_mailbox_is_for_this_machine_only(url: str, directory: Path, path: str) -> None:
    put(directory, "a")
    assert get(f"{url}{path}").status_code == 200
    assert get(f"{url}{path}", headers={"Host": "evil.example"}).status_code == 403
    assert post(f"{url}{path}").status_code == 405


# ---------------------------------------------------------------- the pages mail leads to


def test_every_link_of_a_message_has_a_page(url: str) -> None:
    with_token = {template.link.path for template in TEMPLATES.values() if template.link and template.has_token}
    for link in LINKS:
        page = PAGES[link.path.removeprefix("/")]
        assert page.has_token == (link.path in with_token)
        assert get(f"{url}{APP}{link.path}").status_code == 200
    assert len(PAGES) == len(LINKS)
    assert get(f"{url}{APP}/nothing").status_code == 404


def test_opening_a_page_sends_nothing_and_tells_nobody_where_it_was(url: str) -> None:
    for name in PAGES:
        answer = get(f"{url}{APP}/{name}")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "connect-src 'self'" in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.text.count("fetch(") == answer.text.count('addEventListener("submit"') <= 1


@pytest.mark.skipif(not shutil.which("chromium"), reason="NOT RUN: there is no chromium on this machine")
@pytest.mark.parametrize("pressed", [False, True])
def test_a_browser_consumes_a_token_when_the_button_is_pressed_and_not_before(
    app: func.FunctionApp, serving: Serve, directory: Path, pressed: bool, tmp_path: Path
) -> None:
    posted: list[object] = []

    @app.route("api/auth/verify-email", methods=["POST"])
    async def verify_email(req: func.HttpRequest) -> func.HttpResponse:
        posted.append(req.get_json())
        return func.HttpResponse(status_code=204)

    @app.route("press", methods=["GET"])
    def press(req: func.HttpRequest) -> func.HttpResponse:
        """The page, under the same policy, and somebody who presses its button."""
        served = get(f"{str(req.url).partition('/press')[0]}{APP}/verify-email")
        policy = served.headers["content-security-policy"]
        click = 'setTimeout(() => document.querySelector("button").click(), 50)' if pressed else ""
        script = f'<script nonce="{policy.rpartition("nonce-")[2].strip(chr(39))}">{click}</script></body>'
        page = served.text.replace("</body>", script)
        return func.HttpResponse(page, headers={"Content-Security-Policy": policy}, mimetype="text/html")

    url = serving(app)
    shown = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--virtual-time-budget=1500", "--dump-dom", f"{url}/press#token=abc-123"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Confirm your e-mail address" in shown.stdout, shown.stderr
    assert posted == ([{"token": "abc-123"}] if pressed else [])
    assert ("Done (204)." in shown.stdout) == pressed
    assert json.dumps("abc-123") not in shown.stdout
