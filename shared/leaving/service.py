"""What somebody who leaves may ask for: a copy of everything, and an end of it, with seven days to think again."""

import asyncio
import logging
from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic

from shared import db, files, mail, quotas
from shared.db import Caller, Device, Guard
from shared.documents import Document
from shared.errors import Problem
from shared.health import SCHEMA_REVISION
from shared.leaving import archive, queries
from shared.leaving.models import Deletion

DAYS = 7
"""Between asking for an account's end and its end."""

BATCH = 1000
"""Rows a statement takes."""

BUDGET = 120.0
"""Seconds in which one run begins something new; the host stops a function after five minutes."""

logger = logging.getLogger(__name__)


class AdminCannotLeave(Problem):
    status = HTTPStatus.CONFLICT
    code = "admin_cannot_leave"
    title = "An administrator cannot leave; let another administrator take the role from you first"


class NoDeletionPending(Problem):
    status = HTTPStatus.CONFLICT
    code = "no_deletion_pending"
    title = "This account is not about to be deleted"


async def export(caller: Caller, *, device: Device) -> bytes:
    """Everything the caller's account holds, as a zip; no secrets. Counts against the quota ``exports``.

    Raises:
        QuotaExceeded: enough for today.
        FilesUnavailable: the files themselves cannot be had, and there is no copy without them.
    """
    noted = Guard(queries.NOTE_EXPORT, {"exported": caller.user_id})
    door = db.enter(caller).guarded_by(db.from_device(device), quotas.taking("exports"), noted)
    tables = dict(await door.write(queries.EXPORT))
    contents = await files.contents_of(caller.user_id, tables)
    return await asyncio.to_thread(
        archive.pack,
        tables,
        contents,
        schema=SCHEMA_REVISION,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        account=str(caller.user_id),
        left_out={holding.table: holding.why_not for holding in queries.HOLDINGS if holding.why_not},
    )


async def leave(caller: Caller, *, device: Device) -> Document[Deletion]:
    """Have the account deleted in seven days. Every other session ends; the owner is told by mail.

    Raises:
        AdminCannotLeave: the caller is an administrator.
    """
    message = mail.Message("account_deletion_requested", later=("due",))
    door = db.enter(caller).guarded_by(db.from_device(device))
    rows = await door.write(queries.LEAVE, days=DAYS, **message.params())
    if not rows:
        raise AdminCannotLeave
    mail.soon()
    return Document(rows[0][0])


async def restore(caller: Caller, *, device: Device) -> None:
    """Take the deletion back, which is possible until its day.

    Raises:
        NoDeletionPending: there is nothing to take back.
    """
    message = mail.Message("account_deletion_cancelled")
    door = db.enter(caller).guarded_by(db.from_device(device))
    if not await door.write(queries.RESTORE, **message.params()):
        raise NoDeletionPending
    mail.soon()


async def erase(*, batch: int = BATCH, budget: float = BUDGET) -> int:
    """Take accounts apart whose day has come, and answer how many are gone.

    Each step may be done twice, or by several at once, or be the last one for now: the next run goes on where this one
    stopped. The account's own row goes last, together with its log, of which a tombstone stays.
    """
    stop_at = monotonic() + budget
    message = mail.Message("account_deleted")
    gone = 0
    while monotonic() < stop_at:
        shut = await db.as_service().write(queries.SHUT)
        if not shut:
            return gone
        ((user_id,),) = shut
        await files.forget(user_id)  # first, while there are rows that say whose they are; what is down now is later
        for bite in queries.BITES.values():
            count = batch
            while count == batch and monotonic() < stop_at:
                ((count,),) = await db.as_service().write(bite, user_id=user_id, batch=batch)
        if monotonic() < stop_at:
            ((is_gone,),) = await db.as_service().write(
                queries.ERASE, user_id=user_id, mail_template=message.template, mail_sealed=message.sealed()
            )
            gone += is_gone
            mail.soon()
    logger.warning("ran out of time; the next run goes on")
    return gone
