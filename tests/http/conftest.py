"""The app as it declares itself, and somebody to call it as."""

import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from secrets import token_hex
from typing import Any
from uuid import UUID

import psycopg
import pytest

from shared.routes import App, Route
from tests.conftest import PASSWORD, Person
from tests.http.bodies import ANY_ID


@pytest.fixture(scope="session")
def app(environment: dict[str, str]) -> App:  # an app reads its settings when it is imported
    from function_app import app

    return app


@pytest.fixture(scope="session")
def routes(app: App) -> list[Route]:
    return app.routes


@pytest.fixture(scope="session")
def document(routes: list[Route]) -> dict[str, Any]:
    """The OpenAPI document."""
    from shared import openapi

    return openapi.describe(routes)


def concrete(route: Route) -> str:
    """A path of this route; ids are of nothing."""
    values = {name: ANY_ID if kind is UUID else "exports" for name, kind in route.endpoint.path.items()}
    return route.path.format(**values)


@pytest.fixture(scope="module")
def resident(app_url: str, database_url: str) -> Iterator[Person]:
    """An administrator for a whole module: an account is dear, and most requests here are refused anyway."""
    resident = Person(app_url, email=f"{token_hex(8)}@example.com")
    resident.bear(resident.post("/api/auth/register", {"email": resident.email, "password": PASSWORD}).json())
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE users SET role = 'admin' WHERE id = %s", [resident.id])
    resident.bear(resident.post("/api/auth/refresh", {"refresh_token": resident.refresh_token}).json())
    yield resident
    resident.close()


@dataclass(frozen=True)
class Answer:
    """What came back over the wire."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


Send = Callable[..., Answer]


@pytest.fixture
def send(app_url: str) -> Iterator[Send]:
    """Sends a request as it is written, where a client library would have its own opinion of it."""
    connection = http.client.HTTPConnection(app_url.removeprefix("http://"), timeout=30)

    def send(method: str, target: str, *headers: tuple[str, str], body: bytes = b"") -> Answer:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    yield send
    connection.close()
