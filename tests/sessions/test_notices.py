"""What its owner hears of by mail: a sign-in from a browser never seen before, and a refresh token used twice."""

import secrets
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.conftest import PASSWORD, Client, Mail, Person
from tests.sessions.rows import Sql

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:{version}) Gecko/20100101 Firefox/{version}"
NEW_SIGN_IN = "A sign-in from a new device"


@pytest.fixture
def ada(app_url: str) -> Iterator[Person]:
    """Somebody who registered with Firefox."""
    ada = Person(app_url, {"User-Agent": FIREFOX.format(version="145.0")}, email=f"{secrets.token_hex(8)}@example.com")
    ada.bear(ada.post("/api/auth/register", {"email": ada.email, "password": PASSWORD}).json())
    yield ada
    ada.close()


def log_in(person: Client, email: str, agent: str, **fields: str) -> httpx.Response:
    answer = person.post(
        "/api/auth/login", {"email": email, "password": PASSWORD, **fields}, headers={"User-Agent": agent}
    )
    assert answer.status_code == 200, answer.text
    return answer


def subjects(mails: list[Mail]) -> list[str]:
    return [mail.subject for mail in mails]


def test_a_browser_never_seen_before_is_told_of_with_where_and_when(
    ada: Person, mail_to: Callable[[str], list[Mail]]
) -> None:
    log_in(ada, ada.email, "curl/8.5.0", device_name="<b>somebody's laptop</b>")
    mail = mail_to(ada.email)[0]
    assert mail.subject == NEW_SIGN_IN
    assert "<b>somebody's laptop</b>" in mail.text
    assert "<b>" not in mail.html
    assert ada.headers["X-Forwarded-For"] in mail.text


def test_a_browser_is_the_same_after_its_update(ada: Person, mail_to: Callable[[str], list[Mail]]) -> None:
    log_in(ada, ada.email, FIREFOX.format(version="146.0.1"))
    assert NEW_SIGN_IN not in subjects(mail_to(ada.email))


def test_a_registration_is_no_news(ada: Person, mail_to: Callable[[str], list[Mail]]) -> None:
    assert subjects(mail_to(ada.email)) == ["Confirm your e-mail address"]


def test_a_browser_once_told_of_is_known(ada: Person, mail_to: Callable[[str], list[Mail]]) -> None:
    for _ in range(2):
        log_in(ada, ada.email, "curl/8.5.0")
    assert subjects(mail_to(ada.email)).count(NEW_SIGN_IN) == 1


def test_a_failure_is_no_sign_in(ada: Person, mail_to: Callable[[str], list[Mail]]) -> None:
    wrong = {"email": ada.email, "password": "a password that is wrong"}
    assert ada.post("/api/auth/login", wrong, headers={"User-Agent": "curl/8.5.0"}).status_code == 401
    assert NEW_SIGN_IN not in subjects(mail_to(ada.email))


def test_a_refresh_token_used_twice_is_told_of_once(
    ada: Person, sql: Sql, mail_to: Callable[[str], list[Mail]]
) -> None:
    stolen = ada.refresh_token
    for _ in range(2):
        ada.bear(ada.post("/api/auth/refresh", {"refresh_token": ada.refresh_token}).json())
    for _ in range(3):
        assert ada.post("/api/auth/refresh", {"refresh_token": stolen}).status_code == 401
    assert subjects(mail_to(ada.email)).count("A session was ended for your safety") == 1
