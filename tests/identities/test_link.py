"""Linking a provider to the account one is signed in to, and unlinking it: never the last way in."""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest

from shared.security import access_tokens
from tests.conftest import ORIGIN, Person
from tests.identities.browser import COOKIE, REFRESH, Browser, code, fragment
from tests.identities.conftest import PROVIDERS
from tests.identities.provider import Account
from tests.identities.test_sign_in import events, links, mails, verify

Sql = psycopg.Connection[Any]


def bearer(person: Person) -> dict[str, str]:
    return {"Authorization": person.headers["Authorization"]}


def stale(person: Person) -> dict[str, str]:
    """The person's bearer token, as it would be if they had proved who they are an hour ago."""
    claims = access_tokens.verify(person.tokens["access_token"])
    token, _ = access_tokens.issue(claims.user_id, claims.session_id, role="user", authenticated_at=1)
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def guest(browser: Browser, new_person: Callable[..., Person]) -> Callable[..., Person]:
    """Makes people who came by a provider, and have no password."""

    def make(name: str, account: Account) -> Person:
        person = Person(browser.client.url)
        person.bear(browser.sign_in(name, account).json())
        return person

    return make


# ---------------------------------------------------------------- linking


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_linked_provider_signs_in_to_the_account_whatever_its_address(
    name: str, browser: Browser, person: Person, sql: Sql
) -> None:
    account = Account(is_verified=False)
    answer = browser.link(name, account, bearer(person))
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["provider"], shown["email"], shown["last_used_at"]) == (name, account.email, None)
    assert REFRESH not in browser.cookies, "linking signs nobody in"
    assert events(sql, person.id)[-1] == "identity_linked"
    assert mails(sql, person.email)[-1][0] == "identity_linked"
    assert browser.sign_in(name, account).json()["user"]["id"] == person.id


def test_linking_begins_with_a_call_and_a_cookie(browser: Browser, person: Person) -> None:
    begun = browser.post("/api/auth/identities/google/link", {}, headers=bearer(person))
    assert list(begun.json()) == ["authorization_url"]
    assert begun.headers.get_list("set-cookie")[0].startswith(f"{COOKIE}=")
    assert code(browser.post("/api/auth/identities/google/link", {})) == (401, "unauthorized")


def test_linking_and_unlinking_take_a_fresh_proof(browser: Browser, person: Person) -> None:
    needed = (401, "reauthentication_required")
    assert code(browser.post("/api/auth/identities/google/link", {}, headers=stale(person))) == needed
    assert code(person.delete("/api/auth/identities/google", headers=stale(person))) == needed
    assert person.get("/api/auth/identities", headers=stale(person)).status_code == 200


def test_a_page_gets_the_browser_back_and_no_session(browser: Browser, person: Person) -> None:
    answer = browser.link("github", Account(), bearer(person), return_to=f"{ORIGIN}/settings")
    assert fragment(answer) == {"linked": "github"}
    assert answer.headers.get_list("set-cookie") == []


def test_linking_again_changes_nothing(browser: Browser, person: Person, sql: Sql) -> None:
    account = Account()
    assert browser.link("google", account, bearer(person)).status_code == 200
    assert browser.link("google", account, bearer(person)).status_code == 200
    assert events(sql, person.id).count("identity_linked") == len(links(sql, person.id)) == 1


def test_what_is_linked_to_somebody_else_stays_theirs(
    new_browser: Callable[..., Browser], new_person: Callable[..., Person], sql: Sql
) -> None:
    account, ada, bob = Account(), new_person(), new_person()
    assert new_browser().link("google", account, bearer(ada)).status_code == 200
    assert code(new_browser().link("google", account, bearer(bob))) == (409, "identity_taken")
    answer = new_browser().link("google", account, bearer(bob), return_to=f"{ORIGIN}/settings")
    assert fragment(answer) == {"error": "identity_taken"}
    assert links(sql, bob.id) == []
    assert events(sql, bob.id)[-1] == "identity_link_refused"


def test_one_is_one_person_at_each_provider(browser: Browser, person: Person, sql: Sql) -> None:
    assert browser.link("google", Account(), bearer(person)).status_code == 200
    assert code(browser.link("google", Account(), bearer(person))) == (409, "provider_linked")
    assert len(links(sql, person.id)) == 1


def test_another_browser_cannot_put_its_identity_into_the_account(
    new_browser: Callable[..., Browser], person: Person, sql: Sql
) -> None:
    mine, another = new_browser(), new_browser()
    begun = mine.post("/api/auth/identities/google/link", {}, headers=bearer(person))
    way = mine.consent(begun, Account())
    another.start("google")
    assert code(another.get(way)) == (400, "oauth_state_invalid")
    assert links(sql, person.id) == []


@pytest.mark.parametrize("how", ["logged out", "disabled"])
def test_a_session_that_ended_meanwhile_links_nothing(how: str, browser: Browser, person: Person, sql: Sql) -> None:
    begun = browser.post("/api/auth/identities/google/link", {}, headers=bearer(person))
    way = browser.consent(begun, Account())
    if how == "disabled":
        sql.execute("UPDATE users SET disabled_at = now() WHERE id = %s", [person.id])
    else:
        person.post("/api/auth/logout-all", {})
    assert code(browser.get(way)) == (400, "oauth_state_invalid")
    assert links(sql, person.id) == []


def test_an_identity_that_two_people_link_at_once_is_one_persons(
    new_browser: Callable[..., Browser], new_person: Callable[..., Person]
) -> None:
    account, browsers, ways = Account(), [new_browser() for _ in range(4)], []
    for browser in browsers:
        begun = browser.post("/api/auth/identities/google/link", {}, headers=bearer(new_person()))
        ways.append(browser.consent(begun, account))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda pair: pair[0].get(pair[1]), zip(browsers, ways, strict=True)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


def test_linking_and_signing_in_at_once_never_wait_for_each_other_in_a_ring(
    new_browser: Callable[..., Browser], person: Person, sql: Sql
) -> None:
    verify(sql, person)
    account = Account(email=person.email)
    for _ in range(5):
        one, two = new_browser(), new_browser()
        ways = [
            (one, one.consent(one.start("google"), account)),
            (two, two.consent(two.post("/api/auth/identities/google/link", {}, headers=bearer(person)), account)),
        ]
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda pair: pair[0].get(pair[1]), ways))
        assert [answer.status_code for answer in answers] == [200, 200]
        sql.execute("DELETE FROM identities WHERE user_id = %s", [person.id])


# ---------------------------------------------------------------- what is linked


def test_the_list_shows_what_the_caller_linked_and_no_subject(browser: Browser, person: Person) -> None:
    assert person.get("/api/auth/identities").json() == {"items": []}
    accounts = {name: Account() for name in PROVIDERS}
    for name, account in accounts.items():
        browser.link(name, account, bearer(person))
    answer = person.get("/api/auth/identities")
    assert [item["provider"] for item in answer.json()["items"]] == ["github", "google", "microsoft"]
    assert all(account.subject not in answer.text for account in accounts.values())


def test_the_list_tells_when_it_was_last_used(browser: Browser, person: Person) -> None:
    account = Account()
    browser.link("github", account, bearer(person))
    assert person.get("/api/auth/identities").json()["items"][0]["last_used_at"] is None
    browser.sign_in("github", account)
    assert person.get("/api/auth/identities").json()["items"][0]["last_used_at"]


def test_nobody_sees_or_unlinks_what_somebody_else_linked(
    browser: Browser, new_person: Callable[..., Person], sql: Sql
) -> None:
    ada, bob = new_person(), new_person()
    browser.link("google", Account(), bearer(ada))
    assert bob.get("/api/auth/identities").json() == {"items": []}
    assert code(bob.delete("/api/auth/identities/google")) == (404, "not_found")
    assert len(links(sql, ada.id)) == 1


# ---------------------------------------------------------------- unlinking


def test_what_is_unlinked_signs_in_no_more(browser: Browser, person: Person, sql: Sql) -> None:
    account = Account()
    browser.link("google", account, bearer(person))
    assert person.delete("/api/auth/identities/google").status_code == 204
    assert code(person.delete("/api/auth/identities/google")) == (404, "not_found")
    assert events(sql, person.id)[-1] == "identity_unlinked"
    assert mails(sql, person.email)[-1] == ("identity_unlinked", "Google")
    assert browser.sign_in("google", account).json()["user"]["id"] != person.id


def test_the_last_way_in_stays(browser: Browser, guest: Callable[..., Person], sql: Sql) -> None:
    account = Account()
    person = guest("google", account)
    assert code(person.delete("/api/auth/identities/google")) == (409, "last_way_in")
    assert events(sql, person.id)[-1] == "identity_unlink_refused"
    assert browser.sign_in("google", account).json()["user"]["id"] == person.id


def test_of_the_last_two_ways_in_closed_at_once_one_stays(
    browser: Browser, guest: Callable[..., Person], sql: Sql
) -> None:
    for _ in range(5):
        person = guest("google", Account())
        assert browser.link("github", Account(), bearer(person)).status_code == 200
        paths = ("/api/auth/identities/google", "/api/auth/identities/github")
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(person.delete, paths))
        assert sorted(answer.status_code for answer in answers) == [204, 409]
        assert len(links(sql, person.id)) == 1


def test_ways_in_are_a_password_and_every_identity(browser: Browser, person: Person, sql: Sql) -> None:
    def ways_in() -> int:
        ((count,),) = sql.execute("SELECT ways_in(%s)", [person.id]).fetchall()
        return int(count)

    assert ways_in() == 1
    browser.link("google", Account(), bearer(person))
    assert ways_in() == 2
    sql.execute("UPDATE users SET password_hash = NULL WHERE id = %s", [person.id])
    assert ways_in() == 1
    sql.execute("DELETE FROM identities WHERE user_id = %s", [person.id])
    assert ways_in() == 0


# ---------------------------------------------------------------- an account made in somebody's name


def test_who_proves_an_address_and_sets_a_password_shares_the_account_with_nobody(
    new_browser: Callable[..., Browser], guest: Callable[..., Person], sql: Sql
) -> None:
    """The attacker makes an account by Microsoft with the victim's address, unproved, and waits for the victim."""
    attackers = Account()
    person = guest("microsoft", attackers)
    sql.execute(
        "UPDATE users SET email_verified_at = now(), password_hash = %s WHERE id = %s",
        [secrets.token_hex(8), person.id],
    )
    assert links(sql, person.id) == []
    assert events(sql, person.id)[-1] == "identity_unlinked"
    assert code(new_browser().sign_in("microsoft", attackers)) == (409, "link_required")


@pytest.mark.parametrize("change", ["email_verified_at = now()", "password_hash = 'x'"])
def test_who_only_proves_the_address_or_changes_the_password_keeps_what_is_linked(
    change: str, guest: Callable[..., Person], sql: Sql
) -> None:
    person = guest("microsoft", Account())
    sql.execute(f"UPDATE users SET {change} WHERE id = %s".encode(), [UUID(person.id)])
    assert len(links(sql, person.id)) == 1
