"""Many at once: each succeeds or fails by itself, and the answer says which."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.conftest import Person

Bulk = dict[str, Any]


def bulk(person: Person, ids: list[str], **what: Any) -> list[Bulk]:
    answer = person.post("/api/applications/bulk", {"ids": ids, **what})
    assert answer.status_code == 200, answer.text
    results: list[Bulk] = answer.json()["results"]
    assert [result["id"] for result in results] == ids
    return results


def read(person: Person, application: str) -> dict[str, Any]:
    return dict(person.get(f"/api/applications/{application}").json())


@pytest.fixture
def ids(person: Person) -> list[str]:
    """Three applications, not in the order of their ids."""
    made = [str(person.create_application(tags=["A", "b"])["id"]) for _ in range(3)]
    return [made[2], made[0], made[1]]


def test_a_move_is_made_of_each_and_again_of_none(person: Person, ids: list[str]) -> None:
    assert [result["outcome"] for result in bulk(person, ids, move={"status": "applied"})] == ["done"] * 3
    again = bulk(person, ids, move={"status": "applied"})
    assert [(result["outcome"], result["version"]) for result in again] == [("done", 2)] * 3
    assert {read(person, each)["status"] for each in ids} == {"applied"}


def test_what_is_not_there_or_not_ones_own_hinders_no_other(person: Person, admin: Person, ids: list[str]) -> None:
    theirs = admin.create_application()
    asked = [ids[0], str(uuid4()), theirs["id"], ids[1]]
    results = bulk(person, asked, move={"status": "rejected", "reason": "rejected"})
    assert [result["outcome"] for result in results] == ["done", "not_found", "not_found", "done"]
    assert results[1]["error"] == results[2]["error"] == {"code": "not_found"}
    assert read(admin, theirs["id"]) == theirs


def test_what_cannot_be_done_is_told_as_it_would_be_of_one(person: Person, ids: list[str]) -> None:
    alone = person.post(f"/api/applications/{ids[0]}/move", {"status": "applied", "reason": "x"}).json()
    results = bulk(person, ids, move={"status": "applied", "reason": "x"})
    assert {result["outcome"] for result in results} == {"invalid"}
    assert results[0]["error"] == {"code": alone["code"], "errors": alone["errors"]}
    assert {read(person, each)["version"] for each in ids} == {1}


def test_one_that_fails_is_undone_alone(person: Person) -> None:
    full = person.create_application(tags=[str(n) for n in range(20)])
    free = person.create_application(tags=["A"])
    results = bulk(person, [full["id"], free["id"]], change={"priority": "high", "tags_add": ["new"]})
    assert [result["outcome"] for result in results] == ["invalid", "done"]
    assert results[0]["error"]["errors"][0]["field"] == "change.tags_add"
    assert read(person, full["id"]) == full
    assert (read(person, free["id"])["tags"], read(person, free["id"])["priority"]) == (["A", "new"], "high")


def test_a_change_changes_what_is_given(person: Person, ids: list[str]) -> None:
    before = read(person, ids[0])
    change = {
        "priority": "low",
        "source": "a fair",
        "workplace": "remote",
        "deadline": "2026-02-01",
        "follow_up_at": "2026-02-01T09:00:00+01:00",
        "tags_add": ["C", "a"],
        "tags_remove": ["B"],
    }
    assert {result["version"] for result in bulk(person, ids, change=change)} == {2}
    after = read(person, ids[0])
    assert after["tags"] == ["A", "C"]
    assert after["follow_up_at"] == "2026-02-01T08:00:00+00:00"
    for field in ("priority", "source", "workplace", "deadline"):
        assert after[field] == change[field]
    assert {result["version"] for result in bulk(person, ids, change=change)} == {2}, "nothing is left to change"
    bulk(person, ids, change={"deadline": None, "priority": None})
    emptied = read(person, ids[0])
    assert (emptied["deadline"], emptied["priority"], emptied["source"]) == (None, None, "a fair")
    assert emptied["company"] == before["company"]


def test_what_is_deleted_is_in_the_trash(person: Person, ids: list[str], sql: psycopg.Connection[Any]) -> None:
    results = bulk(person, [*ids[:2], str(uuid4())], delete=True)
    assert [result["outcome"] for result in results] == ["done", "done", "not_found"]
    assert all("version" not in result for result in results)
    assert [item["id"] for item in person.get("/api/applications").json()["items"]] == [ids[2]]
    kept = sql.execute("SELECT id::text FROM trash WHERE user_id = %s", [person.id]).fetchall()
    assert {kept_id for (kept_id,) in kept} == set(ids[:2])


@pytest.mark.parametrize(
    "wrong",
    [
        {"ids": []},
        {"ids": [str(uuid4()) for _ in range(101)]},
        {"ids": [str(uuid4())] * 2},
        {"ids": ["x"]},
        {"delete": False},
        {"delete": None},
        {"move": {"status": "applied"}},
        {"delete": None, "change": {"status": "applied"}},
        {"delete": None, "move": {}},
    ],
)
def test_a_body_that_is_none_is_refused(person: Person, wrong: dict[str, Any]) -> None:
    assert person.post("/api/applications/bulk", {"ids": [str(uuid4())], "delete": True} | wrong).status_code == 422


def test_two_in_opposite_orders_do_not_lock_each_other_out(person: Person) -> None:
    ids = [str(person.create_application(position=str(n))["id"]) for n in range(20)]
    with ThreadPoolExecutor(2) as threads:
        answers = threads.map(
            lambda asked: bulk(person, asked, move={"status": "applied", "note": "now"}), [ids, ids[::-1]]
        )
    assert {result["outcome"] for answer in answers for result in answer} == {"done"}
