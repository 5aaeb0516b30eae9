"""Signing in with a passkey: without a password, without an address, and not with anything else."""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.conftest import Client, Person
from tests.passkeys.authenticator import (
    BACKED_UP,
    BACKUP_ELIGIBLE,
    GOOD,
    SYNCED,
    USER_PRESENT,
    USER_VERIFIED,
    Authenticator,
    base64url,
)
from tests.passkeys.ceremonies import LOGIN, PASSKEYS, creation_options, new_passkey, request_options, sign_in

Sql = psycopg.Connection[Any]


def events(sql: Sql, person: Person) -> list[tuple[str, bool]]:
    rows = sql.execute("SELECT event, succeeded FROM audit_events WHERE user_id = %s ORDER BY place", [person.id])
    return rows.fetchall()


def told(answer: Any) -> tuple[int, dict[str, Any]]:
    return answer.status_code, {**answer.json(), "request_id": ""}


def test_the_options_tell_nothing_about_accounts(client: Client) -> None:
    options = request_options(client)
    assert len(options.pop("challenge")) == 43
    assert options == {
        "timeout": 300_000,
        "rpId": "example.com",
        "allowCredentials": [],
        "userVerification": "required",
    }
    assert client.post(f"{LOGIN}/options", {"email": "ada@example.com"}).status_code == 422


def test_a_passkey_signs_in_without_password_or_address(client: Client, person: Person, sql: Sql) -> None:
    authenticator, passkey = new_passkey(person)
    answer = sign_in(client, authenticator)
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["id"] == person.id
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert client.get("/api/profile", headers=bearer).json()["email"] == person.email
    assert sql.execute(
        "SELECT methods FROM sessions WHERE user_id = %s ORDER BY created_at DESC LIMIT 1", [person.id]
    ).fetchone() == (["passkey"],)
    assert events(sql, person)[-1] == ("signed_in", True)
    (shown,) = person.get(PASSKEYS).json()["items"]
    assert shown["last_used_at"] is not None
    assert {**shown, "last_used_at": None} == passkey


def test_a_passkey_signs_in_by_cookie_and_names_the_device(client: Client, person: Person) -> None:
    authenticator, _ = new_passkey(person)
    credential = authenticator.get(request_options(client))
    answer = client.post(LOGIN, {"credential": credential, "transport": "cookie", "device_name": "phone"})
    assert "refresh_token" not in answer.json()
    assert answer.headers["set-cookie"].startswith("__Host-jobtrail_refresh=jtr_")
    assert "phone" in [session["device_name"] for session in person.get("/api/auth/sessions").json()["items"]]


def test_a_passkey_is_two_factors_in_one(client: Client, person: Person, sql: Sql) -> None:
    authenticator, _ = new_passkey(person)
    sql.execute("UPDATE users SET second_factor_at = now() WHERE id = %s", [person.id])
    assert sign_in(client, authenticator).status_code == 200


def test_a_passkey_signs_in_an_account_that_has_no_password(client: Client, person: Person, sql: Sql) -> None:
    authenticator, _ = new_passkey(person)
    sql.execute("UPDATE users SET password_hash = NULL WHERE id = %s", [person.id])
    assert sign_in(client, authenticator).status_code == 200


MISBEHAVIOUR: dict[str, dict[str, Any]] = {
    "the page of somebody else": {"origin": "https://evil.example"},
    "an origin that only ends like ours": {"origin": "https://evilapp.example.com"},
    "another relying party": {"rp_id": "evil.example"},
    "an attestation for an assertion": {"type": "webauthn.create"},
    "nobody present": {"flags": USER_VERIFIED},
    "nobody verified": {"flags": USER_PRESENT},
    "backed up, and yet not eligible": {"flags": GOOD | BACKED_UP},
    "eligible for backup, which it was not": {"flags": GOOD | BACKUP_ELIGIBLE},
    "a challenge of its own": {"challenge": base64url(secrets.token_bytes(32))},
    "no challenge": {"challenge": ""},
    "a challenge that is none": {"challenge": ["x"]},
    "a frame in another site's page": {"client_data": {"crossOrigin": True}},
    "the signature of another key": {"key": ec.generate_private_key(ec.SECP256R1())},
    "the signature of the key that everybody knows": {"key": ec.derive_private_key(1, ec.SECP256R1())},
    "no signature to speak of": {"signature": b"x"},
    "the handle of somebody else": {"user_handle": secrets.token_bytes(16)},
    "no handle": {"user_handle": None},
    "leftover bytes": {"leftover": b"\0"},
}


@pytest.mark.parametrize("otherwise", MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
def test_an_assertion_that_is_not_what_was_asked_for_signs_nobody_in(
    client: Client, person: Person, sql: Sql, otherwise: dict[str, Any]
) -> None:
    authenticator, passkey = new_passkey(person)
    answer = sign_in(client, authenticator, **otherwise)
    assert (answer.status_code, answer.json()["code"]) == (401, "passkey_invalid")
    assert person.get(PASSKEYS).json() == {"items": [passkey]}, "nothing was written down as used, nor as copied"
    assert sign_in(client, authenticator).status_code == 200, "nothing else spoke against it"


def test_every_refusal_says_the_same_and_is_written_down(client: Client, person: Person, sql: Sql) -> None:
    authenticator, passkey = new_passkey(person)
    wrong = [told(sign_in(client, authenticator, key=ec.generate_private_key(ec.SECP256R1())))]
    assert events(sql, person)[-1] == ("sign_in_refused", False)
    wrong.append(told(sign_in(client, Authenticator(user_handle=authenticator.user_handle))))
    sql.execute("UPDATE users SET disabled_at = now() WHERE id = %s", [person.id])
    wrong.append(told(sign_in(client, authenticator)))
    assert events(sql, person)[-1] == ("sign_in_refused", False)
    sql.execute("UPDATE users SET disabled_at = NULL WHERE id = %s", [person.id])
    sql.execute("DELETE FROM passkeys WHERE id = %s", [passkey["id"]])
    wrong.append(told(sign_in(client, authenticator)))
    assert wrong == [wrong[0]] * 4


def test_an_unknown_credential_signed_with_the_key_it_is_compared_with_signs_nobody_in(
    client: Client, person: Person
) -> None:
    forged = Authenticator(key=ec.derive_private_key(1, ec.SECP256R1()))
    forged.create(creation_options(person))
    assert sign_in(client, forged).status_code == 401


def test_one_persons_passkey_is_not_anothers(client: Client, new_person: Callable[..., Person]) -> None:
    ada, bob = new_person(), new_person()
    hers, his = new_passkey(ada)[0], new_passkey(bob)[0]
    his.credential_id = hers.credential_id
    assert sign_in(client, his).status_code == 401
    assert sign_in(client, his, user_handle=hers.user_handle).status_code == 401


def test_an_address_that_must_be_verified_first_is_told_so(
    start_app: Callable[..., str], new_person: Callable[..., Person], sql: Sql
) -> None:
    person = new_person()
    authenticator, _ = new_passkey(person)
    sql.execute("UPDATE users SET email_verified_at = NULL WHERE id = %s", [person.id])
    strict = Client(start_app(REQUIRE_VERIFIED_EMAIL="true"))
    answer = sign_in(strict, authenticator)
    assert (answer.status_code, answer.json()["code"]) == (403, "email_not_verified")
    sql.execute("UPDATE users SET email_verified_at = now() WHERE id = %s", [person.id])
    assert sign_in(strict, authenticator).status_code == 200
    strict.close()


# ---------------------------------------------------------------- challenges


def test_a_challenge_is_good_once_even_for_a_failure(client: Client, person: Person) -> None:
    authenticator, _ = new_passkey(person)
    options = request_options(client)
    credential = authenticator.get(options)
    assert client.post(LOGIN, {"credential": credential}).status_code == 200
    assert client.post(LOGIN, {"credential": credential}).status_code == 401, "replayed"
    assert client.post(LOGIN, {"credential": authenticator.get(options)}).status_code == 401
    options = request_options(client)
    assert client.post(LOGIN, {"credential": authenticator.get(options, rp_id="evil.example")}).status_code == 401
    assert client.post(LOGIN, {"credential": authenticator.get(options)}).status_code == 401


def test_an_assertion_presented_eight_times_at_once_signs_in_once(person: Person) -> None:
    authenticator, _ = new_passkey(person, counts=False)
    credential = authenticator.get(request_options(Client(person.url)))

    def present(_: int) -> int:
        somebody = Client(person.url)
        try:
            return somebody.post(LOGIN, {"credential": credential}).status_code
        finally:
            somebody.close()

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(present, range(8))) == [200] + [401] * 7


def test_a_challenge_is_good_for_five_minutes(client: Client, person: Person, sql: Sql) -> None:
    authenticator, _ = new_passkey(person)
    options = request_options(client)
    found = sql.execute(
        "UPDATE challenges SET expires_at = now() WHERE kind = 'passkey_sign_in' AND digest = sha256(%s) "
        "RETURNING extract(epoch FROM expires_at - created_at) <= 300",
        [options["challenge"].encode()],
    )
    assert found.fetchall() == [(True,)]
    assert client.post(LOGIN, {"credential": authenticator.get(options)}).status_code == 401


def test_a_challenge_for_registering_signs_nobody_in(client: Client, person: Person) -> None:
    authenticator, _ = new_passkey(person)
    assert client.post(LOGIN, {"credential": authenticator.get(creation_options(person))}).status_code == 401


def test_a_challenge_that_was_for_one_account_signs_in_to_that_one_only(
    client: Client, new_person: Callable[..., Person]
) -> None:
    ada, bob = new_person(), new_person()
    hers, his = new_passkey(ada)[0], new_passkey(bob)[0]
    assert client.post(LOGIN, {"credential": his.get(request_options(ada))}).status_code == 401
    assert client.post(LOGIN, {"credential": hers.get(request_options(ada), user_handle=None)}).status_code == 200


# ---------------------------------------------------------------- counters


def test_an_authenticator_that_keeps_no_count_signs_in_again_and_again(client: Client, person: Person) -> None:
    authenticator, _ = new_passkey(person, counts=False, flags=SYNCED)
    assert [sign_in(client, authenticator).status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_count_that_does_not_grow_betrays_a_copy(client: Client, person: Person, sql: Sql, count: int) -> None:
    authenticator, _ = new_passkey(person, "Key", count=4)  # registered at 5
    answer = sign_in(client, authenticator, count=count)
    assert (answer.status_code, answer.json()["code"]) == (401, "passkey_invalid")
    assert ("passkey_cloned", False) in events(sql, person)
    assert sql.execute(
        "SELECT facts FROM mail_outbox WHERE user_id = %s AND template = 'passkey_cloned'", [person.id]
    ).fetchall() == [({"name": "Key"},)]
    assert person.get(PASSKEYS).json()["items"][0]["cloned_at"] is not None


def test_a_passkey_with_a_copy_signs_nobody_in_whatever_it_counts(client: Client, person: Person, sql: Sql) -> None:
    authenticator, _ = new_passkey(person)
    assert sign_in(client, authenticator, count=1).status_code == 401
    assert sign_in(client, authenticator, count=1000).status_code == 401
    assert [event for event, _ in events(sql, person)].count("passkey_cloned") == 1, "one alarm"
    assert request_options(person)["allowCredentials"] == []


def test_a_forged_signature_raises_no_alarm_whatever_it_counts(client: Client, person: Person, sql: Sql) -> None:
    authenticator, _ = new_passkey(person, count=7)
    assert sign_in(client, authenticator, count=1, key=ec.generate_private_key(ec.SECP256R1())).status_code == 401
    assert ("passkey_cloned", False) not in events(sql, person)
    assert sign_in(client, authenticator).status_code == 200


def test_the_highest_count_there_is_can_be_kept(client: Client, person: Person) -> None:
    authenticator, _ = new_passkey(person)
    assert sign_in(client, authenticator, count=2**32 - 1).status_code == 200


def test_a_backup_made_since_is_written_down(client: Client, person: Person) -> None:
    authenticator, passkey = new_passkey(person, flags=GOOD | BACKUP_ELIGIBLE)
    assert passkey["is_backed_up"] is False
    assert sign_in(client, authenticator, flags=SYNCED).status_code == 200
    assert person.get(PASSKEYS).json()["items"][0]["is_backed_up"] is True


# ---------------------------------------------------------------- limits


@pytest.fixture
def strict(start_app: Callable[..., str]) -> Iterator[Client]:
    somebody = Client(start_app(PASSKEY_LIMIT_ADDRESS="3/300", PASSKEY_BEGIN_LIMIT_ADDRESS="9/300"))
    yield somebody
    somebody.close()


def test_failures_from_one_address_are_limited_and_successes_are_not(
    strict: Client, new_person: Callable[..., Person]
) -> None:
    authenticator, _ = new_passkey(new_person(strict.url))
    options = [request_options(strict) for _ in range(9)]
    good = [strict.post(LOGIN, {"credential": authenticator.get(each)}).status_code for each in options[:4]]
    assert good == [200] * 4
    bad = [strict.post(LOGIN, {"credential": authenticator.get(each, rp_id="evil.example")}) for each in options[4:]]
    assert [answer.status_code for answer in bad] == [401, 401, 401, 429, 429]
    assert bad[-1].json()["policy"] == "passkey-address"


def test_options_for_one_address_are_limited(strict: Client) -> None:
    answers = [strict.post(f"{LOGIN}/options", {}) for _ in range(10)]
    assert [answer.status_code for answer in answers] == [200] * 9 + [429]
    assert answers[-1].json()["policy"] == "passkey-begin-address"
    pending = strict.post(f"{LOGIN}/options", {"challenge": "jtc_x"})
    assert pending.status_code == 429
