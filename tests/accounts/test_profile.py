"""The profile: read, changed, and changed by two at once."""

from collections.abc import Callable

from tests.conftest import Person


def test_a_profile_shows_what_was_registered(new_person: Callable[..., Person]) -> None:
    person = new_person(first_name=" Ada ", company="Engines Ltd")
    profile = person.get("/api/profile").json()
    assert (profile["first_name"], profile["company"], profile["role"]) == ("Ada", "Engines Ltd", "user")
    assert profile["email"] == person.email
    assert profile["version"] == 1


def test_what_is_left_out_of_a_change_stays(new_person: Callable[..., Person]) -> None:
    person = new_person(first_name="Ada", last_name="Byron")
    changed = person.patch("/api/profile", {"last_name": "Lovelace", "time_zone": "Europe/London"}).json()
    assert (changed["first_name"], changed["last_name"], changed["time_zone"]) == ("Ada", "Lovelace", "Europe/London")
    assert changed["version"] == 2


def test_null_empties_a_field(new_person: Callable[..., Person]) -> None:
    person = new_person(first_name="Ada")
    assert person.patch("/api/profile", {"first_name": None}).json()["first_name"] is None


def test_a_change_of_nothing_changes_nothing(person: Person) -> None:
    before = person.get("/api/profile").json()
    assert person.patch("/api/profile", {}).json() == before


def test_a_change_to_a_version_that_has_moved_on_is_refused(person: Person) -> None:
    tag = person.get("/api/profile").headers["etag"]
    assert person.patch("/api/profile", {"company": "A"}, headers={"If-Match": tag}).status_code == 200
    refused = person.patch("/api/profile", {"company": "B"}, headers={"If-Match": tag})
    assert (refused.status_code, refused.json()["code"], refused.json()["version"]) == (412, "stale_version", 2)
    assert person.get("/api/profile").json()["company"] == "A"


def test_a_reader_who_has_the_present_version_is_not_sent_it_again(person: Person) -> None:
    tag = person.get("/api/profile").headers["etag"]
    unchanged = person.get("/api/profile", headers={"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.headers["etag"]) == (304, tag)
    person.patch("/api/profile", {"company": "A"})
    assert person.get("/api/profile", headers={"If-None-Match": tag}).status_code == 200


def test_role_and_address_cannot_be_changed_with_the_profile(person: Person) -> None:
    for field in ("role", "email", "id", "email_verified"):
        refused = person.patch("/api/profile", {field: "admin"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
