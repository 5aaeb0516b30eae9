"""Connections to PostgreSQL: kept while they are good, made when they are needed, and never trusted when they are not.

The rule for what is sent twice: a connection that cannot be made is tried again; a statement is sent again only if it
is a read, or if the server said that it was rolled back.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import psycopg
from psycopg import AsyncClientCursor, AsyncConnection
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from shared import settings
from shared.errors import DatabaseUnavailable, Problem

DEADLINE = 10.0
"""Seconds a caller waits for the database, waiting for a connection and all retries included."""

IDLE_LIMIT = 60.0
"""Seconds after which an unused connection is not trusted any more: address translation forgets idle connections."""

GLANCE = 1.0
"""Seconds of silence after which a connection that owes an answer is looked at."""

CONNECT_LIMIT = 4
"""Seconds one attempt to connect may take."""

NEVER_RAN = frozenset({"40001", "40P01"})  # serialization failure, deadlock: rolled back, so a write may run again
TIMED_OUT = "57014"  # statement_timeout
LOCKED = "55P03"  # lock_timeout
# SQLSTATEs, or their classes: connection, operator intervention, resources, system; and a lock not had in time
OUT_OF_REACH = ("08", "57", "53", "58", LOCKED)
FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)


class Connection:
    """A connection whose socket is watched all its life: an answer wakes its caller, and a hang-up is seen at rest.

    psycopg makes the connection, adapts what goes in and loads what comes out. In between stands libpq itself, since a
    cursor's way to the socket costs as much as all the rest of a request.
    """

    def __init__(self, link: AsyncConnection[Any], loop: asyncio.AbstractEventLoop) -> None:
        self.link = link
        self.pg = link.pgconn
        self.adapter = AsyncClientCursor(link)
        self.used_at = monotonic()
        self._loop = loop
        self._fd = link.fileno()
        self._results: list[PGresult] = []
        self._answer: asyncio.Future[list[PGresult]] | None = None
        self._is_watched = True
        loop.add_reader(self._fd, self._on_readable)

    @property
    def is_fit(self) -> bool:
        """Whether the next statement may go this way; known without asking the server."""
        return self._is_watched and monotonic() - self.used_at < IDLE_LIMIT

    @property
    def is_at_rest(self) -> bool:
        return self._answer is None and self.pg.transaction_status == TransactionStatus.IDLE

    async def exchange(self, batch: bytes, give_up_at: float) -> list[PGresult]:
        """Send a batch and wait for all its results.

        Raises:
            OperationalError: the connection broke, or no answer came in time; it is of no use any more.
        """
        answer: asyncio.Future[list[PGresult]] = self._loop.create_future()
        self._answer = answer
        self.pg.send_query(batch)
        while self.pg.flush():
            await self._writable()
        self._alarm = self._loop.call_later(GLANCE, self._glance, give_up_at)
        try:
            return await answer
        finally:
            self._alarm.cancel()

    async def close(self) -> None:
        self._unwatch()
        await self.link.close()

    def _on_readable(self) -> None:
        if self._answer is None:  # nothing was asked: the server hangs up, or has news that make this connection stale
            self._unwatch()
            return
        try:
            # Twice, because uvloop calls but once when the server's last words and its hang-up arrive together.
            for _ in range(2):
                self.pg.consume_input()
                while not self.pg.is_busy():
                    result = self.pg.get_result()
                    if result is None:
                        self._deliver()
                        return
                    self._results.append(result)
        except psycopg.OperationalError as broken:
            self._break(broken)

    def _deliver(self) -> None:
        answer, results = self._answer, self._results
        self._answer, self._results = None, []
        self.used_at = monotonic()
        if answer is not None and not answer.done():
            answer.set_result(results)

    def _glance(self, give_up_at: float) -> None:
        """Look at a socket that has been silent for a while: uvloop tells nobody of one that was reset."""
        if monotonic() >= give_up_at:
            self._break(psycopg.OperationalError("no answer in time"))
        elif self._is_watched:
            self._on_readable()
            self._alarm = self._loop.call_later(GLANCE, self._glance, give_up_at)

    def _break(self, reason: psycopg.OperationalError) -> None:
        self._unwatch()
        if self._answer is not None and not self._answer.done():
            # What the server said before it hung up is why: "terminating connection due to administrator command".
            last_words = [psycopg.errors.error_from_result(said) for said in self._results if said.status in FAILED]
            self._answer.set_exception(last_words[-1] if last_words else reason)

    async def _writable(self) -> None:
        ready = asyncio.Event()
        self._loop.add_writer(self._fd, ready.set)
        try:
            await asyncio.wait_for(ready.wait(), DEADLINE / 2)
        except TimeoutError:
            raise psycopg.OperationalError("the server takes nothing more") from None
        finally:
            self._loop.remove_writer(self._fd)

    def _unwatch(self) -> None:
        if self._is_watched:
            self._is_watched = False
            self._loop.remove_reader(self._fd)


@dataclass(frozen=True, slots=True)
class PoolState:
    """How many connections a process may have, has, and has at rest; and how many callers wait for one."""

    size: int
    open: int
    idle: int
    waiting: int


class Pool:
    """At most so many connections for one event loop: made when needed, by who needs them, newest used first.

    There are no background tasks: a serverless process is frozen between requests. A caller learns at once, not after a
    queue's timeout, that the database cannot be reached; and the first request after it is back finds it.
    """

    def __init__(self, url: str, size: int) -> None:
        self.loop = asyncio.get_running_loop()
        self._url = url
        self._idle: list[Connection] = []
        self._places = asyncio.Semaphore(size)
        self._size = size
        self._busy = self._waiting = 0

    @property
    def state(self) -> PoolState:
        return PoolState(self._size, len(self._idle) + self._busy, len(self._idle), self._waiting)

    async def run(
        self, batch: bytes, params: Mapping[str, Any], row: Callable[..., Any] | None, *, repeatable: bool
    ) -> list[Any]:
        """The rows of the batch's last statement: tuples, or instances of ``row``.

        Raises:
            Problem: what a guard in the batch raised.
            DatabaseUnavailable: no answer within DEADLINE. A write may have happened all the same.
            psycopg.Error: whatever else the server says.
        """
        give_up_at = monotonic() + DEADLINE
        self._waiting += 1
        try:
            async with asyncio.timeout(DEADLINE / 2):
                await self._places.acquire()
        except TimeoutError:
            raise DatabaseUnavailable from None
        finally:
            self._waiting -= 1
        pauses = iter((0.05, 0.25))
        try:
            while True:
                connection = await self._take(give_up_at)
                try:
                    return await self._exchange(connection, batch, params, row, give_up_at)
                except psycopg.OperationalError as lost:
                    out_of_reach = lost.sqlstate is None or lost.sqlstate.startswith(OUT_OF_REACH)
                    may_repeat = lost.sqlstate in NEVER_RAN or (
                        repeatable and out_of_reach and lost.sqlstate not in (TIMED_OUT, LOCKED)
                    )
                    pause = next(pauses, DEADLINE)
                    if not may_repeat or monotonic() + pause > give_up_at:
                        if out_of_reach:
                            raise DatabaseUnavailable from lost
                        raise
                    await asyncio.sleep(pause)
        finally:
            self._places.release()

    async def _exchange(
        self,
        connection: Connection,
        batch: bytes,
        params: Mapping[str, Any],
        row: Callable[..., Any] | None,
        give_up_at: float,
    ) -> list[Any]:
        self._busy += 1
        try:
            results = await connection.exchange(connection.adapter.mogrify(batch, params).encode(), give_up_at)
        finally:
            self._busy -= 1
            if connection.is_at_rest:
                self._idle.append(connection)
            else:
                await connection.close()
        for result in results:
            if result.status in FAILED:
                error = psycopg.errors.error_from_result(result)
                raise _refusal(error) or error
        return _load(connection, results[-1], row)

    async def _take(self, give_up_at: float) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fit:
                return connection
            await connection.close()
        pauses = iter((0.1, 0.3))
        while True:
            try:
                link = await AsyncConnection.connect(
                    self._url,
                    autocommit=True,
                    prepare_threshold=None,
                    client_encoding="utf8",  # values are quoted for the encoding they are sent in
                    connect_timeout=CONNECT_LIMIT,
                )
            except (psycopg.OperationalError, OSError) as unreachable:
                pause = next(pauses, DEADLINE)
                if monotonic() + pause + CONNECT_LIMIT > give_up_at:
                    raise DatabaseUnavailable from unreachable
                await asyncio.sleep(pause)
            else:
                return Connection(link, self.loop)


_present: Pool | None = None


def pool() -> Pool:
    """The pool of this process and event loop."""
    global _present
    if _present is None or _present.loop is not asyncio.get_running_loop():
        config = settings.current()
        _present = Pool(config.database_url.get_secret_value(), config.database_pool_size)
    return _present


def _load(connection: Connection, result: PGresult, row: Callable[..., Any] | None) -> list[Any]:
    if result.status != ExecStatus.TUPLES_OK:
        return []
    loader = Transformer(connection.link)
    loader.set_pgresult(result)
    if row is None:
        return loader.load_rows(0, result.ntuples, tuple)
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    return loader.load_rows(0, result.ntuples, lambda values: row(**dict(zip(names, values, strict=True))))


def _refusal(error: psycopg.Error) -> Problem | None:
    detail = error.diag.message_detail
    return Problem.from_sqlstate(error.sqlstate, json.loads(detail) if detail and detail[0] == "{" else {})
