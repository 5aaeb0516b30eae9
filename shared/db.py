"""The door to the database: who is asking, in which role, in one round trip.

A request's statement travels together with its guards (``enter()``, ``hit_limits()``, ``replay()``: SQL functions that
let the batch go on or raise a Problem) as one simple query: one message out, one answer back, one implicit transaction.
Sent that way PgBouncer needs to know nothing of us and keeps no server connection for a client at rest.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from time import time
from typing import Any, LiteralString, TypeVar, overload
from uuid import UUID

from psycopg import sql

from shared.connections import pool

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a verified access token says is calling, in a session. The door believes it only if the session is alive."""

    user_id: UUID
    session_id: UUID
    role: str
    expires_at: int
    needed_role: str | None = None
    authenticated_at: int = 0
    """When they last proved who they are, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class TokenCaller:
    """Who shows a personal access token. Whose it is and what it may do, only the door knows."""

    digest: bytes
    needed_scope: str | None
    needed_role: str | None = None


AnyCaller = Caller | TokenCaller
"""Who calls an endpoint that takes personal access tokens too: behind it, only SQL knows their id."""


@dataclass(frozen=True, slots=True)
class Device:
    """Where a request comes from, as far as it can be told."""

    ip: str | None
    user_agent: str | None
    cookie: str | None = None
    """What this browser was given after a good sign-in."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A statement that runs first, in the same round trip, and may raise a Problem."""

    statement: bytes
    params: Mapping[str, Any]


class Door:
    """A way into the database: a list of guards, and whatever statement they let through."""

    __slots__ = ("guards",)

    def __init__(self, *guards: Guard) -> None:
        self.guards = guards

    def guarded_by(self, *guards: Guard) -> "Door":
        return Door(*self.guards, *guards)

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
        for guard in self.guards:
            params.update(guard.params)
        batch = _batch(tuple(guard.statement for guard in self.guards), statement)
        return await pool().run(batch, params, row, repeatable=repeatable)


def statement(text: LiteralString, **parts: sql.Composable) -> bytes:
    """A statement, made once at import. ``parts`` fill its ``{names}``; values are never parts, but parameters."""
    return sql.SQL(text).format(**parts).as_bytes(None) if parts else text.encode()


def uuid7() -> UUID:
    """A new id (UUIDv7, RFC 9562, section 5.7), for the rare row whose id must be known before it is written."""
    bits = int(time() * 1000) << 80 | int.from_bytes(os.urandom(10))
    return UUID(int=bits & ~(0xF << 76) & ~(0b11 << 62) | 7 << 76 | 0b10 << 62)


ENTER = statement("SELECT enter(%(caller_id)s, %(caller_session_id)s, %(caller_needed_role)s)")
ENTER_WITH_TOKEN = statement(
    "SELECT enter_with_token(%(caller_digest)s, %(caller_needed_scope)s, %(caller_needed_role)s)"
)
NOTHING = statement("SELECT")
FROM_DEVICE = statement(
    "SELECT set_config('app.ip', %(device_ip)s, true), set_config('app.user_agent', %(device_user_agent)s, true)"
)


def enter(caller: AnyCaller) -> Door:
    """The door of a known caller: refuses what has ended, and shows the caller's own rows only.

    Raises (from every statement):
        SessionEnded: the session is revoked or expired, or the account is disabled.
        InvalidToken: the personal access token was never made, or its account is disabled.
        TokenRevoked, TokenExpired: it was good once.
        InsufficientScope: it may not do this.
        Forbidden: the caller's present role is not the one needed.
        DatabaseUnavailable: no answer within DEADLINE.
    """
    if isinstance(caller, TokenCaller):
        return Door(
            Guard(
                ENTER_WITH_TOKEN,
                {
                    "caller_digest": caller.digest,
                    "caller_needed_scope": caller.needed_scope,
                    "caller_needed_role": caller.needed_role,
                },
            )
        )
    params = {
        "caller_id": caller.user_id,
        "caller_session_id": caller.session_id,
        "caller_needed_role": caller.needed_role,
    }
    return Door(Guard(ENTER, params))


AS_SERVICE = Guard(statement("SELECT set_config('role', 'none', true)"), {})


def enter_as_service(caller: Caller) -> Door:
    """The door of a signed-in caller whose credentials are read or changed, which no tenant may touch.

    The session is asked for as at ``enter()``, and then the connecting role goes on. No row-level security confines it:
    the statement says whose rows.
    """
    return enter(caller).guarded_by(AS_SERVICE)


def administer(caller: Caller) -> Door:
    """The door of an administrator: lets in whom ``enter()`` lets in, and shows everybody's rows.

    Raises as ``enter()`` does, and:
        PermissionError: the endpoint did not ask for the role, so nobody has looked whether the caller has it.
    """
    if caller.needed_role != "admin":
        raise PermissionError('administer() is for endpoints of role("admin")')
    return enter(caller).guarded_by(AS_SERVICE)


def as_service(*guards: Guard) -> Door:
    """The door of work that belongs to no signed-in user: registration, login, refresh, timers."""
    return Door(*guards)


def from_device(device: Device) -> Guard:
    """Tells the statements after it where the request comes from: sessions and audit events keep it."""
    return Guard(FROM_DEVICE, {"device_ip": device.ip or "", "device_user_agent": device.user_agent or ""})


async def admit(caller: AnyCaller) -> None:
    """Only ask whether the caller would be let in."""
    await enter(caller).read(NOTHING)


@lru_cache(maxsize=1024)
def _batch(guards: tuple[bytes, ...], statement: bytes) -> bytes:
    return b";".join((*guards, statement))
