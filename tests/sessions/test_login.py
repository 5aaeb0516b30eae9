"""Login: another session of an account."""

from typing import Any

import httpx
import pytest

from tests.conftest import PASSWORD, Client, Person
from tests.sessions.rows import Sql


def log_in(client: Client, email: str, password: str = PASSWORD, **fields: Any) -> httpx.Response:
    return client.post("/api/auth/login", {"email": email, "password": password, **fields})


def session_id(person: Client, tokens: dict[str, Any]) -> str:
    """The session these tokens stand for."""
    verified = person.get("/api/auth/verify", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    return str(verified.json()["session_id"])


def test_each_login_is_a_session_of_its_own(person: Person) -> None:
    answer = log_in(person, person.email)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.json()["user"] == person.tokens["user"]
    assert session_id(person, answer.json()) != session_id(person, person.tokens)
    assert len(person.get("/api/auth/sessions").json()["items"]) == 2


def test_the_case_of_an_address_does_not_matter_and_that_of_a_password_does(person: Person) -> None:
    assert log_in(person, f" {person.email.upper()} ").status_code == 200
    assert log_in(person, person.email, PASSWORD.upper()).status_code == 401


@pytest.mark.parametrize("password", [PASSWORD[:-1], PASSWORD + " ", " " + PASSWORD, "x", PASSWORD * 30])
def test_a_password_is_compared_to_the_letter(person: Person, password: str) -> None:
    refused = log_in(person, person.email, password)
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_credentials")
    assert refused.headers["www-authenticate"] == "Bearer"  # no token was given, so none is called invalid


def test_a_device_keeps_the_name_it_gave_itself(person: Person) -> None:
    log_in(person, person.email, device_name="  Ada's phone ")
    newest, first = person.get("/api/auth/sessions").json()["items"]
    assert (newest["device_name"], first["device_name"]) == ("Ada's phone", None)


@pytest.mark.parametrize(
    "body",
    [{}, {"email": "ada@example.com"}, {"password": PASSWORD}, {"email": "", "password": PASSWORD}],
    ids=["empty", "no password", "no address", "empty address"],
)
def test_a_login_needs_an_address_and_a_password(client: Client, body: dict[str, str]) -> None:
    refused = client.post("/api/auth/login", body)
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")


@pytest.mark.parametrize(
    ("body", "media_type", "status", "code"),
    [
        (b"", "application/json", 400, "malformed_json"),
        (b"{", "application/json", 400, "malformed_json"),
        (b"\xff", "application/json", 400, "malformed_json"),
        (b'{"email": "a", "email": "b", "password": "c"}', "application/json", 400, "malformed_json"),
        (b"email=a&password=b", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b'{"email": "a", "password": "b\\ud800"}', "application/json", 422, "validation_failed"),
    ],
)
def test_a_body_that_is_no_login_is_refused(
    client: Client, body: bytes, media_type: str, status: int, code: str
) -> None:
    refused = client("POST", "/api/auth/login", content=body, headers={"Content-Type": media_type})
    assert (refused.status_code, refused.json()["code"]) == (status, code)


def test_no_refused_login_opens_a_session(person: Person, sql: Sql) -> None:
    log_in(person, person.email, "another password")
    assert sql.execute("SELECT count(*) FROM sessions WHERE user_id = %s", [person.id]).fetchone() == (1,)
