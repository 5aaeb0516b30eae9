"""An ended session: it stops at the very next request, whichever route that is for, and never comes back."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest

from tests.conftest import Client
from tests.sessions.rows import IDLE, OpenSession, Sql, add_user, disable, open_session

if TYPE_CHECKING:
    from shared.routes import Route


def member_routes() -> "Iterator[tuple[str, str, Route]]":
    """Each method and path that wants a signed-in caller."""
    from function_app import app

    for route in app.routes:
        if route.endpoint.access.needs_caller:
            path = route.path
            for name, kind in route.endpoint.path.items():
                path = path.replace(f"{{{name}}}", str(uuid4()) if kind is not str else "google")
            for method in route.methods:
                yield method, path, route


def by_logout(sql: Sql, session: OpenSession) -> None:
    sql.execute("UPDATE sessions SET revoked_at = now(), revoked_reason = 'logout' WHERE id = %s", [session.id])


def by_idling(sql: Sql, session: OpenSession) -> None:
    session.age(sql, IDLE)


def by_age(sql: Sql, session: OpenSession) -> None:
    sql.execute("UPDATE sessions SET absolute_expires_at = now() WHERE id = %s", [session.id])


def by_disabling(sql: Sql, session: OpenSession) -> None:
    disable(sql, session.user_id)


@pytest.mark.parametrize("end", [by_logout, by_idling, by_age, by_disabling])
def test_an_ended_session_is_refused_on_every_route_of_members(
    client: Client, sql: Sql, end: Callable[[Sql, OpenSession], None]
) -> None:
    session = open_session(sql, role="admin")  # so that no route refuses for another reason
    bearer = session.bearer
    assert client.get("/api/auth/jwt-info", headers=bearer).status_code == 200
    end(sql, session)
    walked = [(method, path, client(method, path, headers=bearer)) for method, path, _ in member_routes()]
    assert len(walked) > 15
    refused = {(method, path): (answer.status_code, answer.json()["code"]) for method, path, answer in walked}
    assert refused == dict.fromkeys(refused, (401, "session_ended"))


def test_a_living_session_is_let_in_on_every_route_of_members(client: Client, sql: Sql) -> None:
    """The other half of the test above: what is refused there is refused for the session's sake."""
    user_id = add_user(sql, role="admin")
    sql.execute("UPDATE users SET email_verified_at = now() WHERE id = %s", [user_id])
    for method, path, _ in member_routes():
        session = open_session(sql, user_id, role="admin")
        answer = client(method, path, headers=session.bearer)
        assert answer.status_code not in (401, 403, 500), (method, path, answer.text)


def test_what_is_wrong_with_a_request_is_not_told_to_an_ended_session(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    bearer = session.bearer
    by_logout(sql, session)
    for method, path, body in (
        ("POST", "/api/applications", b"{"),
        ("PATCH", "/api/profile", b'{"role": "admin"}'),
        ("GET", "/api/applications?limit=1000", b""),
        ("GET", "/api/quotas/no_such_metric", b""),
    ):
        headers = bearer | {"Content-Type": "application/json"}
        answer = client(method, path, content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "session_ended"), (method, path)


@pytest.mark.parametrize(
    "change",
    [
        "revoked_at = NULL, revoked_reason = NULL",
        "revoked_at = now() + interval '1 day'",
        "generation = generation + 1",
        "generation = 1",
    ],
)
def test_no_statement_brings_a_revoked_session_back(sql: Sql, change: str) -> None:
    session = open_session(sql)
    sql.execute("UPDATE sessions SET generation = 5 WHERE id = %s", [session.id])
    by_logout(sql, session)
    before = session.row(sql)
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="a revoked session never comes back"):
        sql.execute(f"UPDATE sessions SET {change} WHERE id = %s", [session.id])
    assert session.row(sql) == before


def test_a_revoked_session_has_a_reason_and_a_living_one_has_none(sql: Sql) -> None:
    session = open_session(sql)
    for change in ("revoked_at = now()", "revoked_reason = 'logout'"):
        with pytest.raises(psycopg.errors.CheckViolation):
            sql.execute(f"UPDATE sessions SET {change} WHERE id = %s", [session.id])


@pytest.mark.parametrize("column", ["generation", "idle_expires_at", "absolute_expires_at", "rotated_at", "user_id"])
def test_no_request_of_a_signed_in_caller_can_touch_what_rotation_keeps(sql: Sql, column: str) -> None:
    """The role that requests run as may revoke its own sessions, and nothing else of them."""
    session = open_session(sql)
    with sql.transaction(force_rollback=True):
        sql.execute("SELECT enter(%s, %s, NULL)", [session.user_id, session.id])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            sql.execute(f"UPDATE sessions SET {column} = {column}")
