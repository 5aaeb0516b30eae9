"""Tasks: of an application, or of nobody but their owner; done, due, and listed by day."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Person

Sql = psycopg.Connection[Any]


def make(person: Person, place: str = "/api/tasks", **fields: Any) -> dict[str, Any]:
    answer = person.post(place, {"title": "Call them", **fields})
    assert answer.status_code == 201, answer.text
    task: dict[str, Any] = answer.json()
    assert person.get(answer.headers["location"]).json() == task
    return task


def titles(person: Person, query: str = "", place: str = "/api/tasks") -> list[str]:
    """Of all pages, two tasks each."""
    found: list[str] = []
    cursor = ""
    while True:
        answer = person.get(f"{place}?limit=2&{query}{cursor}")
        assert answer.status_code == 200, answer.text
        found += [item["title"] for item in answer.json()["items"]]
        if (after := answer.json()["next_cursor"]) is None:
            return found
        cursor = f"&cursor={after}"


def test_a_task_is_kept_as_it_was_written_down(person: Person) -> None:
    task = make(person, notes="Ask for Ms. \u00d6zt\u00fcrk.\n", due_at="2030-01-07T10:00:00+01:00")
    assert task["application_id"] is None
    assert (task["due_at"], task["done"], task["done_at"]) == ("2030-01-07T09:00:00+00:00", False, None)
    assert (task["notes"], task["version"]) == ("Ask for Ms. \u00d6zt\u00fcrk.\n", 1)


def test_done_says_when_and_says_it_once(person: Person) -> None:
    place = f"/api/tasks/{make(person)['id']}"
    first = person.patch(place, {"done": True}).json()
    again = person.patch(place, {"done": True, "title": "Call them again"}).json()
    assert first["done"]
    assert datetime.fromisoformat(first["done_at"]) <= datetime.fromisoformat(first["updated_at"])
    assert again["done_at"] == first["done_at"], "it was done when it was done"
    undone = person.patch(place, {"done": False}).json()
    assert (undone["done"], undone["done_at"], undone["version"]) == (False, None, 4)
    assert make(person, done=True)["done_at"] is not None


def test_statements_that_know_only_one_of_done_and_done_at_set_both(person: Person, sql: Sql) -> None:
    task = make(person)
    sql.execute("UPDATE tasks SET done_at = '2026-01-01Z' WHERE id = %s", [task["id"]])
    assert person.get(f"/api/tasks/{task['id']}").json()["done"] is True
    sql.execute("UPDATE tasks SET done_at = NULL WHERE id = %s", [task["id"]])
    assert person.get(f"/api/tasks/{task['id']}").json()["done"] is False


def test_an_applications_task_is_found_in_both_places(person: Person) -> None:
    mine, other = (f"/api/applications/{person.create_application()['id']}/tasks" for _ in range(2))
    task = make(person, mine)
    loose = make(person, title="Buy a suit")
    assert person.get(f"/api/tasks/{task['id']}").json() == person.get(f"{mine}/{task['id']}").json() == task
    assert (titles(person, place=mine), titles(person, place=other)) == (["Call them"], [])
    assert sorted(titles(person)) == ["Buy a suit", "Call them"]
    for elsewhere in (f"{other}/{task['id']}", f"{mine}/{loose['id']}"):
        for method, body in (("GET", None), ("PATCH", {"title": "x"}), ("DELETE", None)):
            assert person(method, elsewhere, body).status_code == 404, (method, elsewhere)
    assert titles(person, place=mine) == ["Call them"]
    assert person.post(f"/api/applications/{uuid4()}/tasks", {"title": "x"}).status_code == 404


def test_a_deleted_task_is_in_the_trash_whole_and_comes_back_done(person: Person) -> None:
    task = make(person, done=True)
    assert person.delete(f"/api/tasks/{task['id']}", headers={"If-Match": '"7"'}).status_code == 412
    assert person.delete(f"/api/tasks/{task['id']}").status_code == 204
    assert person.get(f"/api/tasks/{task['id']}").status_code == 404
    assert person.post(f"/api/trash/{task['id']}/restore").status_code == 200
    assert person.get(f"/api/tasks/{task['id']}").json() == task


def test_the_earliest_comes_first_and_what_has_no_day_last(person: Person) -> None:
    for title, due_at in (("c", None), ("b", "2030-02-01T00:00:00Z"), ("d", None), ("a", "2030-01-01T00:00:00Z")):
        make(person, title=title, due_at=due_at)
    assert titles(person) == ["a", "b", "c", "d"]
    assert titles(person, "sort=-created_at") == ["a", "d", "b", "c"]
    assert titles(person, "due_after=2030-01-01T00:00:01Z") == ["b"]
    assert titles(person, "due_before=2030-02-01T00:00:00Z") == ["a"]
    assert titles(person, "sort=-created_at&due_after=1990-01-01T00:00:00Z") == ["a", "b"]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tasks=st.lists(st.tuples(st.none() | st.integers(1, 4), st.booleans()), max_size=9))
def test_pages_give_what_one_list_would_give(
    new_person: Callable[..., Person], tasks: list[tuple[int | None, bool]]
) -> None:
    person = new_person()
    made = [
        make(person, title=str(n), due_at=f"2030-01-0{day}T00:00:00Z" if day else None, done=done)
        for n, (day, done) in enumerate(tasks)
    ]
    for done in (True, False):
        expected = [t for t in made if t["done"] is done]
        by_day = sorted(expected, key=lambda t: (t["due_at"] or "9999", t["id"]))
        assert titles(person, f"done={str(done).lower()}") == [t["title"] for t in by_day]
        latest = sorted(expected, key=lambda t: (t["created_at"], t["id"]), reverse=True)
        assert titles(person, f"sort=-created_at&done={str(done).lower()}") == [t["title"] for t in latest]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "x", "due_at": "tomorrow"}, "due_at"),
        ({"title": "x", "due_at": "2030-01-01T00:00:00"}, "due_at"),
        ({"title": "x", "done": "yes"}, "done"),
        ({"title": "x", "application_id": str(uuid4())}, "application_id"),
    ],
)
def test_what_is_no_task_is_refused_with_its_field(person: Person, body: dict[str, Any], field: str) -> None:
    answer = person.post("/api/tasks", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_a_create_that_is_repeated_makes_one_task(person: Person) -> None:
    answers = [person.post("/api/tasks", {"title": "x"}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert titles(person) == ["x"]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("(coalesce(due_at, 'infinity'), id)", "tasks_due"),
        ("NOT done", "tasks_open"),
    ],
)
def test_lists_go_by_their_indexes(person: Person, sql: Sql, query: str, index: str) -> None:
    sql.execute(
        """INSERT INTO tasks (user_id, title, due_at, done)
           SELECT %s, 'x', now() + make_interval(hours => n), n %% 50 <> 0 FROM generate_series(1, 5000) n""",
        [person.id],
    )
    sql.execute("ANALYZE tasks")
    where = "true" if query.startswith("(") else query
    with sql.transaction(force_rollback=True):
        sql.execute("SELECT set_config('app.user_id', %s, true)", [person.id])
        sql.execute("SET LOCAL ROLE tenant")
        explained = sql.execute(
            f"EXPLAIN SELECT id FROM tasks WHERE {where} ORDER BY coalesce(due_at, 'infinity'), id LIMIT 20"
        )
        plan = "\n".join(line for (line,) in explained)
    assert f"Index Scan using {index}" in plan or f"Index Only Scan using {index}" in plan, plan
    assert "Sort" not in plan
