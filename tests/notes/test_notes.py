"""Notes: kept to the letter, and what they said before."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Person


@pytest.fixture
def notes(person: Person) -> str:
    """The path of an application's notes."""
    return f"/api/applications/{person.create_application()['id']}/notes"


def new_note(person: Person, notes: str, body: str = "They called.") -> dict[str, Any]:
    answer = person.post(notes, {"body": body})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{notes}/{answer.json()['id']}"
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.parametrize(
    "body", [" # Title\r\n\n* a\n\t* b  \n", "<script>alert(1)</script>", "é ✓ 😀", " ", "x" * 20_000]
)
def test_a_note_is_kept_to_the_letter(person: Person, notes: str, body: str) -> None:
    note = new_note(person, notes, body)
    assert (note["body"], note["revisions"], note["version"]) == (body, 0, 1)
    assert person.get(f"{notes}/{note['id']}").json() == note
    assert person.get(notes).json() == {"items": [note], "next_cursor": None}


@pytest.mark.parametrize("body", ["", "x" * 20_001, "a\0b", None, 1])
def test_what_is_no_note_is_refused(person: Person, notes: str, body: Any) -> None:
    note = new_note(person, notes)
    for refused in (person.post(notes, {"body": body}), person.patch(f"{notes}/{note['id']}", {"body": body})):
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "body")
    assert person.get(notes).json()["items"] == [note]


def test_what_a_note_said_before_is_kept_the_latest_first(person: Person, notes: str) -> None:
    note = new_note(person, notes, "first")
    place = f"{notes}/{note['id']}"
    for count, body in enumerate(("second", "third", "fourth"), start=1):
        changed = person.patch(place, {"body": body}).json()
        assert (changed["body"], changed["revisions"], changed["version"]) == (body, count, count + 1)
        assert person.get(place).json() == changed
    first = person.get(f"{place}/revisions?limit=2").json()
    second = person.get(f"{place}/revisions?limit=2&cursor={first['next_cursor']}").json()
    assert [item["body"] for item in first["items"] + second["items"]] == ["third", "second", "first"]


def test_saying_the_same_again_is_no_revision(person: Person, notes: str) -> None:
    note = new_note(person, notes)
    assert person.patch(f"{notes}/{note['id']}", {"body": note["body"]}).json()["revisions"] == 0
    assert person.patch(f"{notes}/{note['id']}", {}).json()["version"] == 2
    assert person.get(f"{notes}/{note['id']}/revisions").json()["items"] == []


def test_notes_come_newest_first_a_page_at_a_time(person: Person, notes: str) -> None:
    made = [new_note(person, notes, str(n))["body"] for n in range(5)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = person.get(f"{notes}?limit=2" + (cursor and f"&cursor={cursor}")).json()
        seen += [note["body"] for note in page["items"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1]


def test_a_stale_change_is_refused_and_a_present_one_is_not(person: Person, notes: str) -> None:
    note = new_note(person, notes)
    place = f"{notes}/{note['id']}"
    assert person.patch(place, {"body": "a"}, headers={"If-Match": '"1"'}).headers["etag"] == '"2"'
    for refused in (
        person.patch(place, {"body": "b"}, headers={"If-Match": '"1"'}),
        person.delete(place, headers={"If-Match": '"1"'}),
    ):
        assert (refused.status_code, refused.json()["version"]) == (412, 2)
    assert person.get(place, headers={"If-None-Match": '"2"'}).status_code == 304


def test_a_note_is_to_be_found_under_its_own_application_only(
    person: Person, new_person: Callable[..., Person], notes: str
) -> None:
    note = new_note(person, notes)
    others = f"/api/applications/{person.create_application()['id']}/notes"
    stranger = new_person()
    for somebody, place in ((person, f"{others}/{note['id']}"), (stranger, f"{notes}/{note['id']}")):
        for method, body in (("GET", None), ("PATCH", {"body": "mine"}), ("DELETE", None)):
            assert somebody(method, place, body).status_code == 404
        assert somebody.get(f"{place}/revisions").status_code == 404
    assert stranger.post(notes, {"body": "x"}).status_code == 404
    assert person.get(f"/api/applications/{uuid4()}/notes").status_code == 404
    assert person.get(notes).json()["items"] == [note]


def test_a_deleted_note_comes_back_with_what_it_said_before(person: Person, notes: str) -> None:
    note = new_note(person, notes, "first")
    place = f"{notes}/{note['id']}"
    changed = person.patch(place, {"body": "second"}).json()
    before = person.get(f"{place}/revisions").json()
    assert person.delete(place).status_code == 204
    assert [person.get(place).status_code, person.get(f"{place}/revisions").status_code] == [404, 404]
    assert person.post(f"/api/trash/{note['id']}/restore").status_code == 200
    assert person.get(place).json() == changed
    assert person.get(f"{place}/revisions").json() == before


def test_a_retried_note_is_written_once(person: Person, notes: str) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    answers = [person.post(notes, {"body": "once"}, headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(person.get(notes).json()["items"]) == 1
