"""Changing an address: it takes effect when the new one is proved, and the old one is told twice."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from shared.security import access_tokens
from tests.conftest import APP_URL, PASSWORD, Client, Mail, Person
from tests.recovery.conftest import Sql, active, disabled, events, log_in, new_email, posted, sent, shown
from tests.sessions.together import at_once

CHANGE, VERIFY = "/api/auth/change-email", "/api/auth/verify-email"


def ask(person: Person, email: str) -> Any:
    return person.post(CHANGE, {"email": email})


def test_the_link_in_the_mail_makes_the_change(
    client: Client, person: Person, mail_to: Callable[[str], list[Mail]]
) -> None:
    new = new_email()
    answer = ask(person, new)
    assert (answer.status_code, answer.content) == (202, b"")
    assert person.get("/api/profile").json()["email"] == person.email, "it took effect before it was proved"
    (mail,) = mail_to(new)
    assert mail.links[0].startswith(f"{APP_URL}/confirm-email#token=jto_")
    before = person.get("/api/profile").json()
    assert client.post(VERIFY, {"token": mail.token}).status_code == 204
    after = person.get("/api/profile").json()
    assert after | {"version": 0} == before | {"email": new, "email_verified": True, "version": 0}
    assert after["version"] == before["version"] + 1
    assert log_in(client, new, PASSWORD).status_code == 200
    assert log_in(client, person.email, PASSWORD).status_code == 401


def test_the_old_address_is_told_at_the_request_and_at_the_change(client: Client, person: Person, sql: Sql) -> None:
    ask(person, new_email())
    assert posted(sql, person.email)[-1] == "email_change_requested"
    client.post(VERIFY, {"token": sent(sql, person.id, "change_email", new_email())})
    assert posted(sql, person.email)[-1] == "email_changed"
    assert [event for event, _ in events(sql, person.id)][-2:] == ["email_change_requested", "email_changed"]


def test_an_unverified_account_has_a_verified_address_afterwards_and_loses_its_old_links(
    client: Client, person: Person, sql: Sql
) -> None:
    old = sent(sql, person.id, "verify_email", person.email)
    reset = sent(sql, person.id, "reset_password", person.email)
    client.post(VERIFY, {"token": sent(sql, person.id, "change_email", new_email())})
    assert client.post(VERIFY, {"token": old}).json()["code"] == "token_invalid"
    refused = client.post("/api/auth/reset-password", {"token": reset, "password": "seven slow green glaciers"})
    assert refused.json()["code"] == "token_invalid"


def test_the_last_request_counts(client: Client, person: Person, mail_to: Callable[[str], list[Mail]]) -> None:
    first, last = new_email(), new_email()
    ask(person, first)
    ask(person, last)
    assert client.post(VERIFY, {"token": mail_to(first)[0].token}).json()["code"] == "token_invalid"
    assert client.post(VERIFY, {"token": mail_to(last)[0].token}).status_code == 204


def test_an_address_is_kept_in_one_spelling(
    client: Client, person: Person, mail_to: Callable[[str], list[Mail]]
) -> None:
    new = new_email()
    ask(person, f"  {new.upper()} ")
    assert client.post(VERIFY, {"token": mail_to(new)[0].token}).status_code == 204
    assert person.get("/api/profile").json()["email"] == new


# ---------------------------------------------------------------- taken


def taken(person: Person, sql: Sql) -> str:
    return person.email


def taken_in_capitals(person: Person, sql: Sql) -> str:
    return person.email.upper()


@pytest.mark.parametrize("kind", [taken, taken_in_capitals, active, disabled], ids=lambda kind: kind.__name__)
def test_whoever_asks_is_not_told_that_an_address_is_taken(
    new_person: Callable[..., Person], sql: Sql, kind: Callable[[Person, Sql], str]
) -> None:
    asking, owner = new_person(), new_person()
    address = kind(owner, sql)
    free = shown(ask(asking, new_email()))
    assert shown(ask(asking, address)) == free
    assert posted(sql, asking.email).count("email_change_requested") == 2


def test_a_taken_address_is_sent_no_link_but_told_that_it_has_an_account(
    new_person: Callable[..., Person], sql: Sql, mail_to: Callable[[str], list[Mail]]
) -> None:
    asking, owner = new_person(), new_person()
    for _ in range(3):
        assert ask(asking, owner.email).status_code == 202
    assert posted(sql, owner.email) == ["verify_email", "account_exists"], "once in six hours is enough"
    assert "jto_" not in mail_to(owner.email)[0].text


def test_an_address_that_was_taken_in_between_is_refused_clearly(
    client: Client, person: Person, sql: Sql, mail_to: Callable[[str], list[Mail]]
) -> None:
    new = new_email()
    ask(person, new)
    token = mail_to(new)[0].token
    assert client.post("/api/auth/register", {"email": new, "password": PASSWORD}).status_code == 201
    refused = client.post(VERIFY, {"token": token})
    assert (refused.status_code, refused.json()["code"]) == (409, "email_taken")
    assert person.get("/api/profile").json()["email"] == person.email
    assert client.post(VERIFY, {"token": token}).json()["code"] == "token_invalid", "it was spent"
    assert events(sql, person.id)[-1] == ("email_change_refused", False)
    assert "email_changed" not in posted(sql, person.email)


def test_of_two_who_confirm_the_same_address_at_once_one_gets_it(
    client: Client, new_person: Callable[..., Person], sql: Sql
) -> None:
    new, people = new_email(), [new_person(), new_person()]
    tokens = [sent(sql, person.id, "change_email", new) for person in people]
    answers = at_once(*(partial(client.post, VERIFY, {"token": token}) for token in tokens))
    assert sorted(answer.status_code for answer in answers) == [204, 409]
    assert sorted(person.get("/api/profile").json()["email"] == new for person in people) == [False, True]


def test_a_registration_and_a_confirmation_at_once_make_one_owner(client: Client, person: Person, sql: Sql) -> None:
    new = new_email()
    token = sent(sql, person.id, "change_email", new)
    confirmed, registered = at_once(
        partial(client.post, VERIFY, {"token": token}),
        partial(client.post, "/api/auth/register", {"email": new, "password": PASSWORD}),
    )
    assert (confirmed.status_code, registered.status_code) in ((204, 409), (409, 201))
    assert sql.execute("SELECT count(*) FROM users WHERE email = %s", [new]).fetchone() == (1,)


# ---------------------------------------------------------------- who may ask


def test_a_proof_older_than_ten_minutes_is_not_enough(person: Person) -> None:
    session = UUID(person.get("/api/auth/sessions").json()["items"][0]["id"])
    stale, _ = access_tokens.issue(UUID(person.id), session, role="user", authenticated_at=int(time.time()) - 601)
    person.headers["Authorization"] = f"Bearer {stale}"
    refused = ask(person, new_email())
    assert (refused.status_code, refused.json()["code"]) == (401, "reauthentication_required")


def test_a_session_that_has_ended_asks_for_nothing(person: Person, sql: Sql) -> None:
    person.post("/api/auth/logout-all", {})
    new = new_email()
    assert ask(person, new).json()["code"] == "session_ended"
    assert posted(sql, new) == []


def test_an_account_may_ask_five_times_a_day(person: Person, sql: Sql) -> None:
    addresses = [new_email() for _ in range(6)]
    answers = [ask(person, address) for address in addresses]
    assert [answer.status_code for answer in answers] == [202] * 5 + [429]
    assert answers[-1].json()["policy"] == "change-email-account"
    assert posted(sql, addresses[-1]) == []
