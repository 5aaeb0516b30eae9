"""Cookie mode: the refresh token where no script can read it, and only for pages that may use it."""

import re
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.conftest import ORIGIN, PASSWORD, Client, Person
from tests.sessions.rows import OpenSession, Sql, disable, open_session

NAME = "__Host-jobtrail_refresh"
ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
MONTH = 30 * 24 * 3600

FOREIGN: list[dict[str, str]] = [
    {},
    {"Origin": ""},
    {"Origin": "null"},
    {"Origin": "https://evil.example"},
    {"Origin": ORIGIN.replace("https", "http")},
    {"Origin": f"{ORIGIN}:8443"},
    {"Origin": f"{ORIGIN}/"},
    {"Origin": f"{ORIGIN}.evil.example"},
    {"Origin": ORIGIN.upper()},
    {"Origin": "https://example.com"},
    {"Referer": f"{ORIGIN}/page"},
]


def cookie(token: str, *, origin: str | None = ORIGIN) -> dict[str, str]:
    """What a browser sends from a page of ``origin``."""
    return {"Cookie": f"{NAME}={token}"} | ({"Origin": origin} if origin is not None else {})


def cookies_set(answer: httpx.Response) -> list[str]:
    """All but the device cookie, which has tests of its own."""
    return [line for line in answer.headers.get_list("set-cookie") if not line.startswith("__Host-jobtrail_device=")]


def token_set(answer: httpx.Response) -> str:
    """The token in the cookie that an answer sets, with every attribute a browser must see, and no other."""
    (line,) = cookies_set(answer)
    found = re.fullmatch(rf"{NAME}=(jtr_[\w-]+); Max-Age={answer.json()['refresh_expires_in']}; {ATTRIBUTES}", line)
    assert found, line
    return found[1]


# ---------------------------------------------------------------- given


def test_registration_puts_the_token_into_a_cookie_and_not_into_the_json(client: Client) -> None:
    email = f"{secrets.token_hex(8)}@example.com"
    answer = client.post("/api/auth/register", {"email": email, "password": PASSWORD, "transport": "cookie"})
    assert answer.status_code == 201
    assert "refresh_token" not in answer.json()
    assert token_set(answer) not in answer.text
    assert answer.json()["refresh_expires_in"] == MONTH


def test_login_puts_the_token_into_a_cookie_and_not_into_the_json(person: Person) -> None:
    answer = person.post("/api/auth/login", {"email": person.email, "password": PASSWORD, "transport": "cookie"})
    assert answer.status_code == 200
    assert "refresh_token" not in answer.json()
    assert token_set(answer) not in answer.text


def test_refresh_by_cookie_puts_the_next_token_into_the_cookie(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    for generation in (1, 2, 3):
        answer = client.post("/api/auth/refresh", {}, headers=cookie(session.refresh_token(generation)))
        assert answer.status_code == 200
        assert "refresh_token" not in answer.json()
        assert token_set(answer) == session.refresh_token(generation + 1)


def test_a_cookie_lives_no_longer_than_its_session(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    sql.execute("UPDATE sessions SET absolute_expires_at = now() + '2 days' WHERE id = %s", [session.id])
    answer = client.post("/api/auth/refresh", {}, headers=cookie(session.refresh_token()))
    assert token_set(answer) == session.refresh_token(2)
    assert answer.json()["refresh_expires_in"] == pytest.approx(2 * 24 * 3600, abs=60)


@pytest.mark.parametrize("fields", [{}, {"transport": "body"}], ids=["by default", "when asked for"])
def test_in_body_mode_no_cookie_is_set(person: Person, fields: dict[str, str]) -> None:
    answer = person.post("/api/auth/login", {"email": person.email, "password": PASSWORD, **fields})
    assert answer.json()["refresh_token"].startswith("jtr_")
    refreshed = person.post("/api/auth/refresh", {"refresh_token": answer.json()["refresh_token"]})
    assert cookies_set(answer) == cookies_set(refreshed) == []


@pytest.mark.parametrize("body", [None, {}, {"refresh_token": None}], ids=["no body", "empty object", "null"])
def test_the_cookie_is_used_when_the_body_has_no_token(client: Client, sql: Sql, body: dict[str, None] | None) -> None:
    session = open_session(sql)
    answer = client.post("/api/auth/refresh", body, headers=cookie(session.refresh_token()))
    assert token_set(answer) == session.refresh_token(2)


def test_the_cookie_is_found_among_others(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    crowd = f"a=b; {NAME}x=1; x{NAME}=2; {NAME}={session.refresh_token()}; theme=dark"
    answer = client.post("/api/auth/refresh", {}, headers={"Cookie": crowd, "Origin": ORIGIN})
    assert token_set(answer) == session.refresh_token(2)


# ---------------------------------------------------------------- the body wins


def test_a_token_in_the_body_wins_over_the_cookie(client: Client, sql: Sql) -> None:
    in_body, in_cookie = open_session(sql), open_session(sql)
    answer = client.post(
        "/api/auth/refresh", {"refresh_token": in_body.refresh_token()}, headers=cookie(in_cookie.refresh_token())
    )
    assert answer.json()["refresh_token"] == in_body.refresh_token(2)
    assert cookies_set(answer) == []
    assert (in_body.row(sql).generation, in_cookie.row(sql).generation) == (2, 1)


def test_a_bad_token_in_the_body_is_not_made_good_by_the_cookie(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    refused = client.post("/api/auth/refresh", {"refresh_token": "x"}, headers=cookie(session.refresh_token()))
    assert (refused.status_code, session.row(sql).generation) == (401, 1)


def test_a_token_in_the_body_asks_for_no_origin(client: Client, sql: Sql) -> None:
    """A page that can read a token is no page of somebody else's."""
    session = open_session(sql)
    answer = client.post(
        "/api/auth/refresh", {"refresh_token": session.refresh_token()}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 200


# ---------------------------------------------------------------- whose page


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_that_is_not_allowed_rotates_nothing(client: Client, sql: Sql, headers: dict[str, str]) -> None:
    session = open_session(sql)
    before = session.row(sql)
    refused = client.post("/api/auth/refresh", {}, headers=cookie(session.refresh_token(), origin=None) | headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "origin_not_allowed")
    assert cookies_set(refused) == []
    assert session.row(sql) == before


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_that_is_not_allowed_signs_nobody_out(client: Client, sql: Sql, headers: dict[str, str]) -> None:
    session = open_session(sql)
    refused = client.post("/api/auth/logout", {}, headers=cookie(session.refresh_token(), origin=None) | headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "origin_not_allowed")
    assert cookies_set(refused) == []
    assert session.row(sql).revoked_reason is None


def test_a_page_that_is_not_allowed_cannot_end_a_session_by_an_old_cookie(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    client.post("/api/auth/refresh", {}, headers=cookie(session.refresh_token()))
    session.age(sql, timedelta(minutes=5))
    refused = client.post("/api/auth/refresh", {}, headers=cookie(session.refresh_token(), origin=None))
    assert (refused.status_code, session.row(sql).revoked_reason) == (403, None)


def test_the_cookie_signs_nobody_in_by_itself(client: Client, sql: Sql) -> None:
    """Only refresh and logout look at it, so no other request can be forged across sites."""
    answer = client.get("/api/profile", headers=cookie(open_session(sql).refresh_token()))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


# ---------------------------------------------------------------- refused, and taken back


def rotated_away(client: Client, session: OpenSession, sql: Sql) -> None:
    client.post("/api/auth/refresh", {"refresh_token": session.refresh_token()})
    session.age(sql, timedelta(minutes=5))


def signed_out(client: Client, session: OpenSession, sql: Sql) -> None:
    client.post("/api/auth/logout", {"refresh_token": session.refresh_token()})


def too_old(client: Client, session: OpenSession, sql: Sql) -> None:
    session.age(sql, timedelta(days=30))


def disabled(client: Client, session: OpenSession, sql: Sql) -> None:
    disable(sql, session.user_id)


def limited(client: Client, session: OpenSession, sql: Sql) -> None:
    sql.execute(
        "UPDATE sessions SET refreshes = 300, refreshes_reset_at = now() + '5 minutes' WHERE id = %s", [session.id]
    )


@pytest.mark.parametrize(
    ("happened", "status", "code"),
    [
        (rotated_away, 401, "refresh_token_reused"),
        (signed_out, 401, "refresh_token_invalid"),
        (too_old, 401, "session_expired"),
        (disabled, 401, "refresh_token_invalid"),
        (limited, 429, "rate_limited"),
    ],
)
def test_a_refused_refresh_sets_no_cookie(
    client: Client, sql: Sql, happened: Callable[..., Any], status: int, code: str
) -> None:
    """Not even an empty one: it could take the cookie of another tab's newer token away."""
    session = open_session(sql)
    happened(client, session, sql)
    refused = client.post("/api/auth/refresh", {}, headers=cookie(session.refresh_token()))
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert cookies_set(refused) == []


def test_a_cookie_that_was_never_issued_is_refused_and_left_alone(client: Client) -> None:
    refused = client.post("/api/auth/refresh", {}, headers=cookie("jtr_forged"))
    assert (refused.status_code, refused.json()["code"]) == (401, "refresh_token_invalid")
    assert cookies_set(refused) == []


def test_an_empty_cookie_is_none(client: Client) -> None:
    refused = client.post("/api/auth/refresh", {}, headers=cookie("", origin=None))
    assert (refused.status_code, refused.json()["code"]) == (401, "refresh_token_invalid")


def test_logout_by_cookie_ends_the_session_and_takes_the_cookie_back(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    answer = client.post("/api/auth/logout", {}, headers=cookie(session.refresh_token()))
    assert (answer.status_code, answer.content) == (204, b"")
    assert cookies_set(answer) == [f"{NAME}=; Max-Age=0; {ATTRIBUTES}"]
    assert session.row(sql).revoked_reason == "logout"


def test_logout_by_body_touches_no_cookie(client: Client, sql: Sql) -> None:
    in_body, in_cookie = open_session(sql), open_session(sql)
    answer = client.post(
        "/api/auth/logout", {"refresh_token": in_body.refresh_token()}, headers=cookie(in_cookie.refresh_token())
    )
    assert (answer.status_code, cookies_set(answer)) == (204, [])
    assert (in_body.row(sql).revoked_reason, in_cookie.row(sql).revoked_reason) == ("logout", None)
