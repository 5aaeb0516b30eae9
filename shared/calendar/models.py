"""What a calendar feed is, and what stands in it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.fields import Moment, Response


class Feed(Response):
    """Whether the caller's dates can be read at a secret address. ``last_read_at`` is exact to an hour."""

    active: bool
    created_at: Moment | None
    last_read_at: Moment | None


class NewFeed(Response):
    """A feed just made. ``url`` is shown this once; whoever has it reads the dates."""

    url: str
    created_at: Moment


@dataclass(frozen=True, slots=True)
class Entry:
    """An event of the calendar. ``time_zone`` is where it takes place; None: anywhere, at that moment."""

    id: UUID
    sequence: int
    created_at: datetime
    changed_at: datetime
    starts_at: datetime
    ends_at: datetime
    time_zone: str | None
    summary: str
    location: str | None
    people: list[str]
    is_cancelled: bool
