"""Merging: of two applications one is left, and nothing of either is lost, whatever hangs on them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Person
from tests.db import walk

Sql = psycopg.Connection[Any]

MOVED = """
    SELECT child::text, pointer FROM references_between WHERE parent = 'applications'::regclass ORDER BY child::text
"""


def merge(person: Person, stays: dict[str, Any], goes: dict[str, Any], **options: Any) -> Any:
    return person.post(f"/api/applications/{stays['id']}/merge", {"duplicate_id": goes["id"]}, **options)


def children(sql: Sql, *applications: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Every row that hangs on these, by the catalog, without what says on which."""
    found = {}
    for table, pointer in sql.execute(MOVED).fetchall():
        question = f"SELECT to_jsonb(t) - %s FROM {table} t WHERE {pointer} = ANY(%s::uuid[])"
        found[table] = [row for (row,) in sql.execute(question.encode(), [pointer, [a["id"] for a in applications]])]
    return found


def furnish(person: Person, sql: Sql, application: dict[str, Any]) -> None:
    """A row in every table that hangs on applications."""
    newest = person.get("/api/applications?limit=1").json()["items"][0]
    assert newest["id"] == application["id"]
    walk.furnish_tracker(person, sql)
    loose = "UPDATE tasks SET application_id = %s WHERE application_id IS NULL AND user_id = %s"
    sql.execute(loose, [application["id"], person.id])


def test_everything_of_both_is_there_afterwards(person: Person, sql: Sql) -> None:
    applications: list[dict[str, Any]] = []
    for _ in range(2):
        applications.append(person.create_application(position=f"Engineer {len(applications)}"))
        sql.execute("DELETE FROM tags WHERE user_id = %s", [person.id])
        sql.execute("DELETE FROM saved_views WHERE user_id = %s", [person.id])
        furnish(person, sql, applications[-1])
    stays, goes = applications
    before = children(sql, stays, goes)
    assert all(len(rows) >= 2 for rows in before.values()), "give each a row in every table, in walk.furnish_tracker()"
    answer = merge(person, stays, goes, headers={"If-Match": f'"{person_version(person, stays)}"'})
    assert answer.status_code == 200, answer.text
    assert person.get(f"/api/applications/{goes['id']}").status_code == 404
    assert person.get(f"/api/applications/{stays['id']}").json() == answer.json()
    after = children(sql, stays)
    (merged,) = (event for event in after["application_events"] if event["kind"] == "merged")
    after["application_events"].remove(merged)
    for table, rows in before.items():
        assert sorted(map(str, rows)) == sorted(map(str, after[table])), table
    assert merged["facts"]["merged"]["position"] == "Engineer 1"
    assert merged["facts"]["merged"]["id"] == goes["id"]
    assert [event["kind"] for event in after["application_events"]].count("created") == 2


def person_version(person: Person, application: dict[str, Any]) -> int:
    return int(person.get(f"/api/applications/{application['id']}").json()["version"])


def test_a_link_both_have_is_there_once_and_the_others_words_are_kept(person: Person, sql: Sql) -> None:
    stays, goes = person.create_application(), person.create_application()
    ((contact,),) = sql.execute(
        "INSERT INTO contacts (user_id, name) VALUES (%s, 'Grace') RETURNING id", [person.id]
    ).fetchall()
    for application, role in ((stays, "recruiter"), (goes, "referrer")):
        sql.execute(
            "INSERT INTO application_contacts (user_id, application_id, contact_id, role) VALUES (%s, %s, %s, %s)",
            [person.id, application["id"], contact, role],
        )
    assert merge(person, stays, goes).status_code == 200
    left = children(sql, stays)
    assert [link["role"] for link in left["application_contacts"]] == ["recruiter"]
    (merged,) = (event["facts"] for event in left["application_events"] if event["kind"] == "merged")
    assert [(link["table"], link["row"]["role"]) for link in merged["links"]] == [("application_contacts", "referrer")]


def test_the_timeline_of_both_is_one(person: Person) -> None:
    stays = person.create_application(status="applied", applied_on="2026-01-10")
    goes = person.create_application(status="applied", applied_on="2026-01-05")
    moved = {"status": "interview", "round": 3, "occurred_at": "2026-01-12T09:00:00Z"}
    person.post(f"/api/applications/{goes['id']}/move", moved)
    closed = {"status": "rejected", "occurred_at": "2026-01-15T09:00:00Z"}
    person.post(f"/api/applications/{stays['id']}/move", closed)
    before = person_version(person, stays)
    merged = merge(person, stays, goes).json()
    assert (merged["status"], merged["furthest_category"], merged["furthest_round"]) == ("rejected", "in_process", 3)
    assert merged["version"] == before + 1


SOMETIMES = st.one_of(st.none(), st.sampled_from(["x", "y"]))
FIELDS = st.fixed_dictionaries(
    {
        "location": SOMETIMES,
        "source": SOMETIMES,
        "notes": st.one_of(st.none(), st.sampled_from(["", "one", "l" * 15_000, "m" * 15_000])),
        "priority": st.sampled_from([None, "low", "high"]),
        "deadline": st.sampled_from([None, "2026-01-01"]),
        "applied_on": st.sampled_from([None, "2026-01-02"]),
        "tags": st.lists(st.sampled_from(["A", "B", "c"]), max_size=3),
        "salary_currency": st.sampled_from([None, "EUR"]),
    }
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=FIELDS, other=FIELDS)
def test_what_is_empty_is_filled_and_what_differs_is_kept(
    person: Person, sql: Sql, one: dict[str, Any], other: dict[str, Any]
) -> None:
    stays, goes = person.create_application(**one), person.create_application(**other)
    answer = merge(person, stays, goes)
    assert answer.status_code == 200, answer.text
    merged = answer.json()
    for field in ("location", "source", "priority", "deadline", "applied_on", "salary_currency"):
        assert merged[field] == (one[field] if one[field] is not None else other[field]), field
    assert {tag.lower() for tag in merged["tags"]} == {tag.lower() for tag in one["tags"] + other["tags"]}
    left = children(sql, stays)
    texts = [merged["notes"] or "", *(note["body"] for note in left["notes"])]
    assert all(any((fields["notes"] or "") in text for text in texts) for fields in (one, other))
    (facts,) = (event["facts"]["merged"] for event in left["application_events"] if event["kind"] == "merged")
    assert {field: facts[field] for field in other} == other | {"tags": goes["tags"]}


def test_what_lies_in_the_trash_comes_back_to_the_one_that_stayed(person: Person, sql: Sql) -> None:
    stays, goes = person.create_application(), person.create_application()
    with sql.transaction():
        sql.execute("SELECT set_config('app.user_id', %s, true)", [person.id])
        ((note,),) = sql.execute(
            "INSERT INTO notes (application_id, body) VALUES (%s, 'They called.') RETURNING id", [goes["id"]]
        ).fetchall()
        sql.execute("SELECT discard('notes', %s, NULL, %s)", [note, goes["id"]])
    assert merge(person, stays, goes).status_code == 200
    with sql.transaction():
        sql.execute("SELECT set_config('app.user_id', %s, true)", [person.id])
        sql.execute("SELECT recover(%s)", [note])
    assert [note["body"] for note in children(sql, stays)["notes"]] == ["They called."]


def test_what_cannot_be_merged_is_refused_and_nothing_changes(person: Person, admin: Person) -> None:
    mine, other, theirs = person.create_application(), person.create_application(), admin.create_application()
    refused = merge(person, mine, mine)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "duplicate_id")
    assert merge(person, mine, theirs).status_code == merge(person, theirs, mine).status_code == 404
    assert merge(person, mine, {"id": str(uuid4())}).status_code == 404
    stale = merge(person, mine, other, headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.json()["version"]) == (412, 1)
    assert person.get("/api/applications").json()["items"] == [other, mine]
    assert admin.get("/api/applications").json()["items"] == [theirs]


@pytest.mark.parametrize("_", range(4))
def test_of_two_opposite_merges_at_once_one_wins(person: Person, _: int) -> None:
    one, other = person.create_application(notes="one"), person.create_application(notes="other")
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda pair: merge(person, *pair), [(one, other), (other, one)]))
    assert sorted(answer.status_code for answer in answers) == [200, 404]
    (left,) = person.get("/api/applications").json()["items"]
    assert sorted(left["notes"].split()) == ["one", "other"]


@pytest.mark.parametrize("saved_stays", [True, False])
def test_what_was_saved_again_later_is_no_step_back(person: Person, saved_stays: bool) -> None:
    applied = person.create_application(status="applied", applied_on="2026-05-01")
    saved = person.create_application(status="saved")
    stays, goes = (saved, applied) if saved_stays else (applied, saved)
    merged = merge(person, stays, goes).json()
    assert (merged["status"], merged["furthest_category"], merged["applied_on"]) == ("applied", "applied", "2026-05-01")
    assert merged["follow_up_at"] == applied["follow_up_at"]
