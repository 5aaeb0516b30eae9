"""Registration: an account, and the first session of it."""

import secrets
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.conftest import PASSWORD, Client, Person
from tests.sessions.rows import Sql
from tests.sessions.together import at_once


def new_address(local_part: str = "") -> str:
    return f"{local_part}{secrets.token_hex(8)}@example.com"


def register(client: Client, **fields: Any) -> httpx.Response:
    return client.post("/api/auth/register", {"email": new_address(), "password": PASSWORD, **fields})


def test_who_registers_is_signed_in(client: Client) -> None:
    answer = register(client, first_name="Ada", company="Engines Ltd")
    assert answer.status_code == 201
    tokens = answer.json()
    assert tokens.keys() == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "refresh_expires_in",
        "user",
    }
    assert (tokens["token_type"], tokens["refresh_expires_in"]) == ("Bearer", 30 * 24 * 3600)
    assert tokens["refresh_token"].startswith("jtr_")
    status = client.get("/api/auth/status", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert status.json() == {"authenticated": True, "user": tokens["user"]}
    assert tokens["user"] | {"first_name": "Ada", "company": "Engines Ltd", "role": "user"} == tokens["user"]


def test_a_new_account_has_an_id_that_sorts_by_time_and_no_verified_address(client: Client) -> None:
    user = register(client).json()["user"]
    assert (UUID(user["id"]).version, user["email_verified"]) == (7, False)


def test_tokens_are_for_no_cache(client: Client) -> None:
    assert register(client).headers["cache-control"] == "no-store"


def test_an_access_token_lasts_a_quarter_of_an_hour_less_a_twentieth_at_most(client: Client) -> None:
    assert 855 <= register(client).json()["expires_in"] <= 900


def test_an_address_is_kept_in_lower_case(client: Client) -> None:
    email = new_address("Ada.")
    assert register(client, email=f"  {email.upper()} ").json()["user"]["email"] == email.lower()


def test_an_address_is_registered_once_whatever_its_case(person: Person, sql: Sql) -> None:
    for email in (person.email, person.email.upper()):
        refused = register(person, email=email)
        assert (refused.status_code, refused.json()["code"]) == (409, "email_taken")
    assert sql.execute("SELECT count(*) FROM sessions WHERE user_id = %s", [person.id]).fetchone() == (1,)


def test_registrations_of_one_address_at_once_make_one_account(client: Client) -> None:
    answers = at_once(*[partial(register, client, email=new_address("ada"))] * 2)
    assert sorted(answer.status_code for answer in answers) == [201, 409]


@pytest.mark.parametrize("email", ["", "ada", "ada@", "@example.com", "ada@example", "a da@example.com", "ada@ex_.com"])
def test_what_is_no_address_is_refused(client: Client, email: str) -> None:
    refused = register(client, email=email)
    assert refused.status_code == 422
    assert [fault["field"] for fault in refused.json()["errors"]] == ["email"]


@pytest.mark.parametrize("field", ["role", "id", "email_verified", "device_name", "is_admin"])
def test_a_field_that_registration_does_not_know_is_refused(client: Client, field: str) -> None:
    refused = register(client, **{field: "admin"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"password": None}, "password"),
        ({"password": 1234567890}, "password"),
        ({"transport": "header"}, "transport"),
        ({"first_name": ""}, "first_name"),
        ({"company": "a\0b"}, "company"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(client: Client, fields: dict[str, Any], field: str) -> None:
    refused = register(client, **fields)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize("field", ["first_name", "last_name", "company"])
def test_a_name_of_blanks_is_no_name(client: Client, field: str) -> None:
    refused = register(client, **{field: " \t "})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field


def test_a_refusal_never_repeats_the_password(client: Client) -> None:
    for password in ("hunter2-!", "hunter2-!" * 100, "hunter2-!" * 1000):
        refused = register(client, password=password)
        assert refused.status_code == 422
        assert "hunter2" not in refused.text


@pytest.mark.parametrize(
    "spelling",
    ["Ada.{}@Example.COM", "\u00c9mile{}@example.com", "e\u0301mile{}@example.com", "ada{}@xn--bcher-kva.example.com"],
    ids=["capitals", "accented capital", "decomposed accent", "punycode domain"],
)
def test_the_address_somebody_registered_with_signs_them_in(client: Client, spelling: str) -> None:
    """However it is normalised: what was typed once can be typed again."""
    email = spelling.format(secrets.token_hex(8))
    assert register(client, email=email).status_code == 201
    assert client.post("/api/auth/login", {"email": email, "password": PASSWORD}).status_code == 200
