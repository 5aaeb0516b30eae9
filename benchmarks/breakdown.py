"""Where the microseconds of a request go: its parts one by one, and the whole, in this process and with one caller."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import reduce
from http import HTTPStatus
from inspect import isawaitable
from statistics import median
from typing import Any, NamedTuple
from unittest.mock import patch

import azure.functions as func
from psycopg import AsyncClientCursor, AsyncConnection
from psycopg.adapt import Transformer
from psycopg.pq.abc import PGresult

from benchmarks import inside, servers
from benchmarks.machine import command_line, description, number, table

SAMPLES = 200
TIMES = SAMPLES * 20  # tokens made beforehand, of which each is used once

Part = Callable[[], Any]


class Cost(NamedTuple):
    """Microseconds by the clock, and those in which this process computed."""

    clock: float
    processor: float

    def minus(self, other: "Cost") -> "Cost":
        return Cost(self.clock - other.clock, self.processor - other.processor)


def main(arguments: Sequence[str]) -> None:
    parser = command_line("breakdown", __doc__)
    servers.add_database(parser)
    options = parser.parse_args(arguments)
    with inside.app(options.database) as (app, database):
        tables = asyncio.run(_measure(app, database.url))
    print(description() + "\n")
    for name, rows in tables.items():
        print(table([name, "µs", "CPU µs", "of all CPU"], rows, markdown=options.markdown))


async def _measure(app: inside.App, url: str) -> dict[str, list[list[str]]]:
    link: AsyncConnection[Any] = await AsyncConnection.connect(url, autocommit=True)
    return {"profile": await _profile(app, link), "refresh": await _refresh(app, link)}


async def _profile(app: inside.App, link: AsyncConnection[Any]) -> list[list[str]]:
    from shared import http
    from shared.access import member
    from shared.db import Caller
    from shared.security import access_tokens

    user = await app.sign_in(1)
    authorization = f"Bearer {user.access_token}"
    caller = member.admit(authorization)
    assert isinstance(caller, Caller)
    unseen = iter(
        [
            access_tokens.issue(caller.user_id, caller.session_id, role="user", authenticated_at=0)[0]
            for _ in range(TIMES)
        ]
    )

    def request() -> func.HttpRequest:
        return inside.request("GET", "/api/profile", access_token=user.access_token)

    asked = request()
    sql = AsyncClientCursor(link)
    batch, values = await _statement(app["get_profile"](asked))
    text = sql.mogrify(batch, values).encode()
    found = link.pgconn.exec_(text)
    ((version, document),) = _load(link, found)
    headers = {"X-Request-Id": "0" * 32, "Cache-Control": "private, no-cache", "ETag": f'"{version}"'}
    parts: dict[str, Part] = {
        "HttpRequest": request,
        "request id and headers": lambda: http.Call(asked),
        "access token, remembered": lambda: member.admit(authorization),
        "values written into the SQL": lambda: sql.mogrify(batch, values).encode(),
        "exchange with PostgreSQL": lambda: link.pgconn.exec_(text),
        "rows loaded": lambda: _load(link, found),
        "HttpResponse": lambda: func.HttpResponse(document, headers=headers, mimetype=http.JSON),
    }
    unseen_first = "access token, seen for the first time"
    parts[unseen_first] = lambda: access_tokens.verify(next(unseen))
    return await _shares(link, parts, lambda: app["get_profile"](request()), unseen_first)


async def _refresh(app: inside.App, link: AsyncConnection[Any]) -> list[list[str]]:
    from shared import http
    from shared.accounts import User
    from shared.security import access_tokens, refresh_tokens
    from shared.sessions import RefreshRequest, Tokens

    def request(token: str) -> func.HttpRequest:
        return inside.request("POST", "/api/auth/refresh", json.dumps({"refresh_token": token}).encode())

    # Each token is used once: the handler presents those of one session, the exchange alone those of another.
    token, other = [(await app.sign_in(n)).refresh_token for n in (1, 2)]
    one, two = refresh_tokens.read(token), refresh_tokens.read(other)
    assert one is not None
    assert two is not None
    asked = request(token)
    sql = AsyncClientCursor(link)
    batch, values = await _statement(app["refresh"](asked))
    texts = iter([
        sql.mogrify(batch, {**values, "session_id": two.session_id, "generation": n}).encode() for n in range(1, TIMES)
    ])  # fmt: skip
    requests = iter([request(refresh_tokens.issue(one.session_id, generation=n)) for n in range(2, TIMES)])
    found = link.pgconn.exec_(next(texts))
    ((*_, owner),) = _load(link, found)
    user = User.model_validate_json(owner)
    access_token, life = access_tokens.issue(user.id, one.session_id, role=user.role, authenticated_at=0)

    def encode() -> str:
        tokens = Tokens(
            access_token=access_token, expires_in=life, refresh_token=token, refresh_expires_in=life, user=user
        )
        return tokens.model_dump_json()

    body, answer = asked.get_body(), encode()
    headers = {"X-Request-Id": "0" * 32, "Cache-Control": "no-store"}
    parts: dict[str, Part] = {
        "request id, headers, device": lambda: http.Call(asked).device,
        "body parsed": lambda: json.loads(body.decode()),
        "body validated": lambda: RefreshRequest.model_validate_json(body),
        "refresh token's seal": lambda: refresh_tokens.read(token),
        "values written into the SQL": lambda: sql.mogrify(batch, values).encode(),
        "exchange with PostgreSQL": lambda: link.pgconn.exec_(next(texts)),
        "rows loaded": lambda: _load(link, found),
        "user read": lambda: User.model_validate_json(owner),
        "access token made": lambda: access_tokens.issue(user.id, one.session_id, role=user.role, authenticated_at=0),
        "refresh token made": lambda: refresh_tokens.issue(one.session_id, generation=1),
        "answer encoded": encode,
        "HttpResponse": lambda: func.HttpResponse(answer, headers=headers, mimetype=http.JSON),
    }
    return await _shares(link, parts, lambda: app["refresh"](next(requests)))


async def _statement(request: Awaitable[func.HttpResponse]) -> tuple[bytes, Mapping[str, Any]]:
    """What a request sends to the database, before the values are written into it."""
    sent: list[tuple[bytes, Mapping[str, Any]]] = []
    mogrify = AsyncClientCursor.mogrify

    def note(cursor: AsyncClientCursor[Any], query: bytes, values: Mapping[str, Any]) -> str:
        sent.append((query, values))
        return mogrify(cursor, query, values)

    with patch.object(AsyncClientCursor, "mogrify", note):
        assert (await request).status_code == HTTPStatus.OK
    return sent[0]


def _load(link: AsyncConnection[Any], result: PGresult) -> list[tuple[Any, ...]]:
    loader = Transformer(link)
    loader.set_pgresult(result)
    return loader.load_rows(0, result.ntuples, tuple)


async def _shares(
    link: AsyncConnection[Any], parts: dict[str, Part], whole: Callable[[], Awaitable[Any]], *aside: str
) -> list[list[str]]:
    """Medians of the parts and of the whole. Parts named ``aside`` are no part of this request."""
    from shared import db

    parts["(SELECT 1 by libpq)"] = lambda: link.pgconn.exec_(b"SELECT 1")
    parts["(SELECT 1 by the app)"] = lambda: db.as_service().read(b"SELECT 1")
    samples: dict[str, list[Cost]] = {name: [] for name in [*parts, "the whole"]}
    for _ in range(SAMPLES):
        for name, part in parts.items():
            # A part alone, over and over, would find everything in the processor's caches; a request does not.
            samples["the whole"].append(await _cost(whole))
            samples[name].append(await _cost(part))
    costs = {name: Cost(*map(median, zip(*each, strict=True))) for name, each in samples.items()}
    total = costs.pop("the whole")
    waiting = costs.pop("(SELECT 1 by the app)").minus(costs.pop("(SELECT 1 by libpq)"))
    shown = {name: cost for name, cost in costs.items() if name not in aside}
    shown["event loop and pool"] = waiting
    shown["what lies between"] = reduce(Cost.minus, shown.values(), total)
    shown["the whole"] = total
    return [
        [name, number(cost.clock), number(cost.processor), f"{cost.processor / total.processor:.0%}"]
        for name, cost in (shown | {name: costs[name] for name in aside}).items()
    ]


async def _cost(part: Part) -> Cost:
    clock, processor = time.perf_counter(), time.process_time()
    if isawaitable(outcome := part()):
        await outcome
    return Cost((time.perf_counter() - clock) * 1e6, (time.process_time() - processor) * 1e6)
