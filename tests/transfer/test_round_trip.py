"""Out of one account and into another: the same records, however they came to be."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis
import psycopg
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st

from tests.conftest import Person
from tests.transfer.conftest import Row, applications, bring_in, outcomes, take_csv, take_out

Sql = psycopg.Connection[Any]

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
"""All texts that PostgreSQL holds."""
TRICKY = st.text("'=+-@\t\r\n;,\"| \\a", max_size=12)
LINES = st.one_of(TEXTS, TRICKY).map(str.strip).filter(bool)
STEPS = st.lists(st.sampled_from(["applied", "screening", "interview", "offer", "rejected", "saved"]), max_size=3)
DRAFTS = st.fixed_dictionaries(
    {"company": LINES, "position": LINES, "status": st.sampled_from(["saved", "applied", "interview", "ghosted"])},
    optional={
        "location": LINES,
        "source": LINES,
        "notes": st.one_of(TEXTS, TRICKY).filter(bool),
        "tags": st.lists(LINES, max_size=3),
        "salary_max": st.integers(0, 10**15),
        "salary_currency": st.sampled_from(["EUR", "JPY", "KWD"]),
        "salary_period": st.sampled_from(["hour", "year"]),
        "workplace": st.sampled_from(["remote", "hybrid"]),
        "applied_on": st.dates().filter(lambda d: 1900 <= d.year <= 2200).map(str),
        "deadline": st.dates().filter(lambda d: 1900 <= d.year <= 2200).map(str),
    },
)
SETTINGS = hypothesis.settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
OTHERS = ("id", "company_id", "stage_id", "furthest_stage_id", "updated_at", "version")
"""What is another in another account."""


def live(person: Person, draft: Row, steps: list[str], note: str) -> None:
    """An application, and some of what happens to one."""
    if "salary_max" in draft and "salary_currency" not in draft:
        draft = draft | {"salary_currency": "USD"}
    made = person.create_application(**draft)
    for step in steps:
        move = {"status": step, "note": note, "round": 2, "round_name": note.strip() or None}
        assert person.post(f"/api/applications/{made['id']}/move", move).status_code == 200
    assert person.patch(f"/api/applications/{made['id']}", {"priority": "high"}).status_code == 200


def shown(person: Person, *besides: str) -> list[Row]:
    """What the list shows of an account, but for ids."""
    return [{k: v for k, v in each.items() if k not in (*OTHERS, *besides)} for each in applications(person)]


def whole(person: Person) -> list[Row]:
    """What an export says of an account, but for ids."""
    exported = take_out(person)
    names = {stage["id"]: stage["name"] for stage in exported["stages"]}
    for entry in exported["applications"]:
        for name in OTHERS:
            entry["application"].pop(name, None)
        for event in entry["events"]:
            event["stage_id"] = names.get(event["stage_id"])
        for contact in entry["contacts"]:
            del contact["id"]
    found: list[Row] = exported["applications"]
    return found


def _steps(entry: Row) -> list[Row]:
    """An application's way through the stages, as far as a cell carries it: a note of no text is none."""
    steps = [event for event in entry["events"] if event["stage_id"]]
    return [event | {"note": event["note"] or None, "created_at": None} for event in steps]


@SETTINGS
@given(drafts=st.lists(st.tuples(DRAFTS, STEPS, TEXTS), min_size=1, max_size=3))
def test_an_export_imported_elsewhere_is_the_same_records(
    new_person: Callable[..., Person], drafts: list[tuple[Row, list[str], str]]
) -> None:
    ada, by_json, by_csv = new_person(), new_person(), new_person()
    for draft, steps, note in drafts:
        live(ada, draft, steps, note)
    exported, (table, rows) = json.dumps(take_out(ada)), take_csv(ada)
    assert len(rows) == len(drafts)
    for person, file in ((by_json, exported), (by_csv, table)):
        assert outcomes(bring_in(person, file)) == ["created"] * len(drafts)
    assert whole(by_json) == whole(ada)
    assert shown(by_json) == shown(ada)
    assert shown(by_csv, "last_activity_at") == shown(ada, "last_activity_at")
    assert [_steps(entry) for entry in whole(by_csv)] == [_steps(entry) for entry in whole(ada)]
    for person, file in ((ada, exported), (ada, table), (by_json, exported), (by_json, table), (by_csv, table)):
        assert outcomes(bring_in(person, file)) == ["unchanged"] * len(drafts)


def test_all_that_hangs_on_an_application_comes_along(ada: Person, bob: Person, sql: Sql) -> None:
    made = ada.create_application(status="applied")
    other = ada.create_application(company="Initech")
    ids = {"user_id": ada.id, "application_id": made["id"], "other": other["id"]}
    for statement in (
        "INSERT INTO notes (user_id, application_id, body) VALUES (%(user_id)s, %(application_id)s, E' a\n=b')",
        """WITH c AS (INSERT INTO contacts (user_id, company_id, name, email) VALUES (%(user_id)s,
               company_named(%(user_id)s, 'Contoso'), 'Grace', 'grace@example.com') RETURNING id)
           INSERT INTO application_contacts (user_id, application_id, contact_id, role)
           SELECT %(user_id)s, a, id, 'recruiter' FROM c,
               unnest(ARRAY[%(application_id)s, %(other)s]::uuid[]) AS a""",
        """INSERT INTO interviews (user_id, application_id, kind, starts_at, time_zone, interviewers, outcome)
           VALUES (%(user_id)s, %(application_id)s, 'video', now() + interval '1 day', 'Europe/Berlin',
                   '{Ada,"Grace H."}', 'pending')""",
        """INSERT INTO tasks (user_id, application_id, title, due_at, done_at)
           VALUES (%(user_id)s, %(application_id)s, 'Call them', now(), now())""",
        """INSERT INTO application_events (user_id, application_id, kind, facts)
           VALUES (%(user_id)s, %(application_id)s, 'email', '{"subject": "Hello"}')""",
    ):
        sql.execute(statement, ids)
    assert outcomes(bring_in(bob, json.dumps(take_out(ada)))) == ["created", "created"]
    assert whole(bob) == whole(ada)
    assert all(entry["contacts"] for entry in whole(bob))
    people = sql.execute("SELECT count(*) FROM contacts WHERE user_id = %s", [bob.id]).fetchone()
    assert people == (1,), "who has to do with two applications is one person"


def test_a_stage_that_is_not_there_is_the_one_its_status_stands_for(ada: Person, bob: Person, sql: Sql) -> None:
    sql.execute("UPDATE stages SET name = 'Coffee chat' WHERE user_id = %s AND status = 'screening'", [ada.id])
    ada.create_application(status="screening")
    bring_in(bob, json.dumps(take_out(ada)))
    bring_in(bob, take_csv(ada)[0])
    assert [item["status"] for item in applications(bob)] == ["screening"]


def test_what_was_changed_since_is_neither_overwritten_nor_doubled(ada: Person) -> None:
    made = ada.create_application(notes="They called.")
    exported = take_csv(ada)[0]
    ada.patch(f"/api/applications/{made['id']}", {"notes": "They called again."})
    report = bring_in(ada, exported)
    assert report["results"][0]["errors"][0]["code"] == "exists"
    assert report["results"][0]["application_id"] == made["id"]
    assert [item["notes"] for item in applications(ada)] == ["They called again."]


def test_an_export_holds_what_the_filters_find(ada: Person) -> None:
    ada.create_application(company="Early", status="applied", applied_on="2026-01-01")
    ada.create_application(company="Late", status="rejected", applied_on="2026-10-01")
    for query, found in (
        ({"status": "applied,offer"}, ["Early"]),
        ({"applied_from": "2026-05-01"}, ["Late"]),
        ({"applied_to": "2026-05-01"}, ["Early"]),
        ({"status": "offer"}, []),
    ):
        assert [row["company"] for row in take_csv(ada, **query)[1]] == found
        assert [entry["application"]["company"] for entry in take_out(ada, **query)["applications"]] == found


def test_an_export_is_a_file_that_spreadsheets_take_for_what_it_is(ada: Person) -> None:
    ada.create_application(company="=1+1", notes="a\nb")
    answer = ada.get("/api/applications/export")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="applications.csv"'
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert answer.content.endswith(b'"\r\n')
    assert b'"\'=1+1"' in answer.content
    assert ada.get("/api/applications/export?format=xls").status_code == 422


def test_too_much_for_one_file_is_refused_before_it_is_read(ada: Person, sql: Sql) -> None:
    sql.execute(
        """
        INSERT INTO applications (user_id, company, position, notes)
        SELECT %s, 'Contoso', 'Engineer', repeat('x', 3000000) FROM generate_series(1, 23)
        """,
        [ada.id],
    )
    refused = ada.get("/api/applications/export")
    assert (refused.status_code, refused.json()["code"]) == (422, "export_too_large")
    assert refused.json()["applications"] == 20_000


def test_old_records_are_due_when_they_were(ada: Person) -> None:
    long_ago = (datetime.now(UTC) - timedelta(days=400)).date()
    bring_in(ada, f"Company,Position,Status,Date applied\nContoso,Engineer,Interviewing,{long_ago}")
    (made,) = applications(ada)
    assert made["stage_since"][:10] == str(long_ago)
    assert made["follow_up_at"][:10] == str(long_ago + timedelta(days=4))
