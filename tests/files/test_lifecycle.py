"""From the list to the trash and beyond: who may have a file, and that nothing of it stays when it is gone."""

import io
import json
import os
import socket
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import errors

from tests.conftest import Person
from tests.files import azurite, documents
from tests.files.conftest import CONTAINER, Stored
from tests.files.test_direct import announce, complete
from tests.files.test_upload import used
from tests.processes import AppProcess, eventually
from tests.quotas.asking import waiting

Sql = psycopg.Connection[Any]
DAY = 86_400


def same(person: Person, url: str) -> Person:
    """The same person at another app."""
    return Person(url, dict(person.headers), email=person.email, tokens=person.tokens)


# ---------------------------------------------------------------- listed, changed, linked


def test_a_list_is_filtered_and_turned_page_by_page(person: Person) -> None:
    application = person.create_application()["id"]
    resumes = [person.upload(data={"application_id": application}).json()["id"] for _ in range(3)]
    letter = person.upload(data={"kind": "cover_letter"}).json()["id"]
    waiting = announce(person, documents.PDF)["id"]

    def listed(query: str) -> list[str]:
        return [file["id"] for file in person.get(f"/api/files?{query}").json()["items"]]

    assert listed("") == [waiting, letter, *reversed(resumes)]
    assert listed("kind=cover_letter") == [letter]
    assert listed("state=pending") == [waiting]
    assert listed(f"application_id={application}&kind=resume") == list(reversed(resumes))
    assert listed(f"application_id={uuid4()}") == []
    first = person.get("/api/files?limit=2").json()
    rest = person.get(f"/api/files?limit=3&cursor={first['next_cursor']}").json()
    assert [file["id"] for file in (*first["items"], *rest["items"])] == listed("")
    assert rest["next_cursor"] is None


def test_a_file_is_renamed_by_version_and_goes_out_by_what_it_is(person: Person) -> None:
    file = person.upload(documents.PDF, "cv.pdf").json()
    place = f"/api/files/{file['id']}"
    renamed = person.patch(
        place, {"name": "Resume.html", "kind": "other"}, headers={"If-Match": f'"{file["version"]}"'}
    )
    assert (renamed.status_code, renamed.json()["name"], renamed.json()["kind"]) == (200, "Resume.html", "other")
    stale = person.patch(place, {"name": "Late"}, headers={"If-Match": f'"{file["version"]}"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")
    content = person.get(f"{place}/content")
    assert content.headers["content-type"] == "application/pdf"
    assert 'filename="Resume.html.pdf"' in content.headers["content-disposition"]


def test_a_file_is_linked_once_and_taken_off_without_harm(person: Person, new_person: Callable[..., Person]) -> None:
    file, application = person.upload().json(), person.create_application()["id"]
    links = f"/api/applications/{application}/files"
    for _ in range(2):
        linked = person.post(links, {"file_id": file["id"]})
        assert (linked.status_code, linked.json()) == (201, file)
        assert linked.headers["location"] == f"/api/files/{file['id']}"
    assert person.get(links).json()["items"] == [file]
    stranger = new_person()
    assert stranger.get(links).status_code == 404
    theirs = person.post(links, {"file_id": stranger.upload().json()["id"]})
    assert (theirs.status_code, theirs.json()["errors"][0]["field"]) == (422, "file_id")
    assert [person.delete(f"{links}/{file['id']}").status_code for _ in range(2)] == [204, 404]
    assert person.get(f"/api/files/{file['id']}").json() == file


# ---------------------------------------------------------------- scanned


def test_what_a_scanner_has_to_see_first_is_not_had_before(
    start_app: Callable[..., str], new_person: Callable[..., Person], in_a_folder: Stored
) -> None:
    app = Stored("folder", start_app(FILE_SCANNER="eicar"), folder=in_a_folder.folder)
    person = new_person(app.url)
    bad, good, waiting = person.upload(documents.EICAR).json(), person.upload().json(), person.upload().json()
    assert {file["state"] for file in (bad, good, waiting)} == {"uploaded"}
    refused = person.get(f"/api/files/{bad['id']}/content")
    assert (refused.status_code, refused.json()["code"], refused.json()["state"]) == (409, "file_not_clean", "rejected")
    assert person.get(f"/api/files/{good['id']}/content").status_code == 200
    lost = person.upload().json()
    assert app.folder
    (app.folder / person.id / lost["id"]).unlink()
    app.tidy()
    states = {file["id"]: file["state"] for file in person.get("/api/files").json()["items"]}
    assert states == {bad["id"]: "rejected", good["id"]: "clean", waiting["id"]: "clean", lost["id"]: "uploaded"}


def test_what_defender_says_is_believed_and_nothing_before_it_does(
    start_app: Callable[..., str], new_person: Callable[..., Person], in_blobs: Stored, blob_account: str
) -> None:
    told = azurite.connection_string(blob_account)
    url = start_app(FILE_STORE="azure", FILE_CONNECTION_STRING=told, FILE_SCANNER="defender")
    person = new_person(url)

    def content(file: dict[str, Any], result: str | None) -> tuple[int, Any]:
        if result:
            blob = in_blobs.service.get_blob_client(CONTAINER, f"{person.id}/{file['id']}")
            blob.set_blob_tags({"Malware Scanning scan result": result})
        answer = person.get(f"/api/files/{file['id']}/content")
        return answer.status_code, answer.json()["state"] if answer.status_code == 409 else None

    good, bad = person.upload().json(), person.upload().json()
    assert content(good, None) == (409, "scanning")
    assert content(good, "Something else") == (409, "scanning")
    assert content(good, "No threats found") == (302, None)
    assert content(bad, "Malicious") == (409, "rejected")
    assert content(bad, "No threats found") == (409, "rejected"), "what was rejected stays so"


@pytest.mark.parametrize(("was", "to"), [("clean", "scanning"), ("rejected", "clean"), ("clean", "pending")])
def test_no_statement_takes_a_file_back(person: Person, sql: Sql, was: str, to: str) -> None:
    file = person.upload().json()
    sql.execute("ALTER TABLE files DISABLE TRIGGER files_go_forward")
    sql.execute("UPDATE files SET state = %s WHERE id = %s", [was, file["id"]])
    sql.execute("ALTER TABLE files ENABLE TRIGGER files_go_forward")
    with pytest.raises(errors.IntegrityError, match="never becomes"):
        sql.execute("UPDATE files SET state = %s WHERE id = %s", [to, file["id"]])


# ---------------------------------------------------------------- deleted


def test_a_deleted_file_keeps_its_content_for_thirty_days(stored: Stored, ada: Person, sql: Sql) -> None:
    file = ada.upload().json()
    assert ada.delete(f"/api/files/{file['id']}").status_code == 204
    assert ada.get(f"/api/files/{file['id']}/content").status_code == 404
    stored.tidy()
    assert stored.keys(ada) == [f"{ada.id}/{file['id']}"]
    with sql.transaction():
        sql.execute("SELECT set_config('app.user_id', %s, true)", [ada.id])
        sql.execute("SELECT recover(%s)", [file["id"]])
    assert ada.get(f"/api/files/{file['id']}").json() == file
    assert ada.get(f"/api/files/{file['id']}/content").status_code in (200, 302)
    assert ada.delete(f"/api/files/{file['id']}").status_code == 204
    sql.execute("UPDATE trash SET deleted_at = now() - interval '30 days' WHERE id = %s", [file["id"]])
    stored.tidy()
    assert stored.keys(ada) == []
    assert sql.execute("SELECT count(*) FROM trash WHERE id = %s", [file["id"]]).fetchone() == (0,)


def test_what_no_row_has_goes_after_a_day_and_nothing_else(in_a_folder: Stored, person: Person, sql: Sql) -> None:
    kept, trashed, orphan, young = (person.upload().json()["id"] for _ in range(4))
    person.delete(f"/api/files/{trashed}")
    sql.execute("DELETE FROM files WHERE id = ANY(%s::uuid[])", [[orphan, young]])
    assert in_a_folder.folder
    unfinished = in_a_folder.folder / person.id / f"{orphan}.0123456789ab.new"
    unfinished.write_bytes(b"half")
    for name in (kept, trashed, orphan, unfinished.name):
        os.utime(in_a_folder.folder / person.id / name, (time.time() - 2 * DAY,) * 2)
    in_a_folder.tidy()
    assert in_a_folder.keys(person) == sorted(f"{person.id}/{name}" for name in (kept, trashed, young))


def test_an_account_that_ends_leaves_no_content_not_even_one_without_a_row(
    stored: Stored, ada: Person, sql: Sql
) -> None:
    orphan = ada.upload().json()["id"]
    sql.execute("DELETE FROM files WHERE id = %s", [orphan])
    ada.upload()
    ada.delete(f"/api/files/{ada.upload().json()['id']}")
    assert len(stored.keys(ada)) == 3
    sql.execute("UPDATE users SET deletion_due_at = now() - interval '1 year' WHERE id = %s", [ada.id])
    httpx.post(f"{stored.url}/_local/timers/erase_deleted_accounts", timeout=30).raise_for_status()
    assert stored.keys(ada) == []
    assert sql.execute("SELECT count(*) FROM users WHERE id = %s", [ada.id]).fetchone() == (0,)


def test_the_copy_of_an_account_holds_the_files_themselves(stored: Stored, ada: Person) -> None:
    pdf = ada.upload(documents.PDF, "r\u00e9sum\u00e9.pdf").json()
    gone = ada.upload(b"An old letter.", "old.txt").json()
    ada.delete(f"/api/files/{gone['id']}")
    announce(ada, documents.PDF)
    ada.bear(ada.post("/api/auth/login", {"email": ada.email, "password": ada.password}).json())
    with zipfile.ZipFile(io.BytesIO(ada.post("/api/account/export").content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name.startswith("files/")}
        manifest = json.loads(archive.read("manifest.json"))
    assert files == {
        f"files/{pdf['id']}-r\u00e9sum\u00e9.pdf": documents.PDF,
        f"files/{gone['id']}-old.txt": b"An old letter.",
    }
    listed = {entry["name"]: entry["sha256"] for entry in manifest["files"]}
    assert listed[f"files/{pdf['id']}-r\u00e9sum\u00e9.pdf"] == pdf["sha256"]


# ---------------------------------------------------------------- when something is down, or dies


def test_while_the_store_is_down_nothing_is_used_and_no_copy_is_incomplete(
    start_app: Callable[..., str], person: Person, in_a_folder: Stored
) -> None:
    file = person.upload().json()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        told = azurite.connection_string(f"http://127.0.0.1:{nobody.getsockname()[1]}/{azurite.ACCOUNT}")
        down = same(person, start_app(FILE_STORE="azure", FILE_CONNECTION_STRING=told))
        for answer in (down.upload(), down.post("/api/account/export")):
            assert (answer.status_code, answer.json()["code"]) == (503, "files_unavailable")
            assert answer.headers["retry-after"]
    assert used(person) == (1, 0)
    assert [found["id"] for found in person.get("/api/files").json()["items"]] == [file["id"]]


def test_a_process_that_dies_before_the_store_has_answered_leaves_nothing_for_long(
    environment: dict[str, str], person: Person, in_a_folder: Stored, sql: Sql, tmp_path: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as thread:
        told = azurite.connection_string(f"http://127.0.0.1:{silent.getsockname()[1]}/{azurite.ACCOUNT}")
        process = AppProcess(environment | {"FILE_STORE": "azure", "FILE_CONNECTION_STRING": told}, tmp_path / "log")
        answer = thread.submit(same(person, process.url).upload)
        eventually(lambda: used(person) == (0, 1))
        silent.accept()
        process.kill()
        with pytest.raises(httpx.HTTPError):
            answer.result()
    assert [file["state"] for file in person.get("/api/files").json()["items"]] == ["pending"]
    sql.execute("UPDATE files SET expires_at = now() WHERE user_id = %s", [person.id])
    sql.execute("UPDATE quota_entries SET expires_at = now() WHERE user_id = %s", [person.id])
    in_a_folder.tidy()
    assert person.get("/api/files").json()["items"] == []
    assert used(person) == (0, 0)


def test_a_complete_whose_process_was_killed_may_be_said_again(
    environment: dict[str, str], person: Person, in_a_folder: Stored, sql: Sql, tmp_path: Any
) -> None:
    file = announce(person, documents.PDF)
    in_a_folder.put(file["upload"], documents.PDF)
    process = AppProcess(environment, tmp_path / "log")
    with ThreadPoolExecutor(1) as thread:
        with sql.transaction():
            sql.execute("SELECT FROM quota_usage WHERE user_id = %s FOR UPDATE", [person.id])
            answer = thread.submit(complete, same(person, process.url), file)
            eventually(lambda: bool(waiting(sql)), within=4)
            process.kill()
        with pytest.raises(httpx.HTTPError):
            answer.result()
    assert used(person) in ((0, 1), (1, 0))
    assert complete(person, file).json()["state"] == "clean"
    assert used(person) == (1, 0)
    assert in_a_folder.keys(person) == [f"{person.id}/{file['id']}"]
