"""What the tests of the door share: the app's routes, administrators, wires, and the door itself without HTTP."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from shared import connections
from shared.db import Caller
from shared.routes import Route
from shared.security import access_tokens
from tests.conftest import Person
from tests.db.wire import Wire, wire_to

Result = TypeVar("Result")
Errand = Callable[[], Coroutine[Any, Any, Result]]


@pytest.fixture(scope="session")
def routes(environment: dict[str, str]) -> list[Route]:
    """Every route the app declares."""
    from function_app import app

    return app.routes


@pytest.fixture
def wire(database_url: str) -> Iterator[Wire]:
    """A wire to the database that nothing has passed yet."""
    with wire_to(database_url) as wire:
        yield wire


@pytest.fixture
def at_the_door(environment: dict[str, str]) -> Iterator[Callable[[Errand[Result]], Result]]:
    """Runs a coroutine that enters the database without HTTP, on a pool of its own that is closed afterwards."""
    apps_pool, connections._present = connections._present, None

    async def run(errand: Errand[Result]) -> Result:
        try:
            return await errand()
        finally:
            for connection in connections.pool()._idle:
                await connection.close()

    yield lambda errand: asyncio.run(run(errand))
    connections._present = apps_pool


def caller_of(person: Person) -> Caller:
    """The person, as the door knows callers."""
    token = access_tokens.verify(person.tokens["access_token"])
    return Caller(token.user_id, token.session_id, token.role, token.expires_at)
