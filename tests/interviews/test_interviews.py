"""Interviews: when, in which time zone, with whom, and how it went."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.conftest import Person

Sql = psycopg.Connection[Any]

FULL = {
    "kind": "panel",
    "title": "With the team",
    "starts_at": "2030-01-07T09:00:00+00:00",
    "duration_minutes": 90,
    "time_zone": "Europe/Berlin",
    "location": "https://meet.example.com/abc",
    "interviewers": ["Grace Hopper", "Ada Lovelace"],
    "round": 2,
    "outcome": "pending",
    "notes": "Bring the portfolio.\n",
}
LEAST = {"kind": "phone", "starts_at": "2030-01-07T09:00:00Z"}


@pytest.fixture
def place(person: Person) -> str:
    return f"/api/applications/{person.create_application()['id']}/interviews"


def make(person: Person, place: str, **fields: Any) -> dict[str, Any]:
    answer = person.post(place, LEAST | fields)
    assert answer.status_code == 201, answer.text
    interview: dict[str, Any] = answer.json()
    return interview


def test_an_interview_is_kept_as_it_was_written_down(person: Person, place: str) -> None:
    made = person.post(place, FULL)
    kept = made.json()
    assert {name: kept[name] for name in FULL} == FULL
    assert made.headers["location"] == f"{place}/{kept['id']}"
    assert person.get(made.headers["location"]).json() == kept
    lasts = datetime.fromisoformat(kept["ends_at"]) - datetime.fromisoformat(kept["starts_at"])
    assert lasts == timedelta(minutes=90)


def test_where_nothing_is_said_it_is_an_hour_where_the_profile_is(person: Person, place: str) -> None:
    person.patch("/api/profile", {"time_zone": "Asia/Tokyo"})
    kept = make(person, place)
    assert (kept["duration_minutes"], kept["time_zone"], kept["outcome"]) == (60, "Asia/Tokyo", "pending")
    person.patch("/api/profile", {"time_zone": "Europe/Paris"})
    assert person.get(f"{place}/{kept['id']}").json()["time_zone"] == "Asia/Tokyo", "it stays where it was"


def test_a_change_moves_its_end_and_its_version(person: Person, place: str) -> None:
    kept = make(person, place)
    changed = person.patch(f"{place}/{kept['id']}", {"duration_minutes": 15, "outcome": "passed"})
    assert changed.json()["ends_at"] == "2030-01-07T09:15:00+00:00"
    assert (changed.headers["etag"], changed.json()["outcome"]) == ('"2"', "passed")
    stale = person.patch(f"{place}/{kept['id']}", {"round": 2}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["version"]) == (412, 2)


def test_an_interview_is_an_applications_and_no_others(person: Person, place: str) -> None:
    kept = make(person, place)
    other = f"/api/applications/{person.create_application()['id']}/interviews/{kept['id']}"
    assert [person.get(other).status_code, person.patch(other, {}).status_code, person.delete(other).status_code] == [
        404,
        404,
        404,
    ]
    assert person.post(f"/api/applications/{uuid4()}/interviews", LEAST).status_code == 404


def test_it_goes_with_its_application_and_comes_back_with_it(person: Person, place: str) -> None:
    kept = make(person, place)
    application = place.split("/")[3]
    assert person.delete(f"/api/applications/{application}").status_code == 204
    assert person.get("/api/interviews").json()["items"] == []
    assert person.post(f"/api/trash/{application}/restore").status_code == 200
    assert person.get("/api/interviews").json()["items"] == [kept]


def test_a_week_is_listed_from_its_first_moment_to_the_one_after_its_last(person: Person, place: str) -> None:
    other = f"/api/applications/{person.create_application()['id']}/interviews"
    days = (14, 7, 13, 6)
    for day, where in zip(days, (place, other, place, other), strict=True):
        make(person, where, starts_at=f"2030-01-{day:02}T00:00:00Z")
    first = person.get("/api/interviews?from=2030-01-07T00:00:00Z&to=2030-01-14T00:00:00Z&limit=1").json()
    assert [item["starts_at"][:10] for item in first["items"]] == ["2030-01-07"]
    second = person.get(
        f"/api/interviews?from=2030-01-07T00:00:00Z&to=2030-01-14T00:00:00Z&cursor={first['next_cursor']}"
    ).json()
    assert ([item["starts_at"][:10] for item in second["items"]], second["next_cursor"]) == (["2030-01-13"], None)
    assert [item["starts_at"][8:10] for item in person.get(place).json()["items"]] == ["13", "14"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "lunch"}, "kind"),
        ({"outcome": "maybe"}, "outcome"),
        ({"starts_at": "2030-01-07T09:00:00"}, "starts_at"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"duration_minutes": 0}, "duration_minutes"),
        ({"duration_minutes": 1441}, "duration_minutes"),
        ({"interviewers": ["x"] * 21}, "interviewers"),
        ({"round": 0}, "round"),
        ({"ends_at": "2030-01-07T09:00:00Z"}, "ends_at"),
    ],
)
def test_what_is_no_interview_is_refused_with_its_field(
    person: Person, place: str, change: dict[str, Any], field: str
) -> None:
    kept = make(person, place)
    for answer in (person.post(place, LEAST | change), person.patch(f"{place}/{kept['id']}", change)):
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_a_list_takes_no_moment_without_a_zone(person: Person) -> None:
    answer = person.get("/api/interviews?from=2030-01-07")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "from")
