"""Sending what people are to be reminded of, without waking a sleeping database for nothing."""

import logging
from datetime import UTC, datetime
from time import monotonic

from shared import db, due, mail
from shared.reminders import queries

BATCH = 200
"""People a statement writes to: it has 8 seconds, and needs well under one."""

BUDGET = 120.0
"""Seconds in which one run begins batches; the host stops a function after five minutes."""

logger = logging.getLogger(__name__)


async def send(*, batch: int = BATCH, budget: float = BUDGET) -> int | None:
    """Write to everybody of whom something is due, and answer how many that were; None: there was no need to look.

    Asked every quarter of an hour, the database is asked only when ``due.is_time_to_look()``. Any number of processes
    may do so at once.
    """
    now = datetime.now(UTC)
    if not due.is_time_to_look(now):
        return None
    due.begin_look()
    stop_at = monotonic() + budget
    count = 0
    while True:
        ((reminded, next_at),) = await db.as_service().write(queries.SEND_REMINDERS, most=batch)
        count += int(reminded)
        if reminded < batch:
            break
        if monotonic() >= stop_at:
            logger.warning("ran out of time; the next run goes on")
            next_at = now
            break
    due.end_look(now, next_at)
    if count:
        logger.info("reminded %d people", count)
    mail.soon()  # also what waits for another attempt: the database is awake
    return count
