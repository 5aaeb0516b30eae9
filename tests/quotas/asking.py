"""The quota endpoints, and ways to let time pass, as words of the tests."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from tests.conftest import Person

SQL = psycopg.Connection[Any]


def quota(person: Person, metric: str) -> dict[str, Any]:
    response = person.get(f"/api/quotas/{metric}")
    assert response.status_code == 200, response.text
    state: dict[str, Any] = response.json()
    return state


def standing(person: Person, metric: str) -> tuple[int, int]:
    """How many units are used, and how many reserved."""
    state = quota(person, metric)
    return state["used"], state["reserved"]


def consume(person: Person, metric: str, units: int = 1, **fields: Any) -> httpx.Response:
    return person.post(f"/api/quotas/{metric}/consume", {"units": units, **fields})


def reserve(person: Person, metric: str, key: str, units: int = 1, **fields: Any) -> httpx.Response:
    return person.post(f"/api/quotas/{metric}/reserve", {"units": units, "key": key, **fields})


def reserved(person: Person, metric: str, key: str, units: int = 1, **fields: Any) -> str:
    """The id of a reservation just made."""
    response = reserve(person, metric, key, units, **fields)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def commit(person: Person, reservation: str) -> httpx.Response:
    return person.post(f"/api/quotas/reservations/{reservation}/commit")


def release(person: Person, reservation: str) -> httpx.Response:
    return person.post(f"/api/quotas/reservations/{reservation}/release")


def expire(sql: SQL, reservation: str) -> None:
    """Let a reservation's time be over."""
    sql.execute("UPDATE quota_entries SET expires_at = clock_timestamp() WHERE id = %s", [reservation])


def pass_a_day(sql: SQL, person: Person) -> None:
    """Make everything of today a thing of yesterday."""
    for statement in (
        "UPDATE quota_usage SET window_start = window_start - interval '1 day' WHERE user_id = %s",
        "UPDATE quota_entries SET window_start = window_start - interval '1 day' WHERE user_id = %s",
    ):
        sql.execute(statement, [person.id])


def stay_clear_of_midnight(*, by: float = 20) -> None:
    """Wait, if it is about to strike: days are UTC's."""
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    if (left := (midnight - now).total_seconds()) < by:
        time.sleep(left + 0.1)


def hold(sql: SQL, metric: str) -> None:
    """From here to the end of the transaction whoever changes the counter waits."""
    sql.execute("SELECT FROM quota_usage WHERE metric = %s FOR UPDATE", [metric])


def waiting(sql: SQL) -> list[int]:
    """The backends that wait for a lock of ours."""
    rows = sql.execute("SELECT pid FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
    return [pid for (pid,) in rows]
