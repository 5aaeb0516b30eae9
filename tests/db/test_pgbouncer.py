"""Behind PgBouncer in transaction mode: many callers on few server connections, each borrowed for a transaction."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.conftest import Person
from tests.db.pgbouncer import PgBouncer, pgbouncer_to
from tests.processes import AppProcess

SERVER_CONNECTIONS = 3
CALLERS = 20


@pytest.fixture(scope="module")
def bouncer(database_url: str) -> Iterator[PgBouncer]:
    with pgbouncer_to(database_url, size=SERVER_CONNECTIONS) as bouncer:
        yield bouncer


@pytest.fixture(scope="module")
def bounced_url(
    bouncer: PgBouncer, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """An app with a connection for each caller to PgBouncer, which has a few to the server."""
    settings = {"DATABASE_URL": bouncer.url, "DATABASE_POOL_SIZE": str(CALLERS)}
    process = AppProcess(environment | settings, tmp_path_factory.mktemp("bounced") / "app.log")
    yield process.url
    process.stop()


@pytest.fixture
def somebody(bounced_url: str, new_person: Callable[..., Person]) -> Person:
    return new_person(bounced_url)


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as threads:
        return [future.result() for future in [threads.submit(call) for call in calls]]


def test_twenty_callers_on_three_connections_see_their_own_rows_only(
    bouncer: PgBouncer, bounced_url: str, new_person: Callable[..., Person]
) -> None:
    def work(person: Person) -> None:
        for number in range(1, 11):
            person.create_application(company=person.email, position=f"Engineer {number}")
            listed = person.get("/api/applications?limit=100").json()["items"]
            assert [item["company"] for item in listed] == [person.email] * number
            assert person.get("/api/profile").json()["email"] == person.email

    people = [new_person(bounced_url) for _ in range(CALLERS)]
    at_once([lambda person=person: work(person) for person in people])  # type: ignore[misc]
    assert len(bouncer.show("CLIENTS")) > SERVER_CONNECTIONS
    assert len(bouncer.show("SERVERS")) == SERVER_CONNECTIONS


def test_a_client_at_rest_holds_no_server_connection(bouncer: PgBouncer, somebody: Person) -> None:
    visits: list[Callable[[], Any]] = [
        lambda: somebody.get("/api/profile"),
        lambda: somebody.create_application(),
        lambda: somebody.get("/api/profile/x"),
        lambda: somebody.get("/api/applications?sort=company"),
        lambda: somebody.patch("/api/profile", {"company": "Contoso"}, headers={"If-Match": '"1000"'}),
    ]
    held = Counter[tuple[int, int]]()
    for turn in range(40):
        visits[turn % len(visits)]()
        (pool,) = bouncer.show("POOLS")
        held[pool["sv_active"], sum(bool(client["link"]) for client in bouncer.show("CLIENTS"))] += 1
    assert held == {(0, 0): 40}
    with psycopg.connect(bouncer.url, prepare_threshold=None) as client:
        client.execute("SELECT 1")  # and a client in a transaction is seen to hold one
        assert [pool["sv_active"] for pool in bouncer.show("POOLS")] == [1]


def test_nothing_of_a_request_stays_on_the_server_connection(bouncer: PgBouncer, somebody: Person) -> None:
    for _ in range(2 * SERVER_CONNECTIONS):
        at_once([lambda: somebody.get("/api/profile")] * CALLERS)
    visited = {}
    clients = [psycopg.connect(bouncer.url, prepare_threshold=None) for _ in range(SERVER_CONNECTIONS)]
    for client in clients:  # each in a transaction, so that each is lent a connection of its own
        left = client.execute(
            "SELECT pg_backend_pid(), current_user, session_user, current_setting('app.user_id', true), "
            "current_setting('app.session_id', true), current_setting('app.role', true)"
        ).fetchone()
        assert left
        visited[left[0]] = left[1:]
    for client in clients:
        client.close()
    assert len(visited) == SERVER_CONNECTIONS
    for user, session_user, *settings in visited.values():
        assert user == session_user
        assert set(settings) <= {"", None}  # empty where a request had set it, None where none ever came by
    assert any(settings[2] == "" for settings in visited.values())


def test_thirty_two_refreshes_at_once_get_the_same_successor(somebody: Person) -> None:
    presented = {"refresh_token": somebody.refresh_token}
    answers = at_once([lambda: somebody.post("/api/auth/refresh", presented)] * 32)
    assert [answer.status_code for answer in answers] == [200] * 32
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


def test_a_quota_is_exact(somebody: Person) -> None:
    limit = somebody.get("/api/quotas/resume_uploads").json()["limit"]
    answers = at_once([lambda: somebody.post("/api/quotas/resume_uploads/consume", {})] * (limit + 22))
    assert Counter(answer.status_code for answer in answers) == {200: limit, 429: 22}
    assert somebody.get("/api/quotas/resume_uploads").json()["used"] == limit


def test_a_create_that_is_repeated_at_once_makes_one_row(somebody: Person) -> None:
    draft, key = {"company": "Contoso", "position": "Engineer"}, {"Idempotency-Key": "once"}
    answers = at_once([lambda: somebody.post("/api/applications", draft, headers=key)] * CALLERS)
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert len(somebody.get("/api/applications").json()["items"]) == 1
