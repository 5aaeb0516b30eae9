"""The list of devices: what it shows, of whom, and ending one of them."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import PASSWORD, Client, Person, any_address
from tests.sessions.rows import IDLE, OpenSession, Sql, add_user, open_session


def devices(client: Client, session: OpenSession) -> list[dict[str, Any]]:
    answer = client.get("/api/auth/sessions", headers=session.bearer)
    assert answer.status_code == 200
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def ids(items: list[dict[str, Any]]) -> list[str]:
    return [item["id"] for item in items]


# ---------------------------------------------------------------- what is shown


def test_a_device_is_shown_with_what_is_known_of_it(person: Person) -> None:
    address = any_address()
    person.post(
        "/api/auth/login",
        {"email": person.email, "password": PASSWORD, "device_name": "Ada's laptop"},
        headers={"User-Agent": "Engine/1.0 (analytical)", "X-Forwarded-For": address},
    )
    device, _ = person.get("/api/auth/sessions").json()["items"]
    assert device.keys() == {
        "id",
        "device_name",
        "user_agent",
        "ip",
        "created_at",
        "last_used_at",
        "expires_at",
        "current",
    }
    assert (device["device_name"], device["user_agent"]) == ("Ada's laptop", "Engine/1.0 (analytical)")
    assert (ip_address(device["ip"]), device["current"]) == (ip_address(address), False)


def test_only_the_session_that_asks_is_the_current_one(client: Client, sql: Sql) -> None:
    user_id = add_user(sql)
    one, two = open_session(sql, user_id), open_session(sql, user_id)
    assert {item["id"]: item["current"] for item in devices(client, one)} == {str(one.id): True, str(two.id): False}
    assert {item["id"]: item["current"] for item in devices(client, two)} == {str(one.id): False, str(two.id): True}


def test_the_newest_session_comes_first(client: Client, sql: Sql) -> None:
    user_id = add_user(sql)
    opened = [open_session(sql, user_id) for _ in range(3)]
    assert ids(devices(client, opened[0])) == [str(session.id) for session in reversed(opened)]


def test_times_are_when_it_began_when_it_was_last_refreshed_and_when_it_will_have_expired(
    client: Client, sql: Sql
) -> None:
    session = open_session(sql)
    session.age(sql, timedelta(days=5))
    client.post("/api/auth/refresh", {"refresh_token": session.refresh_token()})
    (device,) = devices(client, session)
    created, used, expires = (
        datetime.fromisoformat(device[name]) for name in ("created_at", "last_used_at", "expires_at")
    )
    assert used - created == pytest.approx(timedelta(days=5), abs=timedelta(minutes=1))
    assert expires == used + IDLE
    assert (used.tzinfo, datetime.now(UTC) - used < timedelta(minutes=1)) == (UTC, True)


def test_a_device_expires_at_the_earlier_of_its_two_limits(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    sql.execute("UPDATE sessions SET absolute_expires_at = now() + '1 day' WHERE id = %s", [session.id])
    (device,) = devices(client, session)
    assert datetime.fromisoformat(device["expires_at"]) == session.row(sql).absolute_expires_at


def test_a_long_user_agent_is_cut(person: Person) -> None:
    person.post("/api/auth/login", {"email": person.email, "password": PASSWORD}, headers={"User-Agent": "x" * 2000})
    assert person.get("/api/auth/sessions").json()["items"][0]["user_agent"] == "x" * 500


@pytest.mark.parametrize("agent", ["100%s %(x)s {y}", "caf\u00e9", 'quo"te \\ back'])
def test_a_user_agent_is_shown_as_it_was_sent(person: Person, agent: str) -> None:
    person.post(
        "/api/auth/login",
        {"email": person.email, "password": PASSWORD},
        headers={"User-Agent": agent.encode("latin-1")},
    )
    assert person.get("/api/auth/sessions").json()["items"][0]["user_agent"] == agent


def test_no_token_and_no_generation_is_shown(person: Person) -> None:
    shown = person.get("/api/auth/sessions").text
    assert "generation" not in shown
    assert person.refresh_token not in shown


def test_ended_sessions_and_those_of_others_are_not_listed(client: Client, sql: Sql) -> None:
    user_id = add_user(sql)
    alive, revoked, idle, old = [open_session(sql, user_id) for _ in range(4)]
    open_session(sql)
    client.post("/api/auth/logout", {"refresh_token": revoked.refresh_token()})
    idle.age(sql, IDLE)
    sql.execute("UPDATE sessions SET absolute_expires_at = now() WHERE id = %s", [old.id])
    assert ids(devices(client, alive)) == [str(alive.id)]


# ---------------------------------------------------------------- ending one


def test_a_session_ended_from_another_device_stops_at_once(client: Client, sql: Sql) -> None:
    user_id = add_user(sql)
    here, lost = open_session(sql, user_id), open_session(sql, user_id)
    answer = client.delete(f"/api/auth/sessions/{lost.id}", headers=here.bearer)
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get("/api/profile", headers=lost.bearer).json()["code"] == "session_ended"
    assert lost.row(sql).revoked_reason == "revoked"
    assert ids(devices(client, here)) == [str(here.id)]


def test_the_current_session_can_be_ended_from_itself(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    assert client.delete(f"/api/auth/sessions/{session.id}", headers=session.bearer).status_code == 204
    assert client.get("/api/profile", headers=session.bearer).status_code == 401


def test_an_id_is_an_id_in_capitals_too(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    assert client.delete(f"/api/auth/sessions/{str(session.id).upper()}", headers=session.bearer).status_code == 204


def test_what_is_not_a_living_session_of_the_callers_reads_like_nothing(client: Client, sql: Sql) -> None:
    """Somebody else's session, an ended one, and none at all: the same answer to the letter."""
    here = open_session(sql)
    other, expired, revoked = open_session(sql), open_session(sql, here.user_id), open_session(sql, here.user_id)
    expired.age(sql, IDLE)
    client.post("/api/auth/logout", {"refresh_token": revoked.refresh_token()})
    answers = [
        client.delete(f"/api/auth/sessions/{session_id}", headers=here.bearer | {"X-Request-Id": "the-same-one"})
        for session_id in (uuid4(), other.id, expired.id, revoked.id)
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}
    assert answers[0].json()["code"] == "not_found"
    assert other.row(sql).revoked_reason is None


def test_a_session_is_ended_by_no_one_who_is_not_signed_in(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    assert client.delete(f"/api/auth/sessions/{session.id}").json()["code"] == "unauthorized"
    assert session.row(sql).revoked_reason is None


def test_reading_the_list_is_no_use_of_the_session(client: Client, sql: Sql) -> None:
    """Last use is the last refresh: a quarter of an hour's exactness, and no write for a read."""
    session = open_session(sql)
    before = session.row(sql)
    devices(client, session)
    assert session.row(sql) == before
