"""What a token says: status, verify, jwt-info and the public keys, asked of the database each time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.security import access_tokens
from tests.conftest import SECRET, Client, Person
from tests.sessions.rows import IDLE, OpenSession, Sql, disable, open_session

PATHS = ("/api/auth/status", "/api/auth/verify")


def test_status_tells_who_is_signed_in(person: Person) -> None:
    answer = person.get("/api/auth/status")
    assert (answer.status_code, answer.json()) == (200, {"authenticated": True, "user": person.tokens["user"]})


def test_verify_tells_another_service_all_it_needs(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    bearer = session.bearer
    token = access_tokens.verify(bearer["Authorization"].removeprefix("Bearer "))
    answer = client.get("/api/auth/verify", headers=bearer)
    assert answer.status_code == 200
    verified = answer.json()
    assert verified.keys() == {"valid", "user", "session_id", "expires_at", "scopes"}
    assert (verified["valid"], verified["scopes"]) == (True, ["*"])
    assert (verified["user"]["id"], verified["session_id"]) == (str(session.user_id), str(session.id))
    assert datetime.fromisoformat(verified["expires_at"]) == datetime.fromtimestamp(token.expires_at, UTC)


@pytest.mark.parametrize("path", PATHS)
def test_the_answer_is_what_the_database_knows_now(person: Person, path: str, sql: Sql) -> None:
    sql.execute("UPDATE users SET first_name = 'Ada', role = 'admin' WHERE id = %s", [person.id])
    user = person.get(path).json()["user"]
    assert (user["first_name"], user["role"]) == ("Ada", "admin")  # though the token says otherwise


@pytest.mark.parametrize("path", PATHS)
def test_without_a_token_nobody_is_signed_in(client: Client, path: str) -> None:
    refused = client.get(path)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    assert refused.headers["www-authenticate"] == "Bearer"  # RFC 6750: no error code where no token was given


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("authorization", ["Bearer x", "Bearer x.y.z", "Basic YTpi", "Bearer", "x"])
def test_with_a_token_that_is_none_nobody_is_signed_in(client: Client, path: str, authorization: str) -> None:
    refused = client.get(path, headers={"Authorization": authorization})
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def revoke(client: Client, session: OpenSession, sql: Sql) -> None:
    client.post("/api/auth/logout", {"refresh_token": session.refresh_token()})


def expire(client: Client, session: OpenSession, sql: Sql) -> None:
    session.age(sql, IDLE)


def disable_user(client: Client, session: OpenSession, sql: Sql) -> None:
    disable(sql, session.user_id)


def delete_user(client: Client, session: OpenSession, sql: Sql) -> None:
    sql.execute("DELETE FROM users WHERE id = %s", [session.user_id])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("end", [revoke, expire, disable_user, delete_user])
def test_a_genuine_token_of_an_ended_session_is_refused(client: Client, sql: Sql, path: str, end: Any) -> None:
    session = open_session(sql)
    bearer = session.bearer
    assert client.get(path, headers=bearer).status_code == 200
    end(client, session, sql)
    refused = client.get(path, headers=bearer)
    assert (refused.status_code, refused.json()["code"]) == (401, "session_ended")
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_an_account_enabled_again_has_its_sessions_back(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    disable(sql, session.user_id)
    assert client.get("/api/auth/status", headers=session.bearer).status_code == 401
    sql.execute("UPDATE users SET disabled_at = NULL WHERE id = %s", [session.user_id])
    assert client.get("/api/auth/status", headers=session.bearer).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_may_be_in_any_case(client: Client, sql: Sql, scheme: str) -> None:
    token = open_session(sql).bearer["Authorization"].partition(" ")[2]
    assert client.get("/api/auth/status", headers={"Authorization": f"{scheme} {token}"}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_a_query_that_means_nothing_is_refused_once_the_caller_is_known(client: Client, sql: Sql, path: str) -> None:
    assert client.get(f"{path}?x=1").status_code == 401
    assert client.get(f"{path}?x=1", headers=open_session(sql).bearer).status_code == 422


# ---------------------------------------------------------------- how tokens are signed


def test_an_administrator_reads_how_tokens_are_signed_and_no_part_of_the_secret(client: Client, sql: Sql) -> None:
    answer = client.get("/api/auth/jwt-info", headers=open_session(sql, role="admin").bearer)
    assert answer.status_code == 200
    info = answer.json()
    signing = {name: info[name] for name in ("algorithm", "key_id", "key_fingerprint")}
    assert info == signing | {
        "algorithm": "HS256",
        "issuer": "jobtrail",
        "audience": "jobtrail",
        "access_ttl_seconds": 900,
        "keys": [signing],
    }
    assert len(info["key_fingerprint"]) == 64
    assert SECRET not in answer.text
    assert SECRET.encode().hex() not in answer.text


def test_how_tokens_are_signed_is_for_administrators(client: Client, sql: Sql) -> None:
    assert client.get("/api/auth/jwt-info").json()["code"] == "unauthorized"
    refused = client.get("/api/auth/jwt-info", headers=open_session(sql).bearer)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


def test_a_shared_secret_has_no_public_key(client: Client) -> None:
    answer = client.get("/.well-known/jwks.json")
    assert (answer.status_code, answer.json()) == (200, {"keys": []})
    assert answer.headers["cache-control"] == "public, max-age=600"


def test_the_end_of_a_token_is_the_end_of_its_use_and_not_of_its_session(client: Client, sql: Sql) -> None:
    """An access token says when it ends; a session that goes on gives the next one."""
    session = open_session(sql)
    session.age(sql, timedelta(days=29))
    token = client.post("/api/auth/refresh", {"refresh_token": session.refresh_token()}).json()["access_token"]
    assert client.get("/api/auth/status", headers={"Authorization": f"Bearer {token}"}).status_code == 200
