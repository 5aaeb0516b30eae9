"""Changing an application: what is left out stays, null empties, and the rules hold for the whole of it."""

from typing import Any

import pytest

from tests.applications.refusals import fault, invalid
from tests.applications.test_create_application import FULL
from tests.conftest import Person

OTHER: dict[str, Any] = {
    "company": "Fabrikam",
    "position": "Architect",
    "location": "Remote",
    "workplace": "remote",
    "url": "http://fabrikam.example/1",
    "source": "a fair",
    "priority": "low",
    "status": "interview",
    "salary_min": 1,
    "salary_max": 10**15,
    "salary_currency": "USD",
    "salary_period": "hour",
    "applied_on": "2026-03-01",
    "deadline": "2026-04-01",
    "notes": "",
}
BOOKKEEPING = ("updated_at", "version")

# What follows from a field, besides the field itself.
CONSEQUENCES = {
    "company": {"company_id"},
    "status": {"stage_id", "category", "stage_since", "furthest_category", "furthest_stage_id", "follow_up_at"}
    | {"last_activity_at"},
}


def path_of(application: dict[str, Any]) -> str:
    return f"/api/applications/{application['id']}"


def without_bookkeeping(application: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in application.items() if field not in BOOKKEEPING}


@pytest.mark.parametrize("field", OTHER)
def test_one_field_changes_and_the_others_stay(writer: Person, field: str) -> None:
    before = writer.create_application(**FULL)
    changed = writer.patch(path_of(before), {field: OTHER[field]})
    assert changed.status_code == 200
    others = changed.json().keys() - {*BOOKKEEPING, field, *CONSEQUENCES.get(field, ())}
    assert changed.json()[field] == OTHER[field]
    assert {other: changed.json()[other] for other in others} == {other: before[other] for other in others}
    assert writer.get(path_of(before)).json() == changed.json()


def test_all_fields_can_change_at_once(writer: Person) -> None:
    before = writer.create_application(**FULL)
    after = writer.patch(path_of(before), OTHER).json()
    assert {field: after[field] for field in OTHER} == OTHER
    assert (after["id"], after["created_at"]) == (before["id"], before["created_at"])


@pytest.mark.parametrize("field", ["location", "url", "source", "salary_period", "applied_on", "notes"])
def test_null_empties_a_field(writer: Person, field: str) -> None:
    before = writer.create_application(**FULL)
    assert without_bookkeeping(writer.patch(path_of(before), {field: None}).json()) == without_bookkeeping(before) | {
        field: None
    }


@pytest.mark.parametrize("field", ["company", "position", "status"])
def test_what_must_be_there_cannot_be_emptied(writer: Person, field: str) -> None:
    before = writer.create_application()
    assert fault(writer.patch(path_of(before), {field: None})) == invalid(field)
    assert writer.get(path_of(before)).json() == before


@pytest.mark.parametrize("field", ["company", "position", "location", "source"])
def test_a_line_cannot_become_a_line_of_nothing(writer: Person, field: str) -> None:
    before = writer.create_application(**FULL)
    assert fault(writer.patch(path_of(before), {field: " \n"})) == invalid(field)
    assert writer.get(path_of(before)).json() == before


def test_each_change_is_a_version_and_a_later_time(writer: Person) -> None:
    before = writer.create_application()
    changed = writer.patch(path_of(before), {"status": "applied"})
    assert (changed.json()["version"], changed.headers["etag"]) == (2, '"2"')
    assert changed.json()["updated_at"] > before["updated_at"]


def test_a_change_of_nothing_changes_nothing(writer: Person) -> None:
    before = writer.create_application(**FULL)
    unchanged = writer.patch(path_of(before), {})
    assert (unchanged.status_code, unchanged.headers["etag"], unchanged.json()) == (200, '"1"', before)


@pytest.mark.parametrize(
    "notes", ["lines\r\nand\ttabs\n", "👩🏽‍💻", '"\\u0041" \\ / \b\f', "'; DROP TABLE users;-- %s", "\x01\x7f\uffff"]
)
def test_changed_notes_are_kept_to_the_letter(writer: Person, notes: str) -> None:
    before = writer.create_application()
    assert writer.patch(path_of(before), {"notes": notes}).json()["notes"] == notes


@pytest.mark.parametrize("field", ["id", "user_id", "version", "created_at", "updated_at", "nonsense"])
def test_a_field_that_is_not_the_callers_to_set_is_refused(writer: Person, field: str) -> None:
    before = writer.create_application()
    assert fault(writer.patch(path_of(before), {field: 2})) == invalid(field)


# ---------------------------------------------------------------- rules between fields, stored or sent


@pytest.mark.parametrize(
    ("stored", "sent", "field"),
    [
        ({"salary_max": 5, "salary_currency": "EUR"}, {"salary_min": 6}, "salary_min"),
        ({"salary_min": 5, "salary_currency": "EUR"}, {"salary_max": 4}, "salary_min"),
        ({"salary_min": 5, "salary_max": 5, "salary_currency": "EUR"}, {"salary_max": 0}, "salary_min"),
        ({"salary_min": 5, "salary_currency": "EUR"}, {"salary_currency": None}, "salary_currency"),
        ({"salary_max": 5, "salary_currency": "EUR"}, {"salary_currency": None}, "salary_currency"),
        ({}, {"salary_min": 1}, "salary_currency"),
        ({}, {"salary_max": 1}, "salary_currency"),
    ],
)
def test_what_is_sent_must_fit_what_is_stored(
    writer: Person, stored: dict[str, Any], sent: dict[str, Any], field: str
) -> None:
    before = writer.create_application(**stored)
    assert fault(writer.patch(path_of(before), sent)) == invalid(field)
    assert writer.get(path_of(before)).json() == before


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ({"salary_max": 5, "salary_currency": "EUR"}, {"salary_min": 5}),
        ({"salary_min": 5, "salary_max": 9, "salary_currency": "EUR"}, {"salary_min": 50, "salary_max": 90}),
        ({"salary_min": 5, "salary_max": 9, "salary_currency": "EUR"}, {"salary_min": None, "salary_max": 1}),
        ({"salary_min": 5, "salary_currency": "EUR"}, {"salary_min": None, "salary_currency": None}),
        ({"salary_min": 5, "salary_currency": "EUR"}, {"salary_currency": "USD"}),
        ({"salary_currency": "EUR"}, {"salary_min": 1, "salary_max": 2}),
        ({}, {"salary_max": 0, "salary_currency": "EUR"}),
    ],
)
def test_what_fits_together_is_taken(writer: Person, stored: dict[str, Any], sent: dict[str, Any]) -> None:
    before = writer.create_application(**stored)
    after = writer.patch(path_of(before), sent)
    assert after.status_code == 200
    assert {field: after.json()[field] for field in sent} == sent
