"""A passkey as a second factor, or as a fresh proof of who somebody is: what other features build on."""

import secrets
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest

from shared import db, limits, passkeys
from shared.errors import RateLimited
from shared.limits import Bucket
from shared.passkeys import Assertion, PasskeyInvalid
from shared.settings import Limit
from tests.conftest import Client, Person
from tests.db.conftest import Errand, at_the_door
from tests.passkeys.authenticator import Authenticator, base64url
from tests.passkeys.ceremonies import LOGIN, new_passkey, request_options

__all__ = ["at_the_door"]

Sql = psycopg.Connection[Any]
Door = Callable[[Errand[Any]], Any]
DEVICE = db.Device("2001:db8::1", "tests")
USE = db.statement("SELECT use_passkey(%(passkey_id)s, %(passkey_sign_count)s, %(passkey_is_backed_up)s)")


def pending(sql: Sql, person: Person, **changes: str) -> str:
    """The challenge of a sign-in whose first factor was good."""
    challenge = f"jtc_{secrets.token_urlsafe(32)}"
    sql.execute(
        """
        INSERT INTO challenges (digest, kind, user_id, tries, expires_at)
        VALUES (sha256(%s), %s, %s, %s, now() + %s::interval)
        """,
        [
            challenge.encode(),
            changes.get("kind", "sign_in"),
            person.id,
            changes.get("tries", "5"),
            changes.get("life", "5 minutes"),
        ],
    )
    return challenge


def prove(door: Door, person: Person, credential: dict[str, Any]) -> None:
    """Verify that the person answers, and write down that the passkey was used, as other features do."""

    async def errand() -> None:
        proof = await passkeys.examine(Assertion.model_validate(credential), user_id=UUID(person.id))
        ((owner,),) = await db.as_service(db.from_device(DEVICE)).write(USE, **proof.params())
        if owner is None:
            raise PasskeyInvalid

    door(errand)


def test_a_second_factor_is_one_of_that_accounts_passkeys(
    client: Client, person: Person, sql: Sql, at_the_door: Door
) -> None:
    authenticator, _ = new_passkey(person)
    options = request_options(client, challenge=pending(sql, person))
    assert [each["id"] for each in options["allowCredentials"]] == [base64url(authenticator.credential_id)]
    prove(at_the_door, person, authenticator.get(options, user_handle=None))
    assert sql.execute(
        "SELECT sign_count, last_used_at IS NOT NULL FROM passkeys WHERE user_id = %s", [person.id]
    ).fetchall() == [(2, True)]


def test_who_is_signed_in_gets_options_for_their_own_passkeys(person: Person, at_the_door: Door) -> None:
    authenticator, _ = new_passkey(person)
    options = request_options(person)
    assert [each["id"] for each in options["allowCredentials"]] == [base64url(authenticator.credential_id)]
    prove(at_the_door, person, authenticator.get(options))
    with pytest.raises(PasskeyInvalid):
        prove(at_the_door, person, authenticator.get(options))


def test_a_pending_sign_in_goes_before_who_is_signed_in(new_person: Callable[..., Person], sql: Sql) -> None:
    ada, bob = new_person(), new_person()
    authenticator, _ = new_passkey(ada)
    options = request_options(bob, challenge=pending(sql, ada))
    assert [each["id"] for each in options["allowCredentials"]] == [base64url(authenticator.credential_id)]


def test_a_session_that_has_ended_gets_no_options(person: Person) -> None:
    person.post("/api/auth/logout-all", {})
    assert person.post(f"{LOGIN}/options", {}).json()["code"] == "session_ended"


@pytest.mark.parametrize("changes", [{"kind": "reset_password"}, {"tries": "0"}, {"life": "0"}])
def test_a_sign_in_that_is_over_gets_no_options(
    client: Client, person: Person, sql: Sql, changes: dict[str, str]
) -> None:
    for challenge in (pending(sql, person, **changes), "jtc_unknown"):
        answer = client.post(f"{LOGIN}/options", {"challenge": challenge})
        assert (answer.status_code, answer.json()["code"]) == (401, "challenge_invalid")


def test_the_options_of_a_second_factor_cost_the_sign_in_no_try(client: Client, person: Person, sql: Sql) -> None:
    request_options(client, challenge=pending(sql, person))
    assert sql.execute(
        "SELECT tries FROM challenges WHERE kind = 'sign_in' AND user_id = %s", [person.id]
    ).fetchall() == [(5,)]


def test_a_challenge_of_one_user_proves_nothing_of_another(
    new_person: Callable[..., Person], at_the_door: Door
) -> None:
    ada, bob = new_person(), new_person()
    hers, his = new_passkey(ada)[0], new_passkey(bob)[0]
    for who, credential in ((ada, his.get(request_options(ada))), (bob, his.get(request_options(ada)))):
        with pytest.raises(PasskeyInvalid):
            prove(at_the_door, who, credential)
    with pytest.raises(PasskeyInvalid):
        prove(at_the_door, bob, hers.get(request_options(ada)))


def test_a_challenge_that_anybody_gets_is_no_second_factor(client: Client, person: Person, at_the_door: Door) -> None:
    authenticator, _ = new_passkey(person)
    with pytest.raises(PasskeyInvalid):
        prove(at_the_door, person, authenticator.get(request_options(client)))


def test_a_copy_proves_nothing(person: Person, sql: Sql, at_the_door: Door) -> None:
    authenticator, _ = new_passkey(person)
    with pytest.raises(PasskeyInvalid):
        prove(at_the_door, person, authenticator.get(request_options(person), count=1))
    assert sql.execute(
        "SELECT count(*) FROM audit_events WHERE event = 'passkey_cloned' AND user_id = %s", [person.id]
    ).fetchone() == (1,)


def test_what_is_to_run_first_runs_first(person: Person, sql: Sql, at_the_door: Door) -> None:
    authenticator, _ = new_passkey(person)
    assertion = Assertion.model_validate(authenticator.get(request_options(person)))
    bucket = Bucket("second-factor", person.id, Limit(hits=1, seconds=60))

    async def twice() -> UUID:
        proof = await passkeys.examine(assertion, guards=[limits.hit([bucket])])
        with pytest.raises(RateLimited):
            await passkeys.examine(assertion, guards=[limits.hit([bucket])])
        return proof.user_id

    assert at_the_door(twice) == UUID(person.id)


def test_only_an_account_with_a_good_passkey_is_offered_one_as_second_factor(
    client: Client, person: Person, sql: Sql
) -> None:
    sql.execute("UPDATE users SET second_factor_at = now() WHERE id = %s", [person.id])
    login = {"email": person.email, "password": person.password}
    assert "passkey" not in client.post("/api/auth/login", login).json()["methods"]
    new_passkey(person)
    answer = client.post("/api/auth/login", login).json()
    assert "passkey" in answer["methods"]
    assert len(request_options(client, challenge=answer["challenge"])["allowCredentials"]) == 1
    sql.execute("UPDATE passkeys SET cloned_at = now() WHERE user_id = %s", [person.id])
    assert "passkey" not in client.post("/api/auth/login", login).json()["methods"]


def test_an_authenticator_that_nobody_registered_proves_nothing(person: Person, at_the_door: Door) -> None:
    new_passkey(person)
    stranger = Authenticator(user_handle=UUID(person.id).bytes)
    with pytest.raises(PasskeyInvalid):
        prove(at_the_door, person, stranger.get(request_options(person)))
