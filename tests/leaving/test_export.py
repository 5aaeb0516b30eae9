"""A copy of everything an account holds."""

import csv
import hashlib
import io
import json
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from shared.health import SCHEMA_REVISION
from shared.leaving import archive
from shared.leaving.queries import HOLDINGS
from tests.conftest import Person
from tests.leaving.conftest import Sql, rows, unpack


def export(person: Person) -> dict[str, bytes]:
    answer = person.post("/api/account/export")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="jobtrail.zip"'
    return unpack(answer.content)


def test_a_copy_holds_every_table_that_shows_something_as_json_and_as_csv(ada: Person) -> None:
    files = export(ada)
    expected = {f"{h.table}.{kind}" for h in HOLDINGS if h.shown for kind in ("json", "csv")}
    assert files.keys() == expected | {"manifest.json"}


def test_the_copy_of_an_application_is_what_the_api_shows(ada: Person) -> None:
    shown = ada.get("/api/applications").json()["items"]
    assert sorted(rows(export(ada), "applications"), key=str) == sorted(shown, key=str)


def test_the_copy_says_who_one_is_and_where_one_is_signed_in(ada: Person) -> None:
    files = export(ada)
    (account,) = rows(files, "users")
    assert account["email"] == ada.email
    assert len(rows(files, "sessions")) == 2
    assert [event["event"] for event in rows(files, "audit_events")][:2] == ["registered", "signed_in"]


def test_a_copy_that_was_taken_is_written_down(ada: Person) -> None:
    export(ada)
    (newest,) = ada.get("/api/account/activity?limit=1").json()["items"]
    assert (newest["event"], newest["succeeded"]) == ("account_exported", True)
    assert ip_address(newest["ip"]) == ip_address(ada.headers["X-Forwarded-For"])


def test_nothing_of_anybody_else_is_in_it(ada: Person, new_person: Callable[..., Person]) -> None:
    bob = new_person(first_name="Bob")
    bob.create_application(company="Initech")
    for content in export(ada).values():
        assert b"Initech" not in content
        assert bob.id.encode() not in content


def test_no_secret_is_in_it(ada: Person, sql: Sql) -> None:
    found = sql.execute("SELECT password_hash FROM users WHERE id = %s", [ada.id]).fetchone()
    assert found
    secrets = [found[0], ada.refresh_token, ada.tokens["access_token"], "password_hash", "digest", "sealed"]
    for name, content in export(ada).items():
        if name != "manifest.json":
            assert not [secret for secret in secrets if secret.encode() in content], name


def test_the_manifest_says_what_every_file_is(ada: Person) -> None:
    files = export(ada)
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["schema_version"] == SCHEMA_REVISION
    assert manifest["account_id"] == ada.id
    listed = {entry["name"]: entry for entry in manifest["files"]}
    assert listed.keys() == files.keys()
    for name, content in files.items():
        assert listed[name]["sha256"] == hashlib.sha256(content).hexdigest()
        assert listed[name]["bytes"] == len(content)
    assert listed["applications.json"]["rows"] == 4
    assert manifest["left_out"] == {h.table: h.why_not for h in HOLDINGS if h.why_not}


def test_a_csv_says_what_its_json_says(ada: Person) -> None:
    files = export(ada)
    read = list(csv.DictReader(io.StringIO(files["applications.csv"].decode("utf-8-sig"), newline="")))
    exact = [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows(files, "applications")]
    assert read == exact
    assert len(read) == 4


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_spreadsheet_takes_a_text_for_a_formula(text: str) -> None:
    (row,) = csv.DictReader(io.StringIO(archive.as_csv([{"company": text}]).decode("utf-8-sig"), newline=""))
    assert row["company"] == "'" + text


def test_a_number_below_zero_is_no_formula_and_a_list_is_json() -> None:
    (row,) = csv.DictReader(io.StringIO(archive.as_csv([{"a": -1, "b": ["\u00e9"], "c": None}]).decode("utf-8-sig")))
    assert row == {"a": "-1", "b": '["\u00e9"]', "c": ""}


def test_five_copies_a_day_are_enough(ada: Person) -> None:
    assert [ada.post("/api/account/export").status_code for _ in range(6)] == [200] * 5 + [429]
    assert ada.get("/api/quotas/exports").json()["remaining"] == 0


def test_a_copy_is_for_somebody_who_has_just_proved_who_they_are(ada: Person, sql: Sql) -> None:
    sql.execute("UPDATE sessions SET authenticated_at = now() - interval '11 minutes' WHERE user_id = %s", [ada.id])
    ada.bear(ada.post("/api/auth/refresh", {"refresh_token": ada.refresh_token}).json())
    answer = ada.post("/api/account/export")
    assert (answer.status_code, answer.json()["code"]) == (401, "reauthentication_required")
