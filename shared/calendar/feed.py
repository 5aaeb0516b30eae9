"""A calendar as RFC 5545 writes it.

Everything is a VEVENT. A task could be a VTODO, but Google Calendar and Outlook leave those out of the calendars they
subscribe to, and an entry that nobody sees reminds nobody.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.calendar.models import Entry

if TYPE_CHECKING:
    from icalendar import Event

REFRESH = timedelta(hours=1)
"""How often a client is asked to read the feed again (RFC 7986, section 5.7). Most do as they like."""


def write(entries: Sequence[Entry]) -> bytes:
    """The calendar of these entries. The same entries make the same bytes, so that a digest tells what has changed."""
    from zoneinfo import ZoneInfo

    from icalendar import Calendar, Timezone  # brings dateutil; only a feed needs it

    calendar = Calendar()
    calendar.add("prodid", "-//Jobtrail//Calendar feed//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("name", "Jobtrail")
    calendar.add("x-wr-calname", "Jobtrail")
    calendar.add("refresh-interval", REFRESH, parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", "PT1H")
    days: dict[str, list[datetime]] = {}
    events = []
    for entry in entries:
        starts_at, ends_at = _local(entry)
        events.append(_event(entry, starts_at, ends_at))
        if isinstance(starts_at.tzinfo, ZoneInfo):
            days.setdefault(starts_at.tzinfo.key, []).extend((starts_at, ends_at))
    for zone, moments in sorted(days.items()):
        first, last = (moment.date() for moment in (min(moments), max(moments)))
        # As far as it is needed and no further, with room for the hours by which the zone's days differ from UTC's.
        calendar.add_component(
            Timezone.from_tzinfo(ZoneInfo(zone), zone, first - timedelta(days=2), last + timedelta(days=2))
        )
    for event in events:
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _event(entry: Entry, starts_at: datetime, ends_at: datetime) -> "Event":
    from icalendar import Event

    event = Event()
    event.add("uid", f"{entry.id}@jobtrail")
    event.add("sequence", entry.sequence)
    # When this revision was made, and not when it was asked for: or nothing would ever be as it was at the last look.
    event.add("dtstamp", entry.changed_at.astimezone(UTC).replace(microsecond=0))
    event.add("created", entry.created_at.astimezone(UTC).replace(microsecond=0))
    event.add("last-modified", entry.changed_at.astimezone(UTC).replace(microsecond=0))
    event.add("dtstart", starts_at)
    event.add("dtend", ends_at)
    event.add("summary", _line(entry.summary))
    if entry.location:
        event.add("location", _line(entry.location))
    if entry.people:
        event.add("description", "With " + ", ".join(map(_line, entry.people)))
    event.add("status", "CANCELLED" if entry.is_cancelled else "CONFIRMED")
    return event


def _local(entry: Entry) -> tuple[datetime, datetime]:
    """When it begins and ends where it takes place; in UTC where that cannot be said.

    Of the hour that a clock shows twice a year, a local time means the first (RFC 5545, section 3.3.5).
    """
    from zoneinfo import ZoneInfo

    starts_at, ends_at = (moment.astimezone(UTC).replace(microsecond=0) for moment in (entry.starts_at, entry.ends_at))
    try:
        zone = ZoneInfo(entry.time_zone or "UTC")
    except (ValueError, OSError, KeyError):  # one that this machine has never heard of
        return starts_at, ends_at
    here = starts_at.astimezone(zone), ends_at.astimezone(zone)
    if zone.key == "UTC" or any(moment.fold for moment in here):
        return starts_at, ends_at
    return here


def _line(text: str) -> str:
    """Text without what ends a line, to whomever: what somebody called a thing must not become a line of its own."""
    import unicodedata

    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text).split())
