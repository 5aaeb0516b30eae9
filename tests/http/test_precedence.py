"""Who is calling is decided before what they say is read: a stranger learns nothing about a request."""

from collections.abc import Callable
from time import time
from typing import Any

import psycopg
import pytest

from shared.access import FRESH_SECONDS
from shared.routes import Route
from shared.security import access_tokens
from tests.conftest import Client, Person
from tests.http.bodies import Endpoint, every_member_endpoint
from tests.http.conftest import Send, concrete

BAD = {
    "no JSON": (b"{", "application/json"),
    "not valid": (b'{"unknown": 1}', "application/json"),
    "no media type": (b"x", ""),
    "another media type": (b"x", "text/plain"),
    "too much": (b" " * (1024 * 1024 + 1), "application/json"),
}
TOKENS = {
    "garbage": "Bearer garbage",
    "three parts": "Bearer a.b.c",
    "another scheme": "Basic d2hvOnNlY3JldA==",
    "no token": "Bearer",
    "a refresh token": "Bearer jtr_AQ",
    "a personal access token": "Bearer jtp_AQ",
    "very long": "Bearer " + "a." * 4000,
}

ASK_FOR_A_PROOF = {
    *("change_password", "change_email", "create_token"),
    *("offer_totp", "enable_totp", "disable_totp", "replace_recovery_codes"),
    *("begin_passkey_registration", "register_passkey", "delete_passkey", "link_identity", "unlink_identity"),
    *("export_account", "delete_account", "restore_account"),
    *("change_user", "end_sessions", "grant_quota", "restore_quota"),
}
"""What opens or closes a way in, takes everything along, or is an administrator's."""


def refused_as(code: str, person: Client, endpoint: Endpoint) -> None:
    for content, media_type in BAD.values():
        refused = endpoint.send(person, content, media_type)
        assert (refused.status_code, refused.json()["code"]) == (401, code)
        assert "errors" not in refused.json()


@every_member_endpoint
def test_without_a_token_a_bad_body_is_not_looked_at(client: Client, endpoint: Endpoint) -> None:
    refused_as("unauthorized", client, endpoint)
    assert endpoint.send(client, b"{").headers["www-authenticate"] == "Bearer"


@every_member_endpoint
@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_with_a_bad_token_a_bad_body_is_not_looked_at(client: Client, endpoint: Endpoint, token: str) -> None:
    client.headers["Authorization"] = token
    refused_as("invalid_token", client, endpoint)
    assert 'error="invalid_token"' in endpoint.send(client, b"{").headers["www-authenticate"]


def test_a_token_in_no_alphabet_of_ours_is_a_bad_token(send: Send) -> None:
    answer = send("PATCH", "/api/profile", ("Authorization", "Bearer \xfc.\xfc.\xfc"), body=b"{")
    assert (answer.status, b'"invalid_token"' in answer.body) == (401, True)


@every_member_endpoint
def test_in_an_ended_session_a_bad_body_is_not_looked_at(
    new_admin: Callable[..., Person], sql: psycopg.Connection[Any], endpoint: Endpoint
) -> None:
    person = new_admin()
    sql.execute("UPDATE sessions SET idle_expires_at = now() WHERE user_id = %s", [person.id])
    refused_as("session_ended", person, endpoint)


@pytest.mark.parametrize("path", ["/api/applications?limit=0", "/api/applications?x=1", "/api/profile?x=1"])
def test_in_an_ended_session_a_bad_question_is_not_looked_at(
    person: Person, sql: psycopg.Connection[Any], path: str
) -> None:
    assert person.get(path).status_code == 422
    sql.execute("UPDATE users SET disabled_at = now() WHERE id = %s", [person.id])
    refused = person.get(path)
    assert (refused.status_code, refused.json()["code"]) == (401, "session_ended")


def test_an_ended_session_is_told_before_a_bad_key(person: Person, sql: psycopg.Connection[Any]) -> None:
    draft, headers = {"company": "Contoso", "position": "Engineer"}, {"Idempotency-Key": "x" * 200}
    assert person.post("/api/applications", draft, headers=headers).status_code == 422
    sql.execute("UPDATE sessions SET absolute_expires_at = now() WHERE user_id = %s", [person.id])
    assert person.post("/api/applications", draft, headers=headers).json()["code"] == "session_ended"


def test_a_bad_name_in_a_path_is_not_told_from_a_good_one_in_an_ended_session(
    person: Person, sql: psycopg.Connection[Any]
) -> None:
    sql.execute("UPDATE sessions SET idle_expires_at = now() WHERE user_id = %s", [person.id])
    for metric in ("exports", "nothing", "%00", "x" * 2000):
        assert person.get(f"/api/quotas/{metric}").json()["code"] == "session_ended"


def test_the_wrong_role_is_told_before_anything_else(person: Person) -> None:
    refused = person.get("/api/auth/jwt-info?x=1")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


def test_every_member_route_wants_to_know_who_calls(client: Client, routes: list[Route]) -> None:
    asked = 0
    for route in routes:
        for method in route.methods if route.endpoint.access.needs_caller else ():
            refused = client(method, concrete(route), content=b"{")
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized"), route.name
            asked += 1
    assert asked >= 18


def test_what_matters_most_takes_a_proof_of_a_moment_ago(person: Person, routes: list[Route]) -> None:
    said = access_tokens.verify(person.tokens["access_token"])
    asking = {route.name: route for route in routes if route.endpoint.access.is_fresh}
    assert asking.keys() == ASK_FOR_A_PROOF
    for route in asking.values():
        refused = []
        for age in (FRESH_SECONDS + 5, 0):
            token, _ = access_tokens.issue(
                said.user_id,
                said.session_id,
                role=route.endpoint.access.role or "user",
                authenticated_at=int(time()) - age,
            )
            bearer = {"Authorization": f"Bearer {token}"}
            answer = person(route.methods[0], concrete(route), content=b"{", headers=bearer)
            refused.append(b'"reauthentication_required"' in answer.content)
        assert refused == [True, False], route.name
