"""The calendar feed, read back by two parsers that know nothing of each other or of how it was written."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import icalendar
import pytest
import vobject
from dateutil.tz import tzical
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.calendar import feed
from shared.calendar.models import Entry
from shared.security.random_tokens import feed_tokens
from tests.conftest import Client, Person
from tests.leaving.conftest import Sql

BERLIN = ZoneInfo("Europe/Berlin")
SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)

Read = dict[str, tuple[datetime, datetime, str]]
"""By UID: when an entry begins and ends, in UTC, and what it is called."""


def parsed(text: bytes) -> Any:
    return icalendar.Calendar.from_ical(text)


def by_icalendar(text: bytes) -> Read:
    calendar = parsed(text)
    return {
        str(event["uid"]): (
            event["dtstart"].dt.astimezone(UTC),
            event["dtend"].dt.astimezone(UTC),
            str(event["summary"]),
        )
        for event in calendar.walk("VEVENT")
    }


def by_vobject(text: bytes) -> Read:
    """vobject, with the calendar's own time zones, and not the machine's.

    dateutil reads them, as vobject would have it do; by itself it takes one that was UTC until 2020 for UTC, registers
    none, and asks pytz, which knows nothing beyond 2037.
    """
    zones = tzical(StringIO(text.decode()))
    for name in zones.keys():  # noqa: SIM118 - it is no mapping
        vobject.icalendar.registerTzid(name, zones.get(name))
    calendar = vobject.readOne(text.decode())
    return {
        event.uid.value: (
            event.dtstart.value.astimezone(UTC),
            event.dtend.value.astimezone(UTC),
            event.summary.value,
        )
        for event in calendar.contents.get("vevent", [])
    }


@pytest.fixture(autouse=True)
def no_zones_of_other_calendars() -> Iterator[None]:
    """vobject keeps the time zones of every calendar that it ever read, by their names."""
    known = vobject.icalendar.__dict__["__tzidMap"]
    before = dict(known)
    known.clear()
    known.update({"UTC": before["UTC"]})
    yield
    known.clear()
    known.update(before)


def read(text: bytes) -> Read:
    """What both make of it, which is the same."""
    vobject.icalendar.__dict__["__tzidMap"].pop("Europe/Berlin", None)
    found = by_icalendar(text)
    assert by_vobject(text) == found
    return found


def subscribe(person: Person) -> str:
    """Make a feed; gives its path."""
    answer = person.post("/api/calendar/feed")
    assert answer.status_code == 201, answer.text
    url = httpx.URL(answer.json()["url"])
    assert str(url).startswith("https://api.example.com/api/calendar/jtf_")
    return url.path


def fetched(client: Client, path: str) -> bytes:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert "set-cookie" not in answer.headers
    return answer.content


def interview(person: Person, **fields: Any) -> dict[str, Any]:
    application = person.create_application(company="Contoso", position="Engineer")["id"]
    body = {"kind": "video", "starts_at": SOON.isoformat(), "time_zone": "Europe/Berlin"} | fields
    answer = person.post(f"/api/applications/{application}/interviews", body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def entry(starts_at: datetime, time_zone: str | None, *, minutes: int = 60, number: int = 1, **fields: Any) -> Entry:
    given_fields: dict[str, Any] = {
        "id": UUID(int=number),
        "sequence": 0,
        "created_at": starts_at,
        "changed_at": starts_at,
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(minutes=minutes),
        "time_zone": time_zone,
        "summary": "Interview",
        "location": None,
        "people": [],
        "is_cancelled": False,
    }
    return Entry(**given_fields | fields)


# ---------------------------------------------------------------- what stands in it


def test_interviews_open_tasks_and_follow_ups_stand_in_it(person: Person, client: Client) -> None:
    held = interview(person, title="With the team", duration_minutes=90, location="Room 7", interviewers=["Grace"])
    due = SOON + timedelta(hours=5)
    task = person.post("/api/tasks", {"title": "Call them", "due_at": due.isoformat()}).json()
    person.post("/api/tasks", {"title": "Done", "due_at": due.isoformat(), "done": True})
    person.post("/api/tasks", {"title": "Some day"})
    applied = person.create_application(company="Initech", position="Analyst", status="applied")
    text = fetched(client, subscribe(person))
    follow_up = datetime.fromisoformat(applied["follow_up_at"])
    quarter = timedelta(minutes=15)
    assert read(text) == {
        f"{held['id']}@jobtrail": (SOON, SOON + timedelta(minutes=90), "With the team: Engineer, Contoso"),
        f"{task['id']}@jobtrail": (due, due + quarter, "Call them"),
        f"{applied['id']}@jobtrail": (follow_up, follow_up + quarter, "Follow up: Analyst, Initech"),
    }
    calendar = parsed(text)
    event = next(e for e in calendar.walk("VEVENT") if e["uid"] == f"{held['id']}@jobtrail")
    assert (event["location"], event["description"], event["status"]) == ("Room 7", "With Grace", "CONFIRMED")
    assert event["dtstart"].params["TZID"] == "Europe/Berlin"
    assert (calendar["method"], calendar["version"], calendar["x-wr-calname"]) == ("PUBLISH", "2.0", "Jobtrail")
    assert calendar["refresh-interval"].params["VALUE"] == "DURATION"
    assert calendar["refresh-interval"].dt == timedelta(hours=1)


def test_an_entry_keeps_its_uid_and_its_sequence_grows_with_it(person: Person, client: Client) -> None:
    held, path = interview(person), subscribe(person)
    place = f"/api/applications/{held['application_id']}"

    def seen() -> tuple[str, int, datetime, str]:
        (event,) = parsed(fetched(client, path)).walk("VEVENT")
        return str(event["uid"]), int(event["sequence"]), event["dtstamp"].dt, str(event["status"])

    first = seen()
    person.patch(f"{place}/interviews/{held['id']}", {"outcome": "cancelled"})
    second = seen()
    person.patch(place, {"company": "Initech"})
    third = seen()
    assert first[0] == second[0] == third[0] == f"{held['id']}@jobtrail"
    assert first[1] == 0
    assert first[1] < second[1] < third[1]
    assert first[2] <= second[2] <= third[2]
    assert (first[3], second[3]) == ("CONFIRMED", "CANCELLED")
    person.delete(f"{place}/interviews/{held['id']}")
    assert read(fetched(client, path)) == {}


def test_it_goes_ninety_days_back_and_holds_five_thousand_at_most(person: Person, client: Client, sql: Sql) -> None:
    sql.execute(
        """INSERT INTO tasks (user_id, title, due_at)
           SELECT %s, n::text, now() + make_interval(days => -91 + 2 * n, hours => 1)
           FROM generate_series(0, 1) AS n""",
        [person.id],
    )
    path = subscribe(person)
    assert [what for _, _, what in read(fetched(client, path)).values()] == ["1"]
    sql.execute(
        """INSERT INTO tasks (user_id, title, due_at)
           SELECT %s, 'x', now() + make_interval(hours => n) FROM generate_series(1, 5001) AS n""",
        [person.id],
    )
    assert fetched(client, path).count(b"BEGIN:VEVENT") == 5000


# ---------------------------------------------------------------- the address


def test_another_address_ends_the_one_before_and_revoking_ends_the_last(person: Person, client: Client) -> None:
    def state() -> tuple[bool, bool]:
        told = person.get("/api/calendar/feed").json()
        return told["active"], told["last_read_at"] is not None

    assert state() == (False, False)
    first = subscribe(person)
    assert state() == (True, False)
    fetched(client, first)
    assert state() == (True, True)
    second = subscribe(person)
    assert client.get(first).status_code == 404
    fetched(client, second)
    assert person.delete("/api/calendar/feed").status_code == 204
    assert client.get(second).status_code == 404
    assert person.delete("/api/calendar/feed").status_code == 404
    events = [item["event"] for item in person.get("/api/account/activity").json()["items"]]
    assert events[:3] == ["calendar_feed_revoked", "calendar_feed_created", "calendar_feed_created"]


def test_a_wrong_address_reads_like_a_path_that_is_none(client: Client) -> None:
    answers = [
        client.get(path).json() | {"request_id": ""}
        for path in (
            f"/api/calendar/{feed_tokens.issue()}.ics",
            "/api/calendar/jtf_.ics",
            "/api/calendar/" + "x" * 300 + ".ics",
            "/api/calendar/%00.ics",
            "/api/nothing",
        )
    ]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["status"] == 404


def test_the_database_keeps_no_address(person: Person, sql: Sql) -> None:
    token = subscribe(person).rpartition("/")[2].removesuffix(".ics")
    row = sql.execute("SELECT row_to_json(f)::text FROM calendar_feeds f WHERE user_id = %s", [person.id]).fetchone()
    assert row
    assert token not in row[0]
    assert len(token) == 47


def test_a_disabled_account_has_no_feed(person: Person, client: Client, sql: Sql) -> None:
    path = subscribe(person)
    sql.execute("UPDATE users SET disabled_at = now() WHERE id = %s", [person.id])
    assert client.get(path).status_code == 404


def test_a_feed_shows_its_owners_things_only(new_person: Callable[..., Person], client: Client) -> None:
    ada, bob = new_person(), new_person()
    hers = interview(ada)
    interview(bob)
    assert set(read(fetched(client, subscribe(ada)))) == {f"{hers['id']}@jobtrail"}


def test_what_has_not_changed_is_not_sent_again(person: Person, client: Client) -> None:
    interview(person)
    path = subscribe(person)
    first = client.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    interview(person)
    changed = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


# ---------------------------------------------------------------- time zones

ZONES = (
    *("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca"),
    *("Antarctica/Troll", "America/Sao_Paulo", "Pacific/Kiritimati", "Asia/Kathmandu"),
)


@pytest.mark.parametrize("zone", ZONES)
def test_every_hour_around_a_change_of_the_clocks_is_the_same_hour_to_both(zone: str) -> None:
    entries: list[Entry] = []
    here = ZoneInfo(zone)
    hour = datetime(2026, 1, 1, tzinfo=UTC)
    changes = []
    for _ in range(2 * 366 * 24):
        if hour.astimezone(here).utcoffset() != (hour + timedelta(hours=1)).astimezone(here).utcoffset():
            changes.append(hour)
        hour += timedelta(hours=1)
    for change in changes or [datetime(2026, 6, 1, tzinfo=UTC)]:
        for half in range(-6, 7):
            entries.append(entry(change + timedelta(minutes=30 * half), zone, number=len(entries) + 1))
    assert read(feed.write(entries)) == {f"{e.id}@jobtrail": (e.starts_at, e.ends_at, "Interview") for e in entries}


def test_both_of_two_equal_hours_are_told_in_utc() -> None:
    """A local time that comes twice means the first one (RFC 5545, section 3.3.5), but not to everybody."""
    first = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN).astimezone(UTC)
    text = feed.write([entry(first, "Europe/Berlin", minutes=20), entry(first + timedelta(hours=1), "Europe/Berlin")])
    assert b"DTSTART:20261025T003000Z" in text
    assert b"DTSTART:20261025T013000Z" in text


def test_a_zone_that_this_machine_does_not_know_is_no_reason_to_show_nothing() -> None:
    assert b"DTSTART:20270107T090000Z" in feed.write([entry(datetime(2027, 1, 7, 9, tzinfo=UTC), "Mars/Olympus")])


@settings(max_examples=30, deadline=None)
@given(
    moments=st.lists(
        st.integers(1_767_225_600, 2_208_988_800).map(lambda second: datetime.fromtimestamp(second, UTC)),
        min_size=1,
        max_size=3,
    ),
    zone=st.sampled_from(ZONES),
    minutes=st.integers(1, 1440),
)
@example(
    moments=[datetime(2038, 5, 10, 13, 25, 22, tzinfo=UTC), datetime(2037, 1, 22, tzinfo=UTC)],
    zone="Antarctica/Troll",
    minutes=1,
)
def test_any_moment_in_any_zone_is_the_same_to_both(moments: list[datetime], zone: str, minutes: int) -> None:
    vobject.icalendar.__dict__["__tzidMap"].pop(zone, None)
    entries = [entry(moment, zone, minutes=minutes, number=n + 1) for n, moment in enumerate(moments)]
    assert read(feed.write(entries)) == {f"{e.id}@jobtrail": (e.starts_at, e.ends_at, "Interview") for e in entries}


# ---------------------------------------------------------------- texts

HOSTILE = (
    "x\r\nBEGIN:VEVENT\r\nUID:evil\r\nEND:VEVENT",
    "x\rATTACH:https://evil.example",
    "x\nATTENDEE:mailto:eve@example.com",
    "x\u2028END:VCALENDAR\u2029\x0b\x0c\x1c\x85y",
    'a\\nb; c, d: "e"\\',
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 40,
    "\u00fc" * 200,
    "C:\\New\\new",
)


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=200))
@example(HOSTILE[0])
@example(HOSTILE[1])
@example(HOSTILE[2])
@example(HOSTILE[3])
@example(HOSTILE[4])
@example(HOSTILE[5])
@example(HOSTILE[6])
@example(HOSTILE[7])
def test_no_text_is_anything_but_text(text: str) -> None:
    written = feed.write(
        [entry(SOON, "Europe/Berlin", summary=f"x{text}x", location=f"x{text}x", people=[f"x{text}x"] * 2)]
    )
    lines = written.split(b"\r\n")
    assert all(len(line) <= 75 for line in lines), "longer than 75 octets (RFC 5545, section 3.1)"
    assert not any(b"\n" in line or b"\r" in line for line in lines)
    for line in lines:
        line.decode()  # no character is cut in two
    names = {line.partition(b":")[0].partition(b";")[0] for line in lines if line and not line.startswith(b" ")}
    assert not names & {b"ATTACH", b"ATTENDEE", b"URL", b"ORGANIZER", b"X"}
    assert lines.count(b"BEGIN:VEVENT") == 1
    ((_, _, summary),) = read(written).values()
    assert summary == feed._line(f"x{text}x")
    (event,) = parsed(written).walk("VEVENT")
    assert (event["location"], event["description"]) == (summary, f"With {summary}, {summary}")


def test_hostile_titles_stay_titles_all_the_way(person: Person, client: Client) -> None:
    for title in HOSTILE:
        interview(person, title=title[:200], location=title, interviewers=[title[:200]])
    text = fetched(client, subscribe(person))
    assert len(read(text)) == len(HOSTILE)
    assert b"\r\nUID:evil" not in text
