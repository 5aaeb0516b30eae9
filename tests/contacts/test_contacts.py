"""Contacts, and what they have to do with which application."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.conftest import Person

GRACE = {
    "name": "Grace Hopper",
    "title": "Recruiter",
    "email": "grace@contoso.example",
    "phone": "+1 555 0100",
    "url": "https://www.linkedin.com/in/grace",
    "notes": " Knows COBOL. ",
}


def new_contact(person: Person, **fields: Any) -> dict[str, Any]:
    answer = person.post("/api/contacts", {"name": "Grace", **fields})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/contacts/{answer.json()['id']}"
    document: dict[str, Any] = answer.json()
    return document


def place_of(contact: dict[str, Any]) -> str:
    return f"/api/contacts/{contact['id']}"


@pytest.fixture
def links(person: Person) -> str:
    """The path of an application's contacts."""
    return f"/api/applications/{person.create_application()['id']}/contacts"


def test_a_contact_as_it_was_written_down(person: Person) -> None:
    contact = new_contact(person, **GRACE)
    assert contact == contact | GRACE | {"company_id": None, "company": None, "version": 1}
    assert person.get(place_of(contact)).json() == contact


def test_a_company_by_its_name_is_the_one_there_is_or_a_new_one(person: Person) -> None:
    company = person.create_application(company="Contoso")["company_id"]
    by_name = new_contact(person, company="CONTOSO Ltd.")
    assert (by_name["company_id"], by_name["company"]) == (company, "Contoso")
    initech = new_contact(person, company="Initech")
    assert initech["company"] == "Initech", "seen at once, though the same statement has made it"
    assert person.get(f"/api/companies/{initech['company_id']}").json()["name"] == "Initech"


def test_a_change_of_company_by_id_by_name_or_to_none(person: Person) -> None:
    contact = new_contact(person, company="Contoso")
    changed = person.patch(place_of(contact), {"company": "Initech"}).json()
    assert (changed["company"], changed["version"]) == ("Initech", 2)
    back = person.patch(place_of(contact), {"company_id": contact["company_id"]}).json()
    assert back["company"] == "Contoso"
    assert person.patch(place_of(contact), {"title": "CTO"}).json()["company"] == "Contoso"
    for none in ("company", "company_id"):
        person.patch(place_of(contact), {"company_id": contact["company_id"]})
        assert person.patch(place_of(contact), {none: None}).json()["company_id"] is None


def test_a_company_of_somebody_else_is_like_none(person: Person, new_person: Callable[..., Person]) -> None:
    theirs = new_person().create_application()["company_id"]
    contact = new_contact(person)
    link = f"/api/applications/{person.create_application()['id']}/contacts"
    for company in (theirs, str(uuid4())):
        refusals = [
            person.post("/api/contacts", {"name": "Grace", "company_id": company}),
            person.patch(place_of(contact), {"company_id": company}),
            person.post(link, {"name": "Grace", "company_id": company}),
        ]
        assert [answer.status_code for answer in refusals] == [422] * 3
        assert {answer.json()["errors"][0]["field"] for answer in refusals} == {"company_id"}
    both = {"name": "Grace", "company": "Contoso", "company_id": theirs}
    assert person.post("/api/contacts", both).status_code == 422
    assert person.get(place_of(contact)).json() == contact


def test_they_are_found_by_part_of_name_address_title_or_company(person: Person) -> None:
    grace = new_contact(person, **GRACE, company="Contoso")
    ada = new_contact(person, name="Ada", company="Initech")
    for query, found in {"hopper": grace, "GRACE@": grace, "recruit": grace, "initech": ada}.items():
        assert person.get("/api/contacts", params={"q": query}).json()["items"] == [found]
    assert person.get(f"/api/contacts?company_id={ada['company_id']}").json()["items"] == [ada]
    assert [c["name"] for c in person.get("/api/contacts").json()["items"]] == ["Ada", "Grace Hopper"]
    assert person.get("/api/contacts", params={"q": "cobol"}).json()["items"] == []


@pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-created_at"])
def test_pages_hold_each_contact_once_in_order_though_all_have_one_name(person: Person, sort: str) -> None:
    made = [new_contact(person, title=str(n))["id"] for n in range(5)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = person.get(f"/api/contacts?limit=2&sort={sort}" + (cursor and f"&cursor={cursor}")).json()
        seen += [contact["id"] for contact in page["items"]]
        cursor = page["next_cursor"]
    assert seen == (made[::-1] if sort.startswith("-") else made)


# ---------------------------------------------------------------- with an application


def test_a_new_contact_is_linked_as_it_is_written_down(person: Person, links: str) -> None:
    answer = person.post(links, {**GRACE, "company": "Contoso", "role": "recruiter"})
    linked = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"{links}/{linked['id']}")
    assert linked == linked | GRACE | {"company": "Contoso", "role": "recruiter", "version": 1}
    assert person.get(f"{links}/{linked['id']}").json() == linked
    assert person.get(links).json() == {"items": [linked], "next_cursor": None}
    assert person.get(f"/api/contacts/{linked['id']}").json()["company"] == "Contoso"


def test_linked_twice_is_linked_once_in_the_role_given_last(person: Person, links: str) -> None:
    contact = new_contact(person)
    roles = [
        person.post(links, {"contact_id": contact["id"], **role}) for role in ({"role": "referral"}, {}, {"role": "x"})
    ]
    assert [answer.status_code for answer in roles] == [201] * 3
    assert [answer.json()["role"] for answer in roles] == ["referral", "referral", "x"]
    assert [answer.json()["version"] for answer in roles] == [1, 1, 2]
    assert len(person.get(links).json()["items"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"role": "recruiter"},
        {"email": "grace@contoso.example"},
        {"contact_id": "0196f000-0000-7000-8000-000000000000", "name": "Grace"},
        {"contact_id": "0196f000-0000-7000-8000-000000000000", "company": "Contoso"},
    ],
)
def test_either_a_contact_or_a_new_one_is_needed(person: Person, links: str, body: dict[str, Any]) -> None:
    assert person.post(links, body).status_code == 422
    assert person.get("/api/contacts").json()["items"] == []


def test_somebody_elses_contact_is_like_none(person: Person, new_person: Callable[..., Person], links: str) -> None:
    for contact in (new_contact(new_person())["id"], str(uuid4())):
        refused = person.post(links, {"contact_id": contact})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "contact_id")
    assert person.post(f"/api/applications/{uuid4()}/contacts", {"name": "Grace"}).status_code == 404
    assert person.get("/api/contacts").json()["items"] == [], "nor is one made for an application that is not there"


def test_a_link_is_changed_by_version_and_unlinking_leaves_the_contact(person: Person, links: str) -> None:
    linked = person.post(links, {"name": "Grace"}).json()
    place = f"{links}/{linked['id']}"
    changed = person.patch(place, {"role": "referral"}, headers={"If-Match": '"1"'})
    assert (changed.json()["role"], changed.headers["etag"]) == ("referral", '"2"')
    assert person.patch(place, {}).json() == changed.json()
    stale = {"headers": {"If-Match": '"1"'}}
    assert person.patch(place, {"role": None}, **stale).json()["version"] == 2
    assert person.delete(place, **stale).status_code == 412
    assert person.get(place).json() == changed.json()
    assert person.delete(place).status_code == 204
    assert [person.get(place).status_code, person.delete(place).status_code] == [404, 404]
    assert person.get(f"/api/contacts/{linked['id']}").status_code == 200
    assert person.get("/api/trash").json()["items"] == []


def test_a_deleted_contact_comes_back_with_its_links(person: Person, links: str) -> None:
    linked = person.post(links, {"name": "Grace", "role": "recruiter"}).json()
    assert person.delete(f"/api/contacts/{linked['id']}").status_code == 204
    assert person.get(links).json()["items"] == []
    assert person.post(f"/api/trash/{linked['id']}/restore").json() == {"id": linked["id"], "kind": "contact"}
    assert person.get(links).json()["items"] == [linked]


def test_a_retried_link_makes_one_contact(person: Person, links: str) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    answers = [person.post(links, {"name": "Grace", "company": "Initech"}, headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert len(person.get("/api/contacts").json()["items"]) == 1


def test_the_latest_linked_come_first_a_page_at_a_time(person: Person, links: str) -> None:
    made = [person.post(links, {"name": str(n)}).json()["name"] for n in range(3)]
    first = person.get(f"{links}?limit=2").json()
    second = person.get(f"{links}?limit=2&cursor={first['next_cursor']}").json()
    assert [item["name"] for item in first["items"] + second["items"]] == made[::-1]


def test_a_link_is_activity_on_its_application(person: Person, links: str, sql: psycopg.Connection[Any]) -> None:
    application = links.split("/")[3]
    sql.execute("UPDATE applications SET last_activity_at = '2026-01-01' WHERE id = %s", [application])
    person.post(links, {"name": "Grace"})
    assert person.get(f"/api/applications/{application}").json()["last_activity_at"] > "2026-01-02"
