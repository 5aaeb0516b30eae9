"""What ties the browser that comes back to the one that went: once, soon, here, and for one provider."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from tests.conftest import ORIGIN
from tests.identities.browser import COOKIE, Browser, code, fragment
from tests.identities.conftest import PROVIDERS
from tests.identities.provider import Account, Provider

Sql = psycopg.Connection[Any]
INVALID = (400, "oauth_state_invalid")


def open_states(sql: Sql) -> int:
    ((count,),) = sql.execute("SELECT count(*) FROM challenges WHERE kind = 'oauth' AND expires_at > now()").fetchall()
    return int(count)


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_state_is_good_once(name: str, browser: Browser) -> None:
    way = browser.consent(browser.start(name), Account())
    assert browser.get(way).status_code == 200
    assert code(browser.get(way)) == INVALID


def test_of_two_who_come_back_with_one_state_at_once_one_is_let_in(browser: Browser, oauth_provider: Provider) -> None:
    way = browser.consent(browser.start("github"), Account())
    asked = oauth_provider.asked.count("/login/oauth/access_token")
    with ThreadPoolExecutor(4) as pool:
        answers = sorted(answer.status_code for answer in pool.map(browser.get, [way] * 4))
    assert answers == [200, 400, 400, 400]
    assert oauth_provider.asked.count("/login/oauth/access_token") == asked + 1, "the code was exchanged once"


def test_another_browser_cannot_finish_what_this_one_began(new_browser: Callable[..., Browser]) -> None:
    """Login CSRF: the attacker has the victim's browser come back with the attacker's code."""
    attacker, victim = new_browser(), new_browser()
    way = attacker.consent(attacker.start("google"), Account())
    assert code(victim.get(way)) == INVALID, "without a cookie"
    victim.start("google")
    assert code(victim.get(way)) == INVALID, "with a cookie of its own"
    victim.cookies[COOKIE] = "x"
    assert code(victim.get(way)) == INVALID, "with a cookie that is none"
    assert attacker.get(way).status_code == 200, "and nothing of it spends the attempt of the one who began"


def test_a_stolen_code_does_not_fit_into_another_attempt(new_browser: Callable[..., Browser], sql: Sql) -> None:
    """Code injection: the attacker puts the victim's code into an attempt of the attacker's own. PKCE refuses it."""
    attacker, victim = new_browser(), new_browser()
    stolen = parse_qs(urlsplit(victim.consent(victim.start("github"), Account())).query)["code"][0]
    own = parse_qs(urlsplit(attacker.start("github").headers["location"]).query)["state"][0]
    answer = attacker.get("/api/auth/oauth/github/callback", params={"code": stolen, "state": own})
    assert code(answer) == (400, "oauth_failed")
    assert reason(sql) == "bad_verification_code"


def test_what_was_begun_at_one_provider_is_not_finished_at_another(browser: Browser, oauth_provider: Provider) -> None:
    """Mix-up: the code of one provider must never be sent to another."""
    way = browser.consent(browser.start("google"), Account())
    asked = len(oauth_provider.asked)
    for other in ("github", "microsoft"):
        assert code(browser.get(way.replace("google", other))) == INVALID
    assert len(oauth_provider.asked) == asked, "nobody was asked"
    assert browser.get(way).status_code == 200


def test_after_ten_minutes_it_is_too_late(browser: Browser, sql: Sql) -> None:
    way = browser.consent(browser.start("github"), Account())
    ((left,),) = sql.execute(
        "SELECT max(expires_at) BETWEEN now() + interval '9 minutes' AND now() + interval '10 minutes' "
        "FROM challenges WHERE kind = 'oauth'"
    ).fetchall()
    assert left
    sql.execute("UPDATE challenges SET expires_at = now() WHERE kind = 'oauth'")
    assert code(browser.get(way)) == INVALID


@pytest.mark.parametrize(
    "query", ["", "code=a", "state=a", "code=a&state=", "error=access_denied", "state=a%00b&code=c"]
)
def test_what_was_never_begun_is_refused(query: str, browser: Browser) -> None:
    browser.start("github")
    answer = browser.get(f"/api/auth/oauth/github/callback?{query}")
    assert code(answer) in (INVALID, (422, "validation_failed"))


def test_a_challenge_of_another_kind_is_no_state(browser: Browser, sql: Sql) -> None:
    way = browser.consent(browser.start("github"), Account())
    sql.execute("UPDATE challenges SET kind = 'sign_in' WHERE kind = 'oauth'")
    assert code(browser.get(way)) == INVALID


@pytest.mark.parametrize("name", PROVIDERS)
def test_what_else_a_provider_sends_is_not_looked_at(name: str, browser: Browser) -> None:
    way = browser.consent(browser.start(name), Account())
    more = "&scope=a+b&authuser=0&prompt=consent&session_state=x&iss=https%3A%2F%2Fexample.com&hd=&client_info=e30"
    assert browser.get(way + more).status_code == 200


def test_a_state_that_comes_twice_in_one_address_is_refused(browser: Browser) -> None:
    way = browser.consent(browser.start("github"), Account())
    assert code(browser.get(f"{way}&state=x")) == (422, "validation_failed")


def test_who_does_not_consent_is_told_so_and_nobody_is_asked(
    browser: Browser, oauth_provider: Provider, sql: Sql
) -> None:
    state = parse_qs(urlsplit(browser.start("github").headers["location"]).query)["state"][0]
    asked, began = len(oauth_provider.asked), open_states(sql)
    denied = {"error": "access_denied", "error_description": "<script>", "state": state}
    answer = browser.get("/api/auth/oauth/github/callback", params=denied)
    assert code(answer) == (400, "oauth_denied")
    assert "script" not in answer.text
    assert len(oauth_provider.asked) == asked
    assert open_states(sql) == began - 1
    assert reason(sql) == "access_denied"


def test_a_page_is_told_what_went_wrong_and_of_nothing_else(browser: Browser) -> None:
    for error, told in (("access_denied", "oauth_denied"), ("server_error", "oauth_failed"), ("<b>", "oauth_failed")):
        departure = browser.start("github", return_to=f"{ORIGIN}/back")
        state = parse_qs(urlsplit(departure.headers["location"]).query)["state"][0]
        answer = browser.get("/api/auth/oauth/github/callback", params={"error": error, "state": state})
        assert fragment(answer) == {"error": told}
        assert answer.headers["location"].startswith(f"{ORIGIN}/back#")


def test_an_unknown_state_is_written_down(browser: Browser, sql: Sql) -> None:
    browser.start("github")
    assert code(browser.get("/api/auth/oauth/github/callback?code=a&state=b")) == INVALID
    assert reason(sql) == "state"


def reason(sql: Sql) -> Any:
    """Why the last one was refused, as it was written down."""
    found = sql.execute(
        "SELECT facts->>'reason', ip IS NOT NULL, succeeded FROM audit_events "
        "WHERE event = 'oauth_refused' ORDER BY created_at DESC LIMIT 1"
    ).fetchone()
    assert found
    assert found[1:] == (True, False)
    return found[0]
