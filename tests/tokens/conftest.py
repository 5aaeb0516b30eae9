"""What the tests of tokens share: the app's routes, administrators, and tokens made as people make them."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from shared.routes import Route
from tests.conftest import Client, Person
from tests.db.wire import Wire, wire_to

Sql = psycopg.Connection[Any]
Token = dict[str, Any]
NewToken = Callable[..., Token]

DRAFT = {"company": "Contoso", "position": "Engineer"}


@pytest.fixture(scope="session")
def routes(environment: dict[str, str]) -> list[Route]:
    """Every route the app declares."""
    from function_app import app

    return app.routes


@pytest.fixture
def admin(person: Person, sql: Sql) -> Person:
    """Somebody to whom, in a session, every route is open."""
    sql.execute("UPDATE users SET role = 'admin' WHERE id = %s", [person.id])
    person.bear(person.post("/api/auth/refresh", {"refresh_token": person.refresh_token}).json())
    return person


@pytest.fixture
def wire(database_url: str) -> Iterator[Wire]:
    """A wire to the database that nothing has passed yet."""
    with wire_to(database_url) as wire:
        yield wire


@pytest.fixture
def script(app_url: str) -> Iterator[Callable[..., Client]]:
    """Makes programs that call with a token."""
    made: list[Client] = []

    def make(token: Token, url: str = app_url) -> Client:
        made.append(Client(url, bearing(token)))
        return made[-1]

    yield make
    for client in made:
        client.close()


def make_token(person: Person, *scopes: str, **fields: Any) -> Token:
    """A new token of the person's, as the app answers it."""
    request = {"name": "A script", "scopes": scopes or ["applications:read"], **fields}
    answer = person.post("/api/tokens", request)
    assert answer.status_code == 201, answer.text
    made: Token = answer.json()
    return made


def bearing(token: Token) -> dict[str, str]:
    """The header that a program sends."""
    return {"Authorization": f"Bearer {token['token']}"}


def expire(sql: Sql, token: Token) -> None:
    sql.execute("UPDATE personal_access_tokens SET expires_at = now() WHERE id = %s", [token["id"]])


def events(sql: Sql, person: Person, *names: str) -> list[tuple[str, bool, dict[str, Any]]]:
    """What was written down about the person under these names, oldest first."""
    return sql.execute(
        "SELECT event, succeeded, facts FROM audit_events WHERE user_id = %s AND event = ANY(%s) ORDER BY place",
        [person.id, list(names)],
    ).fetchall()
