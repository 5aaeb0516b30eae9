"""What the door costs: statements on one connection, the ways psycopg has them and the way the app has them."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from unittest.mock import patch

import psutil
from psycopg import AsyncConnection
from psycopg.pq import Trace
from psycopg_pool import AsyncConnectionPool  # type: ignore[import-not-found, unused-ignore]

from benchmarks import inside, servers
from benchmarks.machine import command_line, description, number, table

Connection = AsyncConnection[Any]
Way = Callable[[], Awaitable[object]]


def main(arguments: Sequence[str]) -> None:
    parser = command_line("door", __doc__)
    servers.add_database(parser)
    parser.add_argument("--seconds", type=float, default=2, help="for each line (default: %(default)s)")
    options = parser.parse_args(arguments)
    with inside.app(options.database) as (app, database):
        is_here = database.postmaster() is not None
        rows = asyncio.run(_measure(app, database.url, options.seconds, is_here))
    print(description() + "\n")
    head = ["one caller", "µs", "Python's CPU µs", "PostgreSQL's CPU µs", "round trips"]
    print(table(head, rows, markdown=options.markdown))


async def _measure(app: inside.App, url: str, seconds: float, is_here: bool) -> list[list[str]]:
    from shared import db
    from shared.access import member
    from shared.accounts.queries import GET_PROFILE
    from shared.db import Caller

    opened: list[Connection] = []
    connect = AsyncConnection.connect

    async def noted(*args: Any, **kwargs: Any) -> Connection:
        opened.append(await connect(*args, **kwargs))
        return opened[-1]

    with patch.object(AsyncConnection, "connect", noted):
        plain = await noted(url, autocommit=True)
        pool = AsyncConnectionPool(url, min_size=1, max_size=1, open=False, kwargs={"autocommit": True})
        await pool.open(wait=True)
        pooled = opened[-1]
        user = await app.sign_in(1)
        ours = opened[-1]
    caller = member.admit(f"Bearer {user.access_token}")
    assert isinstance(caller, Caller)
    guard = {"caller_id": caller.user_id, "caller_session_id": caller.session_id, "caller_needed_role": None}

    def cursor(statement: bytes, **values: Any) -> Way:
        async def way() -> object:
            return await (await plain.execute(statement, values)).fetchall()

        return way

    def from_pool(statement: bytes, **values: Any) -> Way:
        async def way() -> object:
            async with pool.connection() as connection:
                return await (await connection.execute(statement, values)).fetchall()

        return way

    async def in_transaction() -> object:
        async with plain.transaction():
            await plain.execute(db.ENTER, guard)
            return await (await plain.execute(GET_PROFILE)).fetchall()

    async def in_pipeline() -> object:
        async with plain.pipeline():
            await plain.execute(db.ENTER, guard)
            answer = await plain.execute(GET_PROFILE)
        return await answer.fetchall()

    own = GET_PROFILE + b" WHERE id = %(id)s"
    ways: list[tuple[str, Connection, Way]] = [
        ("SELECT 1: psycopg's cursor", plain, cursor(b"SELECT 1")),
        ("SELECT 1: psycopg's pool", pooled, from_pool(b"SELECT 1")),
        ("SELECT 1: the app's pool", ours, lambda: db.as_service().read(b"SELECT 1")),
        ("SELECT 1: the app's pool, behind the door", ours, lambda: db.enter(caller).read(b"SELECT 1")),
        ("profile: psycopg's cursor", plain, cursor(own, id=caller.user_id)),
        ("profile: psycopg's pool", pooled, from_pool(own, id=caller.user_id)),
        ("profile: the app's pool", ours, lambda: db.as_service().read(own, id=caller.user_id)),
        ("profile: psycopg, guarded in a transaction", plain, in_transaction),
        ("profile: psycopg, guarded in a pipeline", plain, in_pipeline),
        ("profile: the app's pool, behind the door", ours, lambda: db.enter(caller).read(GET_PROFILE)),
    ]
    rows = [
        [name, *(await _cost(way, connection, seconds, is_here)), str(await _round_trips(way, connection))]
        for name, connection, way in ways
    ]
    await pool.close()
    return rows


async def _cost(way: Way, connection: Connection, seconds: float, is_here: bool) -> list[str]:
    """Microseconds for each: by the clock, of this process, and of PostgreSQL's process for the connection."""
    backend = psutil.Process(connection.info.backend_pid) if is_here else None
    for _ in range(100):
        await way()
    theirs, own, began = _seconds(backend), time.process_time(), time.perf_counter()
    count = 0
    while time.perf_counter() - began < seconds:
        for _ in range(50):
            await way()
        count += 50
    took = (time.perf_counter() - began, time.process_time() - own, _seconds(backend) - theirs)
    return [number(each / count * 1e6) for each in took]


def _seconds(backend: psutil.Process | None) -> float:
    if backend is None:
        return float("nan")
    used = backend.cpu_times()
    return float(used.user + used.system)


async def _round_trips(way: Way, connection: Connection) -> int:
    """How often the way waits for the server, by libpq's own record of the messages: to it (F) and back (B)."""
    with tempfile.TemporaryFile("w+") as record:
        connection.pgconn.trace(record.fileno())
        connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        await way()
        connection.pgconn.untrace()
        record.seek(0)
        directions = "".join(line[0] for line in record)
    return directions.count("FB")
