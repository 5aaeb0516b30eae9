"""Reading the audit log, and the one kind of event that no transaction can write: a refusal that undid its own."""

import json
import logging
from time import monotonic
from typing import Any

import psycopg

from shared import db, documents, limits
from shared.audit import queries
from shared.audit.models import Activity, ActivityQuery, AuditEvent, AuditQuery
from shared.db import Caller, Device, Door
from shared.documents import Page
from shared.errors import DatabaseUnavailable, RateLimited

NOTED_AT_ONCE = 1000
"""Limits met that a process remembers to have noted. Beyond that it notes none, until one of their windows ends."""

logger = logging.getLogger(__name__)
_noted: dict[tuple[str, str], float] = {}


async def list_activity(caller: Caller, query: ActivityQuery) -> Page[Activity]:
    """What happened to the caller's account, the newest first."""
    return await _page(db.enter(caller), queries.LIST_ACTIVITY, query)


async def search_events(caller: Caller, query: AuditQuery) -> Page[AuditEvent]:
    """What happened to anybody, for an administrator, the newest first."""
    filters = {
        "user_id": query.user_id,
        "actor_id": query.actor_id,
        "ip": query.ip,
        "from": query.from_,
        "to": query.to,
    }
    return await _page(db.administer(caller), queries.SEARCH_EVENTS, query, **filters)


async def note_limit(met: RateLimited, *, device: Device) -> None:
    """Write down that a limit was met: once for each window and network, or the log would be what floods."""
    window = (met.facts["policy"], limits.network(device.ip))
    now = monotonic()
    if _noted.get(window, now) > now:
        return
    if len(_noted) >= NOTED_AT_ONCE:
        for past in [key for key, until in _noted.items() if until <= now]:
            del _noted[past]
        if len(_noted) >= NOTED_AT_ONCE:
            return
    _noted[window] = now + met.facts["retry_after"]
    facts = json.dumps({name: met.facts[name] for name in ("policy", "limit", "window")})
    try:
        await db.as_service(db.from_device(device)).write(queries.NOTE_LIMIT, facts=facts)
    except (DatabaseUnavailable, psycopg.Error) as failure:  # the refusal itself stands
        logger.warning("not written down that %s was met: %s", met.facts["policy"], failure)


async def _page(door: Door, statement: bytes, query: ActivityQuery | AuditQuery, **filters: Any) -> Page[Any]:
    return await documents.page(
        door,
        statement,
        sort="-created_at",
        cursor=query.cursor,
        limit=query.limit,
        event=query.event,
        succeeded=query.succeeded,
        **filters,
    )
