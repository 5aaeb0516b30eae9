"""Applications with a past."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.conftest import Person

Tell = Callable[..., dict[str, Any]]
NOW = datetime.now(UTC)


def ago(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat()


@pytest.fixture
def tell(person: Person, sql: psycopg.Connection[Any]) -> Tell:
    """Writes an application down, and how it went: ``tell(("applied", 9), ("rejected", 2), source="LinkedIn")``.

    Each step is a status or a stage's id, how many days ago it was, and what else a move may say. Before the first one
    it was as it was written down, since ``begun`` days ago; nothing has happened since the last.
    """

    def story(*steps: tuple[Any, ...], begun: float | None = None, **fields: Any) -> dict[str, Any]:
        made = person.create_application(**fields)
        if steps:
            since(sql, made, ago(begun or steps[0][1] + 1))
        for target, days, *more in steps:
            where = {"stage_id" if "-" in target else "status": target, "occurred_at": ago(days)}
            answer = person.post(f"/api/applications/{made['id']}/move", where | dict(*more))
            assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = person.get(f"/api/applications/{made['id']}").json()
        return shown

    return story


def figures(person: Person, name: str, **query: Any) -> Any:
    answer = person.get(f"/api/analytics/{name}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def add_stage(
    sql: psycopg.Connection[Any], person: Person, name: str, position: int, *, category: str = "in_process"
) -> str:
    ((made,),) = sql.execute(
        """INSERT INTO stages (user_id, name, category, status, position)
           VALUES (%s, %s, %s, 'interview', %s) RETURNING id::text""",
        [person.id, name, category, position],
    )
    return str(made)


def since(sql: psycopg.Connection[Any], application: dict[str, Any], moment: str) -> None:
    """Make an application begin at that moment, with nothing known of it since."""
    sql.execute(
        "UPDATE application_events SET occurred_at = %s WHERE application_id = %s AND kind = 'created'",
        [moment, application["id"]],
    )
    sql.execute("UPDATE applications SET last_activity_at = %s WHERE id = %s", [moment, application["id"]])
