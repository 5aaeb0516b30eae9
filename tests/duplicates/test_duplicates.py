"""What is written down twice: told when it happens, listed, and asked for before."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.conftest import Person

POSTING = "https://boards.greenhouse.io/contoso/jobs?gh_jid=42"


def duplicates(person: Person, **query: str) -> list[tuple[str, str]]:
    answer = person.get("/api/applications/duplicates", params=query)
    assert answer.status_code == 200, answer.text
    return [(item["application_id"], item["matched"]) for item in answer.json()["items"]]


def create(person: Person, **fields: Any) -> dict[str, Any]:
    """An application as its creation is answered."""
    answer = person.post("/api/applications", {"company": "Contoso", "position": "Engineer", **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def days_ago(days: int) -> str:
    return (datetime.now(UTC).date() - timedelta(days)).isoformat()


# ---------------------------------------------------------------- warnings


def test_nothing_to_warn_of_is_no_warning(person: Person) -> None:
    create(person, company="Fabrikam", position="Engineer")
    made = create(person, url=POSTING)
    assert "warnings" not in made
    assert person.get(f"/api/applications/{made['id']}").json() == made


def test_a_duplicate_is_made_and_told(person: Person) -> None:
    by_url = create(person, company="Other", position="Other", url=POSTING)
    by_name = create(person, company="Contoso Ltd.", position="Senior  Engineer")
    both = create(person, company="CONTOSO", position="senior engineer", url=POSTING + "&utm_source=mail")
    assert both.pop("warnings") == [
        {"code": "duplicate", "application_id": by_url["id"], "matched": "url"},
        {"code": "duplicate", "application_id": by_name["id"], "matched": "company_and_position"},
    ]
    assert person.get(f"/api/applications/{both['id']}").json() == both


def test_who_applied_there_lately_and_whose_company_is_blocked_is_told(
    person: Person, sql: psycopg.Connection[Any]
) -> None:
    create(person, position="A", status="applied", applied_on=days_ago(90))
    latest = create(person, position="B", status="applied", applied_on=days_ago(12))
    company = {"company_id": latest["company_id"]}
    assert latest["warnings"][0]["days_ago"] == 90
    sql.execute(
        "UPDATE companies SET blocked = true, blocked_reason = 'Never answers' WHERE id = %s", [company["company_id"]]
    )
    assert create(person, position="C")["warnings"] == [
        {"code": "applied_here", "application_id": latest["id"], "days_ago": 12} | company,
        {"code": "company_blocked", "reason": "Never answers"} | company,
    ]


@pytest.mark.parametrize("days", [181, -1])
def test_half_a_year_ago_is_not_lately_and_neither_is_tomorrow(person: Person, days: int) -> None:
    create(person, position="A", status="applied", applied_on=days_ago(days))
    assert "warnings" not in create(person, position="B")


def test_there_are_at_most_ten_and_a_replay_has_the_same(person: Person, sql: psycopg.Connection[Any]) -> None:
    for _ in range(11):
        made = create(person, status="applied")
    sql.execute("UPDATE companies SET blocked = true WHERE id = %s", [made["company_id"]])
    draft, key = {"company": "Contoso", "position": "Engineer"}, {"Idempotency-Key": "k"}
    first, again = (person.post("/api/applications", draft, headers=key) for _ in range(2))
    assert first.content == again.content
    assert len(first.json()["warnings"]) == 10
    assert [warning["code"] for warning in first.json()["warnings"]][-2:] == ["applied_here", "company_blocked"]


def test_nobody_is_warned_of_anybody_elses(person: Person, admin: Person) -> None:
    create(admin, url=POSTING)
    assert "warnings" not in create(person, url=POSTING)
    assert duplicates(person, url=POSTING) == duplicates(person, url=POSTING, company="Contoso", position="Engineer")


# ---------------------------------------------------------------- asking


def test_an_address_or_a_name_finds_what_is_there(person: Person) -> None:
    made = person.create_application(url=POSTING, status="applied", applied_on=days_ago(3))
    named = person.create_application(company="Fabrikam Inc", position="Data Analyst")
    assert duplicates(person, url=f"http://www.{POSTING[8:]}&ref=x#top") == [(made["id"], "url")]
    assert duplicates(person, company="fabrikam", position="dataanalyst") == [(named["id"], "company_and_position")]
    assert duplicates(person, url=POSTING, company="Contoso", position="engineer") == [(made["id"], "url")]
    assert duplicates(person, company="Fabrikam", position="Engineer") == []
    (item,) = person.get("/api/applications/duplicates", params={"url": POSTING}).json()["items"]
    assert item == {
        "application_id": made["id"],
        "company": "Contoso",
        "position": "Engineer",
        "status": "applied",
        "applied_on": days_ago(3),
        "matched": "url",
        "days_ago": 3,
        "group": made["id"],
    }
    for wrong in ({"company": "x"}, {"position": "x"}, {"url": "x"}, {"colour": "red"}):
        assert person.get("/api/applications/duplicates", params=wrong).status_code == 422


def test_asked_for_nothing_all_groups_are_listed_page_by_page(person: Person) -> None:
    a, b = (person.create_application(position=position) for position in ("Engineer", "engineer"))
    person.create_application(company="Alone")
    c, d = (person.create_application(company=company, url=POSTING) for company in ("C", "D"))
    found: list[tuple[str, str, str]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = person.get(f"/api/applications/duplicates?limit=1{cursor and '&cursor=' + cursor}").json()
        found += [(item["group"], item["application_id"], item["matched"]) for item in page["items"]]
        cursor = page["next_cursor"]
    assert found == [
        (a["id"], a["id"], "company_and_position"),
        (a["id"], b["id"], "company_and_position"),
        (c["id"], c["id"], "url"),
        (c["id"], d["id"], "url"),
    ]
