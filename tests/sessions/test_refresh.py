"""Refresh: each outcome of the one statement that rotates, alone. docs/sessions.md lists them."""

from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import httpx
import pytest

from shared.retention import queries
from tests.conftest import Client, Person
from tests.sessions.rows import ABSOLUTE, IDLE, OpenSession, Sql, disable, open_session

GRACE = timedelta(seconds=10)
MONTH = 30 * 24 * 3600


def refresh(client: Client, token: Any) -> httpx.Response:
    return client.post("/api/auth/refresh", {"refresh_token": token})


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def seconds_left(sql: Sql, session: OpenSession) -> int:
    """Until the session has been idle for too long."""
    (left,) = sql.execute(
        "SELECT extract(epoch FROM idle_expires_at - now())::int FROM sessions WHERE id = %s", [session.id]
    ).fetchone() or (0,)
    return int(left)


# ---------------------------------------------------------------- rotated


def test_the_current_token_is_exchanged_for_the_next_pair(person: Person) -> None:
    answer = refresh(person, person.refresh_token)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    tokens = answer.json()
    assert tokens.keys() == person.tokens.keys()
    assert (tokens["refresh_expires_in"], tokens["user"]) == (MONTH, person.tokens["user"])
    assert tokens["refresh_token"] != person.refresh_token
    assert tokens["access_token"] != person.tokens["access_token"]
    person.bear(tokens)
    assert person.get("/api/profile").status_code == 200


def test_a_rotation_goes_one_generation_on(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    for generation in (1, 2, 3):
        tokens = refresh(client, session.refresh_token(generation)).json()
        assert tokens["refresh_token"] == session.refresh_token(generation + 1)
        assert session.row(sql).generation == generation + 1


def test_a_refresh_leaves_the_access_token_before_it_good(person: Person) -> None:
    refresh(person, person.refresh_token)
    assert person.get("/api/profile").status_code == 200


def test_a_refresh_tells_what_the_account_has_become(person: Person) -> None:
    person.patch("/api/profile", {"first_name": "Ada"})
    assert refresh(person, person.refresh_token).json()["user"]["first_name"] == "Ada"


def test_a_rotation_begins_the_idle_time_anew(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    session.age(sql, timedelta(days=20))
    assert refresh(client, session.refresh_token()).json()["refresh_expires_in"] == MONTH
    row = session.row(sql)
    assert row.idle_expires_at == row.rotated_at + IDLE


def test_a_rotation_never_extends_the_absolute_expiry(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    for generation in (1, 2, 3, 4):
        session.age(sql, timedelta(days=20))
        promised = session.row(sql).absolute_expires_at
        answer = refresh(client, session.refresh_token(generation))
        row = session.row(sql)
        assert row.absolute_expires_at == promised
        assert row.idle_expires_at == min(row.rotated_at + IDLE, promised)
    assert answer.json()["refresh_expires_in"] == pytest.approx((ABSOLUTE - timedelta(days=80)).total_seconds(), abs=60)


# ---------------------------------------------------------------- replayed


def test_the_token_before_gets_the_same_successor_again_within_the_window(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    first = refresh(client, session.refresh_token())
    before = session.row(sql)
    again = refresh(client, session.refresh_token())
    assert again.status_code == 200
    assert again.json()["refresh_token"] == first.json()["refresh_token"] == session.refresh_token(2)
    assert session.row(sql) == before
    assert refresh(client, session.refresh_token(2)).status_code == 200


def test_a_replay_does_not_hold_the_window_open(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    refresh(client, session.refresh_token())
    session.age(sql, GRACE / 2)
    assert refresh(client, session.refresh_token()).status_code == 200
    session.age(sql, GRACE / 2)
    assert refusal(refresh(client, session.refresh_token())) == (401, "refresh_token_reused")


@pytest.mark.parametrize(("age", "outcome"), [(GRACE - timedelta(microseconds=1), "replayed"), (GRACE, "reused")])
def test_the_window_is_exact_to_the_microsecond(sql: Sql, age: timedelta, outcome: str) -> None:
    session = open_session(sql)
    with sql.transaction():  # in which now() stands still
        sql.execute("UPDATE sessions SET generation = 2, rotated_at = now() - %s WHERE id = %s", [age, session.id])
        found = sql.execute(
            "SELECT outcome FROM rotate_refresh_token(%s, 1, %s, '30 days', 300, '5 minutes', NULL)",
            [session.id, GRACE],
        ).fetchone()
    assert found == (outcome,)


def test_without_a_window_a_token_is_good_once(sql: Sql) -> None:
    session = open_session(sql)
    outcomes = [
        sql.execute(
            "SELECT outcome FROM rotate_refresh_token(%s, 1, '0', '30 days', 300, '5 minutes', NULL)", [session.id]
        ).fetchone()
        for _ in range(2)
    ]
    assert outcomes == [("rotated",), ("reused",)]


# ---------------------------------------------------------------- reused


def test_the_token_before_ends_the_session_once_the_window_has_closed(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    refresh(client, session.refresh_token())
    session.age(sql, GRACE)
    refused = refresh(client, session.refresh_token())
    assert refusal(refused) == (401, "refresh_token_reused")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert session.row(sql).revoked_reason == "refresh_token_reused"


def test_an_older_token_ends_the_session_within_the_window_too(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    refresh(client, session.refresh_token(1))
    refresh(client, session.refresh_token(2))
    assert refusal(refresh(client, session.refresh_token(1))) == (401, "refresh_token_reused")
    assert session.row(sql).revoked_reason == "refresh_token_reused"


def test_a_spent_token_ends_the_session_for_whoever_holds_the_newest_one(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    bearer = session.bearer
    refresh(client, session.refresh_token())
    session.age(sql, GRACE)
    refresh(client, session.refresh_token())
    assert refusal(refresh(client, session.refresh_token(2))) == (401, "refresh_token_invalid")
    assert refusal(client.get("/api/profile", headers=bearer)) == (401, "session_ended")


def test_a_spent_token_ends_its_own_session_only(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    other = open_session(sql, session.user_id)
    refresh(client, session.refresh_token())
    session.age(sql, GRACE)
    refresh(client, session.refresh_token())
    assert refresh(client, other.refresh_token()).status_code == 200


def test_reuse_is_written_down_once(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    refresh(client, session.refresh_token())
    session.age(sql, GRACE)
    for _ in range(3):
        refresh(client, session.refresh_token())
    assert session.alarms(sql) == [("refresh_token_reused", session.user_id, {"presented": 1, "current": 2})]


def test_an_alarm_names_the_address_it_came_from(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    refresh(client, session.refresh_token(9))
    found = sql.execute("SELECT host(ip) FROM audit_events WHERE session_id = %s", [session.id]).fetchone()
    assert found is not None
    assert ip_address(found[0]) == ip_address(client.headers["X-Forwarded-For"])


# ---------------------------------------------------------------- forged


def test_a_generation_that_was_never_reached_is_refused_and_written_down(client: Client, sql: Sql) -> None:
    """Its seal is good, so whoever made it has the key: the session is no more in danger than every other one."""
    session = open_session(sql)
    before = session.row(sql)
    for generation in (2, 3, 2**62):
        assert refusal(refresh(client, session.refresh_token(generation))) == (401, "refresh_token_invalid")
    assert session.row(sql) == before
    assert session.alarms(sql) == [
        ("refresh_token_forged", session.user_id, {"presented": generation, "current": 1})
        for generation in (2, 3, 2**62)
    ]
    assert refresh(client, session.refresh_token()).status_code == 200


# ---------------------------------------------------------------- expired


@pytest.mark.parametrize("generation", [1, 2, 3, 9])
def test_a_session_unused_for_too_long_has_expired(client: Client, sql: Sql, generation: int) -> None:
    session = open_session(sql)
    refresh(client, session.refresh_token(1))
    refresh(client, session.refresh_token(2))
    session.age(sql, IDLE)
    before = session.row(sql)
    refused = refresh(client, session.refresh_token(generation))
    assert refusal(refused) == (401, "session_expired")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert (session.row(sql), session.alarms(sql)) == (before, [])


def test_a_session_too_old_has_expired_however_much_it_was_used(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    for generation in (1, 2, 3):
        session.age(sql, timedelta(days=29))
        assert refresh(client, session.refresh_token(generation)).status_code == 200
    session.age(sql, timedelta(days=3))
    assert refusal(refresh(client, session.refresh_token(4))) == (401, "session_expired")


@pytest.mark.parametrize("limit", ["idle_expires_at", "absolute_expires_at"])
def test_a_session_expires_by_each_of_its_two_limits(client: Client, sql: Sql, limit: str) -> None:
    session = open_session(sql)
    bearer = session.bearer
    sql.execute(f"UPDATE sessions SET {limit} = now() WHERE id = %s", [session.id])
    assert refusal(refresh(client, session.refresh_token())) == (401, "session_expired")
    assert refusal(client.get("/api/profile", headers=bearer)) == (401, "session_ended")


def test_a_session_that_was_purged_has_expired(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    session.age(sql, IDLE)
    sql.execute(queries.PURGES["sessions"], {"batch": 1000})
    assert sql.execute("SELECT FROM sessions WHERE id = %s", [session.id]).fetchone() is None
    assert refusal(refresh(client, session.refresh_token())) == (401, "session_expired")


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize("generation", [1, 2, 3, 9])
def test_no_token_of_a_revoked_session_is_good(client: Client, sql: Sql, generation: int) -> None:
    session = open_session(sql)
    refresh(client, session.refresh_token(1))
    refresh(client, session.refresh_token(2))
    client.post("/api/auth/logout", {"refresh_token": session.refresh_token(3)})
    before = session.row(sql)
    assert refusal(refresh(client, session.refresh_token(generation))) == (401, "refresh_token_invalid")
    assert (session.row(sql), session.alarms(sql)) == (before, [])


def test_no_token_of_a_disabled_account_is_good(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    bearer = session.bearer
    disable(sql, session.user_id)
    before = session.row(sql)
    assert refusal(refresh(client, session.refresh_token())) == (401, "refresh_token_invalid")
    assert refusal(client.get("/api/profile", headers=bearer)) == (401, "session_ended")
    assert session.row(sql) == before


@pytest.mark.parametrize("body", [None, {}, {"refresh_token": None}], ids=["no body", "empty object", "null"])
def test_without_a_token_there_is_nothing_to_refresh(client: Client, body: dict[str, None] | None) -> None:
    assert refusal(client.post("/api/auth/refresh", body)) == (401, "refresh_token_invalid")


@pytest.mark.parametrize(
    "token",
    ["x", "jtr_", "jtr_AAAA", "jtp_AAAA", "\u00e9", "a\0b", "x" * 4096, "x" * 4097, "x" * 100_000],
    ids=["x", "bare prefix", "short", "other prefix", "non-ASCII", "NUL", "4,096 long", "4,097 long", "100,000 long"],
)
def test_a_token_that_was_never_issued_is_refused_as_a_token_and_not_as_a_field(client: Client, token: str) -> None:
    assert refusal(refresh(client, token)) == (401, "refresh_token_invalid")


@pytest.mark.parametrize("token", ["", 1, ["x"], {"x": 1}, True], ids=str)
def test_what_cannot_be_a_token_is_refused_as_a_field(client: Client, token: object) -> None:
    refused = refresh(client, token)
    assert refusal(refused) == (422, "validation_failed")
    assert refused.json()["errors"][0]["field"] == "refresh_token"


def test_a_refused_token_is_never_repeated(client: Client) -> None:
    assert "secret" not in refresh(client, "jtr_secret").text
