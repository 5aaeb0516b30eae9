"""Signing in with a second factor."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from shared.limits import Bucket
from shared.security import access_tokens, passwords
from shared.settings import Limit
from tests.conftest import PASSWORD, Client, Mail, Person
from tests.factors.authenticator import INVALID, LIMITED, OK, OVER, enable, finish, first_step, outcome
from tests.factors.conftest import Clock, Owner
from tests.passkeys import ceremonies
from tests.sessions.rows import Sql, disable
from tests.sessions.together import at_once

PASSKEY_INVALID = (401, "passkey_invalid")
FAILED = "Somebody got past the first step of signing in"


def sessions_of(sql: Sql, person: Person) -> list[tuple[list[str], str | None]]:
    """What the person's sessions were begun by, and on which device; oldest first."""
    rows = sql.execute(
        "SELECT methods, device_name FROM sessions WHERE user_id = %s AND revoked_at IS NULL ORDER BY created_at",
        [person.id],
    )
    return rows.fetchall()


def by_passkey(client: Client, authenticator: Any, challenge: str) -> httpx.Response:
    """Finish a sign-in with a passkey of the account that it is of."""
    options = ceremonies.request_options(client, challenge=challenge)
    return finish(client, challenge, passkey=authenticator.get(options))


# ---------------------------------------------------------------- the two steps


def test_a_password_alone_gets_a_challenge_and_no_token(ada: Owner, client: Client, sql: Sql) -> None:
    before = sessions_of(sql, ada.person)
    answer = client.post("/api/auth/login", {"email": ada.person.email, "password": PASSWORD, "transport": "cookie"})
    told = answer.json()
    assert told.pop("challenge")
    assert told == {"mfa_required": True, "methods": ["totp", "recovery_code"]}
    assert "set-cookie" not in answer.headers
    assert sessions_of(sql, ada.person) == before


def test_the_challenge_names_the_factors_that_there_are(ada: Owner, client: Client, sql: Sql) -> None:
    ceremonies.new_passkey(ada.person)
    credentials = {"email": ada.person.email, "password": PASSWORD}
    assert client.post("/api/auth/login", credentials).json()["methods"] == ["totp", "recovery_code", "passkey"]
    sql.execute("UPDATE totp SET recovery_codes = '{}' WHERE user_id = %s", [ada.person.id])
    assert client.post("/api/auth/login", credentials).json()["methods"] == ["totp", "passkey"]


def test_a_code_finishes_what_a_password_began(ada: Owner, client: Client, sql: Sql) -> None:
    challenge = first_step(client, ada.person, device_name="Phone")
    answer = finish(client, challenge, code=ada.app.code(1))
    assert outcome(answer) == OK
    assert answer.json()["user"]["id"] == ada.person.id
    assert sessions_of(sql, ada.person)[-1] == (["password", "totp"], "Phone")
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert client.post("/api/auth/mfa/recovery-codes", headers=bearer).status_code == 200, "it is fresh"


def test_a_passkey_finishes_what_a_password_began(ada: Owner, client: Client, sql: Sql) -> None:
    authenticator, _ = ceremonies.new_passkey(ada.person)
    assert outcome(by_passkey(client, authenticator, first_step(client, ada.person))) == OK
    assert sessions_of(sql, ada.person)[-1][0] == ["password", "passkey"]


def test_the_refresh_token_travels_as_the_first_step_said(ada: Owner, client: Client, clock: Clock) -> None:
    answer = finish(client, first_step(client, ada.person, transport="cookie"), code=ada.app.code(1))
    assert "refresh_token" not in answer.json()
    assert "__Host-jobtrail_refresh=" in answer.headers["set-cookie"]
    clock.step += 2
    challenge = first_step(client, ada.person)
    answer = finish(client, challenge, code=ada.app.code(), transport="cookie")
    assert "refresh_token" not in answer.json(), "unless the second says otherwise"


def test_the_browser_is_known_after_the_second_step_only(ada: Owner, client: Client) -> None:
    answer = client.post("/api/auth/login", {"email": ada.person.email, "password": PASSWORD})
    assert "set-cookie" not in answer.headers
    answer = finish(client, answer.json()["challenge"], code=ada.app.code(1))
    assert "__Host-jobtrail_device=" in answer.headers["set-cookie"]


def test_the_password_that_was_reset_does_not_stand_in_for_the_factor(ada: Owner, client: Client, sql: Sql) -> None:
    sql.execute(
        "UPDATE users SET password_hash = %s WHERE id = %s",
        [passwords.HASHER.hash("another password"), ada.person.id],
    )
    answer = client.post("/api/auth/login", {"email": ada.person.email, "password": "another password"})
    assert answer.json().get("mfa_required") is True


# ---------------------------------------------------------------- codes


def test_a_code_is_good_once(ada: Owner, client: Client) -> None:
    code = ada.app.code(1)
    assert outcome(finish(client, first_step(client, ada.person), code=code)) == OK
    assert outcome(finish(client, first_step(client, ada.person), code=code)) == INVALID


def test_an_older_code_is_not_good_after_a_newer_one(ada: Owner, client: Client, clock: Clock) -> None:
    clock.step += 5
    assert outcome(finish(client, first_step(client, ada.person), code=ada.app.code(1))) == OK
    challenge = first_step(client, ada.person)
    assert [outcome(finish(client, challenge, code=ada.app.code(steps))) for steps in (-1, 0, 1)] == [INVALID] * 3


@pytest.mark.parametrize(("steps", "expected"), [(-2, INVALID), (-1, OK), (0, OK), (1, OK), (2, INVALID)])
def test_the_clock_may_be_off_by_one_step(
    ada: Owner, client: Client, clock: Clock, steps: int, expected: tuple[int, str]
) -> None:
    clock.step += 10
    assert outcome(finish(client, first_step(client, ada.person), code=ada.app.code(steps))) == expected


def test_of_requests_at_once_with_one_code_one_wins(ada: Owner, new_client: Callable[[], Client], sql: Sql) -> None:
    clients = [new_client() for _ in range(5)]
    challenges = [first_step(client, ada.person) for client in clients]
    code = ada.app.code(1)
    answers = at_once(
        *[partial(finish, c, challenge, code=code) for c, challenge in zip(clients, challenges, strict=True)]
    )
    assert sorted(map(outcome, answers)) == [OK] + [INVALID] * 4
    assert len(sessions_of(sql, ada.person)) == 2


def test_the_code_of_somebody_else_is_a_wrong_one(ada: Owner, new_owner: Callable[[], Owner], client: Client) -> None:
    bob = new_owner()
    assert outcome(finish(client, first_step(client, ada.person), code=bob.app.code(1))) == INVALID


def test_a_secret_is_sealed_anew_once_there_is_a_newer_key(ada: Owner, start_app: Callable[..., str], sql: Sql) -> None:
    key = "2026-11:" + "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="
    client = Client(start_app(SEALING_KEYS=key))
    assert outcome(finish(client, first_step(client, ada.person), code=ada.app.code(1))) == OK
    client.close()
    row = sql.execute("SELECT sealed FROM totp WHERE user_id = %s", [ada.person.id]).fetchone()
    assert row
    assert row[0][1:9] == b"\x072026-11"


# ---------------------------------------------------------------- challenges


def test_a_challenge_is_good_for_one_sign_in(ada: Owner, client: Client, clock: Clock) -> None:
    challenge = first_step(client, ada.person)
    assert outcome(finish(client, challenge, code=ada.app.code(1))) == OK
    clock.step += 2
    assert outcome(finish(client, challenge, code=ada.app.code())) == OVER
    assert outcome(finish(client, challenge, recovery_code=ada.codes[0])) == OVER


def test_a_challenge_is_good_for_five_minutes(ada: Owner, client: Client, sql: Sql) -> None:
    challenge = first_step(client, ada.person)
    ((left,),) = sql.execute("SELECT expires_at - now() FROM challenges WHERE user_id = %s", [ada.person.id]).fetchall()
    assert timedelta(minutes=4, seconds=30) < left <= timedelta(minutes=5)
    sql.execute("UPDATE challenges SET expires_at = now() WHERE user_id = %s", [ada.person.id])
    assert outcome(finish(client, challenge, code=ada.app.code(1))) == OVER
    assert outcome(finish(client, challenge, recovery_code=ada.codes[0])) == OVER


def test_a_challenge_is_good_for_five_tries(ada: Owner, client: Client, sql: Sql) -> None:
    challenge = first_step(client, ada.person)
    for n in range(5):
        proof = {"code": ada.app.wrong_code()} if n % 2 else {"recovery_code": "A" * 24}
        assert outcome(finish(client, challenge, **proof)) == INVALID
    assert outcome(finish(client, challenge, code=ada.app.code(1))) == OVER
    assert outcome(finish(client, challenge, recovery_code=ada.codes[0])) == OVER
    assert ada.person.get("/api/auth/mfa").json()["recovery_codes_left"] == 10


def test_the_owner_is_told_when_a_challenges_tries_are_used_up(
    ada: Owner, client: Client, mail_to: Callable[[str], list[Mail]]
) -> None:
    challenge = first_step(client, ada.person)
    told = []
    for _ in range(6):
        finish(client, challenge, recovery_code="A" * 24)
        told.append([mail.subject for mail in mail_to(ada.person.email)].count(FAILED))
    assert told == [0, 0, 0, 0, 1, 1]


def test_the_fifth_try_is_as_good_as_the_first(ada: Owner, client: Client) -> None:
    challenge = first_step(client, ada.person)
    for _ in range(4):
        assert outcome(finish(client, challenge, code=ada.app.wrong_code())) == INVALID
    assert outcome(finish(client, challenge, code=ada.app.code(1))) == OK


def test_of_sixteen_tries_at_once_five_are_looked_at(ada: Owner, start_app: Callable[..., str], sql: Sql) -> None:
    url = start_app(SECOND_FACTOR_LIMIT_SHORT="1000/300", SECOND_FACTOR_LIMIT_HOUR="1000/300")
    clients = [Client(url) for _ in range(16)]
    challenge = first_step(clients[0], ada.person)
    answers = at_once(*[partial(finish, client, challenge, code=ada.app.wrong_code()) for client in clients])
    assert sorted(map(outcome, answers)) == [OVER] * 11 + [INVALID] * 5
    refusals = sql.execute(
        "SELECT count(*) FROM audit_events WHERE user_id = %s AND event = 'second_factor_refused' AND NOT succeeded",
        [ada.person.id],
    )
    assert refusals.fetchone() == (5,)
    for client in clients:
        client.close()


def test_a_challenge_is_of_one_user_only(ada: Owner, new_owner: Callable[[], Owner], client: Client, sql: Sql) -> None:
    """Whose sign-in it is, the challenge says, and nothing that comes with it."""
    bob = new_owner()
    authenticator, _ = ceremonies.new_passkey(bob.person)
    challenge = first_step(client, ada.person)
    options = ceremonies.request_options(client, challenge=first_step(client, bob.person))
    assert outcome(finish(client, challenge, code=bob.app.code(1))) == INVALID
    assert outcome(finish(client, challenge, recovery_code=bob.codes[0])) == INVALID
    assert outcome(finish(client, challenge, passkey=authenticator.get(options))) == OVER
    assert bob.person.get("/api/auth/mfa").json()["recovery_codes_left"] == 10
    assert len(sessions_of(sql, ada.person)) == len(sessions_of(sql, bob.person)) == 1


def test_a_stolen_challenge_is_worth_nothing_by_itself(ada: Owner, client: Client) -> None:
    challenge = first_step(client, ada.person)
    assert client.get("/api/profile", headers={"Authorization": f"Bearer {challenge}"}).status_code == 401
    assert client.post("/api/auth/refresh", {"refresh_token": challenge}).status_code == 401
    assert outcome(finish(client, challenge)) == (422, "validation_failed")


@pytest.mark.parametrize("challenge", ["x", "jtc_", "jtc_" + "A" * 43, "jtc_" + "A" * 44, "jtc_" + "é" * 43])
def test_a_challenge_that_never_was_is_over(client: Client, challenge: str) -> None:
    assert outcome(finish(client, challenge, code="123456")) == OVER


@pytest.mark.parametrize("kind", ["passkey_registration", "oauth"])
def test_a_challenge_of_another_kind_signs_nobody_in(ada: Owner, client: Client, sql: Sql, kind: str) -> None:
    challenge = first_step(client, ada.person)
    sql.execute("UPDATE challenges SET kind = %s WHERE user_id = %s", [kind, ada.person.id])
    assert outcome(finish(client, challenge, recovery_code=ada.codes[0])) == OVER


def test_a_change_of_password_ends_what_the_old_one_began(ada: Owner, client: Client, sql: Sql) -> None:
    challenge = first_step(client, ada.person)
    sql.execute("UPDATE users SET password_hash = %s WHERE id = %s", [secrets.token_hex(), ada.person.id])
    assert outcome(finish(client, challenge, code=ada.app.code(1))) == OVER


def test_an_account_disabled_in_between_is_not_signed_in_to(ada: Owner, client: Client, sql: Sql) -> None:
    challenge = first_step(client, ada.person)
    disable(sql, ada.person.id)
    assert outcome(finish(client, challenge, code=ada.app.code(1))) == (401, "invalid_credentials")


# ---------------------------------------------------------------- the proof


@pytest.mark.parametrize(
    "proof", [{}, {"code": "123456", "recovery_code": "A" * 24}, {"code": None}], ids=["none", "two", "null"]
)
def test_there_is_exactly_one_proof(ada: Owner, client: Client, proof: dict[str, Any]) -> None:
    refused = finish(client, first_step(client, ada.person), **proof)
    assert outcome(refused) == (422, "validation_failed")
    (fault,) = refused.json()["errors"]
    assert (fault["code"], fault["message"]) == (
        "one_proof",
        "must have exactly one of code, recovery_code, passkey",
    )


def test_a_code_without_six_digits_costs_no_try(ada: Owner, client: Client, sql: Sql) -> None:
    challenge = first_step(client, ada.person)
    assert outcome(finish(client, challenge, code="12345")) == (422, "validation_failed")
    assert sql.execute("SELECT tries FROM challenges WHERE user_id = %s", [ada.person.id]).fetchone() == (5,)


def test_a_passkey_answers_its_own_challenge_once(ada: Owner, client: Client) -> None:
    authenticator, _ = ceremonies.new_passkey(ada.person)
    challenge = first_step(client, ada.person)
    assertion = authenticator.get(ceremonies.request_options(client, challenge=challenge))
    assert outcome(finish(client, challenge, passkey=assertion)) == OK
    assert outcome(finish(client, first_step(client, ada.person), passkey=assertion)) == PASSKEY_INVALID


def test_a_passkey_that_is_refused_costs_a_try_and_is_written_down(ada: Owner, client: Client, sql: Sql) -> None:
    authenticator, _ = ceremonies.new_passkey(ada.person)
    challenge = first_step(client, ada.person)
    spent = authenticator.get(ceremonies.request_options(client))
    answers = [finish(client, challenge, passkey=spent) for _ in range(6)]
    assert [outcome(answer) for answer in answers] == [PASSKEY_INVALID] * 5 + [OVER]
    refusals = sql.execute(
        "SELECT facts FROM audit_events WHERE user_id = %s AND event = 'second_factor_refused'", [ada.person.id]
    )
    assert refusals.fetchall() == [({"method": "passkey"},)] * 5


# ---------------------------------------------------------------- limits


def fill(sql: Sql, owner: Owner, policy: str, hits: int) -> None:
    """So many failures, as the database counts them."""
    bucket = Bucket(policy, "", Limit(hits=1, seconds=1)).name
    sql.execute(
        """
        INSERT INTO rate_limits (bucket, hits, reset_at)
        SELECT b, %s, now() + interval '1 minute' FROM unnest(own_buckets(ARRAY[%s::bytea], %s)) b
        ON CONFLICT (bucket) DO UPDATE SET hits = excluded.hits
        """,
        [hits, bucket, owner.person.id],
    )


def test_many_challenges_do_not_give_many_tries(ada: Owner, new_client: Callable[[], Client]) -> None:
    answers = []
    for _ in range(3):
        client = new_client()
        challenge = first_step(client, ada.person)
        answers += [outcome(finish(client, challenge, code=ada.app.wrong_code())) for _ in range(2)]
    assert answers == [INVALID] * 5 + [LIMITED]


@pytest.mark.parametrize(
    ("policy", "hits", "window"),
    [("second-factor", 5, 300), ("second-factor-hour", 20, 3600), ("second-factor-day", 50, 86_400)],
)
def test_each_of_the_three_limits_holds_by_itself(
    ada: Owner, client: Client, sql: Sql, policy: str, hits: int, window: int
) -> None:
    fill(sql, ada, policy, hits)
    refused = finish(client, first_step(client, ada.person), code=ada.app.code(1))
    assert outcome(refused) == LIMITED
    assert refused.headers["ratelimit-policy"] == f'"{policy}";q={hits};w={window}'


def test_a_limit_that_is_full_costs_the_challenge_no_try(ada: Owner, client: Client, sql: Sql) -> None:
    challenge = first_step(client, ada.person)
    fill(sql, ada, "second-factor-day", 50)
    for _ in range(7):
        assert outcome(finish(client, challenge, code=ada.app.code(1))) == LIMITED
    fill(sql, ada, "second-factor-day", 0)
    assert outcome(finish(client, challenge, code=ada.app.code(1))) == OK


def test_a_good_code_takes_its_attempt_back(ada: Owner, client: Client, sql: Sql, clock: Clock) -> None:
    fill(sql, ada, "second-factor", 4)
    for _ in range(3):
        clock.step += 1
        assert outcome(finish(client, first_step(client, ada.person), code=ada.app.code())) == OK


def test_who_knows_the_password_cannot_lock_the_owner_out(ada: Owner, client: Client, sql: Sql) -> None:
    """Recovery codes and passkeys cannot be guessed, and no failure counts against them."""
    authenticator, _ = ceremonies.new_passkey(ada.person)
    fill(sql, ada, "second-factor-day", 50)
    assert outcome(finish(client, first_step(client, ada.person), recovery_code=ada.codes[0])) == OK
    assert outcome(by_passkey(client, authenticator, first_step(client, ada.person))) == OK
    assert outcome(ada.person.post("/api/auth/reauthenticate", {"code": ada.app.code(1)})) == OK


def test_one_account_full_leaves_the_others_alone(
    ada: Owner, new_owner: Callable[[], Owner], client: Client, sql: Sql
) -> None:
    bob = new_owner()
    fill(sql, ada, "second-factor-day", 50)
    assert outcome(finish(client, first_step(client, bob.person), code=bob.app.code(1))) == OK


def test_the_token_says_when_the_second_step_was_taken(ada: Owner, client: Client, sql: Sql) -> None:
    tokens = finish(client, first_step(client, ada.person), code=ada.app.code(1)).json()
    said = access_tokens.verify(tokens["access_token"])
    found = sql.execute(
        "SELECT extract(epoch FROM authenticated_at)::bigint FROM sessions WHERE id = %s", [said.session_id]
    ).fetchone()
    assert found
    assert abs(found[0] - said.authenticated_at) <= 1


def test_somebody_without_a_second_factor_is_asked_for_none(person: Person, client: Client) -> None:
    assert "access_token" in client.post("/api/auth/login", {"email": person.email, "password": PASSWORD}).json()
    enable(person)
    assert first_step(client, person)
