"""The door to the database: who is asking, in which role, in one round trip.

A request's statement travels together with its guards (``enter()``, ``hit_limits()``, ``replay()``: SQL functions that
let the batch go on or raise a Problem) as one simple query: one message out, one answer back, one implicit transaction.
Sent that way PgBouncer needs to know nothing of us and keeps no server connection for a client at rest.
"""

import asyncio
import json
import os
import select
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic
from typing import Any, LiteralString, TypeVar, cast
from uuid import UUID

import psycopg
from psycopg import AsyncClientCursor, AsyncConnection, sql
from psycopg.rows import BaseRowFactory, tuple_row

from shared import settings
from shared.errors import DatabaseUnavailable, Problem

DEADLINE = 10.0
"""Seconds a caller waits for the database, waiting for a connection and all retries included."""

IDLE_LIMIT = 60.0
"""Seconds after which an unused connection is not trusted any more: address translation forgets idle connections."""

NEVER_RAN = frozenset({"40001", "40P01"})  # serialization failure, deadlock: rolled back, so a write may run again
OUT_OF_REACH = ("08", "57", "53", "58")  # SQLSTATE classes: connection, operator intervention, resources, system

TIMED_OUT = "57014"  # statement_timeout: asking again would take as long again

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

    async def read(
        self, statement: bytes, /, *, row: BaseRowFactory[Row] = tuple_row, **params: Any  # type: ignore[assignment]
    ) -> list[Row]:
        """Run a statement that changes nothing; if the connection dies under it, run it again on another."""
        return await self._run(statement, params, row, repeatable=True)

    async def write(
        self, statement: bytes, /, *, row: BaseRowFactory[Row] = tuple_row, **params: Any  # type: ignore[assignment]
    ) -> list[Row]:
        """Run a statement at most once: after it was sent, only an answer that it was rolled back allows a retry."""
        return await self._run(statement, params, row, repeatable=False)

    async def _run(
        self, statement: bytes, params: dict[str, Any], row: BaseRowFactory[Row], *, repeatable: bool
    ) -> list[Row]:
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
    """A connection, and what is needed to tell whether it is still one."""

    __slots__ = ("_poll", "link", "used_at")

    def __init__(self, link: AsyncConnection[Any]) -> None:
        self.link = link
        self.used_at = monotonic()
        self._poll = select.poll()
        self._poll.register(link.fileno(), select.POLLIN)

    def is_fit(self) -> bool:
        """A server that hangs up makes the socket readable: that is seen here without asking the server anything."""
        return monotonic() - self.used_at < IDLE_LIMIT and not self._poll.poll(0)

    def sever(self) -> None:
        """Cut the wire under a statement that takes too long: its coroutine wakes with a connection error."""
        with socket.socket(fileno=os.dup(self.link.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)


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
        self, batch: bytes, params: Mapping[str, Any], row: BaseRowFactory[Row], *, repeatable: bool
    ) -> list[Row]:
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
        row: BaseRowFactory[Row],
        give_up_at: float,
    ) -> list[Row]:
        link = connection.link
        alarm = self.loop.call_at(self.loop.time() + give_up_at - monotonic(), connection.sever)
        try:
            cursor = AsyncClientCursor(link, row_factory=cast(Any, row))
            await cursor.execute(batch, params)
            while cursor.nextset():
                pass
            rows = await cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            if problem := _refusal(error):
                raise problem from None
            raise
        finally:
            alarm.cancel()
            if link.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
                connection.used_at = monotonic()
                self._idle.append(connection)
            else:
                await link.close()
        return cast(list[Row], rows)

    async def _take(self, give_up_at: float) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fit():
                return connection
            await connection.link.close()
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
                return _Connection(link)
        raise AssertionError("unreachable")


_present: _Pool | None = None


def _pool() -> _Pool:
    global _present
    if _present is None or _present.loop is not asyncio.get_running_loop():
        config = settings.current()
        _present = _Pool(config.database_url.get_secret_value(), config.database_pool_size)
    return _present


def _is_out_of_reach(error: psycopg.OperationalError) -> bool:
    return error.sqlstate is None or error.sqlstate.startswith(OUT_OF_REACH)


def _refusal(error: psycopg.Error) -> Problem | None:
    detail = error.diag.message_detail
    return Problem.from_sqlstate(error.sqlstate, json.loads(detail) if detail and detail[0] == "{" else {})
