"""What happened to somebody, as they see it, and as an administrator finds it."""

import secrets
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import psycopg
import pytest

from shared.audit import service
from tests.conftest import Client, Person, any_address

Sql = psycopg.Connection[Any]


def activity(person: Person, query: str = "") -> list[dict[str, Any]]:
    answer = person.get(f"/api/account/activity{query}")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["event"] for item in items]


def sign_in(person: Person, password: str | None = None, **options: Any) -> int:
    wanted = {"email": person.email, "password": password or person.password}
    return person.post("/api/auth/login", wanted, **options).status_code


# ---------------------------------------------------------------- what is written down


def test_signing_in_and_out_is_written_down_with_where_from(person: Person) -> None:
    person.headers["User-Agent"] = "a browser"
    assert sign_in(person, "wrong") == 401
    assert person.post("/api/auth/logout", {"refresh_token": person.refresh_token}).status_code == 204
    person.bear(person.post("/api/auth/login", {"email": person.email, "password": person.password}).json())
    items = activity(person)
    assert names(items) == ["signed_in", "signed_out", "sign_in_refused", "signed_in", "registered"]
    assert [item["succeeded"] for item in items] == [True, True, False, True, True]
    assert {ip_address(item["ip"]) for item in items} == {ip_address(person.headers["X-Forwarded-For"])}
    assert {item["user_agent"] for item in items[:3]} == {"a browser"}
    assert not any(item["by_administrator"] for item in items)


def test_signing_out_again_is_nothing_new(person: Person, sql: Sql) -> None:
    for _ in range(2):
        person.post("/api/auth/logout", {"refresh_token": person.refresh_token})
    count = sql.execute(
        "SELECT count(*) FROM audit_events WHERE user_id = %s AND event = 'signed_out'", [person.id]
    ).fetchone()
    assert count == (1,)


def test_ending_sessions_is_written_down(person: Person) -> None:
    assert sign_in(person) == 200
    (other,) = [s["id"] for s in person.get("/api/auth/sessions").json()["items"] if not s["current"]]
    assert person.delete(f"/api/auth/sessions/{other}").status_code == 204
    assert person.delete(f"/api/auth/sessions/{other}").status_code == 404
    assert sign_in(person) == 200
    assert person.post("/api/auth/logout-all", {"except_current": True}).json() == {"revoked": 1}
    everywhere, _, revoked = activity(person)[:3]
    (current,) = [s["id"] for s in person.get("/api/auth/sessions").json()["items"] if s["current"]]
    assert (everywhere["event"], everywhere["facts"]) == ("signed_out_everywhere", {"sessions": 1, "kept": current})
    assert (revoked["event"], revoked["facts"], revoked["session_id"]) == (
        "session_revoked",
        {"session": other},
        current,
    )


def test_what_an_administrator_did_is_told_as_such_but_not_who_it_was(
    admin: Person,
    person: Person,
) -> None:
    path = f"/api/admin/users/{person.id}/quotas/exports"
    assert admin("PUT", path, {"units": 9, "reason": "a good cause"}).status_code == 200
    (granted,) = activity(person, "?event=quota_granted")
    assert granted["by_administrator"] is True
    assert admin.id not in str(granted)


@pytest.fixture
def forgetful() -> Iterator[None]:
    """A process that has noted no limit yet."""
    service._noted.clear()
    yield
    service._noted.clear()


@pytest.mark.usefixtures("forgetful")
def test_a_limit_that_was_met_is_written_down_once_for_each_network(
    new_person: Callable[..., Person], sql: Sql
) -> None:
    person = new_person()

    def met(address: str) -> Any:
        return sql.execute(
            """SELECT facts, succeeded, user_agent FROM audit_events
               WHERE event = 'rate_limit_met' AND ip = %s::inet""",
            [address],
        ).fetchall()

    statuses = [sign_in(person, "wrong", headers={"User-Agent": "a robot"}) for _ in range(14)]
    assert statuses == [401] * 10 + [429] * 4
    facts = {"policy": "login-address", "limit": 10, "window": 300}
    assert met(person.headers["X-Forwarded-For"]) == [(facts, False, "a robot")]
    elsewhere = any_address()
    assert sign_in(person, "wrong", headers={"X-Forwarded-For": elsewhere}) == 429
    assert [row[0]["policy"] for row in met(elsewhere)] == ["login-account"]


@pytest.mark.usefixtures("forgetful")
def test_a_crowd_of_networks_does_not_fill_the_log(person: Person, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "NOTED_AT_ONCE", 3)
    for _ in range(10):
        sign_in(person, "wrong")
    networks = [any_address() for _ in range(6)]
    for address in networks:
        assert sign_in(person, "wrong", headers={"X-Forwarded-For": address}) == 429
    written = sql.execute(
        "SELECT count(*) FROM audit_events WHERE event = 'rate_limit_met' AND ip = ANY(%s::inet[])", [networks]
    ).fetchone()
    assert written == (3,)


# ---------------------------------------------------------------- one's own view


def test_activity_is_ones_own(person: Person, new_person: Callable[..., Person]) -> None:
    other = new_person()
    ids = {item["id"] for item in activity(person)}
    assert ids.isdisjoint(item["id"] for item in activity(other))


def test_activity_is_filtered_and_paged(person: Person) -> None:
    for password in ("wrong", None, "wrong", None):
        sign_in(person, password)
    everything = activity(person)
    assert names(activity(person, "?succeeded=false")) == ["sign_in_refused"] * 2
    assert names(activity(person, "?event=registered")) == ["registered"]
    assert activity(person, "?event=signed_in&succeeded=false") == []
    found, cursor = [], ""
    while True:
        page = person.get(f"/api/account/activity?limit=2{cursor}").json()
        found += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == everything
    assert len(found) == 6


@pytest.mark.parametrize("query", ["?event=Signed-In", "?succeeded=perhaps", "?limit=0", "?limit=101", "?user_id=x"])
def test_activity_refuses_what_it_does_not_know(query: str, person: Person) -> None:
    assert person.get(f"/api/account/activity{query}").status_code == 422


# ---------------------------------------------------------------- the search


def search(admin: Person, **filters: Any) -> list[dict[str, Any]]:
    answer = admin.get("/api/admin/audit", params=filters)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_events_are_found_by_whom_they_concern_and_who_did_them(
    admin: Person,
    person: Person,
) -> None:
    admin.patch(f"/api/admin/users/{person.id}", {"active": False, "reason": "spam"})
    assert names(search(admin, user_id=person.id)) == ["account_disabled", "signed_in", "registered"]
    (disabled,) = search(admin, actor_id=admin.id)
    assert (disabled["user_id"], disabled["actor_id"], disabled["facts"]) == (person.id, admin.id, {"reason": "spam"})
    assert disabled["session_id"] is not None
    assert disabled["place"] == 3


def test_events_are_found_by_address_and_by_network(admin: Person, client: Client) -> None:
    network = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}"
    nobody = {"email": "nobody@example.com", "password": "wrong"}
    for host in ("::1", "::2"):
        client.post("/api/auth/login", nobody, headers={"X-Forwarded-For": f"{network}{host}"})
    assert [item["user_id"] for item in search(admin, ip=f"{network}::1")] == [None]
    assert len(search(admin, ip=f"{network}::/64")) == 2
    assert len(search(admin, ip=f"{network}::/64", event="sign_in_refused", succeeded="false")) == 2
    assert search(admin, ip=f"{network}::/64", succeeded="true") == []
    assert "nobody@example.com" not in str(search(admin, ip=f"{network}::/64"))


def test_events_are_found_by_when_they_happened(admin: Person, person: Person) -> None:
    signed_in, registered = search(admin, user_id=person.id)
    first, second = registered["created_at"], signed_in["created_at"]
    assert names(search(admin, user_id=person.id, **{"from": second})) == ["signed_in"]
    assert names(search(admin, user_id=person.id, to=second)) == ["registered"]
    assert search(admin, user_id=person.id, to=first) == []


def test_the_search_is_paged(admin: Person, person: Person) -> None:
    first = admin.get(f"/api/admin/audit?user_id={person.id}&limit=1").json()
    second = admin.get(f"/api/admin/audit?user_id={person.id}&limit=1&cursor={first['next_cursor']}").json()
    assert names(first["items"] + second["items"]) == ["signed_in", "registered"]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("query", ["ip=nowhere", "ip=1.2.3.4/99", "user_id=1", "from=yesterday", "event=%27"])
def test_the_search_refuses_what_is_no_filter(query: str, admin: Person) -> None:
    assert admin.get(f"/api/admin/audit?{query}").status_code == 422


PLANS: dict[str, dict[str, Any]] = {
    "event": {"event": "account_disabled"},
    "failed": {"succeeded": False},
    "user_id": {"user_id": "00000000-0000-0000-0000-000000000001"},
    "actor_id": {"actor_id": "00000000-0000-0000-0000-000000000001"},
    "ip": {"ip": "192.0.2.0/30"},
    "created_at": {"from": "2000-01-01"},
}


@pytest.mark.parametrize("index", PLANS)
def test_each_filter_has_an_index_that_the_search_can_use(index: str, sql: Sql) -> None:
    from shared.audit import queries

    nothing = dict.fromkeys(("user_id", "actor_id", "event", "succeeded", "ip", "from", "to", "after_key", "after_id"))
    with sql.transaction(force_rollback=True):
        sql.execute("SET LOCAL enable_seqscan = off")
        plan = psycopg.ClientCursor(sql).execute(
            b"EXPLAIN " + queries.SEARCH_EVENTS, nothing | {"limit": 20} | PLANS[index]
        )
        text = "\n".join(row[0] for row in plan)
    assert f"audit_events_{index}" in text
    assert "Filter" not in text or index == "ip", text
