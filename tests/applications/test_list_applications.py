"""Listing applications: which, and in which order."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.applications.refusals import fault, invalid
from tests.conftest import Person


def companies(person: Person, **query: Any) -> list[str]:
    response = person.get("/api/applications", params=query)
    assert response.status_code == 200, response.text
    return [item["company"] for item in response.json()["items"]]


# ---------------------------------------------------------------- filters


@pytest.fixture
def hunter(new_person: Callable[..., Person]) -> Person:
    """Somebody with four applications, the latest first: D, C, B, A."""
    hunter = new_person()
    for company, status, day in (
        ("A", "saved", None),
        ("B", "applied", "2026-01-31"),
        ("C", "offer", "2026-02-01"),
        ("D", "applied", "2026-02-02"),
    ):
        hunter.create_application(company=company, status=status, applied_on=day)
    return hunter


def test_nothing_is_an_empty_list(person: Person) -> None:
    assert person.get("/api/applications").json() == {"items": [], "next_cursor": None}


def test_by_status_one_or_several(hunter: Person) -> None:
    assert companies(hunter, status="applied") == ["D", "B"]
    assert companies(hunter, status="saved,offer") == ["C", "A"]
    assert companies(hunter, status="applied,applied") == ["D", "B"]
    assert companies(hunter, status="ghosted") == []


def test_by_days_both_included(hunter: Person) -> None:
    assert companies(hunter, applied_from="2026-02-01") == ["D", "C"]
    assert companies(hunter, applied_to="2026-02-01") == ["C", "B"]
    assert companies(hunter, applied_from="2026-02-01", applied_to="2026-02-01") == ["C"]
    assert companies(hunter, applied_from="2026-02-02", applied_to="2026-02-01") == []


def test_filters_narrow_each_other(hunter: Person) -> None:
    assert companies(hunter, status="applied", applied_to="2026-02-01") == ["B"]
    assert companies(hunter, status="applied", q="d") == ["D"]
    assert companies(hunter, company="d", status="offer") == []


@pytest.mark.parametrize("field", ["company", "position", "location", "source", "url", "notes"])
def test_q_looks_into_every_text(person: Person, field: str) -> None:
    person.create_application(company="Other", notes="nothing of the kind")
    found = person.create_application(**{field: "https://example.com/Needle-in"})
    assert person.get("/api/applications", params={"q": "needle"}).json()["items"] == [found]


def test_company_looks_into_the_company_alone(person: Person) -> None:
    person.create_application(company="Other", notes="Contoso", location="Contoso")
    person.create_application(company="The Contoso Group")
    assert companies(person, company="contoso") == ["The Contoso Group"]


LITERAL = [
    "%",
    "_",
    "\\",
    "*",
    "?",
    ".",
    "[a-z]",
    "^",
    "$1",
    "%s",
    "%(q)s",
    "{}",
    "'",
    '"',
    "''",
    "--",
    ";",
    "E'\\n'",
    "+",
]


@pytest.mark.parametrize("parameter", ["q", "company"])
def test_what_is_looked_for_has_no_magic(person: Person, parameter: str) -> None:
    for text in LITERAL:
        person.create_application(company=f"x{text}y")
    for text in LITERAL:
        expected = [f"x{other}y" for other in reversed(LITERAL) if text in other]
        assert companies(person, **{parameter: text}) == expected
        assert companies(person, **{parameter: f"x{text}y"}) == [f"x{text}y"]


@pytest.mark.parametrize("parameter", ["q", "company"])
def test_case_does_not_matter_in_any_alphabet(person: Person, parameter: str) -> None:
    names = ["Ärzte Österreich", "ПРАВДА", "Αθήνα", "Crème BRÛLÉE", "Ørsted"]
    for name in names:
        person.create_application(company=name)
    for name in names:
        assert companies(person, **{parameter: name.upper()}) == [name]
        assert companies(person, **{parameter: name.lower()}) == [name]


def test_a_search_spans_no_two_fields(person: Person) -> None:
    person.create_application(company="North", position="Wind")
    assert companies(person, q="northwind") == companies(person, q="north wind") == []
    assert companies(person, q="north") == companies(person, q="wind") == ["North"]


def test_a_search_may_have_200_characters(person: Person) -> None:
    person.create_application(company="ä" * 300)
    assert len(companies(person, q="ä" * 200)) == 1
    assert fault(person.get("/api/applications", params={"q": "ä" * 201})) == invalid("q")


# ---------------------------------------------------------------- what is no question

REFUSED = [
    ("limit", ["0", "101", "-1", "abc", "", "1.5", "1e1", "null", "٣", "9" * 5000]),
    ("status", ["", "hired", "Applied", "applied,", ",applied", "applied, saved", "applied;saved", "null"]),
    ("q", ["", "\0", "a\0b"]),
    ("company", ["", "\0"]),
    ("applied_from", ["", "yesterday", "2026-02-30", "2026-1-1", "2026-01-01x", "infinity"]),
    ("applied_to", ["", "tomorrow", "0000-00-00", "10000-01-01"]),
    ("sort", ["", "status", "-status", "+company", "Company", "company,created_at", "-", "created_at desc"]),
    ("cursor", ["", "x", "a" * 2049]),
    ("colour", ["", "red"]),
    ("Limit", ["5"]),
    ("limit[]", ["5"]),
]


@pytest.mark.parametrize(("parameter", "value"), [(name, value) for name, values in REFUSED for value in values])
def test_a_question_that_cannot_be_answered_is_refused(writer: Person, parameter: str, value: str) -> None:
    refused = writer.get("/api/applications", params={parameter: value})
    status, code, field = fault(refused)
    assert (status, code, field.partition(".")[0]) == invalid(parameter)


@pytest.mark.parametrize("parameter", ["applied_from", "applied_to"])
@pytest.mark.parametrize("value", ["0", "1700006400"])
def test_seconds_since_1970_are_no_day(writer: Person, parameter: str, value: str) -> None:
    assert fault(writer.get("/api/applications", params={parameter: value})) == invalid(parameter)


@pytest.mark.parametrize("query", ["limit=5&limit=5", "status=saved&status=applied", "q=a&%71=a", "x=1&x=2"])
def test_a_parameter_given_twice_is_refused(writer: Person, query: str) -> None:
    refused = writer.get(f"/api/applications?{query}")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "duplicate")


def test_every_parameter_at_fault_is_named(writer: Person) -> None:
    refused = writer.get("/api/applications", params={"limit": "0", "sort": "x", "colour": "red"})
    assert {error["field"] for error in refused.json()["errors"]} == {"limit", "sort", "colour"}
