"""Listing applications: which, and in which order."""

from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.applications.refusals import fault, invalid
from tests.conftest import PASSWORD, Person


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


def test_no_word_and_no_phrase_spans_two_fields(person: Person) -> None:
    person.create_application(company="North", position="Wind")
    assert companies(person, q="northwind") == companies(person, q='"north wind"') == []
    assert companies(person, q="north") == companies(person, q="wind") == companies(person, q="wind north") == ["North"]


def test_a_search_may_have_200_characters(person: Person) -> None:
    person.create_application(company="ä" * 300)
    assert len(companies(person, q="ä" * 200)) == 1
    assert fault(person.get("/api/applications", params={"q": "ä" * 201})) == invalid("q")


# ---------------------------------------------------------------- full-text search


@pytest.fixture(scope="module")
def seeker(app_url: str) -> Iterator[Person]:
    """Somebody with applications to search, the latest first: Gamma, Beta, Alpha."""
    seeker = Person(app_url, email=f"{token_hex(8)}@example.com")
    seeker.bear(seeker.post("/api/auth/register", {"email": seeker.email, "password": PASSWORD}).json())
    seeker.create_application(company="Alpha", position="Site Reliability Engineer", notes="C++ and 100% remote")
    seeker.create_application(company="Beta", position="Reliability Intern", tags=["Kubernetes"], source="node.js club")
    seeker.create_application(
        company="Gamma",
        position="Data Analyst",
        url="https://jobs.example.com/Site-42?gh_jid=7",
        notes="Can 1000 do it?",
    )
    yield seeker
    seeker.close()


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("eng", ["Alpha"]),
        ("ngin", ["Alpha"]),  # a part, since it is in the position
        ("emot", []),  # no part of a word in notes
        ("reliability engineer", ["Alpha"]),
        ("engineer reliability", ["Alpha"]),
        ('"site reliability"', ["Alpha"]),
        ('"reliability site"', []),
        ('"site rel"', []),
        ("reliability -intern", ["Alpha"]),
        ("-intern", ["Gamma", "Alpha"]),
        ('reliability -"site reliability"', ["Beta"]),
        ("intern or analyst", ["Gamma", "Beta"]),
        ("intern OR engineer remote", ["Beta", "Alpha"]),
        ("kuber", ["Beta"]),
        ("C++", ["Alpha"]),
        ("100%", ["Alpha"]),
        ("engineer c++", ["Alpha"]),
        ("c", ["Gamma", "Beta", "Alpha"]),
        ("node.js intern", ["Beta"]),
        ("node.js analyst", []),
        ("gh_jid", ["Gamma"]),
        ("site", ["Gamma", "Alpha"]),
        ("or", []),
        ("-", ["Gamma"]),
        ('""', []),
    ],
)
def test_words_phrases_without_and_or(seeker: Person, q: str, found: list[str]) -> None:
    assert companies(seeker, q=q) == found


def test_notes_of_an_application_are_searched_with_it(person: Person, sql: psycopg.Connection[Any]) -> None:
    person.create_application(company="Other")
    noted = person.create_application(company="Noted")
    sql.execute(
        "INSERT INTO notes (user_id, application_id, body) VALUES (%s, %s, 'They use C++, not Haskell')",
        [person.id, noted["id"]],
    )
    for q in ("hask", "c++", '"not haskell"', "use -java"):
        assert companies(person, q=q) == ["Noted"], q
    assert companies(person, q="c#") == []


def test_the_most_relevant_comes_first_and_pages_hold_each_once(person: Person) -> None:
    for n in range(7):
        person.create_application(company=f"Notes {n}", notes="needle " + "hay " * n)
    person.create_application(company="Needle")
    person.create_application(company="Needle", location="Needle", notes="needle")
    assert companies(person, q="needle", sort="relevance")[:2] == ["Needle", "Needle"]
    whole = person.get("/api/applications?q=needle&sort=relevance").json()["items"]
    paged: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = person.get(f"/api/applications?q=needle&sort=relevance&limit=2{cursor and '&cursor=' + cursor}").json()
        paged += page["items"]
        cursor = page["next_cursor"]
    assert paged == whole
    assert len(whole) == 9


def test_relevance_needs_a_question(person: Person) -> None:
    assert person.get("/api/applications?sort=relevance").status_code == 422


ANYTHING = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANYTHING)
def test_what_somebody_wrote_is_found_by_it(sql: psycopg.Connection[Any], text: str) -> None:
    found = "SELECT answers(vector_of('C', %(t)s), search_query(%(t)s), search_literals(%(t)s), %(t)s)"
    ((is_found,),) = sql.execute(found, {"t": text}).fetchall()
    terms = text.split()
    if terms and not any(term.startswith(("-", '"')) or term.lower() == "or" for term in terms):
        assert is_found


# ---------------------------------------------------------------- more filters and orders


def test_by_what_is_exact(person: Person) -> None:
    first = person.create_application(company="A", priority="high", workplace="remote", source="a fair", tags=["Go"])
    person.create_application(company="B", status="offer", source="a fair, too", tags=["go", "SQL"])
    assert companies(person, category="saved") == companies(person, stage_id=first["stage_id"]) == ["A"]
    assert companies(person, category="offer,closed") == ["B"]
    assert companies(person, priority="high") == companies(person, workplace="remote") == ["A"]
    assert companies(person, source="a fair") == companies(person, company_id=first["company_id"]) == ["A"]
    assert companies(person, tag="GO") == ["B", "A"]
    assert companies(person, tag="sql,Go") == ["B"]
    assert companies(person, tag="go,rust") == []


def test_by_what_is_due(person: Person) -> None:
    for company, day, moment in (
        ("A", "2026-01-01", "2026-01-02T00:00Z"),
        ("B", "2026-01-02", None),
        ("C", None, None),
    ):
        made = person.create_application(company=company, deadline=day)
        person.patch(f"/api/applications/{made['id']}", {"follow_up_at": moment})
    assert companies(person, deadline_before="2026-01-02") == ["A"]
    assert companies(person, deadline_before="2026-01-03") == ["B", "A"]
    assert companies(person, follow_up_before="2026-01-02T00:00:01Z") == ["A"]
    assert companies(person, follow_up_before="2026-01-02T01:00:00+01:00") == []


def test_what_is_not_to_be_followed_up_comes_last_either_way(person: Person) -> None:
    for company, moment in (("A", None), ("B", "2026-01-02T00:00Z"), ("C", "2026-01-01T00:00Z"), ("D", None)):
        made = person.create_application(company=company)
        person.patch(f"/api/applications/{made['id']}", {"follow_up_at": moment})
    assert companies(person, sort="follow_up_at") == ["C", "B", "A", "D"]
    assert companies(person, sort="-follow_up_at") == ["B", "C", "D", "A"]


def test_the_latest_activity_first(person: Person) -> None:
    quiet = person.create_application(company="Quiet")
    person.create_application(company="Busy")
    assert companies(person, sort="-last_activity_at") == ["Busy", "Quiet"]
    person.post(f"/api/applications/{quiet['id']}/move", {"status": "applied"})
    assert companies(person, sort="-last_activity_at") == ["Quiet", "Busy"]
    assert companies(person, sort="last_activity_at") == ["Busy", "Quiet"]


# ---------------------------------------------------------------- what is no question

REFUSED = [
    ("limit", ["0", "101", "-1", "abc", "", "1.5", "1e1", "null", "٣", "9" * 5000]),
    ("status", ["", "hired", "Applied", "applied,", ",applied", "applied, saved", "applied;saved", "null"]),
    ("q", ["", "\0", "a\0b"]),
    ("company", ["", "\0"]),
    ("applied_from", ["", "yesterday", "2026-02-30", "2026-1-1", "2026-01-01x", "infinity"]),
    ("applied_to", ["", "tomorrow", "0000-00-00", "10000-01-01"]),
    ("sort", ["", "status", "-status", "+company", "Company", "company,created_at", "-", "created_at desc"]),
    ("category", ["", "rejected", "applied,", "Applied"]),
    ("stage_id", ["", "1", "applied"]),
    ("tag", ["", "a,", "x" * 51]),
    ("priority", ["", "urgent", "high,low"]),
    ("workplace", ["", "home"]),
    ("source", ["", " ", "x" * 501]),
    ("company_id", ["", "contoso"]),
    ("follow_up_before", ["", "2026-01-01", "1700006400", "now"]),
    ("deadline_before", ["", "2026-13-01", "2026-01-01T00:00:00Z"]),
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
