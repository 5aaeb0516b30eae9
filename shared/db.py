"""The door to the database: who is asking, in which role, in one round trip.

A request's statement travels together with its guards (``enter()``, ``hit_limits()``, ``replay()``: SQL functions that
let the batch go on or raise a Problem) as one simple query: one message out, one answer back, one implicit transaction.
Sent that way PgBouncer needs to know nothing of us and keeps no server connection for a client at rest.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic
from typing import Any, LiteralString, TypeVar, overload
from uuid import UUID

import psycopg
from psycopg import AsyncClientCursor, AsyncConnection, sql
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from shared import settings
from shared.errors import DatabaseUnavailable, Problem

DEADLINE = 10.0
"""Seconds a caller waits for the database, waiting for a connection and all retries included."""

IDLE_LIMIT = 60.0
"""Seconds after which an unused connection is not trusted any more: address translation forgets idle connections."""

NEVER_RAN = frozenset({"40001", "40P01"})  # serialization failure, deadlock: rolled back, so a write may run again
OUT_OF_REACH = ("08", "57", "53", "58")  # SQLSTATE classes: connection, operator intervention, resources, system

TIMED_OUT = "57014"  # statement_timeout: asking again would take as long again

FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a verified access token says is calling. The door believes it only if the session is alive."""

    user_id: UUID
    session_id: UUID
    role: str
    expires_at: int
    needed_role: str | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """A statement that runs first, in the same round trip, and may raise a Problem."""

    statement: bytes
    params: Mapping[str, Any]


class Door:
    """A way into the database: a list of guards, and whatever statement they let through."""

    __slots__ = ("_guards",)

    def __init__(self, *guards: Guard) -> None:
        self._guards = guards

    def guarded_by(self, *guards: Guard) -> "Door":
        return Door(*self._guards, *guards)

    @overload
    async def read(self, statement: bytes, /, *, row: Callable[..., Row], **params: Any) -> list[Row]: ...
    @overload
    async def read(self, statement: bytes, /, **params: Any) -> list[tuple[Any, ...]]: ...
    async def read(self, statement: bytes, /, *, row: Callable[..., Any] | None = None, **params: Any) -> list[Any]:
        """Run a statement that changes nothing; if the connection dies under it, run it again on another.

        Rows are tuples, or instances of ``row``, whose fields are named as the columns are.
        """
        return await self._run(statement, params, row, repeatable=True)

    @overload
    async def write(self, statement: bytes, /, *, row: Callable[..., Row], **params: Any) -> list[Row]: ...
    @overload
    async def write(self, statement: bytes, /, **params: Any) -> list[tuple[Any, ...]]: ...
    async def write(self, statement: bytes, /, *, row: Callable[..., Any] | None = None, **params: Any) -> list[Any]:
        """Run a statement at most once: after it was sent, only an answer that it was rolled back allows a retry."""
        return await self._run(statement, params, row, repeatable=False)

    async def _run(
        self, statement: bytes, params: dict[str, Any], row: Callable[..., Any] | None, *, repeatable: bool
    ) -> list[Any]:
        for guard in self._guards:
            params.update(guard.params)
        batch = _batch(tuple(guard.statement for guard in self._guards), statement)
        return await _pool().run(batch, params, row, repeatable=repeatable)


def statement(text: LiteralString, **parts: sql.Composable) -> bytes:
    """A statement, made once at import. ``parts`` fill its ``{names}``; values are never parts, but parameters."""
    return sql.SQL(text).format(**parts).as_bytes(None) if parts else text.encode()


ENTER = statement("SELECT enter(%(caller_id)s, %(caller_session_id)s, %(caller_needed_role)s)")
NOTHING = statement("SELECT")


def enter(caller: Caller) -> Door:
    """The door of a signed-in caller: refuses an ended session, and shows the caller's own rows only.

    Raises (from every statement):
        SessionEnded: the session is revoked or expired, or the account is disabled.
        Forbidden: the caller's present role is not the one needed.
        DatabaseUnavailable: no answer within DEADLINE.
    """
    params = {
        "caller_id": caller.user_id,
        "caller_session_id": caller.session_id,
        "caller_needed_role": caller.needed_role,
    }
    return Door(Guard(ENTER, params))


def as_service(*guards: Guard) -> Door:
    """The door of work that belongs to no signed-in user: registration, login, refresh, timers."""
    return Door(*guards)


async def admit(caller: Caller) -> None:
    """Only ask whether the caller would be let in."""
    await enter(caller).read(NOTHING)


@lru_cache(maxsize=1024)
def _batch(guards: tuple[bytes, ...], statement: bytes) -> bytes:
    return b";".join((*guards, statement))


class _Connection:
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
        alarm = self._loop.call_later(
            give_up_at - monotonic(), self._break, psycopg.OperationalError("no answer in time")
        )
        try:
            return await answer
        finally:
            alarm.cancel()

    async def close(self) -> None:
        self._unwatch()
        await self.link.close()

    def _on_readable(self) -> None:
        if self._answer is None:  # nothing was asked: the server hangs up, or has news that make this connection stale
            self._unwatch()
            return
        try:
            self.pg.consume_input()
            while not self.pg.is_busy():
                result = self.pg.get_result()
                if result is None:
                    answer, results = self._answer, self._results
                    self._answer, self._results = None, []
                    self.used_at = monotonic()
                    if not answer.done():
                        answer.set_result(results)
                    return
                self._results.append(result)
        except psycopg.OperationalError as broken:
            self._break(broken)

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


class _Pool:
    """At most so many connections for one event loop: made when needed, by who needs them, newest used first.

    There are no background tasks: a serverless process is frozen between requests. A caller learns at once, not after a
    queue's timeout, that the database cannot be reached; and the first request after it is back finds it.
    """

    def __init__(self, url: str, size: int) -> None:
        self.loop = asyncio.get_running_loop()
        self._url = url
        self._idle: list[_Connection] = []
        self._places = asyncio.Semaphore(size)

    async def run(
        self, batch: bytes, params: Mapping[str, Any], row: Callable[..., Any] | None, *, repeatable: bool
    ) -> list[Any]:
        give_up_at = monotonic() + DEADLINE
        try:
            if self._places.locked():
                await asyncio.wait_for(self._places.acquire(), DEADLINE / 2)
            else:
                await self._places.acquire()
        except TimeoutError:
            raise DatabaseUnavailable from None
        try:
            for pause in (0.05, 0.25, None):
                connection = await self._take(give_up_at)
                try:
                    rows = await self._exchange(connection, batch, params, row, give_up_at)
                except psycopg.OperationalError as lost:
                    broken = repeatable and _is_out_of_reach(lost) and lost.sqlstate != TIMED_OUT
                    may_repeat = broken or lost.sqlstate in NEVER_RAN
                    if pause is None or not may_repeat or monotonic() + pause > give_up_at:
                        if _is_out_of_reach(lost):
                            raise DatabaseUnavailable from lost
                        raise
                    await asyncio.sleep(pause)
                else:
                    return rows
            raise AssertionError("unreachable")
        finally:
            self._places.release()

    async def _exchange(
        self,
        connection: _Connection,
        batch: bytes,
        params: Mapping[str, Any],
        row: Callable[..., Any] | None,
        give_up_at: float,
    ) -> list[Any]:
        try:
            results = await connection.exchange(connection.adapter.mogrify(batch, params).encode(), give_up_at)
        finally:
            if connection.is_at_rest:
                self._idle.append(connection)
            else:
                await connection.close()
        for result in results:
            if result.status in FAILED:
                error = psycopg.errors.error_from_result(result)
                raise _refusal(error) or error
        return _load(connection, results[-1], row)

    async def _take(self, give_up_at: float) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fit:
                return connection
            await connection.close()
        for pause in (0.1, 0.3, None):
            try:
                remaining = max(2, int(give_up_at - monotonic()))  # libpq takes less than 2 seconds for 2
                link = await AsyncConnection.connect(
                    self._url, autocommit=True, prepare_threshold=None, connect_timeout=min(4, remaining)
                )
            except (psycopg.OperationalError, OSError) as unreachable:
                if pause is None or monotonic() + pause + 4 > give_up_at:
                    raise DatabaseUnavailable from unreachable
                await asyncio.sleep(pause)
            else:
                return _Connection(link, self.loop)
        raise AssertionError("unreachable")


_present: _Pool | None = None


def _pool() -> _Pool:
    global _present
    if _present is None or _present.loop is not asyncio.get_running_loop():
        config = settings.current()
        _present = _Pool(config.database_url.get_secret_value(), config.database_pool_size)
    return _present


def _load(connection: _Connection, result: PGresult, row: Callable[..., Row] | None) -> list[Any]:
    if result.status != ExecStatus.TUPLES_OK:
        return []
    loader = Transformer(connection.link)
    loader.set_pgresult(result)
    if row is None:
        return loader.load_rows(0, result.ntuples, tuple)
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    return loader.load_rows(0, result.ntuples, lambda values: row(**dict(zip(names, values, strict=True))))


def _is_out_of_reach(error: psycopg.OperationalError) -> bool:
    return error.sqlstate is None or error.sqlstate.startswith(OUT_OF_REACH)


def _refusal(error: psycopg.Error) -> Problem | None:
    detail = error.diag.message_detail
    return Problem.from_sqlstate(error.sqlstate, json.loads(detail) if detail and detail[0] == "{" else {})
