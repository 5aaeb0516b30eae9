"""Uploading directly to the store: what was announced comes in, once, and nothing else does."""

import hashlib
import secrets
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.conftest import Person
from tests.files import documents
from tests.files.conftest import Stored
from tests.files.test_upload import used

Sql = psycopg.Connection[Any]
MEBIBYTE = 1024 * 1024


def announce(person: Person, content: bytes, **said: Any) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    body = {"name": "cv.pdf", "size": len(content), "sha256": digest, **said}
    answer = person.post("/api/files/uploads", body)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def complete(person: Person, file: dict[str, Any]) -> httpx.Response:
    return person.post(f"/api/files/{file['id']}/complete")


def test_what_was_announced_and_put_is_there_when_it_is_complete(stored: Stored, ada: Person) -> None:
    content = documents.PDF + secrets.token_bytes(20 * MEBIBYTE)
    file = announce(ada, content)
    assert (file["state"], file["media_type"], used(ada)) == ("pending", None, (0, 1))
    early = complete(ada, file)
    assert (early.status_code, early.json()["code"]) == (409, "file_not_uploaded")
    assert ada.get(f"/api/files/{file['id']}/content").json()["state"] == "pending"

    assert stored.put(file["upload"], content) in (201, 204)
    answers = [complete(ada, file), complete(ada, file)]
    assert [answer.status_code for answer in answers] == [200, 200], "it may be said twice"
    assert answers[0].json() == answers[1].json()
    done = answers[0].json()
    assert (done["state"], done["media_type"], used(ada)) == ("clean", "application/pdf", (1, 0))

    answer = ada.get(f"/api/files/{file['id']}/content")
    if answer.status_code == 302:
        answer = httpx.get(answer.headers["location"])
        assert answer.headers["cache-control"] == "no-store"
    assert answer.content == content
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"].startswith('attachment; filename="cv.pdf"')


def test_an_address_takes_one_file_and_gives_nothing(stored: Stored, ada: Person) -> None:
    file = announce(ada, documents.PDF)
    assert stored.put(file["upload"], documents.PDF) in (201, 204)
    assert stored.put(file["upload"], documents.PDF) in (403, 409), "what is there stays"
    url = str(httpx.URL(stored.url).join(file["upload"]["url"]))
    assert httpx.get(url).status_code in (401, 403, 422)
    assert httpx.delete(url).status_code in (403, 405)
    other = announce(ada, documents.PDF)
    elsewhere = file["upload"] | {"url": url.replace(file["id"], other["id"])}
    assert stored.put(elsewhere, documents.PDF) == 403
    assert complete(ada, file).status_code == 200


WRONG: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "more bytes": (documents.PDF + b"x", {"size": len(documents.PDF)}, "size"),
    "other bytes": (documents.PDF, {"sha256": "0" * 64}, "sha256"),
    "nothing that is taken": (b"<html>", {}, "file"),
}


@pytest.mark.parametrize(("content", "said", "field"), WRONG.values(), ids=WRONG)
def test_what_is_not_as_announced_is_removed_and_uses_nothing(
    stored: Stored, ada: Person, content: bytes, said: dict[str, Any], field: str
) -> None:
    file = announce(ada, content, **said)
    if stored.put(file["upload"], content) == 403:
        assert (stored.name, field) == ("folder", "size"), "there the address itself knows the size"
        return
    refused = complete(ada, file)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
    assert (stored.keys(ada), used(ada)) == ([], (0, 0))
    assert complete(ada, file).status_code == 404


def test_what_never_came_is_forgotten_and_what_came_too_late_with_it(stored: Stored, ada: Person, sql: Sql) -> None:
    never, late = announce(ada, documents.PDF), announce(ada, documents.PDF)
    stored.put(late["upload"], documents.PDF)
    stored.tidy()
    assert len(ada.get("/api/files").json()["items"]) == 2, "there is time yet"
    sql.execute("UPDATE files SET expires_at = now() WHERE user_id = %s", [ada.id])
    sql.execute("UPDATE quota_entries SET expires_at = now() WHERE user_id = %s", [ada.id])
    stored.tidy()
    assert [complete(ada, file).status_code for file in (never, late)] == [404, 404]
    assert (stored.keys(ada), used(ada)) == ([], (0, 0))


def test_what_comes_after_its_reservation_takes_what_is_left(in_a_folder: Stored, person: Person, sql: Sql) -> None:
    file = announce(person, documents.PDF)
    in_a_folder.put(file["upload"], documents.PDF)
    sql.execute("UPDATE quota_entries SET expires_at = now() WHERE user_id = %s", [person.id])
    sql.execute("INSERT INTO quota_overrides VALUES (%s, 'resume_uploads', 0, 'a test')", [person.id])
    refused = complete(person, file)
    assert (refused.status_code, refused.json()["code"]) == (409, "reservation_expired")
    sql.execute("DELETE FROM quota_overrides WHERE user_id = %s", [person.id])
    assert complete(person, file).status_code == 200
    assert used(person) == (1, 0)


def test_an_announcement_with_the_same_key_is_one(in_a_folder: Stored, person: Person) -> None:
    body = {"name": "cv.pdf", "size": 1, "sha256": "0" * 64}
    answers = [person.post("/api/files/uploads", body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert used(person) == (0, 1)


def test_what_is_announced_too_large_is_refused_at_once(person: Person) -> None:
    body = {"name": "cv.pdf", "size": 25 * MEBIBYTE + 1, "sha256": "0" * 64}
    refused = person.post("/api/files/uploads", body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "size")


@pytest.mark.parametrize("token", ["", "x", "...", "a.b.c.d", "\u00fc.1.1.\u00fc"])
def test_a_token_that_we_did_not_make_opens_nothing(person: Person, token: str) -> None:
    answer = person("PUT", f"/api/files/{uuid4()}/content", params={"token": token}, content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (403, "upload_refused")


def test_nobody_completes_another_persons_file(
    in_a_folder: Stored, person: Person, new_person: Callable[..., Person]
) -> None:
    file = announce(person, documents.PDF)
    in_a_folder.put(file["upload"], documents.PDF)
    assert complete(new_person(), file).status_code == 404
    assert complete(person, file).status_code == 200
