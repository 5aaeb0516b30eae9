"""A token's life: made once, shown once, used until it ends, and stopped at the next request."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from secrets import token_bytes
from threading import Thread
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import errors
from psycopg.sql import SQL, Identifier

from shared.security import access_tokens, personal_access_tokens
from shared.tokens import SCOPES
from shared.tokens.service import MOST
from tests.conftest import PASSWORD, Client, Person
from tests.db import walk
from tests.processes import eventually
from tests.sessions.rows import open_session
from tests.sessions.together import at_once
from tests.tokens.conftest import DRAFT, Sql, events, expire, make_token

Script = Callable[..., Client]

WAITING = "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
"""Whether somebody waits for the tokens of an account."""


def refused_as(answer: httpx.Response, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


# ---------------------------------------------------------------- made


def test_a_token_is_made_with_what_was_asked_for(person: Person) -> None:
    token = make_token(person, "quotas:read", name="  My script ", expires_in_days=7)
    assert token.keys() == {"id", "name", "scopes", "token", "created_at", "expires_at"}
    assert (token["name"], token["scopes"]) == ("My script", ["quotas:read"])
    life = datetime.fromisoformat(token["expires_at"]) - datetime.fromisoformat(token["created_at"])
    assert life == timedelta(days=7)


def test_a_token_is_good_for_90_days_unless_asked_otherwise(person: Person) -> None:
    token = make_token(person)
    life = datetime.fromisoformat(token["expires_at"]) - datetime.fromisoformat(token["created_at"])
    assert life == timedelta(days=90)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["applications:*"]},
        {"scopes": ["*"]},
        {"scopes": ["applications:read", "admin"]},
        {"scopes": "applications:read"},
        {"expires_in_days": 0},
        {"expires_in_days": 367},
        {"expires_in_days": None},
        {"expires_in_days": "90"},
        {"name": " "},
    ],
    ids=str,
)
def test_a_token_that_cannot_be_is_not_made(person: Person, wrong: dict[str, Any]) -> None:
    refused = person.post("/api/tokens", {"name": "A script", "scopes": ["profile:read"], **wrong})
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    assert person.get("/api/tokens").json()["items"] == []


def test_who_has_not_just_proved_who_they_are_makes_no_token(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    stale, _ = access_tokens.issue(session.user_id, session.id, role="user", authenticated_at=0)
    request = {"name": "A script", "scopes": ["profile:read"]}
    refused = client.post("/api/tokens", request, headers={"Authorization": f"Bearer {stale}"})
    assert (refused.status_code, refused.json()["code"]) == (401, "reauthentication_required")
    assert client.post("/api/tokens", request, headers=session.bearer).status_code == 201


def test_a_token_made_again_with_the_same_key_is_another_and_no_answer_is_kept(person: Person, sql: Sql) -> None:
    request, key = {"name": "A script", "scopes": ["profile:read"]}, {"Idempotency-Key": "first"}
    made = [person.post("/api/tokens", request, headers=key).json()["token"] for _ in range(2)]
    assert made[0] != made[1]
    assert sql.execute("SELECT count(*) FROM idempotency_keys WHERE user_id = %s", [person.id]).fetchone() == (0,)


def test_an_account_has_fifty_good_tokens_at_most_however_many_are_made_at_once(person: Person, sql: Sql) -> None:
    sql.execute(
        """
        INSERT INTO personal_access_tokens (user_id, digest, name, scopes, expires_at)
        SELECT %s, sha256(uuid_send(gen_random_uuid())), 'put here', '{profile:read}', now() + interval '1 day'
        FROM generate_series(1, %s)
        """,
        [person.id, MOST - 2],
    )
    request = {"name": "A script", "scopes": ["profile:read"]}
    statuses = [a.status_code for a in at_once(*[lambda: person.post("/api/tokens", request)] * 8)]
    assert sorted(statuses) == [201] * 2 + [409] * 6
    refused = person.post("/api/tokens", request)
    assert (refused.json()["code"], refused.json()["limit"]) == ("too_many_tokens", MOST)
    listed = person.get("/api/tokens").json()["items"]
    assert len(listed) == MOST
    person.delete(f"/api/tokens/{listed[0]['id']}")
    expire(sql, listed[1])
    assert [person.post("/api/tokens", request).status_code for _ in range(3)] == [201, 201, 409]


def test_a_token_about_to_be_made_counts_already(person: Person, database_url: str, sql: Sql) -> None:
    session = access_tokens.verify(person.tokens["access_token"])
    answers: list[httpx.Response] = []
    with psycopg.connect(database_url) as first:
        first.execute("SELECT enter(%s, %s, NULL)", [session.user_id, session.session_id])
        first.execute("SELECT create_token(%s, 'First', '{profile:read}', 1, %s)", [token_bytes(32), MOST])
        sql.execute(
            """
            INSERT INTO personal_access_tokens (user_id, digest, name, scopes, expires_at)
            SELECT %s, sha256(uuid_send(gen_random_uuid())), 'put here', '{profile:read}', now() + interval '1 day'
            FROM generate_series(2, %s)
            """,
            [person.id, MOST],
        )
        request = {"name": "Second", "scopes": ["profile:read"]}
        second = Thread(target=lambda: answers.append(person.post("/api/tokens", request)))
        second.start()
        eventually(lambda: sql.execute(WAITING).fetchone() == (True,))
    second.join(10)
    assert [answer.status_code for answer in answers] == [409]


# ---------------------------------------------------------------- shown once


def test_a_token_is_nowhere_but_in_the_answer_that_made_it(
    person: Person, script: Script, sql: Sql, start_app: Callable[..., str], tmp_path: Path
) -> None:
    token = make_token(person, "applications:read")
    secret = token["token"].removeprefix("jtp_")
    url = start_app()
    for client in (script(token), script(token, url)):
        assert client.get("/api/applications").status_code == 200
        assert client.post("/api/applications", DRAFT).status_code == 403
        assert client.get(f"/api/applications/{uuid4()}").status_code == 404
    assert secret not in person.get("/api/tokens").text
    log = (tmp_path / "app-0.log").read_text()
    assert secret not in log
    tables = [name for (name,) in sql.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    assert len(tables) >= 10
    for table in tables:
        rows = sql.execute(SQL("SELECT to_jsonb(t)::text FROM {} t").format(Identifier(table))).fetchall()
        assert not any(secret in row or secret.encode().hex() in row for (row,) in rows), table


def test_nothing_that_is_logged_names_a_token(person: Person, script: Script, caplog: pytest.LogCaptureFixture) -> None:
    token = make_token(person, "applications:read")
    with caplog.at_level(logging.DEBUG):
        assert script(token).get("/api/applications").status_code == 200
        assert script(token).get("/api/tokens").status_code == 403
    assert token["token"] not in caplog.text


def test_the_list_shows_what_is_good_newest_first_and_when_it_was_used(
    person: Person, script: Script, sql: Sql
) -> None:
    first, second, third, fourth = (make_token(person, name=name) for name in ("one", "two", "three", "four"))
    person.delete(f"/api/tokens/{second['id']}")
    expire(sql, fourth)
    script(first).get("/api/applications")
    listed = person.get("/api/tokens").json()["items"]
    assert [item["id"] for item in listed] == [third["id"], first["id"]]
    assert listed[0]["last_used_at"] is None
    assert listed[1]["last_used_at"] >= first["created_at"]
    assert "token" not in listed[0]


# ---------------------------------------------------------------- used


def test_a_token_does_what_a_session_does(person: Person, script: Script) -> None:
    holder = script(make_token(person, "applications:write", "profile:write", "quotas:consume"))
    draft, key = DRAFT, {"Idempotency-Key": "first"}
    made = [holder.post("/api/applications", draft, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[1].headers["idempotency-replayed"] == "true"
    place = made[0].headers["location"]
    assert holder.patch(place, {"notes": "They called."}, headers={"If-Match": '"1"'}).json()["version"] == 2
    assert holder.patch(place, {}, headers={"If-Match": '"1"'}).status_code == 412
    assert holder.patch("/api/profile", {"company": "Initech"}).json()["company"] == "Initech"
    assert holder.patch("/api/profile", {}, headers={"If-Match": '"1"'}).status_code == 412
    assert holder.post(f"/api/quotas/{walk.METRIC}/consume", {"units": 3}).json()["used"] == 3
    assert person.get("/api/profile").json()["company"] == "Initech"
    assert [item["id"] for item in person.get("/api/applications").json()["items"]] == [made[0].json()["id"]]
    assert holder.delete(place).status_code == 204


def test_a_token_reaches_its_owners_things_only(new_person: Callable[..., Person], script: Script) -> None:
    ada, bob = new_person(), new_person()
    hers = ada.create_application()
    holder = script(make_token(bob, *SCOPES))
    assert holder.get(f"/api/applications/{hers['id']}").status_code == 404
    assert holder.get("/api/applications").json()["items"] == []
    assert holder.get("/api/profile").json()["id"] == bob.id


def use(sql: Sql, token: dict[str, Any]) -> tuple[Any, ...]:
    """When the token was last used, and which write of its row that is."""
    found: tuple[Any, ...] | None = sql.execute(
        "SELECT last_used_at, xmin::text FROM personal_access_tokens WHERE id = %s", [token["id"]]
    ).fetchone()
    assert found
    return found


def test_that_a_token_is_used_is_written_once_a_minute(person: Person, script: Script, sql: Sql) -> None:
    token = make_token(person)
    holder = script(token)
    holder.get("/api/applications")
    first = use(sql, token)
    assert first[0] is not None
    for _ in range(3):
        assert holder.get("/api/applications").status_code == 200
    assert use(sql, token) == first
    sql.execute(
        "UPDATE personal_access_tokens SET last_used_at = now() - interval '61 seconds' WHERE id = %s", [token["id"]]
    )
    holder.get("/api/applications")
    assert use(sql, token)[0] > first[0]


def test_a_request_does_not_wait_for_another_that_writes_the_use_down(person: Person, script: Script, sql: Sql) -> None:
    token = make_token(person)
    with sql.transaction():
        sql.execute("SELECT FROM personal_access_tokens WHERE id = %s FOR UPDATE", [token["id"]])
        assert script(token).get("/api/applications").status_code == 200
    assert use(sql, token)[0] is None


def test_a_refused_request_is_no_use(person: Person, script: Script, sql: Sql) -> None:
    token = make_token(person)
    assert script(token).post("/api/applications", DRAFT).status_code == 403
    assert use(sql, token)[0] is None


# ---------------------------------------------------------------- ended


def test_a_revoked_token_stops_at_the_next_request(person: Person, script: Script) -> None:
    token, other = make_token(person), make_token(person)
    assert script(token).get("/api/applications").status_code == 200
    assert person.delete(f"/api/tokens/{token['id']}").status_code == 204
    refused_as(script(token).get("/api/applications"), "token_revoked")
    assert script(other).get("/api/applications").status_code == 200
    assert person.delete(f"/api/tokens/{token['id']}").status_code == 404


def test_an_expired_token_is_refused_and_says_so(person: Person, script: Script, sql: Sql) -> None:
    token = make_token(person)
    sql.execute(
        "UPDATE personal_access_tokens SET expires_at = now() + interval '1 minute' WHERE id = %s", [token["id"]]
    )
    assert script(token).get("/api/applications").status_code == 200
    expire(sql, token)
    refused_as(script(token).get("/api/applications"), "token_expired")
    assert person.delete(f"/api/tokens/{token['id']}").status_code == 404


def test_a_disabled_accounts_tokens_stop_at_once_and_do_not_come_back_with_it(
    person: Person, new_admin: Callable[..., Person], script: Script
) -> None:
    holder, admin = script(make_token(person)), new_admin()
    assert admin.patch(f"/api/admin/users/{person.id}", {"active": False}).status_code == 200
    refused_as(holder.get("/api/applications"), "invalid_token")
    assert admin.patch(f"/api/admin/users/{person.id}", {"active": True}).status_code == 200
    refused_as(holder.get("/api/applications"), "token_revoked")


def test_a_token_goes_with_its_account(person: Person, script: Script, sql: Sql) -> None:
    holder = script(make_token(person))
    sql.execute("DELETE FROM users WHERE id = %s", [person.id])
    refused_as(holder.get("/api/applications"), "invalid_token")


def test_a_token_that_was_never_made_is_not_valid(script: Script) -> None:
    refused_as(script({"token": personal_access_tokens.issue()}).get("/api/applications"), "invalid_token")


def test_a_token_that_has_ended_is_told_before_anything_about_the_request(person: Person, script: Script) -> None:
    token = make_token(person, "applications:write")
    person.delete(f"/api/tokens/{token['id']}")
    refused_as(script(token).post("/api/applications", content=b"{"), "token_revoked")
    refused_as(script(token).get("/api/applications?limit=0"), "token_revoked")


def test_no_statement_brings_a_revoked_token_back(person: Person, sql: Sql) -> None:
    token = make_token(person)
    person.delete(f"/api/tokens/{token['id']}")
    for value in ("NULL", "now() + interval '1 day'"):
        with pytest.raises(errors.IntegrityConstraintViolation, match="never comes back"):
            sql.execute(f"UPDATE personal_access_tokens SET revoked_at = {value} WHERE id = %s".encode(), [token["id"]])


def test_signing_out_everywhere_leaves_the_tokens(person: Person, script: Script) -> None:
    holder = script(make_token(person))
    assert person.post("/api/auth/logout-all", {}).status_code == 200
    assert holder.get("/api/applications").status_code == 200


def test_all_of_an_accounts_tokens_can_be_ended_at_once(
    person: Person, new_person: Callable[..., Person], script: Script, sql: Sql
) -> None:
    other, actor = new_person(), new_person()
    tokens, others = [make_token(person) for _ in range(2)], make_token(other)
    end = "SELECT revoke_tokens(%s, 'password_reset', %s)"
    assert [sql.execute(end, [person.id, actor.id]).fetchone() for _ in range(2)] == [(2,), (0,)]
    for token in tokens:
        refused_as(script(token).get("/api/applications"), "token_revoked")
    assert script(others).get("/api/applications").status_code == 200
    facts = {"reason": "password_reset", "revoked": 2}
    assert events(sql, person, "tokens_revoked") == [("tokens_revoked", True, facts)]
    query = "SELECT actor_id::text FROM audit_events WHERE user_id = %s AND event = 'tokens_revoked'"
    assert sql.execute(query, [person.id]).fetchone() == (actor.id,)


def test_no_token_is_made_in_a_session_that_is_being_ended_with_all_tokens(
    person: Person, database_url: str, sql: Sql
) -> None:
    answers: list[httpx.Response] = []
    request = {"name": "A script", "scopes": list(SCOPES)}
    with psycopg.connect(database_url) as reset:
        reset.execute("SELECT revoke_tokens(%s, 'password_reset')", [person.id])
        late = Thread(target=lambda: answers.append(person.post("/api/tokens", request)))
        late.start()
        eventually(lambda: sql.execute(WAITING).fetchone() == (True,))  # its session was alive when it was let in
        reset.execute(
            "UPDATE sessions SET revoked_at = now(), revoked_reason = 'password_reset' WHERE user_id = %s", [person.id]
        )
    late.join(10)
    assert [(a.status_code, a.json()["code"]) for a in answers] == [(401, "session_ended")]
    count = "SELECT count(*) FROM personal_access_tokens WHERE user_id = %s"
    assert sql.execute(count, [person.id]).fetchone() == (0,)


# ---------------------------------------------------------------- written down


def letters_to(person: Person, directory: Path) -> list[str]:
    """The plain texts of what was sent to the person about tokens."""
    letters = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in directory.glob("*.eml")]
    texts = [letter.get_body(("plain",)) for letter in letters if letter["To"] == person.email]
    words = [" ".join(text.get_content().split()) for text in texts if text]
    return [text for text in words if "personal access token" in text]


def test_what_becomes_of_a_token_is_written_down_without_it(person: Person, script: Script, sql: Sql) -> None:
    token = make_token(person, "applications:read", name="My script")
    holder = script(token)
    for _ in range(2):
        assert holder.post("/api/applications", DRAFT).status_code == 403
    person.delete(f"/api/tokens/{token['id']}")
    for _ in range(2):
        assert holder.get("/api/applications").status_code == 401
    made = {"name": "My script", "scopes": ["applications:read"]}
    found = events(sql, person, "token_created", "token_refused", "token_revoked")
    until = found[0][2].pop("expires_at")
    assert datetime.fromisoformat(until) == datetime.fromisoformat(token["expires_at"])
    assert found == [
        ("token_created", True, {"token_id": token["id"], **made}),
        (
            "token_refused",
            False,
            {"token_id": token["id"], "reason": "insufficient_scope", "scope": "applications:write"},
        ),
        ("token_revoked", True, {"token_id": token["id"], "name": "My script"}),
        ("token_refused", False, {"token_id": token["id"], "reason": "token_revoked"}),
    ]
    where = "SELECT bool_and(ip IS NOT NULL) FROM audit_events WHERE user_id = %s AND event LIKE 'token%%'"
    assert sql.execute(where, [person.id]).fetchone() == (True,)


def test_the_owner_is_told_by_mail_of_each_token_that_is_made(
    new_person: Callable[..., Person], start_app: Callable[..., str], tmp_path: Path
) -> None:
    person = new_person(start_app(MAIL_AT_ONCE="true", MAIL_DIRECTORY=str(tmp_path / "mail")))
    token = make_token(person, "quotas:consume", name="My script")
    eventually(lambda: len(letters_to(person, tmp_path / "mail")) == 1)
    (letter,) = letters_to(person, tmp_path / "mail")
    assert "“My script” was made" in letter
    assert "quotas:consume, quotas:read" in letter
    assert token["token"] not in letter


def test_who_goes_on_trying_is_written_down_once_an_hour(person: Person, script: Script, sql: Sql) -> None:
    token = make_token(person, "applications:read")
    for passed in ("0", "59 minutes", "60 minutes"):
        pass_time = "UPDATE personal_access_tokens SET refused_at = refused_at - %s::interval WHERE id = %s"
        sql.execute(pass_time, [passed, token["id"]])
        assert script(token).post("/api/applications", DRAFT).status_code == 403
    assert len(events(sql, person, "token_refused")) == 2


def test_a_token_that_was_never_made_leaves_no_trace(script: Script, sql: Sql) -> None:
    def traces() -> list[Any]:
        tables = ("audit_events", "rate_limits", "personal_access_tokens")
        count = SQL("SELECT count(*), max(xmin::text::bigint) FROM {}")
        return [sql.execute(count.format(Identifier(table))).fetchone() for table in tables]

    before = traces()
    refused_as(script({"token": personal_access_tokens.issue()}).get("/api/applications"), "invalid_token")
    assert traces() == before


# ---------------------------------------------------------------- what it costs


def test_a_token_costs_what_a_session_does_and_a_forged_one_nothing(
    person: Person, wire: Any, start_app: Callable[..., str], script: Script, sql: Sql
) -> None:
    url = start_app(DATABASE_URL=wire.url)
    token, revoked, expired = (make_token(person, "applications:write") for _ in range(3))
    person.delete(f"/api/tokens/{revoked['id']}")
    expire(sql, expired)
    holder = script(token, url)
    assert holder.get("/api/applications").status_code == 200

    def cost(client: Client, method: str, path: str, body: Any = None, *, status: int, **options: Any) -> int:
        before = wire.round_trips
        answer = client(method, path, body, **options)
        assert answer.status_code == status, answer.text
        return int(wire.round_trips - before)

    place = person.create_application()["id"]
    assert cost(holder, "GET", "/api/applications", status=200) == 1
    assert cost(holder, "GET", f"/api/applications/{place}", status=200) == 1
    assert cost(holder, "POST", "/api/applications", DRAFT, status=201, headers={"Idempotency-Key": "k"}) == 1
    assert cost(holder, "GET", "/api/auth/verify", status=200) == 1
    assert cost(holder, "POST", "/api/applications", {"company": 7}, status=422) == 1
    assert cost(holder, "GET", "/api/tokens", status=403) == 0
    assert cost(script({"token": personal_access_tokens.issue()}, url), "GET", "/api/applications", status=401) == 1
    assert cost(script(expired, url), "GET", "/api/applications", status=401) == 1
    # Whose token it is that was refused is known, so it is written down: what the refusal itself undid.
    assert cost(script(revoked, url), "GET", "/api/applications", status=401) == 2
    assert cost(holder, "PATCH", "/api/profile", {}, status=403) == 2
    good = token["token"]
    for forged in (good[:-1] + ("0" if good[-1] != "0" else "1"), "jtp_", "jtp_" + "a" * 36, good + "a", good[:-1]):
        client = script({"token": forged}, url)
        assert cost(client, "GET", "/api/applications", status=401) == 0
        assert cost(client, "POST", "/api/tokens", {}, status=401) == 0


def test_a_token_is_no_password(person: Person, client: Client) -> None:
    token = make_token(person, *SCOPES)
    wrong = client.post("/api/auth/login", {"email": person.email, "password": token["token"]})
    assert wrong.json()["code"] == "invalid_credentials"
    assert client.post("/api/auth/refresh", {"refresh_token": token["token"]}).json()["code"] == "refresh_token_invalid"
    assert client.post("/api/auth/login", {"email": person.email, "password": PASSWORD}).status_code == 200
