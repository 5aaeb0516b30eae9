"""Deleting an application."""

from tests.applications.test_update_application import path_of
from tests.conftest import Person


def test_a_deleted_application_is_gone(person: Person) -> None:
    path = path_of(person.create_application())
    deleted = person.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    for again in (person.get(path), person.patch(path, {"status": "applied"}), person.delete(path)):
        assert (again.status_code, again.json()["code"]) == (404, "not_found")
    assert person.get("/api/applications").json()["items"] == []


def test_the_others_stay(person: Person) -> None:
    kept, gone = person.create_application(company="Kept"), person.create_application(company="Gone")
    person.delete(path_of(gone))
    assert person.get("/api/applications").json()["items"] == [kept]
