"""Whether the app answers, and whether it could do its work."""

from http import HTTPStatus
from time import monotonic

import psycopg

from shared import VERSION, db
from shared.errors import DatabaseUnavailable, Unavailable
from shared.health import queries
from shared.health.models import Checks, Health, Readiness

KEPT = 10.0
"""Seconds an answer stands: whoever asks more often than that does not keep the database awake."""

SCHEMA_REVISION = "0018"
"""The newest migration: the schema this code is written for."""

_last: tuple[float, Checks] | None = None


class NotReady(Unavailable):
    """Carries ``checks``."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "not_ready"
    title = "The app cannot do its work now"


async def get_health() -> Health:
    return Health(version=VERSION)


async def get_readiness() -> Readiness:
    """What the database says of itself, at most ten seconds ago.

    Raises:
        NotReady: it cannot be reached, or its schema is not ours.
    """
    global _last
    if _last is None or monotonic() - _last[0] > KEPT:
        _last = monotonic(), await _check()
    checks = _last[1]
    if checks.database != "ok" or checks.migrations != "ok":
        raise NotReady(checks=checks.model_dump())
    return Readiness(checks=checks)


async def _check() -> Checks:
    try:
        rows = await db.as_service().read(queries.GET_SCHEMA_REVISION)
    except DatabaseUnavailable:
        return Checks(database="unreachable", migrations="unknown")
    except psycopg.Error:
        return Checks(database="ok", migrations="outdated")
    return Checks(database="ok", migrations="ok" if rows == [(SCHEMA_REVISION,)] else "outdated")
