"""Tags: one for each name, on every application at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from tests.conftest import Person


def tags(person: Person) -> dict[str, int]:
    items = person.get("/api/tags?limit=100").json()["items"]
    return {item["name"]: item["applications"] for item in items}


def tag(person: Person, name: str) -> dict[str, Any]:
    (found,) = (item for item in person.get("/api/tags").json()["items"] if item["name"] == name)
    return dict(found)


def read(person: Person, application: dict[str, Any]) -> dict[str, Any]:
    return dict(person.get(f"/api/applications/{application['id']}").json())


def test_an_application_makes_the_tags_it_uses_and_the_first_spelling_wins(person: Person) -> None:
    first = person.create_application(tags=[" Remote ", "Go"])
    second = person.create_application(tags=["remote", "GO", "go", "Új"])
    assert first["tags"] == ["Remote", "Go"]
    assert second["tags"] == ["Remote", "Go", "Új"]
    assert tags(person) == {"Go": 2, "Remote": 2, "Új": 1}
    changed = person.patch(f"/api/applications/{first['id']}", {"tags": ["ÚJ", "SQL"]}).json()
    assert changed["tags"] == ["Új", "SQL"]
    assert tags(person) == {"Go": 1, "Remote": 1, "SQL": 1, "Új": 2}


def test_another_spelling_of_the_same_tags_is_no_change_of_them(person: Person, sql: psycopg.Connection[Any]) -> None:
    made = person.create_application(tags=["Remote"])
    person.patch(f"/api/applications/{made['id']}", {"tags": ["REMOTE"]})
    kinds = sql.execute("SELECT kind FROM application_events WHERE application_id = %s", [made["id"]]).fetchall()
    assert kinds == [("created",)]


def test_a_tag_of_its_own_has_a_color_and_its_name_once(person: Person) -> None:
    created = person.post("/api/tags", {"name": "Dream", "color": "#FF00aa"})
    made = created.json()
    assert (created.status_code, created.headers["location"], made["color"]) == (
        201,
        f"/api/tags/{made['id']}",
        "#ff00aa",
    )
    assert person.get(created.headers["location"]).json() == made
    refused = person.post("/api/tags", {"name": "dream"})
    assert (refused.status_code, refused.json()["code"], refused.json()["id"]) == (409, "tag_exists", made["id"])
    for wrong in ({"name": "a,b"}, {"name": ""}, {"name": "x", "color": "red"}, {"name": "x", "color": "#fff"}):
        assert person.post("/api/tags", wrong).status_code == 422
    person.create_application(tags=["DREAM"])
    assert tags(person) == {"Dream": 1}


def test_a_renamed_tag_is_so_everywhere_and_no_application_counts_as_edited(
    person: Person, sql: psycopg.Connection[Any]
) -> None:
    one, other = person.create_application(tags=["Go", "SQL"]), person.create_application(tags=["SQL"])
    place = f"/api/tags/{tag(person, 'Go')['id']}"
    renamed = person.patch(place, {"name": "Golang"}, headers={"If-Match": '"1"'})
    assert (renamed.status_code, renamed.json()["name"], renamed.json()["version"]) == (200, "Golang", 2)
    after = read(person, one)
    assert after == one | {
        "tags": ["Golang", "SQL"],
        "version": 2,
    }  # what it shows is another version; updated_at stays
    assert read(person, other) == other
    assert person.get("/api/applications?q=golang").json()["items"] == [after]
    assert sql.execute("SELECT DISTINCT kind FROM application_events WHERE user_id = %s", [person.id]).fetchall() == [
        ("created",)
    ]
    taken = person.patch(place, {"name": "sql"})
    assert (taken.status_code, taken.json()["code"], taken.json()["id"]) == (
        409,
        "tag_exists",
        tag(person, "SQL")["id"],
    )
    assert person.patch(place, {"name": "GOLANG"}).json()["name"] == "GOLANG"
    assert read(person, one)["tags"] == ["GOLANG", "SQL"]


def test_a_deleted_tag_is_nowhere_and_the_applications_stay(person: Person) -> None:
    one = person.create_application(tags=["Go", "SQL"])
    place = f"/api/tags/{tag(person, 'Go')['id']}"
    assert person.delete(place, headers={"If-Match": '"7"'}).status_code == 412
    assert person.delete(place).status_code == 204
    assert person.get(place).status_code == 404
    assert read(person, one)["tags"] == ["SQL"]
    assert tags(person) == {"SQL": 1}


def test_what_comes_back_from_the_trash_brings_its_tags(person: Person, sql: psycopg.Connection[Any]) -> None:
    gone = person.create_application(tags=["Go", "remote"])
    person.delete(f"/api/applications/{gone['id']}")
    person.delete(f"/api/tags/{tag(person, 'Go')['id']}")
    person.patch(f"/api/tags/{tag(person, 'remote')['id']}", {"name": "Remote"})
    with sql.transaction():
        sql.execute("SELECT set_config('app.user_id', %s, true)", [person.id])
        sql.execute("SELECT recover(%s)", [gone["id"]])
    assert read(person, gone) == gone | {"tags": ["Go", "Remote"]}
    assert tags(person) == {"Go": 1, "Remote": 1}


def test_there_are_at_most_500_also_by_way_of_applications(person: Person, sql: psycopg.Connection[Any]) -> None:
    sql.execute(
        "INSERT INTO tags (user_id, name) SELECT %s, 'tag ' || n FROM generate_series(1, 499) AS n", [person.id]
    )
    assert person.post("/api/tags", {"name": "the last"}).status_code == 201
    refused = person.post("/api/tags", {"name": "one more"})
    assert (refused.status_code, refused.json()["code"], refused.json()["limit"]) == (409, "too_many_tags", 500)
    draft = {"company": "Contoso", "position": "Engineer", "tags": ["one more"]}
    assert person.post("/api/applications", draft).json()["errors"][0]["field"] == "tags"
    assert person.post("/api/applications", draft | {"tags": ["TAG 7"]}).json()["tags"] == ["tag 7"]
    assert len(tags(person)) == 100


def test_of_a_rename_and_applications_that_use_the_tag_none_is_left_behind(person: Person) -> None:
    person.create_application(tags=["Go"])
    place = f"/api/tags/{tag(person, 'Go')['id']}"
    with ThreadPoolExecutor(8) as threads:
        made = [threads.submit(person.create_application, tags=["Go"]) for _ in range(12)]
        renamed = threads.submit(person.patch, place, {"name": "Golang"})
        assert renamed.result().status_code == 200
        for each in made:
            each.result()
    used = {name for item in person.get("/api/applications?limit=100").json()["items"] for name in item["tags"]}
    assert used <= set(tags(person))
    assert sum(tags(person).values()) == 13


def test_pages_of_tags_are_by_name(person: Person) -> None:
    person.create_application(tags=["b", "C", "a"])
    first = person.get("/api/tags?limit=2").json()
    rest = person.get(f"/api/tags?limit=2&cursor={first['next_cursor']}").json()
    assert [item["name"] for item in first["items"] + rest["items"]] == ["a", "b", "C"]
    assert rest["next_cursor"] is None
