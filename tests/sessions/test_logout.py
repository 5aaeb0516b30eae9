"""Logout: of one session, by whichever token names it, and of all of them."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.conftest import Client, Person
from tests.sessions.rows import IDLE, Sql, add_user, open_session


def is_signed_in(client: Client, bearer: dict[str, str]) -> bool:
    answer = client.get("/api/auth/status", headers=bearer)
    assert answer.status_code == 200 or answer.json()["code"] == "session_ended", answer.text
    return answer.status_code == 200


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


# ---------------------------------------------------------------- one session


def test_logout_by_refresh_token_ends_its_session_at_once(person: Person) -> None:
    answer = person.post("/api/auth/logout", {"refresh_token": person.refresh_token})
    assert (answer.status_code, answer.content) == (204, b"")
    assert refusal(person.get("/api/profile")) == (401, "session_ended")
    assert refusal(person.post("/api/auth/refresh", {"refresh_token": person.refresh_token})) == (
        401,
        "refresh_token_invalid",
    )


@pytest.mark.parametrize("body", [None, {}, {"refresh_token": None}], ids=["no body", "empty object", "null"])
def test_logout_by_access_token_ends_its_session_at_once(
    client: Client, sql: Sql, body: dict[str, None] | None
) -> None:
    session = open_session(sql)
    bearer = session.bearer
    assert client.post("/api/auth/logout", body, headers=bearer).status_code == 204
    assert session.row(sql).revoked_reason == "logout"
    assert not is_signed_in(client, bearer)


def test_logout_ends_that_session_only(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    same_user, other_user = open_session(sql, session.user_id), open_session(sql)
    client.post("/api/auth/logout", {"refresh_token": session.refresh_token()})
    assert is_signed_in(client, same_user.bearer)
    assert is_signed_in(client, other_user.bearer)


def test_logging_out_again_is_no_error_and_changes_nothing(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    client.post("/api/auth/logout", {"refresh_token": session.refresh_token()})
    ended = sql.execute("SELECT revoked_at FROM sessions WHERE id = %s", [session.id]).fetchone()
    assert client.post("/api/auth/logout", {"refresh_token": session.refresh_token()}).status_code == 204
    assert client.post("/api/auth/logout", {}, headers=session.bearer).status_code == 204
    assert sql.execute("SELECT revoked_at FROM sessions WHERE id = %s", [session.id]).fetchone() == ended


def test_a_session_can_be_ended_with_a_token_it_has_spent(client: Client, sql: Sql) -> None:
    """Whoever logs out must not need the newest token: ending a session is always safe."""
    session = open_session(sql)
    client.post("/api/auth/refresh", {"refresh_token": session.refresh_token()})
    assert client.post("/api/auth/logout", {"refresh_token": session.refresh_token()}).status_code == 204
    assert session.row(sql).revoked_reason == "logout"


def test_a_session_that_has_expired_can_be_logged_out(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    session.age(sql, IDLE)
    assert client.post("/api/auth/logout", {"refresh_token": session.refresh_token()}).status_code == 204


@pytest.mark.parametrize("body", [None, {}], ids=["no body", "empty object"])
def test_logout_must_be_told_which_session(client: Client, body: dict[str, Any] | None) -> None:
    assert refusal(client.post("/api/auth/logout", body)) == (400, "no_session")


def test_a_refresh_token_that_was_never_issued_logs_nobody_out(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    refused = client.post("/api/auth/logout", {"refresh_token": "jtr_forged"}, headers=session.bearer)
    assert refusal(refused) == (401, "refresh_token_invalid")
    assert is_signed_in(client, session.bearer)


@pytest.mark.parametrize("authorization", ["Bearer forged", "Bearer", "Basic YTpi"])
def test_an_access_token_that_was_never_issued_logs_nobody_out(client: Client, authorization: str) -> None:
    refused = client.post("/api/auth/logout", {}, headers={"Authorization": authorization})
    assert refusal(refused) == (401, "invalid_token")
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize("body", [None, {}, {"except_current": False}], ids=["no body", "empty object", "false"])
def test_logout_all_ends_every_session_of_the_caller(client: Client, sql: Sql, body: dict[str, bool] | None) -> None:
    user_id = add_user(sql)
    sessions = [open_session(sql, user_id) for _ in range(3)]
    bystander = open_session(sql)
    answer = client.post("/api/auth/logout-all", body, headers=sessions[0].bearer)
    assert (answer.status_code, answer.json()) == (200, {"revoked": 3})
    assert [session.row(sql).revoked_reason for session in sessions] == ["logout_all"] * 3
    assert not any(is_signed_in(client, session.bearer) for session in sessions)
    assert is_signed_in(client, bystander.bearer)


def test_logout_all_can_spare_the_session_that_asks(client: Client, sql: Sql) -> None:
    user_id = add_user(sql)
    current, *others = [open_session(sql, user_id) for _ in range(3)]
    answer = client.post("/api/auth/logout-all", {"except_current": True}, headers=current.bearer)
    assert answer.json() == {"revoked": 2}
    assert is_signed_in(client, current.bearer)
    assert not any(is_signed_in(client, session.bearer) for session in others)
    assert client.post("/api/auth/refresh", {"refresh_token": current.refresh_token()}).status_code == 200


def test_logout_all_counts_only_sessions_that_were_alive(client: Client, sql: Sql) -> None:
    user_id = add_user(sql)
    current, expired, revoked = [open_session(sql, user_id) for _ in range(3)]
    expired.age(sql, IDLE)
    client.post("/api/auth/logout", {"refresh_token": revoked.refresh_token()})
    assert client.post("/api/auth/logout-all", {}, headers=current.bearer).json() == {"revoked": 1}
    assert revoked.row(sql).revoked_reason == "logout"


@pytest.mark.parametrize("body", [{"except_current": "yes"}, {"except_current": 1}, {"all": True}], ids=str)
def test_logout_all_does_nothing_for_a_body_it_does_not_understand(
    client: Client, sql: Sql, body: dict[str, object]
) -> None:
    session = open_session(sql)
    refused = client.post("/api/auth/logout-all", body, headers=session.bearer)
    assert refusal(refused) == (422, "validation_failed")
    assert is_signed_in(client, session.bearer)


def test_logout_all_asks_who_is_calling_before_what_they_want(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    nonsense = {"all": True}
    assert refusal(client.post("/api/auth/logout-all", nonsense)) == (401, "unauthorized")
    session.age(sql, timedelta(days=90))
    assert refusal(client.post("/api/auth/logout-all", nonsense, headers=session.bearer)) == (401, "session_ended")
