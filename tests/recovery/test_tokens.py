"""One-time tokens: each opens one thing, for one address, once, for an hour, and is written down nowhere."""

import re
from collections.abc import Callable
from functools import partial

import httpx
import pytest
from psycopg.sql import SQL, Identifier

from shared.security.random_tokens import one_time_tokens
from tests.conftest import PASSWORD, Client, Mail, Person
from tests.recovery.conftest import (
    NEW_PASSWORD,
    Sql,
    Work,
    disabled,
    events,
    log_in,
    new_email,
    posted,
    sent,
    shown,
)
from tests.sessions.together import at_once

PATHS = {
    "verify_email": "/api/auth/verify-email",
    "change_email": "/api/auth/verify-email",
    "reset_password": "/api/auth/reset-password",
}

every_purpose = pytest.mark.parametrize("purpose", PATHS)
every_path = pytest.mark.parametrize("path", sorted(set(PATHS.values())))


def present(client: Client, path: str, token: str, password: str = NEW_PASSWORD) -> httpx.Response:
    body = {"token": token, "password": password} if path.endswith("reset-password") else {"token": token}
    return client.post(path, body)


def address_for(purpose: str, person: Person) -> str:
    return new_email() if purpose == "change_email" else person.email


def assert_invalid(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (400, "token_invalid"), answer.text


# ---------------------------------------------------------------- once


@every_purpose
def test_of_sixteen_who_present_a_token_at_once_one_succeeds(
    client: Client, person: Person, sql: Sql, purpose: str
) -> None:
    address = address_for(purpose, person)
    token = sent(sql, person.id, purpose, address)
    answers = at_once(*[partial(present, client, PATHS[purpose], token)] * 16)
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 15
    assert {answer.json()["code"] for answer in answers if answer.status_code == 400} == {"token_invalid"}
    done = {"verify_email": "email_verified", "change_email": "email_changed", "reset_password": "password_reset"}
    assert events(sql, person.id).count((done[purpose], True)) == 1
    told = {"verify_email": 0, "change_email": 1, "reset_password": 1}
    assert len([name for name in posted(sql, person.email) if name.endswith("_changed")]) == told[purpose]


@every_purpose
def test_a_spent_token_is_refused(client: Client, person: Person, sql: Sql, purpose: str) -> None:
    token = sent(sql, person.id, purpose, address_for(purpose, person))
    assert present(client, PATHS[purpose], token).status_code == 204
    assert_invalid(present(client, PATHS[purpose], token, "nine quick brown otters"))
    if purpose == "reset_password":
        assert log_in(client, person.email, NEW_PASSWORD).status_code == 200


# ---------------------------------------------------------------- one thing, one address, one hour


@every_purpose
def test_an_expired_token_is_refused(client: Client, person: Person, sql: Sql, purpose: str) -> None:
    token = sent(sql, person.id, purpose, address_for(purpose, person), lives="-1 second")
    assert_invalid(present(client, PATHS[purpose], token))


@pytest.mark.parametrize(
    "address", ["/api/auth/forgot-password", "/api/auth/change-email", "/api/auth/verify-email/resend"]
)
def test_a_token_is_good_for_an_hour(person: Person, sql: Sql, address: str) -> None:
    sql.execute("DELETE FROM one_time_tokens WHERE user_id = %s", [person.id])
    email = {"email": person.email} if "forgot" in address else {"email": new_email()} if "change" in address else None
    assert person.post(address, email).status_code == 202
    lives = sql.execute(
        "SELECT expires_at - created_at = interval '60 minutes' FROM one_time_tokens WHERE user_id = %s", [person.id]
    ).fetchall()
    assert lives == [(True,)]


@pytest.mark.parametrize("purpose", ["verify_email", "change_email"])
def test_a_token_that_proves_an_address_resets_no_password(
    client: Client, person: Person, sql: Sql, purpose: str
) -> None:
    token = sent(sql, person.id, purpose, person.email)
    assert_invalid(present(client, "/api/auth/reset-password", token))
    assert log_in(client, person.email, PASSWORD).status_code == 200
    assert present(client, "/api/auth/verify-email", token).status_code == 204, "it was spent"


def test_a_token_that_resets_a_password_is_not_taken_for_a_verification(
    client: Client, person: Person, sql: Sql
) -> None:
    token = sent(sql, person.id, "reset_password", person.email)
    assert_invalid(present(client, "/api/auth/verify-email", token))
    assert present(client, "/api/auth/reset-password", token).status_code == 204, "it was spent"


@pytest.mark.parametrize("purpose", ["verify_email", "reset_password"])
def test_a_token_is_of_no_use_once_the_account_has_another_address(
    client: Client, person: Person, sql: Sql, purpose: str
) -> None:
    token = sent(sql, person.id, purpose, person.email)
    sql.execute("UPDATE users SET email = %s WHERE id = %s", [new_email(), person.id])
    assert_invalid(present(client, PATHS[purpose], token))
    assert person.get("/api/profile").json()["email_verified"] is False


@every_purpose
def test_a_token_of_a_disabled_account_is_refused(client: Client, person: Person, sql: Sql, purpose: str) -> None:
    token = sent(sql, person.id, purpose, address_for(purpose, person))
    disabled(person, sql)
    assert_invalid(present(client, PATHS[purpose], token))


@every_path
def test_a_token_that_was_made_where_there_was_no_account_opens_nothing(client: Client, sql: Sql, path: str) -> None:
    email = new_email()
    token = sent(sql, None, "reset_password" if "reset" in path else "verify_email", email)
    assert client.post("/api/auth/register", {"email": email, "password": PASSWORD}).status_code == 201
    assert_invalid(present(client, path, token))


# ---------------------------------------------------------------- refused alike


@every_path
def test_every_token_that_is_refused_is_refused_alike(client: Client, person: Person, sql: Sql, path: str) -> None:
    purpose = "reset_password" if "reset" in path else "verify_email"
    other = "verify_email" if "reset" in path else "reset_password"
    spent = sent(sql, person.id, purpose, person.email)
    assert present(client, path, spent).status_code == 204
    tokens = [
        "x",
        "jto_",
        f"jtr_{'A' * 43}",
        one_time_tokens.issue(),
        spent,
        spent.upper(),
        sent(sql, person.id, other, person.email),
        sent(sql, person.id, purpose, new_email() if "reset" in path else "old@example.com"),
        sent(sql, person.id, purpose, person.email, lives="-1 hour"),
    ]
    answers = [shown(present(client, path, token)) for token in tokens]
    assert [status for status, _, _ in answers] == [400] * len(tokens)
    assert all(answer == answers[0] for answer in answers)


@every_path
def test_what_cannot_be_a_token_costs_no_round_trip(client: Client, work: Work, path: str) -> None:
    for token in ("x", "jto_", "jto_" + "A" * 42, "jto_" + "A" * 42 + "é", one_time_tokens.issue() + "\n"):
        assert work.of(lambda token=token: present(client, path, token)) == (0, 0)  # type: ignore[misc]


@every_path
def test_a_token_that_was_never_issued_costs_one_round_trip_and_no_hash(client: Client, work: Work, path: str) -> None:
    assert work.of(lambda: present(client, path, one_time_tokens.issue())) == (0, 1)


@every_path
def test_presenting_tokens_is_limited_by_network(start_app: Callable[..., str], path: str) -> None:
    stranger = Client(start_app(REDEMPTION_LIMIT_ADDRESS="2/300"))
    answers = [present(stranger, path, one_time_tokens.issue()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400, 400, 429]
    assert answers[-1].json()["policy"] == "redemption-address"
    stranger.close()


def test_a_refused_token_is_written_down_with_whose_it_was(client: Client, person: Person, sql: Sql) -> None:
    for purpose in ("verify_email", "reset_password"):
        assert_invalid(present(client, PATHS[purpose], sent(sql, person.id, purpose, person.email, lives="-1 hour")))
    assert events(sql, person.id)[-2:] == [("email_verification_refused", False), ("password_reset_refused", False)]


# ---------------------------------------------------------------- GET


@pytest.mark.parametrize(
    "path",
    [
        "/api/auth/verify-email",
        "/api/auth/verify-email/resend",
        "/api/auth/forgot-password",
        "/api/auth/reset-password",
        "/api/auth/change-password",
        "/api/auth/change-email",
    ],
)
def test_whoever_only_opens_a_link_changes_nothing(client: Client, person: Person, sql: Sql, path: str) -> None:
    """Mail scanners and previews do, with GET."""
    purpose = "reset_password" if "reset" in path else "verify_email"
    token = sent(sql, person.id, purpose, person.email)
    refused = client.get(path, params={"token": token})
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert present(client, PATHS[purpose], token).status_code == 204


# ---------------------------------------------------------------- written down nowhere


def test_no_token_that_was_mailed_is_anywhere_in_the_database(
    client: Client, sql: Sql, mail_to: Callable[[str], list[Mail]]
) -> None:
    """Neither before it is sent, nor after, nor once it is spent, in any column of any table."""
    email, new = new_email(), new_email()
    registered = client.post("/api/auth/register", {"email": email, "password": PASSWORD})
    person = Person(client.url, dict(client.headers), email=email)
    person.bear(registered.json())
    client.post("/api/auth/forgot-password", {"email": email})
    person.post("/api/auth/change-email", {"email": new})
    before = everything(sql)
    mails = [*mail_to(email), *mail_to(new)]
    tokens = [mail.links[0].partition("#token=")[2] for mail in mails if "#token=" in mail.text]
    assert len(tokens) == 3
    assert all(one_time_tokens.shape.fullmatch(token) for token in tokens)
    digests = {one_time_tokens.digest(token).hex() for token in tokens}
    assert all(digest in before for digest in digests), "the walk must find what is there, or it proves nothing"
    assert present(client, "/api/auth/reset-password", tokens[0]).status_code in (204, 400)
    person.close()
    for text in (before, everything(sql)):
        for token in tokens:
            secret = token.removeprefix("jto_")
            assert secret not in text
            assert secret.encode().hex() not in text


def everything(sql: Sql) -> str:
    """All that the database holds, as text; bytes as hexadecimal digits."""
    tables = sql.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    ).fetchall()
    return "\n".join(
        str(row)
        for (table,) in tables
        for (row,) in sql.execute(SQL("SELECT to_jsonb(t)::text FROM {} t").format(Identifier(table)))
    )


def test_a_token_has_256_random_bits_and_a_prefix_that_a_scanner_finds() -> None:
    tokens = {one_time_tokens.issue() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"jto_[A-Za-z0-9_-]{43}", token) for token in tokens)
