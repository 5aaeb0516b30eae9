"""Uploading with the request: what is taken, what it is called, and what is used of the quota."""

import hashlib
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.conftest import Person
from tests.files import documents

Sql = psycopg.Connection[Any]
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

TAKEN = {
    "a PDF": (documents.PDF, "cv.pdf", "application/pdf"),
    "a PDF after rubbish": (b"rubbish\n" * 100 + documents.PDF, "cv.pdf", "application/pdf"),
    "a DOCX": (documents.docx("Ada"), "cv.docx", DOCX),
    "a DOC": (documents.DOC, "cv.doc", "application/msword"),
    "a text": ("Sa\u00f1a \U0001f600\r\n\tx\f".encode(), "cv.txt", "text/plain"),
    "a text with a byte order mark": (b"\xef\xbb\xbfAda", "cv.txt", "text/plain"),
    "a PNG": (documents.PNG, "cv.png", "image/png"),
    "a JPEG": (documents.JPEG, "cv.jpeg", "image/jpeg"),
}


def used(person: Person) -> tuple[int, int]:
    quota = person.get("/api/quotas/resume_uploads").json()
    return quota["used"], quota["reserved"]


@pytest.mark.parametrize(("content", "name", "media_type"), TAKEN.values(), ids=TAKEN)
def test_what_comes_in_comes_out_again(person: Person, content: bytes, name: str, media_type: str) -> None:
    answer = person.upload(content, name, headers={"Content-Language": "en"})
    assert answer.status_code == 201, answer.text
    file = answer.json()
    assert (file["name"], file["media_type"], file["size"], file["state"]) == (name, media_type, len(content), "clean")
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert (file["version_number"], file["series_id"], file["kind"]) == (1, file["id"], "resume")
    assert answer.headers["location"] == f"/api/files/{file['id']}"
    assert person.get(answer.headers["location"]).json() == file

    back = person.get(f"/api/files/{file['id']}/content")
    assert (back.content, back.headers["content-type"].partition(";")[0]) == (content, media_type)
    assert back.headers["content-disposition"].startswith(f'attachment; filename="{name}"')
    assert back.headers["x-content-type-options"] == "nosniff"
    assert back.headers["etag"] == f'"{file["sha256"]}"'


def test_a_text_and_a_docx_are_counted_and_nothing_else_is(person: Person) -> None:
    text = person.upload("Ada Lovelace\nAnalyst, \u00e9lan\n".encode()).json()
    assert text["statistics"] == {"words": 4, "lines": 2, "characters": 27}
    docx = person.upload(documents.docx("Ada Lovelace", "Analyst &amp; more"), "cv.docx").json()
    assert docx["statistics"] == {"words": 5, "lines": 2, "characters": 28}
    assert person.upload(documents.PDF, "cv.pdf").json()["statistics"] is None


NAMES = {
    "../../etc/passwd": "passwd.txt",
    "C:\\Users\\ada\\cv.txt": "cv.txt",
    "cv.exe": "cv.exe.txt",
    "cv.TXT": "cv.TXT",
    "cv.txt. .": "cv.txt",
    ".txt": "txt.txt",
    " . ": "file.txt",
    "cv\u202etxt.exe": "cvtxt.exe.txt",
    "cv\r\nX-Evil: 1.txt": "cvX-Evil: 1.txt",
    "\u0000": "file.txt",
    "a" * 4000 + ".txt": "a" * 196 + ".txt",
    "r\u00e9sum\u00e9 \u5c65\u6b74.txt": "r\u00e9sum\u00e9 \u5c65\u6b74.txt",
    'cv".txt': 'cv".txt',
}


def test_a_name_is_never_more_than_a_name(person: Person, sql: Sql) -> None:
    sql.execute("INSERT INTO quota_overrides VALUES (%s, 'resume_uploads', NULL, 'a test')", [person.id])
    for given, kept in NAMES.items():
        answer = raw(person, given)
        assert answer.status_code == 201, (given, answer.text)
        assert answer.json()["name"] == kept
        disposition = person.get(f"/api/files/{answer.json()['id']}/content").headers["content-disposition"]
        assert disposition.isascii()
        assert disposition.count('"') == 2


def raw(person: Person, name: str) -> Any:
    """Upload a file by that very name: clients would escape some of it."""
    part = f'Content-Disposition: form-data; name="file"; filename="{name}"'.encode()
    if set(name) & set('"\r\\\0'):
        from urllib.parse import quote

        part = f"Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''{quote(name)}".encode()
    body = b"--x\r\n" + part + b"\r\n\r\nAda\r\n--x--\r\n"
    return person.post("/api/files", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})


def test_what_is_said_of_a_file_is_kept_with_it(person: Person) -> None:
    application = person.create_application()
    said = {"kind": "cover_letter", "name": "Letter", "application_id": application["id"]}
    file = person.upload(data=said).json()
    assert (file["kind"], file["name"]) == ("cover_letter", "Letter.txt")
    assert person.get(f"/api/applications/{application['id']}/files").json()["items"] == [file]


def test_versions_of_one_document_are_counted(person: Person) -> None:
    first = person.upload().json()
    series = first["series_id"]
    second = person.upload(data={"series_id": series}).json()
    assert (second["series_id"], second["version_number"]) == (series, 2)
    assert person.delete(f"/api/files/{second['id']}").status_code == 204
    third = person.upload(data={"series_id": series}).json()
    assert third["version_number"] == 3, "a version in the trash has its number"
    person.upload()
    listed = person.get(f"/api/files?series_id={series}").json()["items"]
    assert [file["version_number"] for file in listed] == [3, 1]


def test_versions_uploaded_at_once_have_each_a_number_of_its_own(person: Person) -> None:
    series = person.upload().json()["series_id"]
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: person.upload(data={"series_id": series}).json()["version_number"], range(6)))
    assert sorted(made) == [2, 3, 4, 5, 6, 7]


def test_nobody_uploads_for_another_persons_application_or_series(
    person: Person, new_person: Callable[..., Person]
) -> None:
    other = new_person()
    theirs = {"application_id": other.create_application()["id"], "series_id": other.upload().json()["series_id"]}
    for field, value in theirs.items():
        refused = person.upload(data={field: value})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
    assert used(person) == (0, 0)


# ---------------------------------------------------------------- the quota


def test_each_upload_uses_one_and_deleting_gives_nothing_back(person: Person) -> None:
    file = person.upload().json()
    assert used(person) == (1, 0)
    assert person.delete(f"/api/files/{file['id']}").status_code == 204
    assert used(person) == (1, 0)


def test_what_is_refused_uses_nothing(person: Person) -> None:
    assert person.upload(b"\0").status_code == 422
    assert person.upload(data={"kind": "novel"}).status_code == 422
    assert used(person) == (0, 0)
    assert person.get("/api/files").json()["items"] == []


def test_of_many_at_once_exactly_as_many_succeed_as_there_is_room_for(person: Person) -> None:
    for _ in range(5):
        person.upload()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: person.upload(), range(16)))
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [429] * 11
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert (refused.json()["code"], refused.json()["metric"]) == ("quota_exceeded", "resume_uploads")
    assert used(person) == (10, 0)
    assert len(person.get("/api/files").json()["items"]) == 10


def test_a_hundred_mebibytes_are_room_enough_and_the_trash_is_in_it(person: Person, sql: Sql) -> None:
    file = person.upload().json()
    sql.execute("UPDATE files SET size = 100 * 1024 * 1024 - 15 WHERE id = %s", [file["id"]])
    assert person.delete(f"/api/files/{file['id']}").status_code == 204
    refused = person.upload(b"x" * 16)
    assert (refused.status_code, refused.json()["code"]) == (409, "file_space_full")
    assert (refused.json()["limit"], refused.json()["used"]) == (104857600, 104857585)
    assert used(person) == (1, 0)
    assert person.upload(b"x" * 15).status_code == 201


# ---------------------------------------------------------------- again


def test_an_upload_with_the_same_key_is_one_upload(person: Person) -> None:
    key = {"Idempotency-Key": secrets.token_hex(8)}
    first, again = (person.upload(headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert used(person) == (1, 0)
    other = person.upload(b"Another resume.", headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_uploads_with_the_same_key_at_once_make_one_file(person: Person) -> None:
    key = {"Idempotency-Key": secrets.token_hex(8)}
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: person.upload(headers=key), range(6)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert used(person) == (1, 0)
    assert len(person.get("/api/files").json()["items"]) == 1
