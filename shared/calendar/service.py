"""Making, showing and revoking the secret address of a calendar feed, and reading it."""

import asyncio

from shared import db, settings
from shared.calendar import feed, queries
from shared.calendar.models import Entry, Feed, NewFeed
from shared.db import Caller, Device, Guard
from shared.documents import Document
from shared.errors import NotFound
from shared.security.random_tokens import feed_tokens

DAYS = 90
"""How far back a feed goes."""

MOST = 5000
"""Entries of a feed, the earliest first: 2 MB of text."""

MINUTES = 15
"""How long a task or a follow-up takes in a calendar: one of no length is a line that is hard to see."""

INLINE = {"Content-Disposition": 'inline; filename="jobtrail.ics"'}


async def create_feed(caller: Caller, *, device: Device) -> NewFeed:
    """Make the address; an earlier one stops working. This answer is the only one that shows it."""
    token = feed_tokens.issue()
    door = db.enter(caller).guarded_by(db.from_device(device))
    ((created_at, _),) = await door.write(queries.REPLACE_FEED, digest=feed_tokens.digest(token))
    return NewFeed(url=f"{settings.current().own_url}/api/calendar/{token}.ics", created_at=created_at)


async def get_feed(caller: Caller) -> Document[Feed]:
    rows = await db.enter(caller).read(queries.GET_FEED)
    return Document(rows[0][0])


async def revoke_feed(caller: Caller, *, device: Device) -> None:
    """End the address.

    Raises:
        NotFound: there is none.
    """
    if not await db.enter(caller).guarded_by(db.from_device(device)).write(queries.REVOKE_FEED):
        raise NotFound


async def read_feed(token: str) -> bytes:
    """The calendar at a secret address.

    Raises:
        NotFound: there is no such address, or none any more.
    """
    digest = feed_tokens.read(token)
    if digest is None:
        raise NotFound
    door = db.as_service(Guard(queries.ENTER_WITH_FEED, {"feed_digest": digest}))
    entries = await door.read(queries.LIST_ENTRIES, row=Entry, days=DAYS, minutes=MINUTES, most=MOST)
    return await asyncio.to_thread(feed.write, entries)
