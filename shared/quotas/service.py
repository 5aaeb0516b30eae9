"""Using what one may use: never more, under any concurrency, and nothing lost in a crash.

A reservation counts while it lives. Commit makes it used, release gives it back, and so does its expiry: a process that
dies between reserve and commit costs its user nothing but the wait.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from math import ceil
from typing import Literal
from uuid import UUID

from shared import db, documents
from shared.db import AnyCaller, Guard
from shared.documents import Document
from shared.errors import Problem
from shared.quotas import queries
from shared.quotas.models import Consumption, Quota, Quotas, Reservation, ReservationRequest


class QuotaExceeded(Problem):
    """Carries the quota's present state. ``Retry-After`` only where waiting helps."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "quota_exceeded"
    title = "The quota is used up"
    sqlstate = "JTQ29"

    @property
    def headers(self) -> Mapping[str, str]:
        metric = self.facts["metric"]
        fields = {"RateLimit-Policy": f'"{metric}";q={self.facts["limit"]}', "RateLimit": f'"{metric}";r=0'}
        if resets_at := self.facts["resets_at"]:
            wait = (datetime.fromisoformat(resets_at) - datetime.now(UTC)).total_seconds()
            fields["Retry-After"] = str(max(1, ceil(wait)))
        return fields


class ReservationExpired(Problem):
    """It came too late, and its units are used up. Carries the quota's present state."""

    status = HTTPStatus.CONFLICT
    code = "reservation_expired"
    title = "The reservation has expired, and its units are taken"
    sqlstate = "JTE09"


class ReservationSettled(Problem):
    """A commit after a release, or a release after a commit. Carries the ``state`` it is in."""

    status = HTTPStatus.CONFLICT
    code = "reservation_settled"
    title = "The reservation was settled the other way"
    sqlstate = "JTS09"


async def list_quotas(caller: AnyCaller) -> Document[Quotas]:
    rows = await db.enter(caller).read(queries.LIST_QUOTAS)
    return Document(rows[0][0])


async def get_quota(caller: AnyCaller, metric: str) -> Document[Quota]:
    return await documents.get(db.enter(caller), queries.GET_QUOTA, metric=metric)


async def consume(caller: AnyCaller, metric: str, request: Consumption) -> Document[Quota]:
    """Use units now.

    Raises:
        NotFound: there is no such metric.
        QuotaExceeded: not so many are left; none was used.
        IdempotencyKeyReused: the key was used for something else.
    """
    rows = await db.enter(caller).write(queries.CONSUME, metric=metric, units=request.units, key=request.key)
    return Document(rows[0][0])


async def reserve(caller: AnyCaller, metric: str, request: ReservationRequest) -> Document[Reservation]:
    """Hold units for ``ttl_seconds``. Raises as ``consume()`` does."""
    rows = await db.enter(caller).write(
        queries.RESERVE, metric=metric, units=request.units, key=request.key, ttl=request.ttl_seconds
    )
    return Document(rows[0][0])


async def settle(
    caller: AnyCaller, reservation_id: UUID, state: Literal["committed", "released"]
) -> Document[Reservation]:
    """Commit or release a reservation; doing the same again changes nothing.

    Raises:
        NotFound: the caller has no such reservation.
        ReservationExpired: it expired, and there is no room any more.
        ReservationSettled: it was settled the other way.
    """
    rows = await db.enter(caller).write(queries.SETTLE, id=reservation_id, state=state)
    return Document(rows[0][0])


def taking(metric: str, units: int = 1) -> Guard:
    """Uses some of a quota in the round trip of the statement that comes after, and raises QuotaExceeded before it."""
    return Guard(queries.TAKE, {"taken_metric": metric, "taken_units": units})
