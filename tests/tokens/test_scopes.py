"""What a token may do: on every route, what its scopes say and nothing else."""

from collections.abc import Callable
from typing import get_args
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors

from shared.access import fresh, member_or_token, role, scope
from shared.db import TokenCaller
from shared.routes import Route
from shared.security import personal_access_tokens
from shared.tokens import SCOPES, Scope
from shared.tokens.models import granted
from tests.conftest import Client, Person
from tests.db import walk
from tests.tokens.conftest import DRAFT, Sql, bearing, make_token

INSUFFICIENT = 'Bearer error="insufficient_scope"'


def test_every_scope_is_described_and_every_thing_can_be_read() -> None:
    assert tuple(SCOPES) == get_args(Scope)
    assert {f"{name.partition(':')[0]}:read" for name in SCOPES} <= set(SCOPES)


def test_every_scope_opens_something(routes: list[Route]) -> None:
    assert {route.endpoint.access.scope for route in routes} - {None} == set(SCOPES)


def test_a_token_with_the_scope_of_a_route_is_let_in_on_every_one(admin: Person, routes: list[Route]) -> None:
    walked = 0
    for route in (route for route in routes if route.endpoint.access.scope):
        visit = walk.visit(route, admin)
        token = make_token(admin, str(route.endpoint.access.scope))
        answer = visit.by(admin, headers=bearing(token))
        assert answer.status_code == route.endpoint.status, f"{route.name}: {answer.text}"
        assert admin.delete(f"/api/tokens/{token['id']}").status_code == 204
        walked += 1
    assert walked >= 13


def test_a_token_with_every_other_scope_is_refused_on_every_route_that_has_one(
    admin: Person, routes: list[Route]
) -> None:
    others = {
        needed: make_token(admin, *(name for name in SCOPES if needed not in granted([name]))) for needed in SCOPES
    }
    walked = 0
    for route in routes:
        needed = route.endpoint.access.scope
        if needed is None:
            continue
        visit = walk.visit(route, admin)
        refused = visit.by(admin, headers=bearing(others[needed]))
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope"), route.name
        assert refused.json()["scope"] == needed
        assert refused.headers["www-authenticate"] == f'{INSUFFICIENT}, scope="{needed}"'
        assert visit.by(admin).status_code == route.endpoint.status, f"{route.name}: it could not have worked at all"
        walked += 1
    assert walked >= 13


def test_a_token_with_every_scope_is_refused_on_every_route_that_wants_a_session(
    admin: Person, routes: list[Route]
) -> None:
    token = make_token(admin, *SCOPES)
    walked = 0
    for route in (r for r in routes if r.endpoint.access.needs_caller and not r.endpoint.access.takes_tokens):
        visit = walk.visit(route, admin)
        refused = visit.by(admin, headers=bearing(token))
        assert (refused.status_code, refused.json()["code"]) == (403, "session_required"), route.name
        assert refused.headers["www-authenticate"] == INSUFFICIENT, route.name
        walked += 1
    assert walked >= 7


def test_a_token_with_any_scope_may_ask_whose_it_is_and_what_it_may_do(person: Person, routes: list[Route]) -> None:
    assert {r.name for r in routes if r.endpoint.access == member_or_token} == {"get_status", "verify_token"}
    for name in SCOPES:
        token = make_token(person, name)
        assert person.get("/api/auth/status", headers=bearing(token)).status_code == 200
        verified = person.get("/api/auth/verify", headers=bearing(token)).json()
        assert verified == {
            "valid": True,
            "user": person.tokens["user"],
            "session_id": None,
            "expires_at": token["expires_at"],
            "scopes": token["scopes"],
        }


def test_a_token_signs_nobody_out(person: Person, script: Callable[..., Client]) -> None:
    refused = script(make_token(person, *SCOPES)).post("/api/auth/logout", {})
    assert (refused.status_code, refused.json()["code"]) == (403, "session_required")
    assert person.get("/api/auth/status").status_code == 200


# ---------------------------------------------------------------- what a scope includes


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        (["applications:read"], ["applications:read"]),
        (["applications:write"], ["applications:read", "applications:write"]),
        (["quotas:consume"], ["quotas:consume", "quotas:read"]),
        (["profile:write", "profile:write"], ["profile:read", "profile:write"]),
        (["quotas:read", "applications:write"], ["applications:read", "applications:write", "quotas:read"]),
    ],
)
def test_who_may_write_may_read_and_is_told_so(person: Person, asked: list[str], got: list[str]) -> None:
    assert make_token(person, *asked)["scopes"] == got
    assert person.get("/api/tokens").json()["items"][0]["scopes"] == got


def test_who_may_read_may_not_write(person: Person, script: Callable[..., Client]) -> None:
    place = f"/api/applications/{person.create_application()['id']}"
    reader = script(make_token(person, "applications:read", "profile:read", "quotas:read"))
    assert reader.get(place).status_code == 200
    assert reader.post("/api/applications", DRAFT).json()["scope"] == "applications:write"
    assert reader.patch(place, {"notes": "Mine."}).json()["scope"] == "applications:write"
    assert reader.delete(place).json()["scope"] == "applications:write"
    assert reader.patch("/api/profile", {"company": "Initech"}).json()["scope"] == "profile:write"
    assert reader.post(f"/api/quotas/{walk.METRIC}/consume", {}).json()["scope"] == "quotas:consume"
    assert person.get(place).json()["notes"] is None


def test_what_a_token_may_do_is_told_before_anything_about_the_request(
    person: Person, script: Callable[..., Client]
) -> None:
    reader = script(make_token(person, "applications:read"))
    for refused in (
        reader.post("/api/applications", content=b"{"),
        reader.post("/api/applications?x=1", {"company": 7}),
        reader.patch(f"/api/applications/{uuid4()}", {"unknown": 1}),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")


# ---------------------------------------------------------------- no way up


def test_a_token_makes_lists_and_revokes_no_tokens(person: Person, script: Callable[..., Client]) -> None:
    token = make_token(person, *SCOPES)
    holder = script(token)
    answers = [
        holder.get("/api/tokens"),
        holder.post("/api/tokens", {"name": "Another", "scopes": list(SCOPES)}),
        holder.delete(f"/api/tokens/{token['id']}"),
    ]
    assert [(a.status_code, a.json()["code"]) for a in answers] == [(403, "session_required")] * 3
    assert len(person.get("/api/tokens").json()["items"]) == 1


def test_behind_the_door_no_statement_of_a_token_makes_or_changes_one(person: Person, sql: Sql) -> None:
    token = make_token(person, *SCOPES)
    digest = personal_access_tokens.digest(token["token"])
    made = "INSERT INTO personal_access_tokens (digest, name, scopes, expires_at) VALUES (%s, 'x', '{x}', now())"
    with sql.transaction(force_rollback=True):
        sql.execute("SELECT enter_with_token(%s, 'profile:write', NULL)", [digest])
        with pytest.raises(errors.InsufficientPrivilege), sql.transaction():
            sql.execute(made, [bytes(32)])
        assert sql.execute("UPDATE personal_access_tokens SET revoked_at = now()").rowcount == 0
        with pytest.raises(errors.InsufficientPrivilege), sql.transaction():
            sql.execute("UPDATE personal_access_tokens SET scopes = '{x}'")


def test_a_token_does_not_outgrow_its_owner(admin: Person, sql: Sql) -> None:
    digest = personal_access_tokens.digest(make_token(admin, "profile:read")["token"])
    enter = "SELECT enter_with_token(%s, 'profile:read', 'admin')"
    with sql.transaction(force_rollback=True):
        sql.execute(enter, [digest])
    sql.execute("UPDATE users SET role = 'user' WHERE id = %s", [admin.id])
    with pytest.raises(psycopg.Error) as refused:
        sql.execute(enter, [digest])
    assert refused.value.sqlstate == "JT403"


def test_a_rule_asks_the_door_for_what_it_cannot_know_of_a_token() -> None:
    token = personal_access_tokens.issue()
    digest = personal_access_tokens.digest(token)
    assert scope("quotas:read").admit(f"Bearer {token}") == TokenCaller(digest, "quotas:read")
    assert role("admin", of=scope("quotas:read")).admit(f"bearer  {token} ") == TokenCaller(
        digest, "quotas:read", "admin"
    )
    assert member_or_token.admit(f"Bearer {token}") == TokenCaller(digest, None)


def test_a_token_is_never_fresh() -> None:
    assert not fresh.takes_tokens
