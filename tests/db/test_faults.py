"""When the database fails: what is read is read again, what is written is written once, and nobody waits for ever."""

import asyncio
import os
import secrets
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import psutil
import psycopg
import pytest
import uvloop

from local import postgres
from shared import connections, db, migrations
from shared.errors import DatabaseUnavailable
from tests.conftest import PASSWORD, Person
from tests.db.conftest import Errand, caller_of
from tests.db.wire import Wire
from tests.processes import AppProcess, eventually

Sql = psycopg.Connection[Any]

PATIENCE = 12.0
"""Seconds within which every caller has an answer, whatever the database does."""

RECOVERY = 10.0
"""Seconds after which the app is back, once the database is."""

DRAFT = {"company": "Contoso", "position": "Engineer"}


class Timed:
    """An answer, and how long it took to come."""

    def __init__(self, call: Callable[[], httpx.Response]) -> None:
        began = time.monotonic()
        self.answer = call()
        self.seconds = time.monotonic() - began


def at_once(*calls: Callable[[], httpx.Response]) -> list[Timed]:
    with ThreadPoolExecutor(len(calls)) as threads:
        return [future.result() for future in [threads.submit(Timed, call) for call in calls]]


def everything(person: Person) -> list[Callable[[], httpx.Response]]:
    """A read, a write, a login and a refresh."""
    return [
        lambda: person.get("/api/applications"),
        lambda: person.post("/api/applications", DRAFT),
        lambda: person.post("/api/auth/login", {"email": person.email, "password": PASSWORD}),
        lambda: person.post("/api/auth/refresh", {"refresh_token": person.refresh_token}),
    ]


def assert_unavailable(timed: Timed) -> None:
    answer = timed.answer
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert timed.seconds < PATIENCE


def named(url: str, name: str) -> str:
    """The URL, under which the server knows whoever uses it by ``name``."""
    return f"{url}{'&' if '?' in url else '?'}application_name={quote(name)}"


@pytest.fixture
def own_app(start_app: Callable[..., str], new_person: Callable[..., Person], database_url: str) -> "OwnApp":
    """An app of this test's own, somebody who uses it, and a name by which its connections can be found."""
    name = f"app-{secrets.token_hex(4)}"
    return OwnApp(name, start_app, new_person, database_url)


class OwnApp:
    def __init__(
        self, name: str, start_app: Callable[..., str], new_person: Callable[..., Person], database_url: str
    ) -> None:
        self.name = name
        self.url = start_app(DATABASE_URL=named(database_url, name), DATABASE_POOL_SIZE="8")
        self.person = new_person(self.url)

    def backends(self, sql: Sql) -> int:
        """How many connections the server has with this app."""
        row = sql.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [self.name]).fetchone()
        return int(row[0]) if row else 0

    def terminate(self, sql: Sql) -> int:
        """End them all, from the server's side."""
        ended = sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [self.name]
        )
        return len(ended.fetchall())


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Server]:
    """A server of these tests' own, to be stopped and frozen."""
    data = tmp_path_factory.mktemp("doomed")
    with postgres.claimed(data):
        server = postgres.Server(data)
        server.start()
        migrations.upgrade(server.url)
        yield server
        server.stop()


# ---------------------------------------------------------------- connections that die


def test_a_write_after_the_server_hung_up_on_an_idle_connection_succeeds_at_once(own_app: OwnApp, sql: Sql) -> None:
    for number in range(5):
        assert own_app.terminate(sql) == 1
        eventually(lambda: own_app.backends(sql) == 0)
        assert own_app.person.post("/api/applications", DRAFT).status_code == 201
        assert len(own_app.person.get("/api/applications").json()["items"]) == number + 1


def test_under_load_killed_connections_cost_no_read_and_no_write_happens_twice(own_app: OwnApp, sql: Sql) -> None:
    person, stop = own_app.person, threading.Event()
    statuses: dict[str, Counter[int]] = {"read": Counter(), "write": Counter()}
    acknowledged: list[str] = []

    def work() -> None:
        while not stop.is_set():
            marker = secrets.token_hex(8)
            written = person.post("/api/applications", {"company": marker, "position": "Engineer"})
            if written.status_code == 201:
                acknowledged.append(marker)
            statuses["write"][written.status_code] += 1
            statuses["read"][person.get("/api/applications").status_code] += 1

    killed = 0
    with ThreadPoolExecutor(8) as threads:
        workers = [threads.submit(work) for _ in range(8)]
        for _ in range(12):
            time.sleep(0.4)
            killed += own_app.terminate(sql)
        stop.set()
        for worker in workers:
            worker.result()
    assert killed >= 6
    assert set(statuses["read"]) == {200}
    assert set(statuses["write"]) <= {201, 503}  # 503: whether it happened is not known, and it is not tried again
    rows = Counter(
        company for (company,) in sql.execute("SELECT company FROM applications WHERE user_id = %s", [person.id])
    )
    assert set(rows.values()) == {1}
    assert set(acknowledged) <= set(rows)
    assert len(acknowledged) >= 8


def test_a_read_whose_answer_is_lost_is_asked_again(
    wire: Wire, start_app: Callable[..., str], new_person: Callable[..., Person]
) -> None:
    person = new_person(start_app(DATABASE_URL=wire.url))
    wire.break_at_the_next_answer()
    assert person.get("/api/profile").status_code == 200
    assert wire.connections == 2


def test_a_write_whose_answer_is_lost_is_not_made_again_and_its_key_finds_what_it_made(
    wire: Wire, start_app: Callable[..., str], new_person: Callable[..., Person]
) -> None:
    person = new_person(start_app(DATABASE_URL=wire.url))
    wire.break_at_the_next_answer()
    assert_unavailable(Timed(lambda: person.post("/api/applications", DRAFT, headers={"Idempotency-Key": "first"})))
    (made,) = person.get("/api/applications").json()["items"]
    again = person.post("/api/applications", DRAFT, headers={"Idempotency-Key": "first"})
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (made["id"], "true")
    wire.break_at_the_next_answer()
    assert_unavailable(Timed(lambda: person.post("/api/applications", DRAFT)))
    assert len(person.get("/api/applications").json()["items"]) == 2


def test_a_refresh_whose_answer_is_lost_can_be_repeated(
    wire: Wire, start_app: Callable[..., str], new_person: Callable[..., Person]
) -> None:
    person = new_person(start_app(DATABASE_URL=wire.url))
    presented = {"refresh_token": person.refresh_token}
    wire.break_at_the_next_answer()
    assert_unavailable(Timed(lambda: person.post("/api/auth/refresh", presented)))
    person.bear(person.post("/api/auth/refresh", presented).json())
    assert person.post("/api/auth/refresh", {"refresh_token": person.refresh_token}).status_code == 200


@pytest.mark.parametrize("loop_of", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_last_words_and_hang_up_in_one_are_heard_at_once(doomed: postgres.Server, loop_of: Callable[[], Any]) -> None:
    async def question() -> tuple[int, int]:
        pool = connections.Pool(doomed.url, 1)
        who = b"SELECT pg_backend_pid()"
        ((first,),) = await pool.run(who, {}, None, repeatable=True)
        os.kill(first, signal.SIGSTOP)
        asked = asyncio.create_task(pool.run(who, {}, None, repeatable=True))
        await asyncio.sleep(0.1)
        os.kill(first, signal.SIGTERM)
        os.kill(first, signal.SIGCONT)
        time.sleep(0.5)  # noqa: ASYNC251 - nobody listens meanwhile: it says why, and closes with our question unread
        ((second,),) = await asyncio.wait_for(asked, 5)
        await pool._idle[0].close()
        return first, second

    with asyncio.Runner(loop_factory=loop_of) as runner:
        first, second = runner.run(question())
    assert first != second


# ---------------------------------------------------------------- a database that is gone


@pytest.fixture(scope="module")
def doomed_url(
    doomed: postgres.Server, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The app on that server."""
    process = AppProcess(environment | {"DATABASE_URL": doomed.url}, tmp_path_factory.mktemp("app") / "app.log")
    yield process.url
    process.stop()


def is_back(person: Person) -> Callable[[], bool]:
    return lambda: person.get("/api/profile").status_code == 200


def test_without_a_database_every_caller_learns_so_and_with_it_the_app_is_back_by_itself(
    doomed: postgres.Server, doomed_url: str, new_person: Callable[..., Person]
) -> None:
    person = new_person(doomed_url)
    doomed.stop()
    try:
        for timed in at_once(*everything(person)):
            assert_unavailable(timed)
        assert person.get("/health").status_code == 200
        ready = person.get("/health/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
        assert ready.json()["checks"] == {"database": "unreachable", "migrations": "unknown"}
    finally:
        doomed.start()
    eventually(is_back(person), within=RECOVERY)
    assert [timed.answer.status_code for timed in at_once(*everything(person))] == [200, 201, 200, 200]


def test_after_a_crash_of_the_server_the_app_is_back_by_itself(
    doomed: postgres.Server, doomed_url: str, new_person: Callable[..., Person]
) -> None:
    person = new_person(doomed_url)
    with psycopg.connect(doomed.url) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)  # the server restarts, and ends everybody's connections
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    eventually(is_back(person), within=RECOVERY)
    assert person.post("/api/applications", DRAFT).status_code == 201


@contextmanager
def frozen(server: postgres.Server) -> Iterator[None]:
    """The server, alive to the eye of the network and doing nothing."""
    postmaster = psutil.Process(int((server.cluster / "postmaster.pid").read_text().split()[0]))
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def test_a_frozen_database_holds_no_caller_for_long_and_a_thawed_one_serves_again(
    doomed: postgres.Server, doomed_url: str, new_person: Callable[..., Person]
) -> None:
    person = new_person(doomed_url)
    with frozen(doomed):
        for timed in at_once(*everything(person)):
            assert_unavailable(timed)
        assert person.get("/health").status_code == 200
    eventually(is_back(person), within=RECOVERY)
    eventually(lambda: person.get("/health/ready").status_code == 200, within=RECOVERY + 5)  # it is asked every 10 s
    assert person.post("/api/applications", DRAFT).status_code == 201


def test_a_network_that_swallows_everything_holds_no_caller_for_long(
    wire: Wire, start_app: Callable[..., str], new_person: Callable[..., Person]
) -> None:
    person = new_person(start_app(DATABASE_URL=wire.url))
    wire.fall_silent()
    for timed in at_once(*everything(person)):
        assert_unavailable(timed)
    wire.recover()
    eventually(is_back(person), within=RECOVERY)


# ---------------------------------------------------------------- a database that is busy


def test_with_its_only_connection_blocked_the_app_answers_everybody_and_recovers(
    start_app: Callable[..., str], new_person: Callable[..., Person], sql: Sql
) -> None:
    person = new_person(start_app(DATABASE_POOL_SIZE="1"))
    place = f"/api/applications/{person.create_application()['id']}"
    with sql.transaction():
        sql.execute("SELECT FROM applications WHERE user_id = %s FOR UPDATE", [person.id])
        blocked, *others = at_once(
            lambda: person.patch(place, {"notes": "They called."}), *[lambda: person.get("/api/profile")] * 6
        )
        assert_unavailable(blocked)
        for other in others:
            if other.answer.status_code != 200:
                assert_unavailable(other)
    assert person.patch(place, {"notes": "They called."}).json()["version"] == 2


def test_a_statement_that_takes_too_long_is_ended_and_not_tried_again(
    person: Person, at_the_door: Callable[[Errand[Any]], Any]
) -> None:
    async def sleep() -> Any:
        with pytest.raises(DatabaseUnavailable):
            await db.enter(caller_of(person)).read(b"SELECT pg_sleep(60)")
        return await db.enter(caller_of(person)).read(b"SELECT 1")

    began = time.monotonic()
    assert at_the_door(sleep) == [(1,)]
    assert time.monotonic() - began < PATIENCE


# ---------------------------------------------------------------- callers that leave


def test_a_caller_that_leaves_takes_its_connection_along_and_gives_its_place_back(
    person: Person, at_the_door: Callable[[Errand[Any]], Any]
) -> None:
    async def backend() -> int:
        ((pid,),) = await db.enter(caller_of(person)).read(b"SELECT pg_backend_pid()")
        return int(pid)

    async def visits() -> list[int]:
        used = []
        for _ in range(2 * 8):  # more often than there are places
            used.append(await backend())
            leaving = asyncio.create_task(db.enter(caller_of(person)).read(b"SELECT pg_sleep(60)"))
            await asyncio.sleep(0.05)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            assert connections.pool()._idle == []
        return used

    used = at_the_door(visits)
    assert len(set(used)) == len(used), "an answer to somebody who left must not be read by somebody else"
