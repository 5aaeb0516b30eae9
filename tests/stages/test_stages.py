"""A pipeline of one's own: in order, never without a stage for a status, and nothing lost in retirement."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.applications.refusals import fault, invalid
from tests.conftest import Person

Sql = psycopg.Connection[Any]
NATURAL = ["Saved", "Applied", "Screening", "Interview", "Offer", "Accepted", "Closed"]


def stages(person: Person, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.get(f"/api/stages{query}").json()["items"]
    return found


def names(person: Person, query: str = "") -> list[str]:
    return [stage["name"] for stage in stages(person, query)]


def place(person: Person, name: str) -> str:
    return next(f"/api/stages/{stage['id']}" for stage in stages(person) if stage["name"] == name)


def add(person: Person, name: str, category: str = "in_process", **fields: Any) -> dict[str, Any]:
    answer = person.post("/api/stages", {"name": name, "category": category, **fields})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/stages/{answer.json()['id']}"
    document: dict[str, Any] = answer.json()
    return document


def is_dense(person: Person) -> bool:
    """Whether the positions are 1 to n, the retired ones last."""
    listed = stages(person)
    return [stage["position"] for stage in listed] == list(range(1, len(listed) + 1)) and [
        stage["retired"] for stage in listed
    ] == sorted(stage["retired"] for stage in listed)


def test_everybody_begins_with_seven_stages_of_every_category(person: Person) -> None:
    assert names(person) == NATURAL
    assert [stage["status"] for stage in stages(person)] == [
        *("saved", "applied", "screening", "interview", "offer", "accepted", "closed")
    ]
    assert is_dense(person)


def test_a_new_stage_goes_after_those_that_are_as_far_or_where_it_is_told(person: Person) -> None:
    panel = add(person, "Panel")
    assert (panel["position"], panel["status"], panel["retired"], panel["version"]) == (5, "interview", False, 1)
    assert add(person, "Rejected", "closed")["position"] == 9
    assert add(person, "Wish", "saved", position=1)["position"] == 1
    assert add(person, "Archive", "closed", position=50)["position"] == 11, "beyond the end means the end"
    assert names(person) == [
        *("Wish", "Saved", "Applied", "Screening", "Interview", "Panel", "Offer", "Accepted", "Closed", "Rejected"),
        "Archive",
    ]
    assert is_dense(person)


def test_a_stage_is_put_elsewhere_and_the_others_make_room(person: Person) -> None:
    moved = person.patch(place(person, "Interview"), {"position": 1})
    assert (moved.status_code, moved.json()["position"], moved.json()["version"]) == (200, 1, 2)
    assert names(person) == ["Interview", "Saved", "Applied", "Screening", "Offer", "Accepted", "Closed"]
    assert person.patch(place(person, "Interview"), {"position": 7}).json()["position"] == 7
    assert person.patch(place(person, "Interview"), {"position": 4}).json()["position"] == 4
    assert names(person) == NATURAL
    assert is_dense(person)


def test_what_made_room_has_another_etag(person: Person) -> None:
    screening = place(person, "Screening")
    before = person.get(screening)
    person.patch(place(person, "Closed"), {"position": 1})
    after = person.get(screening, headers={"If-None-Match": before.headers["etag"]})
    assert (after.status_code, after.json()["position"]) == (200, before.json()["position"] + 1)


def test_sixteen_who_order_retire_and_add_at_once_leave_neither_gaps_nor_ties(person: Person) -> None:
    for n in range(4):
        add(person, f"Round {n}")
    paths = [f"/api/stages/{stage['id']}" for stage in stages(person)]

    def change(n: int) -> int:
        path = paths[n % len(paths)]
        if n % 4 == 3:
            return person.post("/api/stages", {"name": f"New {n}", "category": "offer", "position": n}).status_code
        return person.patch(path, {"position": n * 7 % 11 + 1} if n % 4 else {"retired": True}).status_code

    with ThreadPoolExecutor(16) as crowd:
        answers = list(crowd.map(change, range(16)))
    assert set(answers) <= {200, 201, 409}
    assert answers.count(201) == 4
    assert is_dense(person)


def test_of_two_who_retire_the_last_two_of_a_category_one_is_refused(person: Person) -> None:
    paths = [place(person, "Screening"), place(person, "Interview")]
    with ThreadPoolExecutor(2) as crowd:
        answers = list(crowd.map(lambda path: person.delete(path).status_code, paths))
    assert sorted(answers) == [204, 409]
    assert is_dense(person)


@pytest.mark.parametrize("name", ["Saved", "Applied", "Offer", "Accepted", "Closed"])
def test_the_last_stage_of_a_category_stays_in_use(person: Person, name: str) -> None:
    refused = person.delete(place(person, name))
    assert fault(refused)[:2] == (409, "last_stage_of_category")
    assert person.patch(place(person, name), {"retired": True}).status_code == 409
    assert names(person, "?retired=false") == NATURAL


def test_a_retired_stage_keeps_its_applications_and_gets_no_new_ones(person: Person) -> None:
    screening = next(stage for stage in stages(person) if stage["name"] == "Screening")
    kept = person.create_application(status="screening")
    assert person.delete(f"/api/stages/{screening['id']}").status_code == 204
    assert person.delete(f"/api/stages/{screening['id']}").status_code == 204, "retired is retired"
    assert person.get(f"/api/applications/{kept['id']}").json() == kept
    other = person.create_application()
    for attempt in (
        person.post(f"/api/applications/{other['id']}/move", {"stage_id": screening["id"]}),
        person.patch(f"/api/applications/{other['id']}", {"stage_id": screening["id"]}),
        person("PUT", f"/api/applications/{other['id']}/position", {"stage_id": screening["id"]}),
        person.post("/api/applications", {"company": "C", "position": "P", "stage_id": screening["id"]}),
    ):
        assert fault(attempt) == invalid("stage_id")
    moved = person.post(f"/api/applications/{other['id']}/move", {"status": "screening"}).json()
    assert moved["status"] == "interview", "the status means the first stage of its category that is in use"
    assert (names(person, "?retired=true"), names(person)[-1]) == (["Screening"], "Screening")


def test_a_retired_stage_comes_back_to_where_it_belongs(person: Person) -> None:
    path = place(person, "Screening")
    person.delete(path)
    back = person.patch(path, {"retired": False}).json()
    assert (back["retired"], back["retired_at"], back["position"]) == (False, None, 4)
    assert names(person) == ["Saved", "Applied", "Interview", "Screening", "Offer", "Accepted", "Closed"]
    assert is_dense(person)


def test_a_name_is_taken_once_whatever_its_case(person: Person, new_person: Callable[..., Person]) -> None:
    assert fault(person.post("/api/stages", {"name": " SCREENING ", "category": "saved"}))[:2] == (409, "stage_exists")
    assert fault(person.patch(place(person, "Offer"), {"name": "saved"}))[:2] == (409, "stage_exists")
    assert person.patch(place(person, "Offer"), {"name": "OFFER"}).status_code == 200, "its own name is its own"
    add(person, "Panel")
    add(new_person(), "Panel")


def test_a_new_name_changes_nothing_else(person: Person) -> None:
    application = person.create_application(status="offer")
    renamed = person.patch(place(person, "Offer"), {"name": "They want me"}).json()
    assert (renamed["name"], renamed["category"], renamed["status"]) == ("They want me", "offer", "offer")
    assert person.get(f"/api/applications/{application['id']}").json() == application


def test_a_category_is_for_good(person: Person) -> None:
    assert fault(person.patch(place(person, "Offer"), {"category": "closed"})) == invalid("category")


def test_there_are_fifty_stages_at_most(person: Person, sql: Sql) -> None:
    sql.execute(
        "INSERT INTO stages (user_id, name, category, status, position) "
        "SELECT %s, 'Stage ' || n, 'offer', 'offer', 7 + n FROM generate_series(1, 42) n",
        [person.id],
    )
    add(person, "The fiftieth")
    refused = person.post("/api/stages", {"name": "One more", "category": "offer"})
    assert fault(refused)[:2] == (409, "too_many_stages")
    assert len(stages(person)) == 50


def test_a_stage_is_made_once_for_a_key(person: Person) -> None:
    key = {"Idempotency-Key": "a stage"}
    draft = {"name": "Panel", "category": "in_process"}
    first, again = (person.post("/api/stages", draft, headers=key) for _ in range(2))
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert first.json() == again.json()
    assert names(person).count("Panel") == 1


def test_a_stale_change_of_a_stage_is_refused(person: Person) -> None:
    path = place(person, "Offer")
    assert person.patch(path, {"name": "Yes"}, headers={"If-Match": '"1"'}).status_code == 200
    assert person.patch(path, {"name": "No"}, headers={"If-Match": '"1"'}).json()["version"] == 2
    assert person.delete(path, headers={"If-Match": '"1"'}).status_code == 412
    assert person.patch(path, {}).json()["version"] == 2, "nothing was asked for"


def test_another_order_within_a_category_is_another_furthest_stage(person: Person) -> None:
    application = person.create_application(status="interview")
    person.post(f"/api/applications/{application['id']}/move", {"status": "screening"})
    path = f"/api/applications/{application['id']}"
    before = person.get(path)
    assert before.json()["furthest_stage_id"] == application["stage_id"]
    person.patch(place(person, "Screening"), {"position": 4})
    after = person.get(path, headers={"If-None-Match": before.headers["etag"]}).json()
    assert after["furthest_stage_id"] == after["stage_id"] != application["stage_id"]
