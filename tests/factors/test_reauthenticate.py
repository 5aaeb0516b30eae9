"""Proving anew who one is, and what it opens."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from time import time
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.access import FRESH_SECONDS
from shared.limits import Bucket
from shared.security import access_tokens
from shared.settings import Limit
from tests.conftest import PASSWORD, Client, Person
from tests.factors.authenticator import INVALID, LIMITED, OK, STALE, enable, finish, first_step, outcome
from tests.factors.conftest import Clock, Owner
from tests.passkeys import ceremonies
from tests.passkeys.ceremonies import verify_address
from tests.sessions.rows import Sql, add_user, disable, open_session
from tests.sessions.together import at_once

AGAIN = "/api/auth/reauthenticate"
DOOR = "/api/auth/mfa/totp"
"""What a fresh caller may open, and nobody else."""

WRONG = (401, "invalid_credentials")
PASSKEY_INVALID = (401, "passkey_invalid")


@pytest.fixture
def bob(person: Person) -> Person:
    """Somebody with a verified address and a password, and nothing else."""
    verify_address(person)
    return person


def let_pass(sql: Sql, person: Person, seconds: int = FRESH_SECONDS + 60) -> None:
    """Let so much time pass since the person signed in, and refresh the access token that says so."""
    sql.execute(
        "UPDATE sessions SET authenticated_at = authenticated_at - %s WHERE user_id = %s",
        [timedelta(seconds=seconds), person.id],
    )
    refresh(person)


def refresh(person: Person) -> None:
    answer = person.post("/api/auth/refresh", {"refresh_token": person.refresh_token})
    assert answer.status_code == 200, answer.text
    person.bear(answer.json())


def with_token(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def written(sql: Sql, user_id: str) -> list[tuple[str, bool, dict[str, Any]]]:
    rows = sql.execute(
        """
        SELECT event, succeeded, facts FROM audit_events
        WHERE user_id = %s AND event LIKE 'reauthentic%%' ORDER BY place
        """,
        [user_id],
    )
    return rows.fetchall()


# ---------------------------------------------------------------- what it gives


def test_a_sign_in_is_fresh_for_ten_minutes(bob: Person, sql: Sql) -> None:
    assert outcome(bob.post(DOOR)) == OK
    let_pass(sql, bob, FRESH_SECONDS - 30)
    assert outcome(bob.post(DOOR)) == OK
    let_pass(sql, bob, 60)
    assert outcome(bob.post(DOOR)) == STALE


def test_a_proof_opens_what_asks_for_one(bob: Person, sql: Sql) -> None:
    let_pass(sql, bob)
    answer = bob.post(AGAIN, {"password": PASSWORD})
    assert answer.json().keys() == {"access_token", "token_type", "expires_in"}
    assert outcome(bob.post(DOOR)) == STALE, "the token from before is as old as it was"
    assert outcome(bob.post(DOOR, headers=with_token(answer))) == OK


def test_the_token_is_of_the_same_session_and_says_when(bob: Person, sql: Sql) -> None:
    let_pass(sql, bob)
    before = access_tokens.verify(bob.tokens["access_token"])
    after = access_tokens.verify(bob.post(AGAIN, {"password": PASSWORD}).json()["access_token"])
    assert (after.user_id, after.session_id, after.role) == (before.user_id, before.session_id, before.role)
    assert abs(after.authenticated_at - time()) < 5
    assert before.authenticated_at < time() - FRESH_SECONDS


def test_later_refreshes_keep_the_time_of_proof(bob: Person, sql: Sql) -> None:
    let_pass(sql, bob)
    proved = access_tokens.verify(bob.post(AGAIN, {"password": PASSWORD}).json()["access_token"]).authenticated_at
    for _ in range(2):
        refresh(bob)
        assert access_tokens.verify(bob.tokens["access_token"]).authenticated_at == proved
    assert outcome(bob.post(DOOR)) == OK


def test_a_refresh_proves_nothing(bob: Person, sql: Sql) -> None:
    let_pass(sql, bob)
    for _ in range(2):
        refresh(bob)
        assert outcome(bob.post(DOOR)) == STALE


def test_only_the_session_that_proves_it_is_fresh(bob: Person, client: Client, sql: Sql) -> None:
    tokens = client.post("/api/auth/login", {"email": bob.email, "password": PASSWORD}).json()
    let_pass(sql, bob)
    bob.post(AGAIN, {"password": PASSWORD})
    other = client.post("/api/auth/refresh", {"refresh_token": tokens["refresh_token"]}).json()
    bearer = {"Authorization": f"Bearer {other['access_token']}"}
    assert outcome(client.post(DOOR, headers=bearer)) == STALE


def test_a_role_taken_meanwhile_is_not_in_the_new_token(bob: Person, sql: Sql) -> None:
    sql.execute("UPDATE users SET role = 'admin' WHERE id = %s", [bob.id])
    refresh(bob)
    sql.execute("UPDATE users SET role = 'user' WHERE id = %s", [bob.id])
    token = bob.post(AGAIN, {"password": PASSWORD}).json()["access_token"]
    assert access_tokens.verify(token).role == "user"


# ---------------------------------------------------------------- by what


def test_with_a_second_factor_it_takes_that_and_not_the_password(ada: Owner, sql: Sql) -> None:
    """The password is what a thief of the password has."""
    let_pass(sql, ada.person)
    for password in (PASSWORD, "wrong"):
        assert outcome(ada.person.post(AGAIN, {"password": password})) == (403, "second_factor_needed")
    answer = ada.person.post(AGAIN, {"code": ada.app.code(1)})
    assert outcome(ada.person.post(DOOR, headers=with_token(answer))) == OK


def test_a_recovery_code_proves_it_once(ada: Owner, sql: Sql) -> None:
    let_pass(sql, ada.person)
    answer = ada.person.post(AGAIN, {"recovery_code": ada.codes[0].lower()})
    assert outcome(ada.person.post(DOOR, headers=with_token(answer))) == OK
    assert outcome(ada.person.post(AGAIN, {"recovery_code": ada.codes[0]})) == INVALID


def test_a_passkey_proves_it(ada: Owner, sql: Sql) -> None:
    authenticator, _ = ceremonies.new_passkey(ada.person)
    let_pass(sql, ada.person)
    assertion = authenticator.get(ceremonies.request_options(ada.person))
    answer = ada.person.post(AGAIN, {"passkey": assertion})
    assert outcome(ada.person.post(DOOR, headers=with_token(answer))) == OK
    assert outcome(ada.person.post(AGAIN, {"passkey": assertion})) == PASSKEY_INVALID, "its challenge is spent"


def test_somebody_without_a_password_proves_it_by_passkey(bob: Person, sql: Sql) -> None:
    authenticator, _ = ceremonies.new_passkey(bob)
    sql.execute("UPDATE users SET password_hash = NULL WHERE id = %s", [bob.id])
    let_pass(sql, bob)
    assert outcome(bob.post(AGAIN, {"password": PASSWORD})) == WRONG
    assertion = authenticator.get(ceremonies.request_options(bob))
    assert outcome(bob.post(DOOR, headers=with_token(bob.post(AGAIN, {"passkey": assertion})))) == OK


def test_another_persons_proof_proves_nothing(
    ada: Owner, new_owner: Callable[[], Owner], app_url: str, sql: Sql
) -> None:
    eve = new_owner()
    authenticator, _ = ceremonies.new_passkey(eve.person)
    let_pass(sql, ada.person)
    theirs = authenticator.get(ceremonies.request_options(eve.person))
    anybodys = authenticator.get(ceremonies.request_options(Client(app_url)))
    assert outcome(ada.person.post(AGAIN, {"code": eve.app.code(1)})) == INVALID
    assert outcome(ada.person.post(AGAIN, {"recovery_code": eve.codes[0]})) == INVALID
    assert outcome(ada.person.post(AGAIN, {"passkey": theirs})) == PASSKEY_INVALID
    assert outcome(ada.person.post(AGAIN, {"passkey": anybodys})) == PASSKEY_INVALID
    refresh(ada.person)
    assert outcome(ada.person.post(DOOR)) == STALE
    assert eve.person.get("/api/auth/mfa").json()["recovery_codes_left"] == 10


def test_a_code_that_signed_in_does_not_prove_it_as_well(ada: Owner, client: Client) -> None:
    code = ada.app.code(1)
    assert outcome(finish(client, first_step(client, ada.person), code=code)) == OK
    assert outcome(ada.person.post(AGAIN, {"code": code})) == INVALID


def test_of_proofs_at_once_with_one_code_one_is_good(ada: Owner) -> None:
    answers = at_once(*[partial(ada.person.post, AGAIN, {"code": ada.app.code(1)})] * 4)
    assert sorted(map(outcome, answers)) == [OK] + [INVALID] * 3


def test_proofs_of_all_kinds_at_once_are_all_good(ada: Owner) -> None:
    by_code = partial(ada.person.post, AGAIN, {"code": ada.app.code(1)})
    by_recovery_code = [partial(ada.person.post, AGAIN, {"recovery_code": code}) for code in ada.codes[:4]]
    assert [outcome(answer) for answer in at_once(by_code, *by_recovery_code)] == [OK] * 5


def test_what_proved_it_is_among_the_sessions_methods_once(ada: Owner, sql: Sql, clock: Clock) -> None:
    ada.person.post(AGAIN, {"recovery_code": ada.codes[0]})
    clock.step += 1
    ada.person.post(AGAIN, {"code": ada.app.code()})
    methods = sql.execute("SELECT methods FROM sessions WHERE user_id = %s", [ada.person.id]).fetchone()
    assert methods == (["password", "totp", "recovery_code"],)


@pytest.mark.parametrize("proof", [{}, {"password": PASSWORD, "code": "123456"}], ids=["none", "two"])
def test_there_is_exactly_one_proof(bob: Person, proof: dict[str, str]) -> None:
    refused = bob.post(AGAIN, proof)
    assert outcome(refused) == (422, "validation_failed")
    assert refused.json()["errors"][0]["code"] == "one_proof"


# ---------------------------------------------------------------- refusals


def test_a_wrong_proof_changes_nothing(ada: Owner, bob: Person, sql: Sql) -> None:
    let_pass(sql, bob)
    let_pass(sql, ada.person)
    assert outcome(bob.post(AGAIN, {"password": "wrong"})) == WRONG
    assert outcome(bob.post(AGAIN, {"code": "123456"})) == INVALID
    assert outcome(bob.post(AGAIN, {"recovery_code": "0" * 24})) == INVALID
    assert outcome(ada.person.post(AGAIN, {"code": ada.app.wrong_code()})) == INVALID
    for person in (bob, ada.person):
        refresh(person)
        assert outcome(person.post(DOOR)) == STALE


def test_success_and_failure_are_written_down_with_their_session(bob: Person, sql: Sql) -> None:
    bob.post(AGAIN, {"password": "wrong"})
    bob.post(AGAIN, {"password": PASSWORD})
    assert written(sql, bob.id) == [
        ("reauthentication_refused", False, {"method": "password"}),
        ("reauthenticated", True, {"method": "password"}),
    ]
    sid = access_tokens.verify(bob.tokens["access_token"]).session_id
    found = sql.execute(
        "SELECT DISTINCT session_id, ip IS NOT NULL FROM audit_events WHERE user_id = %s AND event LIKE 'reauth%%'",
        [bob.id],
    )
    assert found.fetchall() == [(sid, True)]


def test_a_refused_passkey_is_written_down(ada: Owner, app_url: str, sql: Sql) -> None:
    authenticator, _ = ceremonies.new_passkey(ada.person)
    spent = authenticator.get(ceremonies.request_options(Client(app_url)))
    assert outcome(ada.person.post(AGAIN, {"passkey": spent})) == PASSKEY_INVALID
    assert written(sql, ada.person.id) == [("reauthentication_refused", False, {"method": "passkey"})]


def test_a_stolen_access_token_is_no_way_to_guess_the_password(bob: Person, client: Client) -> None:
    answers = [outcome(bob.post(AGAIN, {"password": f"guess {n}"})) for n in range(5)]
    assert answers == [WRONG] * 5
    refused = bob.post(AGAIN, {"password": PASSWORD})
    assert outcome(refused) == LIMITED
    assert refused.headers["ratelimit-policy"] == '"reauthentication";q=5;w=300'
    assert "access_token" in client.post("/api/auth/login", {"email": bob.email, "password": PASSWORD}).json(), (
        "and no way to lock its owner out"
    )


def test_attempts_at_once_cannot_outrun_the_limit(bob: Person) -> None:
    answers = at_once(*[partial(bob.post, AGAIN, {"password": "wrong"})] * 12)
    assert sorted(map(outcome, answers)) == [WRONG] * 5 + [LIMITED] * 7


def test_a_good_proof_takes_its_attempt_back(bob: Person) -> None:
    for _ in range(4):
        bob.post(AGAIN, {"password": "wrong"})
    assert [outcome(bob.post(AGAIN, {"password": PASSWORD})) for _ in range(3)] == [OK] * 3


def test_a_password_that_is_not_enough_counts_as_no_attempt(ada: Owner, sql: Sql) -> None:
    ada.person.post(AGAIN, {"password": PASSWORD})
    bucket = Bucket("reauthentication", ada.person.id, Limit(hits=1, seconds=1)).name
    assert sql.execute("SELECT hits FROM rate_limits WHERE bucket = %s", [bucket]).fetchone() is None


def test_an_ended_session_proves_nothing(bob: Person, sql: Sql) -> None:
    bob.post("/api/auth/logout-all", {})
    assert outcome(bob.post(AGAIN, {"password": PASSWORD})) == (401, "session_ended")
    assert written(sql, bob.id) == []


def test_a_disabled_account_proves_nothing(bob: Person, sql: Sql) -> None:
    disable(sql, bob.id)
    assert outcome(bob.post(AGAIN, {"password": PASSWORD})) == (401, "session_ended")


def test_a_session_is_made_fresh_by_its_own_user_only(bob: Person, sql: Sql) -> None:
    """Whoever could sign tokens would still need a session of the account that is alive."""
    session = open_session(sql, add_user(sql))
    mixed, _ = access_tokens.issue(UUID(bob.id), session.id, role="user", authenticated_at=int(time()))
    refused = bob.post(AGAIN, {"password": PASSWORD}, headers={"Authorization": f"Bearer {mixed}"})
    assert outcome(refused) == (401, "session_ended")


def test_a_factor_enabled_meanwhile_makes_the_password_too_little(bob: Person) -> None:
    enable(bob)
    assert outcome(bob.post(AGAIN, {"password": PASSWORD})) == (403, "second_factor_needed")
