"""A calendar as RFC 5545 writes it.

Everything is a VEVENT. A task could be a VTODO, but Google Calendar and Outlook leave those out of the calendars they
subscribe to, and an entry that nobody sees reminds nobody.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from shared.calendar.models import Entry

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from icalendar import Event, Timezone, vText

REFRESH = timedelta(hours=1)
"""How often a client is asked to read the feed again (RFC 7986, section 5.7). Most do as they like."""


def write(entries: Sequence[Entry]) -> bytes:
    """The calendar of these entries. The same entries make the same bytes, so that a digest tells what has changed."""
    from zoneinfo import ZoneInfo

    from icalendar import Calendar  # brings dateutil; only a feed needs it

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
        calendar.add_component(_zone(ZoneInfo(zone), min(moments), max(moments)))
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
    event.add("summary", _text(entry.summary))
    if entry.location:
        event.add("location", _text(entry.location))
    if entry.people:
        event.add("description", _text("With " + ", ".join(entry.people)))
    event.add("status", "CANCELLED" if entry.is_cancelled else "CONFIRMED")
    return event


def _zone(zone: "ZoneInfo", first: datetime, last: datetime) -> "Timezone":
    """What a zone's clocks show from one moment to another, change by change (RFC 5545, section 3.6.5).

    Not by icalendar's own ``Timezone.from_tzinfo()``: of 7.3 it says when a clock is put forward by the time it shows
    afterwards, where the RFC wants the one it showed before.
    """
    from icalendar import Timezone, TimezoneDaylight, TimezoneStandard

    found = Timezone()
    found.add("tzid", zone.key)
    moment, end = first.astimezone(UTC) - timedelta(days=1), last.astimezone(UTC) + timedelta(days=1)
    before = moment.astimezone(zone).utcoffset()
    changes = [moment]
    while moment < end:
        following = moment + timedelta(hours=12)
        if following.astimezone(zone).utcoffset() != moment.astimezone(zone).utcoffset():
            changes.append(_change(zone, moment, following))
        moment = following
    for change in changes:
        here = change.astimezone(zone)
        observance = TimezoneDaylight() if here.dst() else TimezoneStandard()
        observance.add("dtstart", change.replace(tzinfo=None) + (before or timedelta()))
        observance.add("tzoffsetfrom", before)
        observance.add("tzoffsetto", here.utcoffset())
        observance.add("tzname", here.tzname())
        found.add_component(observance)
        before = here.utcoffset()
    return found


def _change(zone: "ZoneInfo", before: datetime, after: datetime) -> datetime:
    """The second at which the clocks change between two moments."""
    was = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == was:
            before = middle
        else:
            after = middle
    return after


def _local(entry: Entry) -> tuple[datetime, datetime]:
    """When it begins and ends where it takes place; in UTC where that cannot be said.

    An hour that a clock shows twice cannot: a local time means the first (RFC 5545, section 3.3.5), and not every
    program reads it so.
    """
    from zoneinfo import ZoneInfo

    starts_at, ends_at = (moment.astimezone(UTC).replace(microsecond=0) for moment in (entry.starts_at, entry.ends_at))
    try:
        zone = ZoneInfo(entry.time_zone or "UTC")
    except (ValueError, OSError, KeyError):  # one that this machine has never heard of
        return starts_at, ends_at
    here = starts_at.astimezone(zone), ends_at.astimezone(zone)
    if zone.key == "UTC" or any(_comes_twice(moment) for moment in here):
        return starts_at, ends_at
    return here


def _comes_twice(moment: datetime) -> bool:
    return moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset()


@cache
def _escaped() -> "type[vText]":
    """Text, escaped (RFC 5545, section 3.3.11); icalendar's own takes the ``\\N`` of "C:\\\\New" for a new line."""
    from icalendar import vText

    class Escaped(vText):
        def to_ical(self) -> bytes:
            return re.sub(r"[\\;,]", r"\\\g<0>", self).encode()

    return Escaped


def _text(text: str) -> "vText":
    return _escaped()(_line(text))


def _line(text: str) -> str:
    """Text without what ends a line, to whomever: what somebody called a thing must not become a line of its own."""
    import unicodedata

    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text).split())
