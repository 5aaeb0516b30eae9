"""What an administrator does. Every change is one call of a function that decides, writes, and tells the audit log."""

from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic
from typing import Any
from uuid import UUID

from shared import connections, db, documents, metrics
from shared.admin import exposition, queries
from shared.admin.models import (
    AccountChanges,
    AdminQuota,
    Ending,
    Grant,
    Metrics,
    MetricsQuery,
    PoolMetrics,
    ProcessMetrics,
    RouteMetrics,
    StoredMetrics,
    UserDetails,
    UserQuery,
    UserSummary,
)
from shared.db import Caller, Device, Door, Guard
from shared.documents import Document, Page
from shared.errors import NotFound, Problem
from shared.fields import PlainText
from shared.sessions import RevokedSessions

KEPT = 10.0
"""Seconds for which what the database said stands: however often somebody scrapes, it is not asked more often."""

_last: tuple[float, StoredMetrics] | None = None


class LastAdmin(Problem):
    status = HTTPStatus.CONFLICT
    code = "last_admin"
    title = "There would be no administrator left; make somebody else one first"
    sqlstate = "JTA09"


async def search_users(caller: Caller, query: UserQuery) -> Page[UserSummary]:
    """One page of accounts. Part of a text is looked for in every account: milliseconds for each ten thousand."""
    return await documents.page(
        db.administer(caller),
        queries.SEARCH_USERS[query.sort],
        sort=query.sort,
        cursor=query.cursor,
        limit=query.limit,
        **query.model_dump(include={"q", "role", "active", "created_from", "created_to"}),
    )


async def get_user(caller: Caller, user_id: UUID) -> Document[UserDetails]:
    """An account in full.

    Raises:
        NotFound: there is no such account.
    """
    return _found(await db.administer(caller).read(queries.GET_USER, user_id=user_id))


async def change_user(
    caller: Caller, user_id: UUID, changes: AccountChanges, *, device: Device
) -> Document[UserDetails]:
    """Change the role, or whether the account is active. Disabling it ends its sessions; both hold at once.

    Raises:
        NotFound: there is no such account.
        LastAdmin: there would be no active administrator left.
        Forbidden: the caller has ceased to be one meanwhile.
    """
    given = changes.model_dump(exclude_unset=True)
    change = {"role": given.get("role"), "active": given.get("active"), "reason": changes.reason}
    door = _changing(caller, queries.CHANGE_USER, user_id, device, **change)
    return _found(await door.write(queries.GET_USER))


async def end_sessions(caller: Caller, user_id: UUID, request: Ending, *, device: Device) -> RevokedSessions:
    """End all of somebody's sessions.

    Raises:
        NotFound: there is no such account.
    """
    door = db.administer(caller).guarded_by(db.from_device(device))
    ((ended,),) = await door.write(
        queries.END_SESSIONS, actor_id=caller.user_id, user_id=user_id, reason=request.reason
    )
    return RevokedSessions(revoked=ended)


async def grant_quota(
    caller: Caller, user_id: UUID, metric: str, grant: Grant, *, device: Device
) -> Document[AdminQuota]:
    """Let somebody use more, or less, than their role may.

    Raises:
        NotFound: there is no such account or metric.
    """
    door = _changing(
        caller, queries.GRANT_QUOTA, user_id, device, metric=metric, units=grant.units, reason=grant.reason
    )
    return _found(await door.write(queries.GET_QUOTA))


async def restore_quota(caller: Caller, user_id: UUID, metric: str, *, device: Device) -> None:
    """Take back what was granted: the role's own limit holds again.

    Raises:
        NotFound: nothing was granted.
    """
    door = db.administer(caller).guarded_by(db.from_device(device))
    await door.write(queries.RESTORE_QUOTA, actor_id=caller.user_id, user_id=user_id, metric=metric)


async def get_metrics(caller: Caller, query: MetricsQuery, *, accept: str | None) -> Metrics | PlainText:
    """How this process and the database are doing, without anybody's name or address."""
    global _last
    pool = connections.pool().state
    if _last is not None and monotonic() - _last[0] < KEPT:
        await db.admit(caller)
        stored = _last[1]
    else:
        ((measured,),) = await db.administer(caller).read(queries.MEASURE)
        stored = StoredMetrics.model_validate_json(measured)
        _last = monotonic(), stored
    found = Metrics(
        process=ProcessMetrics(id=metrics.PROCESS_ID, started_at=datetime.fromtimestamp(metrics.STARTED_AT, UTC)),
        pool=PoolMetrics(size=pool.size, open=pool.open, idle=pool.idle, waiting=pool.waiting),
        routes=[_route(name, served) for name, served in sorted(metrics.routes.items())],
        refusals=dict(sorted(metrics.refusals.items())),
        database=stored,
    )
    if (query.format or _preferred(accept)) == "json":
        return found
    return PlainText(exposition.text(found), exposition.MEDIA_TYPE)


def _changing(caller: Caller, change: bytes, user_id: UUID, device: Device, **params: Any) -> Door:
    """A door behind which the change has been made: the statement that follows sees it."""
    guard = Guard(change, {"actor_id": caller.user_id, "user_id": user_id, **params})
    return db.administer(caller).guarded_by(db.from_device(device), guard)


def _found(rows: list[tuple[Any, ...]]) -> Document[Any]:
    if not rows:
        raise NotFound
    return Document(rows[0][0])


def _route(name: str, served: metrics.Served) -> RouteMetrics:
    within, total = {}, 0
    for bound, count in zip((*map(str, metrics.BOUNDS), "+Inf"), served.buckets, strict=True):
        total += count
        within[bound] = total
    statuses = {str(status): count for status, count in sorted(served.statuses.items())}
    return RouteMetrics(route=name, statuses=statuses, seconds=round(served.seconds, 6), within=within)


def _preferred(accept: str | None) -> str:
    """The first of the media types a client names that we have; Prometheus names several, text/plain among them."""
    for given in (accept or "").split(","):
        match given.partition(";")[0].strip().lower():
            case "text/plain":
                return "prometheus"
            case "application/json" | "application/*":
                return "json"
    return "json"
