"""Forgetting what has served its purpose."""

import logging
from time import monotonic

from shared import db, settings
from shared.retention import queries

BATCH = 1000
"""Rows a statement takes: milliseconds of work, so that no lock is held for long."""

BUDGET = 120.0
"""Seconds one run may take; the host stops a function after five minutes. What is left waits for the next run."""

logger = logging.getLogger(__name__)


async def purge(*, batch: int = BATCH, budget: float = BUDGET) -> dict[str, int]:
    """Delete what is over, and answer how many rows of each table that were."""
    stop_at = monotonic() + budget
    purged = dict.fromkeys(queries.PURGES, 0)
    audit_days = settings.current().audit_retention_days
    for table, statement in queries.PURGES.items():
        while monotonic() < stop_at:
            ((count,),) = await db.as_service().write(statement, batch=batch, audit_days=audit_days)
            purged[table] += count
            if count < batch:
                break
        else:
            logger.warning("purge ran out of time at %s; the next run goes on", table)
    logger.info("purged %s", ", ".join(f"{count} {table}" for table, count in purged.items()))
    return purged
