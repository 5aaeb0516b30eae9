"""Companies: one of each name, a blocklist, and a name that its applications share."""

from collections.abc import Callable
from random import Random
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.conftest import Person
from tests.sessions.together import at_once

SAME = [
    ("Contoso Ltd.", "CONTOSO, Limited"),
    ("Contoso", "contoso inc"),
    ("L'Oréal S.A.", "L\u2019Oréal SA"),
    ("Müller GmbH & Co. KG", "MÜLLER GmbH & Co KG"),
    ("\uff21\uff23\uff2d\uff25 Corp", "acme corporation"),
    ("Foo  Bar\tPty Ltd", "foo-bar"),
    ("SAP SE", "SAP AG"),
    ("Allegro Sp. z o.o.", "Allegro"),
    ("Co", "CO."),
]
DIFFERENT = [
    ("Contoso", "Contoso Labs"),
    ("C", "C++ Alliance"),
    ("C#", "C"),
    ("Limited", "Inc"),
    ("3M", "M"),
    ("Coca", "Coca Cola"),
    ("日本電気株式会社", "日本電信電話"),
    ("!!!", "???"),
]


def new_company(person: Person, name: str = "Contoso", **fields: Any) -> dict[str, Any]:
    answer = person.post("/api/companies", {"name": name, **fields})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/companies/{answer.json()['id']}"
    document: dict[str, Any] = answer.json()
    return document


def place_of(company: dict[str, Any]) -> str:
    return f"/api/companies/{company['id']}"


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_company_however_it_is_spelled(person: Person, one: str, other: str) -> None:
    company = new_company(person, one)
    refused = person.post("/api/companies", {"name": other})
    assert (refused.status_code, refused.json()["code"]) == (409, "company_exists")
    assert refused.json()["company_id"] == company["id"]
    assert person.create_application(company=other)["company_id"] == company["id"]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_names_are_different_companies(person: Person, one: str, other: str) -> None:
    assert new_company(person, one)["id"] != new_company(person, other)["id"]


def test_the_longest_names_fit_though_some_characters_are_six_when_they_are_normalized(person: Person) -> None:
    squared_words = Random(7).choices([chr(n) for n in range(0x3300, 0x3358)], k=500)
    for name in ("".join(map(chr, range(0x20000, 0x20000 + 500))), "".join(squared_words)):
        assert new_company(person, name)["name"] == name


def test_a_company_as_it_was_written_down(person: Person) -> None:
    company = new_company(
        person, " Contoso ", website="https://contoso.example", notes=" kept ", blocked=True, blocked_reason="Ghosts."
    )
    assert company == company | {
        "name": "Contoso",
        "website": "https://contoso.example",
        "notes": " kept ",
        "blocked": True,
        "blocked_reason": "Ghosts.",
        "applications": 0,
        "last_applied_on": None,
        "version": 1,
    }
    assert person.get(place_of(company)).json() == company


def test_it_counts_its_applications_and_knows_the_last_one(person: Person) -> None:
    for day in ("2026-10-01", "2026-11-02", "2026-09-03"):
        company = person.create_application(status="applied", applied_on=day)["company_id"]
    person.create_application(company="Initech")
    found = person.get(f"/api/companies/{company}").json()
    assert (found["applications"], found["last_applied_on"]) == (3, "2026-11-02")


def test_the_blocklist_is_a_list_of_its_own(person: Person) -> None:
    new_company(person, "Contoso")
    bad = new_company(person, "Initech", blocked=True, blocked_reason="TPS reports")
    assert person.get("/api/companies?blocked=true").json()["items"] == [bad]
    assert [c["name"] for c in person.get("/api/companies?blocked=false").json()["items"]] == ["Contoso"]
    freed = person.patch(place_of(bad), {"blocked": False, "blocked_reason": None}).json()
    assert (freed["blocked"], freed["blocked_reason"], freed["version"]) == (False, None, 2)
    assert person.get("/api/companies?blocked=true").json()["items"] == []


@pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-created_at"])
def test_pages_hold_each_company_once_in_order(person: Person, sort: str) -> None:
    names = ["delta", "Alpha", "charlie", "Bravo", "echo"]
    for name in names:
        new_company(person, name)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = person.get(f"/api/companies?limit=2&sort={sort}" + (cursor and f"&cursor={cursor}")).json()
        seen += [company["name"] for company in page["items"]]
        cursor = page["next_cursor"]
    expected = sorted(names, key=str.lower) if "name" in sort else names
    assert seen == (expected[::-1] if sort.startswith("-") else expected)


def test_part_of_the_name_is_enough_to_find_it(person: Person) -> None:
    for name in ("100% Pure", "C++ Alliance", "Contoso_Labs"):
        new_company(person, name)
    for query, found in {"0%": "100% Pure", "c++": "C++ Alliance", "O_L": "Contoso_Labs"}.items():
        items = person.get("/api/companies", params={"q": query}).json()["items"]
        assert [item["name"] for item in items] == [found]


# ---------------------------------------------------------------- another name


def test_its_applications_follow_another_name_and_keep_what_they_said(person: Person) -> None:
    spelled = [person.create_application(company=name) for name in ("Contoso", "CONTOSO Ltd.", "Contoso Labs")]
    place = f"/api/companies/{spelled[0]['company_id']}"
    assert person.patch(place, {"name": "Fabrikam"}).json()["applications"] == 2
    now = [person.get(f"/api/applications/{one['id']}").json() for one in spelled]
    assert [one["company"] for one in now] == ["Fabrikam", "Fabrikam", "Contoso Labs"]
    assert [one["version"] for one in now] == [2, 2, 1]
    assert [one["company_id"] for one in now] == [one["company_id"] for one in spelled]
    assert person.create_application(company="fabrikam inc.")["company_id"] == spelled[0]["company_id"]
    assert person.create_application(company="Contoso")["company_id"] != spelled[0]["company_id"]


def test_what_an_application_said_before_is_in_its_timeline(person: Person, sql: psycopg.Connection[Any]) -> None:
    application = person.create_application(company="Contoso Ltd.")
    person.patch(f"/api/companies/{application['company_id']}", {"name": "Fabrikam"})
    facts = sql.execute(
        "SELECT facts FROM application_events WHERE application_id = %s AND kind = 'edited'", [application["id"]]
    ).fetchall()
    assert facts == [({"was": {"company": "Contoso Ltd."}},)]


def test_a_thousand_applications_follow_in_one_call(person: Person, sql: psycopg.Connection[Any]) -> None:
    company = person.create_application()["company_id"]
    sql.execute(
        """
        INSERT INTO applications (user_id, company, position)
        SELECT %s, 'Contoso', n::text FROM generate_series(2, 1000) n
        """,
        [person.id],
    )
    assert person.patch(f"/api/companies/{company}", {"name": "Fabrikam"}).json()["applications"] == 1000
    counted = "SELECT count(*), count(DISTINCT company) FROM applications WHERE user_id = %s AND company = 'Fabrikam'"
    assert sql.execute(counted, [person.id]).fetchone() == (1000, 1)
    assert person.delete(f"/api/companies/{company}").status_code == 204
    assert person.post(f"/api/trash/{company}/restore").status_code == 200
    assert person.get(f"/api/companies/{company}").json()["applications"] == 1000


def test_another_companys_name_is_refused_and_its_own_in_another_spelling_is_not(person: Person) -> None:
    one, other = new_company(person, "Contoso"), new_company(person, "Fabrikam")
    refused = person.patch(place_of(other), {"name": "contoso gmbh"})
    assert (refused.status_code, refused.json()["code"]) == (409, "company_exists")
    assert refused.json()["company_id"] == one["id"]
    assert person.patch(place_of(one), {"name": "CONTOSO AG"}).json()["name"] == "CONTOSO AG"
    assert person.get(place_of(other)).json() == other


# ---------------------------------------------------------------- deleted


def test_its_applications_and_contacts_stay_and_are_its_own_again_when_it_comes_back(person: Person) -> None:
    application = person.create_application()
    place = f"/api/companies/{application['company_id']}"
    contact = person.post("/api/contacts", {"name": "Grace", "company_id": application["company_id"]}).json()
    assert person.delete(place).status_code == 204
    assert person.get(f"/api/applications/{application['id']}").json()["company_id"] is None
    assert person.get(f"/api/contacts/{contact['id']}").json() == contact | {"company_id": None, "company": None}
    assert person.post(f"/api/trash/{application['company_id']}/restore").status_code == 200
    assert person.get(f"/api/applications/{application['id']}").json() == application
    assert person.get(f"/api/contacts/{contact['id']}").json() == contact


def test_written_down_anew_it_finds_the_applications_that_lost_it(person: Person) -> None:
    application = person.create_application(company="Contoso Ltd.")
    person.delete(f"/api/companies/{application['company_id']}")
    again = new_company(person, "Contoso")
    assert person.get(f"/api/applications/{application['id']}").json()["company_id"] == again["id"]
    # What is written is the very row that has no company: it gets one of its own.
    person.delete(place_of(again))
    changed = person.patch(f"/api/applications/{application['id']}", {"company": "CONTOSO"}).json()
    assert changed["company_id"] not in (None, again["id"])


# ---------------------------------------------------------------- versions, retries, races


def test_a_change_to_a_version_that_has_gone_is_refused(person: Person) -> None:
    company = new_company(person)
    assert person.patch(place_of(company), {"notes": "x"}, headers={"If-Match": '"1"'}).headers["etag"] == '"2"'
    for call in (
        person.patch(place_of(company), {"notes": "y"}, headers={"If-Match": '"1"'}),
        person.delete(place_of(company), headers={"If-Match": '"1"'}),
    ):
        assert (call.status_code, call.json()["version"]) == (412, 2)
    assert person.patch(place_of(company), {}).json()["version"] == 2


def test_a_retry_is_answered_as_the_first_time_not_as_one_too_many(person: Person) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    answers = [person.post("/api/companies", {"name": "Contoso"}, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotency-replayed"] == "true"


def test_of_several_at_once_one_is_made_and_all_others_are_told_which(person: Person) -> None:
    spellings = ("Contoso", "CONTOSO", "Contoso Ltd", "contoso inc.")
    answers = at_once(*[lambda name=name: person.post("/api/companies", {"name": name}) for name in spellings])
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    ids = {answer.json().get("id") or answer.json()["company_id"] for answer in answers}
    assert len(ids) == 1


def test_applications_written_at_once_at_a_new_company_share_it(person: Person) -> None:
    answers = at_once(*[lambda n=n: person.create_application(position=str(n))["company_id"] for n in range(6)])
    assert len(set(answers)) == 1


def test_two_people_may_know_the_same_company(new_person: Callable[..., Person]) -> None:
    one, other = new_person(), new_person()
    assert new_company(one)["id"] != new_company(other)["id"]
