"""Roles: said by the token, and asked of the database at the door, for either may be out of date."""

import psycopg
import pytest

from tests.conftest import Client, Person
from tests.security.forge import bearer, claims, header, token
from tests.sessions.rows import OpenSession, Sql, open_session

ADMIN_ONLY = "/api/auth/jwt-info"


def set_role(sql: Sql, user_id: object, role: str) -> None:
    sql.execute("UPDATE users SET role = %s, updated_at = now(), version = version + 1 WHERE id = %s", [role, user_id])


def signed_as(session: OpenSession, role: object) -> dict[str, str]:
    """A token with our own signature that claims a role."""
    return bearer(token(header(), claims(session.user_id, session.id, role=role)))


def test_a_promotion_is_in_the_next_access_token(person: Person, sql: Sql) -> None:
    set_role(sql, person.id, "admin")
    refused = person.get(ADMIN_ONLY)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")  # by the token, which is older
    tokens = person.post("/api/auth/refresh", {"refresh_token": person.refresh_token}).json()
    assert tokens["user"]["role"] == "admin"
    person.bear(tokens)
    assert person.get(ADMIN_ONLY).status_code == 200


def test_a_demotion_holds_at_the_very_next_request(client: Client, sql: Sql) -> None:
    session = open_session(sql, role="admin")
    old = session.bearer
    assert client.get(ADMIN_ONLY, headers=old).status_code == 200
    set_role(sql, session.user_id, "user")
    refused = client.get(ADMIN_ONLY, headers=old)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")  # at the door
    assert client.get("/api/profile", headers=old).json()["role"] == "user"
    tokens = client.post("/api/auth/refresh", {"refresh_token": session.refresh_token()}).json()
    assert tokens["user"]["role"] == "user"
    assert client.get(ADMIN_ONLY, headers=bearer(tokens["access_token"])).status_code == 403


@pytest.mark.parametrize(
    "role", ["admin", "Admin", "root", "user,admin", ["admin"], ["user", "admin"], True, ""], ids=str
)
def test_a_role_that_only_the_token_claims_opens_nothing(client: Client, sql: Sql, role: object) -> None:
    """Such a token takes our key to make. Even so, the database has the last word."""
    session = open_session(sql)
    assert client.get(ADMIN_ONLY, headers=signed_as(session, role)).status_code == 403


@pytest.mark.parametrize("role", ["user", "Admin", "root", ["admin"], ""], ids=str)
def test_an_administrators_token_must_say_so_to_the_letter(client: Client, sql: Sql, role: object) -> None:
    session = open_session(sql, role="admin")
    assert client.get(ADMIN_ONLY, headers=signed_as(session, role)).status_code == 403
    assert client.get(ADMIN_ONLY, headers=signed_as(session, "admin")).status_code == 200


def test_an_administrator_is_a_member_like_any_other_elsewhere(client: Client, sql: Sql) -> None:
    admin, user = open_session(sql, role="admin"), open_session(sql)
    made = client.post("/api/applications", {"company": "Contoso", "position": "Engineer"}, headers=user.bearer)
    path = f"/api/applications/{made.json()['id']}"
    assert client.get(path, headers=user.bearer).status_code == 200
    assert client.get(path, headers=admin.bearer).status_code == 404
    assert client.delete(f"/api/auth/sessions/{user.id}", headers=admin.bearer).status_code == 404


def test_nobody_behind_the_door_can_change_a_role(sql: Sql) -> None:
    session = open_session(sql, role="admin")
    for change in ("role = 'admin'", "disabled_at = NULL", "password_hash = NULL", "email = 'a@example.com'"):
        with sql.transaction(force_rollback=True):
            sql.execute("SELECT enter(%s, %s, 'admin')", [session.user_id, session.id])
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                sql.execute(f"UPDATE users SET {change}")


@pytest.mark.parametrize("role", ["owner", "", "ADMIN"])
def test_there_are_two_roles(sql: Sql, role: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        set_role(sql, open_session(sql).user_id, role)
