"""Pages of a list: walked to the end they are the list, whatever is made or removed on the way."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.applications.models import Sort
from tests.applications.refusals import fault, invalid
from tests.conftest import Person

SORTS = [sort for sort in get_args(Sort) if sort != "relevance"]  # which needs a question: test_list_applications.py
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
YEAR = timedelta(days=365)

# The rows of an example are put in and taken out by the example itself, so one person serves them all.
EXAMPLES = settings(
    max_examples=20,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Row:
    """An application, as far as orders go. Few values, so that ties are the rule."""

    id: UUID
    company: str
    applied_on: date | None
    created_at: datetime
    updated_at: datetime
    follow_up_at: datetime | None = None
    last_activity_at: datetime = NOON

    def key(self, sort: str) -> tuple[Any, UUID]:
        """What an order compares; without a day applied, the earliest; without a follow-up, the last either way."""
        keys = {
            "company": self.company.lower(),
            "applied_on": self.applied_on or date.min,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "follow_up_at": self.follow_up_at or (NOON - YEAR if sort.startswith("-") else NOON + YEAR),
            "last_activity_at": self.last_activity_at,
        }
        return keys[sort.removeprefix("-")], self.id


moments = st.integers(0, 3).map(lambda microseconds: NOON + timedelta(microseconds=microseconds))
any_row = st.builds(
    Row,
    id=st.uuids(),
    company=st.sampled_from(["a", "A", "ab", "aB", "b", "B"]),
    applied_on=st.sampled_from([None, None, date(2026, 2, 28), date(2026, 3, 1)]),
    created_at=moments,
    updated_at=moments,
    follow_up_at=st.one_of(st.none(), moments),
    last_activity_at=moments,
)
lists = st.lists(any_row, max_size=14, unique_by=lambda row: row.id)


class Shelf:
    """The applications of one person, changed behind the app's back."""

    def __init__(self, sql: psycopg.Connection[Any], owner: Person) -> None:
        self._sql = sql
        self._owner = owner.id

    def fill(self, rows: list[Row]) -> None:
        self._sql.execute("DELETE FROM applications WHERE user_id = %s", [self._owner])
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        self._sql.execute(
            """
            INSERT INTO applications
                (id, user_id, company, position, applied_on, created_at, updated_at, follow_up_at, stage_since)
            VALUES (%s, %s, %s, 'Engineer', %s, %s, %s, %s, %s)
            """,  # whose last activity is that it entered its stage
            [
                *(row.id, self._owner, row.company, row.applied_on, row.created_at, row.updated_at),
                *(row.follow_up_at, row.last_activity_at),
            ],
        )

    def remove(self, row_id: UUID) -> None:
        self._sql.execute("DELETE FROM applications WHERE id = %s", [row_id])


@pytest.fixture
def shelf(sql: psycopg.Connection[Any], person: Person) -> Iterator[Shelf]:
    shelf = Shelf(sql, person)
    yield shelf
    shelf.fill([])


def pages(person: Person, **query: Any) -> Iterator[list[UUID]]:
    """The ids on each page, from the first to the last."""
    while True:
        response = person.get("/api/applications", params=query)
        assert response.status_code == 200, response.text
        page = response.json()
        yield [UUID(item["id"]) for item in page["items"]]
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]


def in_order(rows: list[Row], sort: str) -> list[UUID]:
    return [row.id for row in sorted(rows, key=lambda row: row.key(sort), reverse=sort.startswith("-"))]


# ---------------------------------------------------------------- walking


@pytest.mark.parametrize("sort", SORTS)
def test_pages_put_together_are_the_sorted_list(person: Person, shelf: Shelf, sort: str) -> None:
    @EXAMPLES
    @given(rows=lists, limit=st.integers(1, 7))
    def walk(rows: list[Row], limit: int) -> None:
        shelf.fill(rows)
        walked = list(pages(person, sort=sort, limit=limit))
        assert [row_id for page in walked for row_id in page] == in_order(rows, sort)
        assert [len(page) for page in walked[:-1]] == [limit] * (len(walked) - 1)
        assert len(walked) == max(1, -(-len(rows) // limit))  # and no empty page at the end

    walk()


@pytest.mark.parametrize("sort", SORTS)
def test_rows_that_come_and_go_disturb_no_other(person: Person, shelf: Shelf, sort: str) -> None:
    @EXAMPLES
    @given(rows=lists, limit=st.integers(1, 4), data=st.data())
    def walk(rows: list[Row], limit: int, data: st.DataObject) -> None:
        shelf.fill(rows)
        came: list[Row] = []
        gone: set[UUID] = set()
        seen: list[UUID] = []
        for page in pages(person, sort=sort, limit=limit):
            seen += page
            taken = {row.id for row in [*rows, *came]}
            for row in data.draw(st.lists(any_row.filter(lambda row: row.id not in taken), max_size=2)):  # noqa: B023
                shelf.add(row)
                came.append(row)
            # The last row of the page is the one the cursor was made of: its going must not matter either.
            present = [*seen[-1:], *(row.id for row in rows)]
            for row_id in data.draw(st.sets(st.sampled_from(present), max_size=3)) if present else ():
                shelf.remove(row_id)
                gone.add(row_id)
            if len(seen) > 40:
                raise AssertionError("the walk does not end")
        assert len(seen) == len(set(seen))
        stayed = [row for row in rows if row.id not in gone]
        assert [row_id for row_id in seen if row_id in {row.id for row in stayed}] == in_order(stayed, sort)
        assert seen == in_order([row for row in [*rows, *came] if row.id in set(seen)], sort)

    walk()


def test_a_walk_keeps_to_its_filter(person: Person) -> None:
    kept = [person.create_application(company="Kept", status="applied")["id"] for _ in range(5)]
    for _ in range(3):
        person.create_application(company="Other", status="applied")
        person.create_application(company="Kept")
    walked = [str(row_id) for page in pages(person, company="kept", status="applied", limit=2) for row_id in page]
    assert walked == kept[::-1]


@pytest.mark.parametrize("sort", ["company", "-company"])
def test_names_of_every_alphabet_have_their_order(
    person: Person, shelf: Shelf, sql: psycopg.Connection[Any], sort: str
) -> None:
    names = [
        "ä",
        "Ä",
        "a\u0308",
        "z",
        "Ж",
        "ж",
        "日本",
        "😀",
        "ß",
        "ẞ",
        "'; --",
        "\\",
        "100%",
        '"',
        "\x7f",
        "İ",
        "x" * 500,
    ]
    shelf.fill([Row(uuid4(), name, None, NOON, NOON) for name in names])
    # Which alphabet comes first is the database's to say; the pages must say the same.
    ids = [
        id_
        for (id_,) in sql.execute(
            "SELECT id FROM applications WHERE user_id = %s ORDER BY lower(company), id", [person.id]
        )
    ]
    walked = [row_id for page in pages(person, sort=sort, limit=3) for row_id in page]
    assert walked == (ids[::-1] if sort.startswith("-") else ids)


def test_the_latest_comes_first_and_twenty_at_a_time(person: Person, shelf: Shelf) -> None:
    rows = [Row(uuid4(), "A", None, NOON + timedelta(seconds=n), NOON) for n in range(21)]
    shelf.fill(rows)
    assert [len(page) for page in pages(person)] == [20, 1]
    assert [row_id for page in pages(person) for row_id in page] == in_order(rows, "-created_at")


def test_a_page_holds_up_to_a_hundred(person: Person, shelf: Shelf) -> None:
    shelf.fill([Row(uuid4(), "A", None, NOON, NOON) for _ in range(101)])
    assert [len(page) for page in pages(person, limit=100)] == [100, 1]


# ---------------------------------------------------------------- cursors


def cursor(*parts: object) -> str:
    """A cursor as the app writes them, of anything at all."""
    return urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


BAD_CURSORS = {
    "garbage": "garbage",
    "no base64": "!!!!",
    "not ASCII": "é",
    "NUL": "\0",
    "one character": "A",
    "no JSON": urlsafe_b64encode(b"[1,2").decode(),
    "no UTF-8": urlsafe_b64encode(b"\xff\xfe\x00").decode(),
    "a number": urlsafe_b64encode(b"1").decode(),
    "an object": urlsafe_b64encode(b'{"a":1,"b":2,"c":3}').decode(),
    "three characters": urlsafe_b64encode(b'"abc"').decode(),
    "deep": urlsafe_b64encode(b"[" * 1500).decode(),
    "too few parts": cursor("-created_at", NOON.isoformat()),
    "too many parts": cursor("-created_at", NOON.isoformat(), str(uuid4()), 1),
    "no id": cursor("-created_at", NOON.isoformat(), "x"),
    "an id that is a number": cursor("-created_at", NOON.isoformat(), 7),
    "an id that is null": cursor("-created_at", NOON.isoformat(), None),
    "no such order": cursor("-salary_min", "1", str(uuid4())),
    "no moment": cursor("-created_at", "x", str(uuid4())),
    "a month too many": cursor("-created_at", "2026-13-01", str(uuid4())),
    "a year too late": cursor("-created_at", "300000-01-01", str(uuid4())),
    "an unknown time zone": cursor("-created_at", "2026-01-01 00:00 Mars/Olympus", str(uuid4())),
    "SQL": cursor("-created_at", "'; DROP TABLE users;--", str(uuid4())),
    "NUL in the key": cursor("-created_at", "\0", str(uuid4())),
    "a lone surrogate in the key": cursor("-created_at", "\ud800", str(uuid4())),
    "too long": cursor("-created_at", "x" * 4000, str(uuid4())),
}


@pytest.mark.parametrize("bad", BAD_CURSORS.values(), ids=BAD_CURSORS)
def test_a_cursor_that_we_did_not_make_is_refused(writer: Person, bad: str) -> None:
    assert fault(writer.get("/api/applications", params={"cursor": bad})) == invalid("cursor")


@pytest.mark.parametrize("key", ["\ud800", "x\udfff", "\0"])
def test_neither_does_text_that_is_none_make_a_key(writer: Person, key: str) -> None:
    forged = cursor("company", key, str(uuid4()))
    assert fault(writer.get("/api/applications", params={"cursor": forged, "sort": "company"})) == invalid("cursor")


@pytest.mark.parametrize("sort", SORTS)
def test_a_cursor_belongs_to_its_order(new_person: Callable[..., Person], sort: str) -> None:
    person = new_person()
    for _ in range(2):
        person.create_application()
    given = person.get("/api/applications", params={"sort": sort, "limit": 1}).json()["next_cursor"]
    for other in SORTS:
        answer = person.get("/api/applications", params={"sort": other, "cursor": given})
        assert answer.status_code == (200 if other == sort else 422)


def test_a_cursor_of_somebody_else_opens_nothing_of_theirs(new_person: Callable[..., Person]) -> None:
    one, other = new_person(), new_person()
    for person in (one, other, one, other):
        person.create_application()
    given = one.get("/api/applications", params={"limit": 1, "sort": "created_at"}).json()["next_cursor"]
    mine = {item["id"] for item in other.get("/api/applications").json()["items"]}
    shown = other.get("/api/applications", params={"cursor": given, "sort": "created_at"}).json()["items"]
    assert shown
    assert {item["id"] for item in shown} <= mine


def test_a_forged_key_is_data_and_nothing_else(person: Person) -> None:
    created = person.create_application(company="m")
    for key, seen in (("' OR true--", [created]), ("a", [created]), ("z", []), ("%", [created]), ("\\", [created])):
        query = {"sort": "company", "cursor": cursor("company", key, str(UUID(int=0)))}
        assert person.get("/api/applications", params=query).json()["items"] == seen
