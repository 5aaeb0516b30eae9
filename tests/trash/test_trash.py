"""The trash: nothing of what is in it is to be seen, and what is restored is what was deleted, to the last digit."""

from collections.abc import Callable
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import permutations
from psycopg.sql import SQL, Identifier

from tests.conftest import Person
from tests.sessions.together import at_once
from tests.trash.rows import furnish, hanging, rows_of

Sql = psycopg.Connection[Any]

KINDS = {
    "application": "applications",
    "note": "notes",
    "event": "application_events",
    "contact": "contacts",
    "company": "companies",
    "interview": "interviews",
    "task": "tasks",
    "file": "files",
}
every_kind = pytest.mark.parametrize("kind", KINDS)

MOVED_TWICE = {"applications": {"version", "updated_at"}}
"""What no move leaves as it was: an event's going and its coming back are changes of its application."""


def ask(sql: Sql, person: Person, statement: LiteralString, *values: object) -> Any:
    """Run a statement as ``enter()`` lets the person run it; gives its one value."""
    with sql.transaction():
        sql.execute("SELECT set_config('app.user_id', %s, true)", [person.id])
        sql.execute("SET LOCAL ROLE tenant")
        (value,) = sql.execute(statement, values).fetchone() or (None,)
        sql.execute("RESET ROLE")
    return value


def discard(sql: Sql, person: Person, kind: str, thing: str) -> None:
    """Delete something as its owner, whether or not there is a route for it."""
    ask(sql, person, "SELECT discard(%s, %s, NULL, NULL)", KINDS[kind], thing)


def restore(person: Person, thing: str) -> Any:
    return person.post(f"/api/trash/{thing}/restore")


@pytest.fixture
def things(person: Person, sql: Sql) -> dict[str, str]:
    return furnish(person, sql)


# ---------------------------------------------------------------- nothing is lost


def test_a_row_of_every_table_that_hangs_on_an_application_is_in_these_tests(
    person: Person, things: dict[str, str], sql: Sql
) -> None:
    rows = rows_of(sql, person)
    below = hanging(sql, "applications")
    assert {"application_events", "event_revisions", "notes", "note_revisions", "application_contacts"} <= below
    assert [table for table in below if not rows[table]] == [], "a new table: give it a row in tests/trash/rows.py"


@every_kind
def test_what_is_restored_is_what_was_deleted_to_the_last_digit(
    person: Person, things: dict[str, str], sql: Sql, kind: str
) -> None:
    without = MOVED_TWICE if kind == "event" else None
    before = rows_of(sql, person, without=without)
    discard(sql, person, kind, things[kind])
    assert rows_of(sql, person, without=without) != before
    assert restore(person, things[kind]).json() == {"id": things[kind], "kind": kind}
    assert rows_of(sql, person, without=without) == before
    assert person.get("/api/trash").json()["items"] == []


def test_a_step_of_the_pipeline_that_comes_back_moves_the_application_back(
    person: Person, things: dict[str, str], sql: Sql
) -> None:
    (step,) = sql.execute(
        "SELECT id FROM application_events WHERE application_id = %s AND stage_id IS NOT NULL ORDER BY id DESC LIMIT 1",
        [things["application"]],
    ).fetchone() or (None,)
    moving = {"applications": {"version", "updated_at", "board_rank"}}
    before = rows_of(sql, person, without=moving)
    discard(sql, person, "event", str(step))
    assert person.get(f"/api/applications/{things['application']}").json()["status"] == "applied"
    assert restore(person, str(step)).status_code == 200
    assert person.get(f"/api/applications/{things['application']}").json()["status"] == "screening"
    assert rows_of(sql, person, without=moving) == before


@pytest.mark.parametrize(
    "pair", [("application", "contact"), ("application", "company"), ("contact", "company"), ("application", "file")]
)
def test_in_whichever_order_two_are_deleted_and_restored_what_was_between_them_is_there_again(
    person: Person, things: dict[str, str], sql: Sql, pair: tuple[str, str]
) -> None:
    before = rows_of(sql, person)
    for deleted in (pair, pair[::-1]):
        for restored in (pair, pair[::-1]):
            for kind in deleted:
                discard(sql, person, kind, things[kind])
            for kind in restored:
                assert restore(person, things[kind]).status_code == 200, (deleted, restored)
            assert rows_of(sql, person) == before, (deleted, restored)


@settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(order=permutations(sorted(KINDS.keys() - {"event"})), back=permutations(sorted(KINDS.keys() - {"event"})))
def test_in_whichever_order_all_is_deleted_and_restored_all_is_there_again(
    person: Person, things: dict[str, str], sql: Sql, order: list[str], back: list[str]
) -> None:
    """What is refused for what it belongs to is restored after that."""
    before = rows_of(sql, person)
    gone: list[str] = []
    for kind in order:  # what went with its application is no entry of its own
        if sql.execute(SQL("SELECT FROM {} WHERE id = %s").format(Identifier(KINDS[kind])), [things[kind]]).rowcount:
            discard(sql, person, kind, things[kind])
            gone.append(kind)
    waiting = [kind for kind in back if kind in gone]
    answers = [(kind, restore(person, things[kind]).status_code) for kind in waiting]
    refused = [kind for kind, status in answers if status == 409]
    assert set(refused) <= {"note", "interview", "task"}
    assert [restore(person, things[kind]).status_code for kind in refused] == [200] * len(refused)
    assert rows_of(sql, person) == before


def test_a_column_that_a_table_has_got_since_has_its_default(person: Person, things: dict[str, str], sql: Sql) -> None:
    discard(sql, person, "application", things["application"])
    with sql.transaction(force_rollback=True):
        for table in hanging(sql, "applications") | {"applications"}:
            statement = "ALTER TABLE {} ADD COLUMN since text NOT NULL DEFAULT 'then', ADD COLUMN later text"
            sql.execute(SQL(statement).format(Identifier(table)))
        assert ask(sql, person, "SELECT recover(%s)", things["application"]) == "applications"
        found = sql.execute("SELECT since, later FROM notes WHERE id = %s", [things["note"]]).fetchone()
        assert found == ("then", None)


def test_a_column_that_a_table_has_lost_since_is_no_hindrance(person: Person, things: dict[str, str], sql: Sql) -> None:
    discard(sql, person, "interview", things["interview"])
    with sql.transaction(force_rollback=True):
        sql.execute("ALTER TABLE interviews DROP COLUMN location")
        assert ask(sql, person, "SELECT recover(%s)", things["interview"]) == "interviews"


def test_what_hangs_on_two_things_that_go_together_comes_back_once(
    person: Person, things: dict[str, str], sql: Sql
) -> None:
    """Reached by two paths, pointing to a sibling: as a table might that is added later."""
    with sql.transaction(force_rollback=True):
        sql.execute(
            """
            ALTER TABLE interviews ADD UNIQUE (user_id, id);
            CREATE TABLE hints (
                id uuid PRIMARY KEY DEFAULT uuid7(), user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
                application_id uuid NOT NULL, interview_id uuid NOT NULL, task_id uuid,
                FOREIGN KEY (user_id, application_id) REFERENCES applications (user_id, id) ON DELETE CASCADE,
                FOREIGN KEY (user_id, interview_id) REFERENCES interviews (user_id, id) ON DELETE CASCADE);
            ALTER TABLE tasks ADD UNIQUE (user_id, id);
            ALTER TABLE hints ADD FOREIGN KEY (user_id, task_id) REFERENCES tasks (user_id, id)
                ON DELETE SET NULL (task_id);
            GRANT SELECT, INSERT, UPDATE, DELETE ON hints TO tenant;
            """
        )
        sql.execute(
            "INSERT INTO hints (user_id, application_id, interview_id, task_id) VALUES (%s, %s, %s, %s)",
            [person.id, things["application"], things["interview"], things["task"]],
        )
        before = rows_of(sql, person)
        assert len(before["hints"]) == 1
        discard(sql, person, "application", things["application"])
        assert rows_of(sql, person)["hints"] == []
        ask(sql, person, "SELECT recover(%s)", things["application"])
        assert rows_of(sql, person) == before


def test_every_way_in_which_rows_hang_on_each_other_is_one_that_the_trash_knows(sql: Sql) -> None:
    """By a pair of keys that ends in an id; taken along or emptied; locked before what hangs on it is read."""
    found = sql.execute(
        """
        SELECT child::text, pointer, on_delete, parent_columns, may_be_null,
               EXISTS (SELECT FROM pg_attribute WHERE attrelid = child AND attname = 'id'),
               EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = child),
               has_any_column_privilege('tenant', child, 'UPDATE'), has_table_privilege('tenant', child, 'INSERT')
        FROM references_between WHERE parent = ANY(%s::regclass[])
        """,
        [sorted({*KINDS.values(), *hanging(sql, "applications")})],
    ).fetchall()
    assert len(found) >= 10
    for child, pointer, on_delete, to, may_be_null, has_id, has_children, is_lockable, is_restorable in found:
        where = f"{child}.{pointer}"
        assert to == ["user_id", "id"], where
        assert on_delete in ("c", "n"), where
        assert is_restorable, where
        assert has_id or (on_delete == "c" and not may_be_null), where
        assert is_lockable or not has_children, where


# ---------------------------------------------------------------- nothing is to be seen


def test_what_is_in_the_trash_is_nowhere_else(person: Person, things: dict[str, str]) -> None:
    place = f"/api/applications/{things['application']}"
    assert person.delete(place).status_code == 204
    for path in (place, f"{place}/notes", f"{place}/notes/{things['note']}", f"{place}/contacts"):
        assert person.get(path).status_code == 404, path
    assert person.get("/api/applications").json()["items"] == []
    (company,) = person.get("/api/companies").json()["items"]
    assert company["applications"] == 0
    (entry,) = person.get("/api/trash").json()["items"]
    assert (entry["id"], entry["kind"], entry["title"]) == (things["application"], "application", "Engineer, Contoso")


def test_the_trash_says_what_is_in_it_the_latest_first(person: Person, things: dict[str, str], sql: Sql) -> None:
    order = ["file", "task", "interview", "event", "note", "contact", "company", "application"]
    for kind in order:
        discard(sql, person, kind, things[kind])
    entries = person.get("/api/trash").json()["items"]
    assert [entry["kind"] for entry in entries] == order[::-1]
    titles = {entry["kind"]: entry["title"] for entry in entries}
    assert titles["contact"] == "Grace"
    assert titles["note"] == "third"
    assert (titles["file"], titles["task"], titles["company"]) == ("cv.pdf", "Call them", "Contoso")
    seen: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = person.get("/api/trash?limit=3" + (cursor and f"&cursor={cursor}")).json()
        seen += page["items"]
        cursor = page["next_cursor"]
    assert seen == entries
    assert [entry["id"] for entry in person.get("/api/trash?kind=event").json()["items"]] == [things["event"]]
    assert person.get("/api/trash?kind=events").status_code == 422


# ---------------------------------------------------------------- refusals


def test_a_stranger_can_neither_see_nor_restore_nor_remove_it(
    person: Person, new_person: Callable[..., Person], things: dict[str, str]
) -> None:
    stranger = new_person()
    person.delete(f"/api/applications/{things['application']}")
    assert stranger.get("/api/trash").json()["items"] == []
    assert restore(stranger, things["application"]).status_code == 404
    assert stranger.delete(f"/api/trash/{things['application']}").status_code == 404
    assert stranger.delete("/api/trash").status_code == 204
    assert restore(person, things["application"]).status_code == 200


def test_what_belongs_to_something_in_the_trash_says_what_to_restore_first(
    person: Person, things: dict[str, str], sql: Sql
) -> None:
    before = rows_of(sql, person)
    for kind in ("note", "interview", "task", "application"):
        discard(sql, person, kind, things[kind])
    for kind in ("note", "interview", "task"):
        refused = restore(person, things[kind])
        assert (refused.status_code, refused.json()["code"]) == (409, "parent_gone")
        assert refused.json()["trash_id"] == things["application"]
    for kind in ("application", "note", "interview", "task"):
        assert restore(person, things[kind]).status_code == 200
    assert rows_of(sql, person) == before


def test_what_belongs_to_something_that_is_gone_for_good_stays_in_the_trash_but_for_tasks(
    person: Person, things: dict[str, str], sql: Sql
) -> None:
    for kind in ("note", "task", "contact", "application"):
        discard(sql, person, kind, things[kind])
    assert person.delete(f"/api/trash/{things['application']}").status_code == 204
    refused = restore(person, things["note"])
    assert (refused.status_code, refused.json()["code"], refused.json()["trash_id"]) == (409, "parent_gone", None)
    assert restore(person, things["task"]).status_code == 200
    assert restore(person, things["contact"]).status_code == 200
    assert sql.execute("SELECT application_id FROM tasks WHERE id = %s", [things["task"]]).fetchone() == (None,)
    assert [entry["kind"] for entry in person.get("/api/trash").json()["items"]] == ["note"]
    assert person.get(f"/api/contacts/{things['contact']}").json()["name"] == "Grace"


def test_an_application_comes_back_into_a_stage_that_was_retired(
    person: Person, things: dict[str, str], sql: Sql
) -> None:
    before = rows_of(sql, person)["applications"]
    discard(sql, person, "application", things["application"])
    sql.execute("UPDATE stages SET retired_at = now() WHERE user_id = %s AND name = 'Screening'", [person.id])
    assert restore(person, things["application"]).status_code == 200
    assert rows_of(sql, person)["applications"] == before


def test_a_company_whose_place_was_taken_comes_back_once_the_other_has_gone(person: Person) -> None:
    old = person.create_application(company="Contoso")
    person.patch(f"/api/companies/{old['company_id']}", {"notes": "Never again."})
    assert person.delete(f"/api/companies/{old['company_id']}").status_code == 204
    new = person.create_application(company="CONTOSO Ltd.")
    assert new["company_id"] not in (None, old["company_id"])
    refused = restore(person, old["company_id"])
    assert (refused.status_code, refused.json()["code"]) == (409, "already_exists")
    assert [entry["id"] for entry in person.get("/api/trash").json()["items"]] == [old["company_id"]]
    assert person.delete(f"/api/companies/{new['company_id']}").status_code == 204
    assert restore(person, old["company_id"]).status_code == 200
    company = person.get(f"/api/companies/{old['company_id']}").json()
    assert (company["notes"], company["applications"]) == ("Never again.", 2)


def test_a_task_of_nothing_is_not_deleted_as_one_of_an_application(
    person: Person, things: dict[str, str], sql: Sql
) -> None:
    task = ask(sql, person, "INSERT INTO tasks (title) VALUES ('x') RETURNING id")
    with pytest.raises(psycopg.Error) as refused:
        ask(sql, person, "SELECT discard('tasks', %s, NULL, %s)", task, things["application"])
    assert refused.value.sqlstate == "JT404"


# ---------------------------------------------------------------- for good


def test_what_is_deleted_for_good_is_gone(person: Person, things: dict[str, str], sql: Sql) -> None:
    person.delete(f"/api/applications/{things['application']}")
    assert person.delete(f"/api/trash/{things['application']}").status_code == 204
    assert person.delete(f"/api/trash/{things['application']}").status_code == 404
    assert restore(person, things["application"]).status_code == 404
    assert sql.execute("SELECT count(*) FROM trash WHERE user_id = %s", [person.id]).fetchone() == (0,)


def test_the_entry_of_a_file_stays_for_whoever_empties_the_store(
    person: Person, things: dict[str, str], sql: Sql
) -> None:
    for kind in ("file", "note"):
        discard(sql, person, kind, things[kind])
    assert person.delete("/api/trash").status_code == 204
    assert person.get("/api/trash").json()["items"] == []
    assert restore(person, things["file"]).status_code == 404
    left = sql.execute(
        "SELECT id::text, deleted_at <= now() - interval '30 days' FROM trash WHERE user_id = %s", [person.id]
    ).fetchall()
    assert left == [(things["file"], True)]


def test_what_is_older_than_30_days_is_neither_listed_nor_restored_though_no_purge_has_run(
    person: Person, things: dict[str, str], sql: Sql
) -> None:
    person.delete(f"/api/applications/{things['application']}")
    sql.execute("UPDATE trash SET deleted_at = now() - interval '30 days' WHERE user_id = %s", [person.id])
    assert person.get("/api/trash").json()["items"] == []
    assert restore(person, things["application"]).status_code == 404


# ---------------------------------------------------------------- at the same moment


def test_of_several_restores_at_once_one_wins(person: Person, things: dict[str, str], sql: Sql) -> None:
    before = rows_of(sql, person)
    person.delete(f"/api/applications/{things['application']}")
    answers = at_once(*[lambda: restore(person, things["application"]).status_code] * 4)
    assert sorted(answers) == [200, 404, 404, 404]
    assert rows_of(sql, person) == before


def test_of_what_is_linked_both_come_back_at_once_with_their_link(
    person: Person, things: dict[str, str], sql: Sql
) -> None:
    before = rows_of(sql, person)
    for _ in range(5):
        for kind in ("application", "contact", "company"):
            discard(sql, person, kind, things[kind])
        answers = at_once(
            *[lambda kind=kind: restore(person, things[kind]) for kind in ("application", "contact", "company")]
        )
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert rows_of(sql, person) == before


@pytest.mark.parametrize("_", range(8))
def test_a_note_written_or_changed_while_its_application_is_deleted_is_whole_or_refused(person: Person, _: int) -> None:
    place = f"/api/applications/{person.create_application()['id']}"
    note = person.post(f"{place}/notes", {"body": "first"}).json()["id"]
    deleted, changed, made, linked = at_once(
        lambda: person.delete(place),
        lambda: person.patch(f"{place}/notes/{note}", {"body": "second"}),
        lambda: person.post(f"{place}/notes", {"body": "another"}),
        lambda: person.post(f"{place}/contacts", {"name": "Grace"}),
    )
    assert deleted.status_code == 204
    assert changed.status_code in (200, 404)
    assert {made.status_code, linked.status_code} <= {201, 404}
    assert restore(person, place.rpartition("/")[2]).status_code == 200
    bodies = {item["body"]: item["revisions"] for item in person.get(f"{place}/notes").json()["items"]}
    expected = {"second": 1} if changed.status_code == 200 else {"first": 0}
    assert bodies == expected | ({"another": 0} if made.status_code == 201 else {})
    assert len(person.get(f"{place}/contacts").json()["items"]) == (linked.status_code == 201)


def test_a_change_that_waits_for_a_deletion_is_not_lost_from_the_trash(
    person: Person, things: dict[str, str], sql: Sql, database_url: str
) -> None:
    """The change was there first, uncommitted: the deletion waits for it, and takes what it has written."""
    with psycopg.connect(database_url) as writer:
        writer.execute("UPDATE notes SET body = 'the last word', version = 9 WHERE id = %s", [things["note"]])
        deleting, _ = at_once(
            lambda: person.delete(f"/api/applications/{things['application']}").status_code,
            lambda: _commit_when_waited_for(writer, sql),
        )
    assert deleting == 204
    restore(person, things["application"])
    note = person.get(f"/api/applications/{things['application']}/notes/{things['note']}").json()
    assert (note["body"], note["revisions"]) == ("the last word", 3)


def _commit_when_waited_for(writer: Sql, sql: Sql) -> int:
    mine = writer.info.backend_pid
    for _ in range(20_000):
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
        if sql.execute(waiting, [mine]).fetchone() == (1,):
            break
    else:
        pytest.fail("nobody waits")
    writer.commit()
    return 0


def test_nothing_that_never_was_can_be_restored(person: Person) -> None:
    assert restore(person, str(uuid4())).status_code == 404
