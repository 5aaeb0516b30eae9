"""Searching accounts, changing what only an administrator may, and ending sessions."""

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.admin.conftest import events
from tests.conftest import Client, Person

Sql = psycopg.Connection[Any]


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def search(admin: Person, query: str) -> list[str]:
    answer = admin.get(f"/api/admin/users?{query}")
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


# ---------------------------------------------------------------- searching


@pytest.mark.parametrize("part", ["{word}", "{word} Lovelace", "ADA-{word}", "works-{word}"])
def test_people_are_found_by_part_of_their_name_or_company(
    part: str, admin: Person, new_person: Callable[..., Person]
) -> None:
    word = secrets.token_hex(6)
    ada = new_person(first_name=f"Ada-{word}", last_name="Lovelace", company=f"works-{word}")
    new_person(first_name="Bob")
    assert search(admin, f"q={part.format(word=word)}") == [ada.id]


def test_people_are_found_by_part_of_their_address(admin: Person, person: Person) -> None:
    assert search(admin, f"q={person.email[3:20].upper()}") == [person.id]
    assert search(admin, "q=%25") == [], "a wildcard is a letter like any other"


def test_filters_narrow_the_search_together(
    admin: Person, new_person: Callable[..., Person], new_admin: Callable[..., Person], sql: Sql
) -> None:
    word = secrets.token_hex(6)
    active, disabled, other = (make(company=word) for make in (new_person, new_person, new_admin))
    sql.execute("UPDATE users SET disabled_at = now() WHERE id = %s", [disabled.id])
    sql.execute("UPDATE users SET created_at = created_at - interval '3 days' WHERE id = %s", [other.id])
    assert search(admin, f"q={word}") == [disabled.id, active.id, other.id]
    assert search(admin, f"q={word}&active=false") == [disabled.id]
    assert search(admin, f"q={word}&active=true&role=user") == [active.id]
    assert search(admin, f"q={word}&role=admin") == [other.id]
    (since,) = sql.execute("SELECT (now() - interval '1 day')::text").fetchone() or ("",)
    since = since.replace(" ", "T").replace("+00", "Z")
    assert search(admin, f"q={word}&created_to={since}") == [other.id]
    assert search(admin, f"q={word}&created_from={since}") == [disabled.id, active.id]


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "email", "-email"])
def test_pages_follow_each_other_without_gap_or_repetition(
    sort: str, admin: Person, new_person: Callable[..., Person]
) -> None:
    word = secrets.token_hex(6)
    people = [new_person(company=word) for _ in range(5)]
    in_order = sorted(people, key=lambda p: p.email) if "email" in sort else people
    expected = [p.id for p in in_order][:: -1 if sort.startswith("-") else 1]
    found, cursor = [], ""
    for _ in range(3):
        page = admin.get(f"/api/admin/users?q={word}&sort={sort}&limit=2{cursor}").json()
        found += [item["id"] for item in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert found == expected
    assert page["next_cursor"] is None


def test_a_cursor_that_is_none_is_refused(admin: Person) -> None:
    for path in ("/api/admin/users", "/api/admin/audit", "/api/account/activity"):
        assert code(admin.get(f"{path}?cursor=nonsense")) == (422, "validation_failed"), path


def test_an_account_is_shown_in_full(admin: Person, person: Person) -> None:
    person.post("/api/auth/login", {"email": person.email, "password": person.password})
    shown = admin.get(f"/api/admin/users/{person.id}").json()
    assert (shown["email"], shown["role"], shown["active"], shown["sessions"]) == (person.email, "user", True, 2)
    assert shown["last_sign_in_at"] > shown["created_at"]
    assert shown["second_factor"] is False
    assert {quota["metric"]: quota["override"] for quota in shown["quotas"]} == dict.fromkeys(
        ("exports", "job_searches", "resume_uploads", "sheet_syncs")
    )
    assert not {"password_hash", "password"} & set(shown)


def test_what_somebody_used_is_theirs_alone(admin: Person, new_person: Callable[..., Person]) -> None:
    ada, bob = new_person(), new_person()
    ada.post("/api/quotas/exports/consume", {"units": 3})
    bob.post("/api/quotas/exports/consume", {"units": 1})
    shown = {q["metric"]: q["used"] for q in admin.get(f"/api/admin/users/{ada.id}").json()["quotas"]}
    assert shown["exports"] == 3


# ---------------------------------------------------------------- who may


ROUTES = [
    ("GET", "/api/admin/users", None),
    ("GET", "/api/admin/users/{id}", None),
    ("PATCH", "/api/admin/users/{id}", {"role": "admin"}),
    ("POST", "/api/admin/users/{id}/revoke-sessions", {}),
    ("PUT", "/api/admin/users/{id}/quotas/exports", {"units": None, "reason": "because"}),
    ("DELETE", "/api/admin/users/{id}/quotas/exports", None),
    ("GET", "/api/admin/audit", None),
    ("GET", "/api/admin/metrics", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_nobody_else_is_let_in(method: str, path: str, body: Any, client: Client, person: Person) -> None:
    assert client(method, path.format(id=person.id), body).status_code == 401
    assert code(person(method, path.format(id=person.id), body)) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_who_was_an_administrator_when_the_token_was_made_is_not_enough(
    method: str, path: str, body: Any, admin: Person, sql: Sql
) -> None:
    sql.execute("UPDATE users SET role = 'user' WHERE id = %s", [admin.id])
    assert code(admin(method, path.format(id=admin.id), body)) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path", "body"), [route for route in ROUTES if route[0] != "GET"])
def test_changes_want_a_fresh_proof(method: str, path: str, body: Any, admin: Person, person: Person, sql: Sql) -> None:
    sql.execute(
        "UPDATE sessions SET authenticated_at = authenticated_at - interval '11 minutes' WHERE user_id = %s", [admin.id]
    )
    admin.bear(admin.post("/api/auth/refresh", {"refresh_token": admin.refresh_token}).json())
    assert code(admin(method, path.format(id=person.id), body)) == (401, "reauthentication_required")


@pytest.mark.parametrize(("method", "path", "body"), [route for route in ROUTES if "{id}" in route[1]])
def test_an_account_that_is_not_there_is_not_found(method: str, path: str, body: Any, admin: Person) -> None:
    assert code(admin(method, path.format(id=uuid4()), body)) == (404, "not_found")


# ---------------------------------------------------------------- role and active


def test_a_role_holds_at_the_very_next_request(admin: Person, new_admin: Callable[..., Person], sql: Sql) -> None:
    other = new_admin()
    assert other.get("/api/admin/users").status_code == 200
    answer = admin.patch(f"/api/admin/users/{other.id}", {"role": "user", "reason": "left the team"})
    assert (answer.status_code, answer.json()["role"]) == (200, "user")
    assert code(other.get("/api/admin/users")) == (403, "forbidden")
    assert other.get("/api/profile").status_code == 200
    happened = ("role_changed", True, admin.id, {"from": "admin", "to": "user", "reason": "left the team"})
    assert events(sql, other)[-1] == happened


def test_a_new_administrator_is_one_with_the_next_token(admin: Person, person: Person) -> None:
    assert admin.patch(f"/api/admin/users/{person.id}", {"role": "admin"}).json()["role"] == "admin"
    person.bear(person.post("/api/auth/refresh", {"refresh_token": person.refresh_token}).json())
    assert person.get("/api/admin/users").status_code == 200


def test_a_disabled_account_stops_at_once_and_its_sessions_do_not_come_back(
    admin: Person, person: Person, sql: Sql
) -> None:
    assert admin.patch(f"/api/admin/users/{person.id}", {"active": False, "reason": "spam"}).json()["sessions"] == 0
    refresh = {"refresh_token": person.refresh_token}
    sign_in = {"email": person.email, "password": person.password}

    def doors() -> list[int]:
        return [
            person.get("/api/profile").status_code,
            person.post("/api/auth/refresh", refresh).status_code,
            person.post("/api/auth/login", sign_in).status_code,
        ]

    assert doors() == [401, 401, 401]
    shown = admin.patch(f"/api/admin/users/{person.id}", {"active": True}).json()
    assert (shown["active"], shown["disabled_at"]) == (True, None)
    assert doors() == [401, 401, 200]
    happened = [event for event in events(sql, person) if event[0].startswith("account_")]
    assert happened == [
        ("account_disabled", True, admin.id, {"reason": "spam"}),
        ("account_enabled", True, admin.id, {}),
    ]


def test_what_changes_nothing_is_no_event(admin: Person, person: Person, sql: Sql) -> None:
    before = events(sql, person)
    for nothing in ({}, {"role": "user"}, {"active": True}, {"role": "user", "active": True, "reason": "none"}):
        assert admin.patch(f"/api/admin/users/{person.id}", nothing).status_code == 200
    assert events(sql, person) == before


def test_nothing_else_can_be_changed(admin: Person, person: Person) -> None:
    ways_in = ({"password": "seven slow green glaciers"}, {"second_factor": False}, {"email_verified": True})
    values = ({"role": "root"}, {"role": None}, {"active": "no"}, {"active": None})
    for change in ({"email": "x@example.com"}, *ways_in, *values):
        assert code(admin.patch(f"/api/admin/users/{person.id}", change)) == (422, "validation_failed"), change


def test_sessions_are_ended_with_a_reason(admin: Person, person: Person, sql: Sql) -> None:
    person.post("/api/auth/login", {"email": person.email, "password": person.password})
    path, reason = f"/api/admin/users/{person.id}/revoke-sessions", {"reason": "a stolen laptop"}
    assert admin.post(path, reason).json() == {"revoked": 2}
    assert code(person.get("/api/profile")) == (401, "session_ended")
    assert events(sql, person)[-1] == ("sessions_revoked", True, admin.id, {"sessions": 2, **reason})
    assert admin.post(path).json() == {"revoked": 0}


def test_personal_access_tokens_end_with_the_sessions_and_with_the_account(
    admin: Person, person: Person, new_person: Callable[..., Person]
) -> None:
    other = new_person()
    for owner in (person, other):
        token = owner.post("/api/tokens", {"name": "A script", "scopes": ["profile:read"]}).json()["token"]
        owner.headers["Authorization"] = f"Bearer {token}"
        assert owner.get("/api/profile").status_code == 200
    admin.post(f"/api/admin/users/{person.id}/revoke-sessions")
    assert code(person.get("/api/profile")) == (401, "token_revoked")
    admin.patch(f"/api/admin/users/{other.id}", {"active": False})
    assert other.get("/api/profile").status_code == 401
    admin.patch(f"/api/admin/users/{other.id}", {"active": True})
    assert code(other.get("/api/profile")) == (401, "token_revoked")


# ---------------------------------------------------------------- the last administrator


@pytest.mark.parametrize("change", [{"role": "user"}, {"active": False}, {"role": "user", "active": False}])
def test_the_last_administrator_stays_one(
    change: dict[str, Any], admin: Person, only_admins: Callable[..., None], sql: Sql
) -> None:
    only_admins(admin)
    before = events(sql, admin)
    assert code(admin.patch(f"/api/admin/users/{admin.id}", change)) == (409, "last_admin")
    assert admin.get(f"/api/admin/users/{admin.id}").json()["role"] == "admin"
    assert events(sql, admin) == before


def test_a_disabled_administrator_is_none_to_rely_on(
    admin: Person, new_admin: Callable[..., Person], only_admins: Callable[..., None]
) -> None:
    other = new_admin()
    only_admins(admin, other)
    assert admin.patch(f"/api/admin/users/{other.id}", {"active": False}).status_code == 200
    assert code(admin.patch(f"/api/admin/users/{admin.id}", {"role": "user"})) == (409, "last_admin")


def test_an_administrator_may_step_down_when_there_is_another(
    admin: Person, new_admin: Callable[..., Person], only_admins: Callable[..., None]
) -> None:
    only_admins(admin, new_admin())
    assert admin.patch(f"/api/admin/users/{admin.id}", {"role": "user"}).status_code == 200
    assert code(admin.get("/api/admin/users")) == (403, "forbidden")


def waiting(sql: Sql) -> int:
    """How many wait for the lock of those who would take an administrator away."""
    row = sql.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone()
    return int(row[0]) if row else 0


def at_the_same_moment(sql: Sql, database_url: str, *calls: Callable[[], Any]) -> list[int]:
    """The statuses of calls all of which were let in before any of them could change anything."""
    with psycopg.connect(database_url) as holder, ThreadPoolExecutor(len(calls)) as threads:
        holder.execute("SELECT pg_advisory_xact_lock(7411202602)")
        answers = [threads.submit(call) for call in calls]
        give_up_at = time.monotonic() + 4
        while waiting(sql) < len(calls):
            assert time.monotonic() < give_up_at, "they were to wait for each other"
            time.sleep(0.01)
        holder.rollback()
        return sorted(answer.result(20).status_code for answer in answers)


@pytest.mark.parametrize("change", [{"role": "user"}, {"active": False}])
def test_two_who_remove_each_other_at_once_do_not_both_go(
    change: dict[str, Any],
    new_admin: Callable[..., Person],
    only_admins: Callable[..., None],
    sql: Sql,
    database_url: str,
) -> None:
    ada, bob = new_admin(), new_admin()
    only_admins(ada, bob)
    statuses = at_the_same_moment(
        sql,
        database_url,
        lambda: ada.patch(f"/api/admin/users/{bob.id}", change),
        lambda: bob.patch(f"/api/admin/users/{ada.id}", change),
    )
    assert statuses == [200, 409]


def test_who_was_removed_while_waiting_removes_nobody(
    new_admin: Callable[..., Person], only_admins: Callable[..., None], sql: Sql, database_url: str
) -> None:
    ada, bob, eve = new_admin(), new_admin(), new_admin()
    only_admins(ada, bob, eve)
    statuses = at_the_same_moment(
        sql,
        database_url,
        lambda: ada.patch(f"/api/admin/users/{bob.id}", {"role": "user"}),
        lambda: bob.patch(f"/api/admin/users/{ada.id}", {"active": False}),
    )
    assert statuses == [200, 403]


def test_of_those_who_all_step_down_at_once_one_stays(
    new_admin: Callable[..., Person], only_admins: Callable[..., None], sql: Sql, database_url: str
) -> None:
    people = [new_admin() for _ in range(4)]
    only_admins(*people)
    calls = [lambda p=p: p.patch(f"/api/admin/users/{p.id}", {"role": "user"}) for p in people]
    assert at_the_same_moment(sql, database_url, *calls) == [200, 200, 200, 409]


def test_a_crowd_that_removes_each_other_leaves_somebody(
    new_admin: Callable[..., Person], only_admins: Callable[..., None], sql: Sql
) -> None:
    people = [new_admin() for _ in range(4)]
    only_admins(*people)
    together = threading.Barrier(len(people))

    def remove_everybody(me: Person) -> None:
        together.wait(10)
        for other in people:
            me.patch(f"/api/admin/users/{other.id}", {"role": "user"})

    with ThreadPoolExecutor(len(people)) as threads:
        list(threads.map(remove_everybody, people))
    left = sql.execute("SELECT count(*) FROM users WHERE role = 'admin' AND disabled_at IS NULL").fetchone()
    assert left == (1,)
