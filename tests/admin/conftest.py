"""People who administer, and people they administer."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.conftest import Person

Sql = psycopg.Connection[Any]


@pytest.fixture
def only_admins(sql: Sql) -> Callable[..., None]:
    """Sees to it that nobody but these is an administrator."""

    def make(*people: Person) -> None:
        ids = [person.id for person in people]
        sql.execute("UPDATE users SET role = 'user' WHERE role = 'admin' AND id <> ALL(%s::uuid[])", [ids])

    return make


def events(sql: Sql, person: Person) -> list[tuple[str, bool, str | None, dict[str, Any]]]:
    """What happened to somebody: the event, whether it succeeded, who did it, and its facts."""
    rows = sql.execute(
        "SELECT event, succeeded, actor_id::text, facts FROM audit_events WHERE user_id = %s ORDER BY place",
        [person.id],
    )
    return [(event, succeeded, actor, facts) for event, succeeded, actor, facts in rows]
