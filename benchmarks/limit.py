"""The limit: the same answers to the same requests, with as little as Python can give them, and no product.

There is no framework, no validation, no row-level security, no rate limit, no revocation and no refusal but 401. The
statements are prepared, the JSON is PostgreSQL's own, the token that was verified once is remembered. What Jobtrail
costs beyond this is the price of what it promises. ``LIMIT_DRIVER`` says how PostgreSQL is reached: ``psycopg``, with
cursors and pool as its documentation has them, or ``libpq``, by hand and with nothing that could be left out.
"""

import asyncio
import hmac
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import jwt
import orjson  # type: ignore[import-not-found, unused-ignore]
from argon2 import PasswordHasher
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from psycopg_pool import AsyncConnectionPool  # type: ignore[import-not-found, unused-ignore]

URL = os.environ.get("DATABASE_URL", "")
KEY = os.environ.get("JWT_SECRET", "").encode()
CONNECTIONS = 8
LIFE = 3600
HEADER = urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
HASHER = PasswordHasher()

SCHEMA = """
CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email text NOT NULL UNIQUE, password_hash text,
    email_verified boolean NOT NULL DEFAULT false, role text NOT NULL DEFAULT 'user', first_name text, last_name text,
    company text, picture_url text, time_zone text NOT NULL DEFAULT 'UTC',
    created_at timestamptz NOT NULL DEFAULT now(), deletion_due_at timestamptz, reminders boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1
);
CREATE TABLE sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL REFERENCES users,
    generation bigint NOT NULL DEFAULT 1, rotated_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz NOT NULL
);
CREATE TABLE applications (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL REFERENCES users, company text NOT NULL,
    position text NOT NULL, location text, url text, source text, status text NOT NULL, salary_min bigint,
    salary_max bigint, salary_currency text, salary_period text, applied_on date, notes text,
    company_id uuid NOT NULL DEFAULT gen_random_uuid(), workplace text, priority text,
    tags text[] NOT NULL DEFAULT '{}', stage_id uuid NOT NULL DEFAULT gen_random_uuid(),
    category text NOT NULL DEFAULT 'applied',
    stage_since timestamptz NOT NULL DEFAULT now(), round int, round_name text, close_reason text,
    furthest_stage_id uuid NOT NULL DEFAULT gen_random_uuid(), furthest_category text NOT NULL DEFAULT 'applied',
    furthest_round int, deadline date, follow_up_at timestamptz NOT NULL DEFAULT now(),
    last_activity_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
    version integer NOT NULL DEFAULT 1
);
CREATE INDEX ON applications (user_id, created_at DESC, id DESC);
"""
GIVEN = ("company", "position", "location", "url", "source", "status", "salary_min", "salary_max", "salary_currency",
         "salary_period", "applied_on", "notes")  # fmt: skip
# What follows from a timeline: the limit has none, and makes it up.
MADE_UP = ("company_id", "workplace", "priority", "tags", "stage_id", "category", "stage_since", "round", "round_name",
           "close_reason", "furthest_stage_id", "furthest_category", "furthest_round", "deadline", "follow_up_at",
           "last_activity_at")  # fmt: skip
APPLICATION = ", ".join(f"a.{name}" for name in ("id", *GIVEN, *MADE_UP, "created_at", "updated_at", "version"))
USER = """u.id, u.email, u.email_verified, u.first_name, u.last_name, u.company, u.picture_url, u.time_zone, u.role,
          u.created_at, u.deletion_due_at"""
STATEMENTS = {
    "profile": f"SELECT row_to_json(r)::text FROM (SELECT {USER}, reminders, version FROM users u WHERE id = $1) r",
    "list": f"""
        SELECT row_to_json(r)::text, created_at::text FROM (
            SELECT {APPLICATION} FROM applications a WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2
        ) r""",
    "create": f"""
        INSERT INTO applications AS a (user_id, {", ".join(GIVEN)})
        VALUES ($1, {", ".join(f"${place}" for place in range(2, len(GIVEN) + 2))})
        RETURNING (SELECT row_to_json(r)::text FROM (SELECT {APPLICATION}) r)""",
    "find": "SELECT id::text, password_hash FROM users WHERE email = $1",
    "open": f"""
        WITH s AS (
            INSERT INTO sessions (user_id, expires_at) VALUES ($1, now() + interval '30 days') RETURNING id
        ) SELECT s.id::text, row_to_json(r)::text FROM s, (SELECT {USER} FROM users u WHERE id = $1) r""",
    "rotate": f"""
        UPDATE sessions s SET generation = generation + 1, rotated_at = now(), expires_at = now() + interval '30 days'
        FROM users u WHERE s.id = $1 AND generation = $2 AND expires_at > now() AND u.id = s.user_id
        RETURNING u.id::text, (SELECT row_to_json(r)::text FROM (SELECT {USER}) r)""",
}

Rows = Sequence[Sequence[bytes]]


# ---------------------------------------------------------------- the database


class Pool:
    """psycopg's own pool and cursors."""

    def __init__(self) -> None:
        options = {"autocommit": True, "cursor_factory": AsyncRawCursor}
        self._pool = AsyncConnectionPool(URL, min_size=CONNECTIONS, max_size=CONNECTIONS, open=False, kwargs=options)

    async def open(self) -> "Pool":
        await self._pool.open(wait=True)
        return self

    async def rows(self, name: str, values: Sequence[str | None]) -> Rows:
        async with self._pool.connection() as connection:
            found = await (await connection.execute(STATEMENTS[name], values, prepare=True)).fetchall()
        return [[value.encode() for value in row] for row in found]


class Link:
    """One connection, whose socket wakes whoever waits for its answer."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection, self._pg = connection, connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[PGresult]
        for name, text in STATEMENTS.items():
            self._pg.prepare(name.encode(), text.encode())
        self._loop.add_reader(connection.fileno(), self._on_readable)

    async def run(self, name: str, values: Sequence[str | None]) -> PGresult:
        self._answer = self._loop.create_future()
        self._pg.send_query_prepared(name.encode(), [None if value is None else value.encode() for value in values])
        self._pg.flush()
        return await self._answer

    def _on_readable(self) -> None:
        self._pg.consume_input()
        while not self._pg.is_busy():
            if (result := self._pg.get_result()) is None:
                return
            self._answer.set_result(result)


class Links:
    """A pool of them."""

    def __init__(self) -> None:
        self._idle: asyncio.LifoQueue[Link] = asyncio.LifoQueue()

    async def open(self) -> "Links":
        for _ in range(CONNECTIONS):
            self._idle.put_nowait(Link(await AsyncConnection.connect(URL, autocommit=True)))
        return self

    async def rows(self, name: str, values: Sequence[str | None]) -> Rows:
        link = await self._idle.get()
        result = await link.run(name, values)
        self._idle.put_nowait(link)
        if result.status != ExecStatus.TUPLES_OK:
            raise RuntimeError(result.error_message.decode())
        columns = range(result.nfields)
        return [[result.get_value(row, column) or b"" for column in columns] for row in range(result.ntuples)]


@lru_cache(maxsize=1)
def _database() -> "asyncio.Task[Pool | Links]":
    """Opened by whoever comes first, while the others wait."""
    return asyncio.create_task((Links() if os.environ.get("LIMIT_DRIVER") == "libpq" else Pool()).open())


async def rows(name: str, *values: str | None) -> Rows:
    return await (await _database()).rows(name, values)


# ---------------------------------------------------------------- tokens


class Refused(Exception):
    """A token that is none of ours, or is used up."""


@lru_cache(maxsize=4096)
def _prove(token: str) -> tuple[str, int]:
    try:
        claims = jwt.decode(token, KEY, ["HS256"])
    except jwt.InvalidTokenError:
        raise Refused from None
    return str(claims["sub"]), int(claims["exp"])


def caller(authorization: str) -> str:
    """The id of the user whom an Authorization header speaks for."""
    user, expires_at = _prove(authorization.removeprefix("Bearer "))
    if expires_at < time.time():
        raise Refused
    return user


def _tokens(session: bytes, generation: int, user: bytes, owner: bytes) -> bytes:
    now = int(time.time())
    claims = b'{"sub":"%b","sid":"%b","role":"user","iat":%d,"exp":%d,"jti":"%b"}'
    claims %= (user, session, now, now + LIFE, os.urandom(16).hex().encode())
    message = HEADER + b"." + urlsafe_b64encode(claims).rstrip(b"=")
    access = message + b"." + urlsafe_b64encode(hmac.digest(KEY, message, "sha256")).rstrip(b"=")
    sealed = session + generation.to_bytes(8)
    refresh = urlsafe_b64encode(sealed + hmac.digest(KEY, sealed, "sha256"))
    answer = b'{"access_token":"%b","token_type":"Bearer","expires_in":%d,"refresh_token":"%b",'
    return answer % (access, LIFE, refresh) + b'"refresh_expires_in":2592000,"user":%b}' % owner


# ---------------------------------------------------------------- requests


async def answer(method: str, path: str, limit: str, authorization: str, body: bytes) -> tuple[int, bytes]:
    """The status and the JSON for any request."""
    try:
        match method, path:
            case "GET", "/health":
                return 200, b'{"status":"ok","version":"0"}'
            case "GET", "/api/profile":
                ((document,),) = await rows("profile", caller(authorization))
                return 200, document
            case "GET", "/api/applications":
                return 200, await _list(caller(authorization), int(limit))
            case "POST", "/api/applications":
                given = orjson.loads(body)
                values = [None if (value := given.get(name)) is None else str(value) for name in GIVEN]
                ((document,),) = await rows("create", caller(authorization), *values)
                return 201, document
            case "POST", "/api/auth/refresh":
                return 200, await _refresh(orjson.loads(body)["refresh_token"])
            case _:
                return 200, await _login(**orjson.loads(body))
    except Refused:
        return 401, b"{}"


async def _list(user: str, limit: int) -> bytes:
    found = await rows("list", user, str(limit + 1))
    cursor = b'"%b"' % urlsafe_b64encode(found[limit - 1][1]) if len(found) > limit else b"null"
    return b'{"items":[%b],"next_cursor":%b}' % (b",".join(document for document, _ in found[:limit]), cursor)


async def _login(email: str, password: str) -> bytes:
    ((user, stored),) = await rows("find", email)
    await asyncio.get_running_loop().run_in_executor(_threads(), HASHER.verify, stored, password)
    ((session, owner),) = await rows("open", user.decode())
    return _tokens(session, 1, user, owner)


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count())


async def _refresh(token: str) -> bytes:
    sealed = urlsafe_b64decode(token)
    session, generation, seal = sealed[:36], int.from_bytes(sealed[36:44]), sealed[44:]
    if not hmac.compare_digest(seal, hmac.digest(KEY, sealed[:44], "sha256")):
        raise Refused
    found = await rows("rotate", session.decode(), str(generation))
    if not found:
        raise Refused
    return _tokens(session, generation + 1, *found[0])


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The limit as a bare ASGI application."""
    authorization = next((value.decode() for name, value in scope["headers"] if name == b"authorization"), "")
    body = (await receive())["body"] if scope["method"] == "POST" else b""
    limit = scope["query_string"].decode().removeprefix("limit=")
    status, content = await answer(scope["method"], scope["path"], limit, authorization, body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
