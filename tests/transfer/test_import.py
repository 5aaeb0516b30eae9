"""Imports: what they tell, that they make nothing twice, what they refuse, and how they are undone."""

import json
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from shared.transfer import MAX_BODY
from shared.transfer.tables import MAX_ROWS
from tests.conftest import Person
from tests.transfer.conftest import applications, bring_in, faults, outcomes, refusal, take_csv, take_out

Sql = psycopg.Connection[Any]

FILE = "Company,Position\nContoso,Engineer\nGlobex,Engineer\n"


def test_a_dry_run_tells_and_does_nothing(ada: Person) -> None:
    content = "Company,Position,Status\nContoso,Engineer,Applied\nGlobex,,Applied\nInitech,Engineer,Limbo\n"
    told = bring_in(ada, content, dry_run=True)
    assert outcomes(told) == ["would_create", "failed", "failed"]
    assert told["import_id"] is None
    assert applications(ada) == []
    assert ada.get("/api/applications/imports").json()["items"] == []
    done = bring_in(ada, content)
    assert outcomes(done) == ["created", "failed", "failed"]
    assert faults(done) == faults(told) == {3: [("position", "missing")], 4: [("status", "unknown_status")]}
    assert outcomes(bring_in(ada, content, dry_run=True)) == ["unchanged", "failed", "failed"]


def test_the_same_file_twice_at_once_makes_every_row_once(ada: Person) -> None:
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: bring_in(ada, FILE), range(4)))
    assert sorted(report["created"] for report in reports) == [0, 0, 0, 2]
    assert len(applications(ada)) == 2
    assert outcomes(bring_in(ada, "Company,Position\nX,Y\nX,Y")) == ["created", "unchanged"]


def test_the_caller_says_what_is_not_plain(ada: Person) -> None:
    report = bring_in(
        ada,
        "Wer;Was;Wie;Seit;Lohn;Sonst\nContoso;Koch;läuft noch;11/12/2026;50000;geheim",
        mapping={"Wer": "company", "Was": "position", "Wie": "status", "Seit": "applied_on", "Lohn": "salary",
                 "Sonst": None},
        statuses={"Läuft noch!": "interview"},
        date_order="mdy",
        currency="EUR",
    )  # fmt: skip
    assert report["mapping"]["Sonst"] is None
    (made,) = applications(ada)
    assert (made["status"], made["applied_on"], made["salary_min"]) == ("interview", "2026-11-12", 5_000_000)
    assert made["notes"] is None
    bring_in(ada, "Company,Position,Foo\nA,B,C", unmapped="ignore")
    assert applications(ada)[-1]["notes"] is None


def test_a_status_may_be_the_name_of_a_stage_of_ones_own(ada: Person, sql: Sql) -> None:
    sql.execute("UPDATE stages SET name = 'Coffee chat' WHERE user_id = %s AND status = 'screening'", [ada.id])
    bring_in(ada, "Company,Position,Status\nContoso,Engineer,coffee CHAT")
    assert applications(ada)[0]["status"] == "screening"


def test_a_way_through_the_stages_is_told_by_the_days_of_a_row(ada: Person) -> None:
    bring_in(
        ada,
        "Company,Position,Status,Date saved,Date applied,Last updated\n"
        "Contoso,Engineer,Rejected,2026-01-01,2026-01-05,2026-02-01",
    )
    (entry,) = take_out(ada)["applications"]
    assert [(e["kind"], e["occurred_at"][:10]) for e in entry["events"]] == [
        ("created", "2026-01-01"),
        ("moved", "2026-01-05"),
        ("moved", "2026-02-01"),
    ]
    assert (entry["application"]["close_reason"], entry["application"]["furthest_category"]) == ("rejected", "applied")


# ---------------------------------------------------------------- undoing


def test_an_import_is_undone_whole_and_its_applications_can_be_recovered(ada: Person, sql: Sql) -> None:
    report = bring_in(ada, FILE, file_name="mine.csv")
    before = applications(ada)
    place = f"/api/applications/imports/{report['import_id']}"
    assert ada.delete(place).json() == {"import_id": report["import_id"], "trashed": 2, "kept": []}
    assert applications(ada) == []
    assert ada.delete(place).json()["trashed"] == 0
    (listed,) = ada.get("/api/applications/imports").json()["items"]
    assert listed["undone_at"]
    assert (listed["id"], listed["created"], listed["file_name"]) == (report["import_id"], 2, "mine.csv")
    with sql.transaction():
        sql.execute("SELECT set_config('app.user_id', %s, true)", [ada.id])
        sql.execute("SELECT recover(id) FROM trash WHERE user_id = %s", [ada.id])
    assert applications(ada) == before
    assert outcomes(bring_in(ada, FILE)) == ["unchanged", "unchanged"], "they are known again"


def test_what_goes_to_the_trash_at_once_is_what_goes_one_by_one(ada: Person, bob: Person, sql: Sql) -> None:
    ada.create_application(status="applied")
    exported = take_out(ada)
    exported["applications"][0]["notes"] = [{"body": "One"}, {"body": "Two"}]
    exported["applications"][0]["tasks"] = [{"title": "Call"}]
    ids = [bring_in(bob, json.dumps(exported))["import_id"] for _ in range(1)]
    (made,) = applications(bob)
    contents = []
    for way in (f"/api/applications/{made['id']}", f"/api/applications/imports/{ids[0]}"):
        assert bob.delete(way).status_code in (200, 204)
        contents.append(sql.execute("SELECT kind, title, content FROM trash WHERE id = %s", [made["id"]]).fetchone())
        with sql.transaction():
            sql.execute("SELECT set_config('app.user_id', %s, true)", [bob.id])
            sql.execute("SELECT recover(%s)", [made["id"]])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("work", ["patch", "move", "note", "event"])
def test_what_was_worked_on_since_stays_unless_it_is_forced_to_go(ada: Person, sql: Sql, work: str) -> None:
    report = bring_in(ada, FILE)
    made = report["results"][1]["application_id"]
    if work == "patch":
        ada.patch(f"/api/applications/{made}", {"notes": "They called."})
    elif work == "move":
        ada.post(f"/api/applications/{made}/move", {"status": "applied"})
    elif work == "note":
        sql.execute("INSERT INTO notes (user_id, application_id, body) VALUES (%s, %s, 'x')", [ada.id, made])
    else:
        sql.execute(
            """INSERT INTO application_events (user_id, application_id, kind, occurred_at)
               VALUES (%s, %s, 'call', now() - interval '1 year')""",
            [ada.id, made],
        )
    place = f"/api/applications/imports/{report['import_id']}"
    undone = ada.delete(place).json()
    assert (undone["trashed"], undone["kept"]) == (1, [{"row": 3, "application_id": made}])
    assert [item["id"] for item in applications(ada)] == [made]
    assert ada.delete(f"{place}?force=true").json()["trashed"] == 1
    assert applications(ada) == []


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("content", "options", "refused"),
    [
        ("", {}, ("content", "no_heading")),
        ("\n\n,,\n", {}, ("content", "no_heading")),
        ("Company\nContoso", {}, ("mapping", "missing")),
        ("Company,Position\n\"Contoso,Engineer\n" + "x\n" * 100, {}, ("content", "csv")),
        (",".join(["x"] * 1_000_000), {}, ("content", "too_many_columns")),
        ("Company,Position\n" + "A,B\n" * (MAX_ROWS + 1), {}, ("content", "too_many_rows")),
        ("Company,Position\n", {"mapping": {"Nothing": "company"}}, ("mapping", "unknown_column")),
        ("A,B,C\n", {"mapping": {"A": "company", "B": "company"}}, ("mapping", "duplicate")),
        ("Company,Position\n", {"mapping": {"Company": "password"}}, ("mapping", "entries")),
        ("[" * 100_000, {}, ("content", "json")),
        ("[1]", {}, ("content", "json")),
        ("{}", {}, ("content", "json")),
        ('{"format": "jobtrail-applications", "version": 1}', {}, ("content", "json")),
        (b"Company,Position\nA\0,B", {}, ("content", "nul_character")),
        (b"\xff", {"encoding": "utf-8"}, ("content_base64", "encoding")),
        (b"\xff\xfea", {}, ("content_base64", "encoding")),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(
    ada: Person, content: str | bytes, options: dict[str, Any], refused: tuple[str, str]
) -> None:
    assert refusal(ada, content, **options) == refused


def test_one_content_is_needed_and_it_is_base64_if_it_says_so(ada: Person) -> None:
    for body in ({}, {"content": "x", "content_base64": "eA=="}, {"content_base64": "*"}, {"content_base64": "\u20ac"}):
        assert ada.post("/api/applications/import", body).status_code == 422


def test_what_is_wrong_with_a_row_is_told_with_the_row(ada: Person) -> None:
    content = (
        "Company,Position,Date applied,Tags,Status\n"
        "Contoso,Engineer,11/12/2026,,\n"
        f"{'x' * 501},Engineer,,,\n"
        "Contoso,Engineer,2026-02-30,,\n"
        f"Contoso,Engineer,,{';'.join(map(str, range(21)))},\n"
        f"Contoso,{'y' * 200_000},,,\n"
        "Contoso,Engineer\n"
    )
    assert faults(bring_in(ada, content)) == {
        2: [("applied_on", "ambiguous_date")],
        3: [("company", "string_too_long")],
        4: [("applied_on", "date")],
        5: [("tags", "too_long")],
        6: [("position", "string_too_long")],
    }
    assert len(applications(ada)) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"company": "\ud800"}, "string_unicode"),
        ({"company": "a\0b"}, "nul_character"),
        ({"salary_min": 10**16, "salary_currency": "EUR"}, "less_than_equal"),
        ({"salary_min": 1}, "value_error"),
        ({"salary_min": 2, "salary_max": 1, "salary_currency": "EUR"}, "value_error"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"id": "7"}, "uuid_parsing"),
        ({"created_at": "yesterday"}, "instant"),
    ],
)
def test_a_row_of_our_own_that_was_tampered_with_is_refused(ada: Person, bob: Person, change: Any, code: str) -> None:
    ada.create_application()
    exported = take_out(ada)
    exported["applications"][0]["application"] |= change
    assert [fault[1] for fault in faults(bring_in(bob, json.dumps(exported).encode()))[1]] == [code]


@pytest.mark.parametrize("facts", [{"a": "\0"}, {"a": 1e400}, {"a\ud800": 1}])
def test_facts_that_no_database_holds_are_refused(ada: Person, bob: Person, facts: Any) -> None:
    ada.create_application()
    ada.create_application()
    exported = take_out(ada)
    exported["applications"][0]["events"][0]["facts"] = facts
    text = json.dumps(exported).replace("Infinity", "1e400")
    report = bring_in(bob, text.encode())
    assert outcomes(report) == ["failed", "created"]


def test_an_id_of_somebody_elses_means_nothing(ada: Person, bob: Person) -> None:
    mine = ada.create_application(company="Secret")
    bob.create_application()
    exported = take_csv(bob)[0]
    (his,) = applications(bob)
    report = bring_in(bob, exported.replace(his["id"], mine["id"]))
    assert outcomes(report) == ["created"]
    assert report["results"][0]["application_id"] != mine["id"]
    assert [item["company"] for item in applications(ada)] == ["Secret"]


def test_what_the_database_refuses_of_a_row_leaves_the_others_in(ada: Person, sql: Sql) -> None:
    sql.execute("ALTER TABLE applications ADD CONSTRAINT no_globex CHECK (company <> 'Globex') NOT VALID")
    try:
        report = bring_in(ada, FILE)
    finally:
        sql.execute("ALTER TABLE applications DROP CONSTRAINT no_globex")
    assert outcomes(report) == ["created", "failed"]
    assert faults(report) == {3: [("", "not_storable")]}


def test_an_import_may_be_longer_than_other_bodies_but_not_without_end(ada: Person) -> None:
    content = "Company,Position,Notes\n" + "".join(f"C{n},Engineer,{'x' * 10_000}\n" for n in range(200))
    assert bring_in(ada, content)["created"] == 200
    refused = ada.post("/api/applications/import", {"content": "x" * MAX_BODY})
    assert (refused.status_code, refused.json()["limit"]) == (413, MAX_BODY)
    assert refusal(ada, b"x" * 7_000_000) == ("mapping", "missing")


def test_the_windows_encoding_is_told_when_it_was_guessed(ada: Person) -> None:
    report = bring_in(ada, "Company,Position\nM\xfcller \x80,B\xe4cker".encode("latin-1"))
    assert report["encoding"] == "windows-1252"
    assert applications(ada)[0]["company"] == "M\xfcller \u20ac"


def test_imports_are_listed_by_the_page(ada: Person, new_person: Callable[..., Person]) -> None:
    ids = [bring_in(ada, f"Company,Position\nC{n},Engineer")["import_id"] for n in range(3)]
    first = ada.get("/api/applications/imports?limit=2").json()
    rest = ada.get("/api/applications/imports", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [each["id"] for each in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next_cursor"] is None
    assert new_person().get("/api/applications/imports").json()["items"] == []


def test_base64_is_read_whatever_it_holds(ada: Person) -> None:
    content = b64encode(bytes(range(1, 256))).decode()
    assert ada.post("/api/applications/import", {"content_base64": content}).status_code == 422
