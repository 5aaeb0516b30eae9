"""Registering a passkey: what is asked of the browser, and what of its answer is refused."""

import secrets
from collections.abc import Callable
from typing import Any
from uuid import UUID

import cbor2
import psycopg
import pytest

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
from tests.passkeys.ceremonies import (
    PASSKEYS,
    REGISTER,
    creation_options,
    new_passkey,
    request_options,
    verify_address,
)

Sql = psycopg.Connection[Any]


def events(sql: Sql, person: Person) -> list[str]:
    rows = sql.execute("SELECT event FROM audit_events WHERE user_id = %s ORDER BY place", [person.id])
    return [event for (event,) in rows]


def letters(sql: Sql, person: Person) -> list[tuple[str, Any]]:
    return sql.execute(
        "SELECT template, facts FROM mail_outbox WHERE user_id = %s AND template LIKE 'passkey%%' ORDER BY created_at",
        [person.id],
    ).fetchall()


def test_the_options_ask_for_a_passkey_that_knows_its_owner_and_tell_the_authenticator_no_address_as_id(
    new_person: Callable[..., Person],
) -> None:
    ada = new_person(first_name="Ada", last_name="Lovelace")
    options = creation_options(ada)
    assert len(options.pop("challenge")) == 43
    assert options == {
        "rp": {"id": "example.com", "name": "Jobtrail"},
        "user": {"id": base64url(UUID(ada.id).bytes), "name": ada.email, "displayName": "Ada Lovelace"},
        "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in (-8, -7, -257)],
        "timeout": 300_000,
        "excludeCredentials": [],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }


def test_nobody_adds_a_passkey_to_an_account_whose_address_is_not_proved(person: Person, sql: Sql) -> None:
    """It may have been made by anybody, for its address' owner to find, and a passkey outlives the password."""
    refused = person.post(f"{REGISTER}/options")
    assert (refused.status_code, refused.json()["code"]) == (403, "email_not_verified")
    assert sql.execute("SELECT count(*) FROM challenges WHERE user_id = %s", [person.id]).fetchone() == (0,)
    verify_address(person)
    assert person.post(f"{REGISTER}/options").status_code == 200


def test_a_host_that_the_request_names_is_not_the_relying_party(person: Person) -> None:
    verify_address(person)
    answer = person.post(f"{REGISTER}/options", headers={"Host": "evil.example", "Origin": "https://evil.example"})
    assert answer.json()["rp"]["id"] == "example.com"


def test_a_passkey_is_registered_told_of_and_written_down(person: Person, sql: Sql) -> None:
    authenticator, passkey = new_passkey(person, "Laptop", flags=SYNCED)
    assert passkey["name"] == "Laptop"
    assert (passkey["transports"], passkey["is_syncable"], passkey["is_backed_up"]) == (["internal"], True, True)
    assert (passkey["last_used_at"], passkey["cloned_at"], passkey["version"]) == (None, None, 1)
    assert person.get(PASSKEYS).json() == {"items": [passkey]}
    stored = sql.execute(
        "SELECT credential_id, public_key, sign_count FROM passkeys WHERE id = %s", [passkey["id"]]
    ).fetchone()
    assert stored == (authenticator.credential_id, authenticator.public_key(), 1)
    assert events(sql, person)[-1] == "passkey_added"
    assert letters(sql, person) == [("passkey_added", {"name": "Laptop"})]


def test_a_passkey_without_a_name_is_called_something(person: Person) -> None:
    credential = Authenticator().create(creation_options(person))
    assert person.post(REGISTER, {"credential": credential}).json()["name"] == "Passkey"


def test_the_options_exclude_what_is_registered_already(person: Person) -> None:
    authenticators = [new_passkey(person)[0] for _ in range(2)]
    authenticators.append(new_passkey(person, credential_id=secrets.token_bytes(1023))[0])
    assert creation_options(person)["excludeCredentials"] == [
        {"type": "public-key", "id": base64url(each.credential_id), "transports": ["internal"]}
        for each in authenticators
    ]


def test_a_passkey_is_registered_only_by_who_proved_who_they_are_a_moment_ago(person: Person, sql: Sql) -> None:
    options = creation_options(person)
    sql.execute("UPDATE sessions SET authenticated_at = now() - interval '11 minutes' WHERE user_id = %s", [person.id])
    person.bear(person.post("/api/auth/refresh", {"refresh_token": person.refresh_token}).json())
    answers = [
        person.post(f"{REGISTER}/options"),
        person.post(REGISTER, {"credential": Authenticator().create(options)}),
        person.delete(f"{PASSKEYS}/{person.id}"),
    ]
    assert [answer.json()["code"] for answer in answers] == ["reauthentication_required"] * 3


MISBEHAVIOUR: dict[str, dict[str, Any]] = {
    "the page of somebody else": {"origin": "https://evil.example"},
    "an origin that only begins like ours": {"origin": "https://app.example.com.evil.example"},
    "our host without encryption": {"origin": "http://app.example.com"},
    "another relying party": {"rp_id": "evil.example"},
    "an assertion for an attestation": {"type": "webauthn.get"},
    "nobody present": {"flags": USER_VERIFIED},
    "nobody verified": {"flags": USER_PRESENT},
    "backed up, and yet not eligible": {"flags": GOOD | BACKED_UP},
    "a challenge of its own": {"challenge": base64url(secrets.token_bytes(32))},
    "no challenge": {"challenge": ""},
    "a challenge that is none": {"challenge": 7},
    "a challenge that is no ASCII": {"challenge": "\u00e9\ud800"},
    "a frame in another site's page": {"client_data": {"crossOrigin": True}},
    "a frame that says in whose page it is": {"client_data": {"topOrigin": "https://evil.example"}},
    "leftover bytes": {"leftover": b"\0"},
    "extensions announced and missing": {"flags": GOOD | 128},
    "an unknown format": {"fmt": "unheard-of"},
    "a format that is no text": {"fmt": 7},
    "a statement where there is none": {"statement": {"sig": b"x"}},
    "a packed attestation with a bad signature": {"fmt": "packed", "statement": {"alg": -7, "sig": b"x"}},
    "no CBOR": {"attestation": b"\xff"},
    "CBOR that is no map": {"attestation": cbor2.dumps([1, 2])},
    "CBOR nested a thousand deep": {"attestation": b"\x81" * 1000 + b"\x00"},
    "a length that is not there": {"attestation": b"\x5b" + b"\xff" * 8},
    "a key that is not on its curve": {"public_key": cbor2.dumps({1: 2, 3: -7, -1: 1, -2: b"\1" * 32, -3: b"\2" * 32})},
    "a key without coordinates": {"public_key": cbor2.dumps({1: 2, 3: -7, -1: 1})},
    "a key whose coordinates are text": {"public_key": cbor2.dumps({1: 2, 3: -7, -1: 1, -2: "x", -3: "y"})},
    "a key of no known kind": {"public_key": cbor2.dumps({1: 99, 3: -7})},
    "a key for an algorithm we did not ask for": {
        "public_key": cbor2.dumps({1: 2, 3: -36, -1: 3, -2: b"\1" * 66, -3: b"\2" * 66})
    },
    "a number for a key": {"public_key": cbor2.dumps(7)},
}


@pytest.mark.parametrize("otherwise", MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
def test_a_credential_that_is_not_what_was_asked_for_is_refused_and_its_challenge_spent(
    person: Person, sql: Sql, otherwise: dict[str, Any]
) -> None:
    authenticator, options = Authenticator(), creation_options(person)
    answer = person.post(REGISTER, {"credential": authenticator.create(options, **otherwise)})
    assert (answer.status_code, answer.json()["code"]) == (422, "passkey_refused")
    assert person.get(PASSKEYS).json() == {"items": []}
    assert events(sql, person)[-1] == "passkey_refused"
    if "challenge" not in otherwise:
        again = person.post(REGISTER, {"credential": authenticator.create(options)})
        assert again.json()["code"] == "passkey_refused"


def test_the_same_authenticator_is_taken_when_it_behaves(person: Person) -> None:
    """What the misbehaviour above is compared with: nothing else speaks against it."""
    for flags in (GOOD, GOOD | BACKUP_ELIGIBLE, SYNCED):
        credential = Authenticator(flags=flags).create(creation_options(person))
        assert person.post(REGISTER, {"credential": credential}).status_code == 201


@pytest.mark.parametrize("cut", [1, 37, 60, 100, 150])
def test_a_truncated_attestation_is_refused(person: Person, cut: int) -> None:
    credential = Authenticator().create(creation_options(person))
    credential["response"]["attestationObject"] = credential["response"]["attestationObject"][: -cut - (cut % 2)]
    answer = person.post(REGISTER, {"credential": credential})
    assert answer.status_code == 422, answer.text


def test_a_credential_id_longer_than_the_standard_allows_is_refused(person: Person) -> None:
    authenticator, options = Authenticator(credential_id=bytes(1024)), creation_options(person)
    credential = authenticator.create(options)
    assert person.post(REGISTER, {"credential": credential}).json()["code"] == "validation_failed"
    credential["id"] = credential["rawId"] = base64url(bytes(32))  # and yet the longer one in the attestation
    assert person.post(REGISTER, {"credential": credential}).json()["code"] == "passkey_refused"


def without(credential: dict[str, Any], *path: str) -> dict[str, Any]:
    inner = credential
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return credential


def test_a_body_of_another_shape_is_told_what_is_wrong_with_it(person: Person) -> None:
    def credential() -> dict[str, Any]:
        return Authenticator().create(options)

    options = creation_options(person)
    huge = credential()
    huge["response"]["attestationObject"] = "A" * 65_540
    odd = credential()
    odd["rawId"] = odd["id"] = "AAAAA"
    numeric = credential()
    numeric["response"]["clientDataJSON"] = 7
    for body in (
        {"credential": credential(), "colour": "red"},
        {"credential": without(credential(), "response")},
        {"credential": without(credential(), "response", "clientDataJSON")},
        {"credential": credential() | {"type": "password"}},
        {"credential": credential(), "name": ""},
        {"credential": credential(), "name": "x" * 201},
        {"credential": huge},
        {"credential": odd},
        {"credential": numeric},
    ):
        answer = person.post(REGISTER, body)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), body
    assert person.post(REGISTER, {"credential": credential()}).status_code == 201, "none of them cost the challenge"


def test_members_that_a_newer_browser_adds_are_left_alone(person: Person, sql: Sql) -> None:
    credential = Authenticator().create(creation_options(person))
    credential["response"]["novelty"] = credential["novelty"] = {"a": [1]}
    assert person.post(REGISTER, {"credential": credential}).status_code == 201
    (row,) = sql.execute("SELECT to_jsonb(p)::text FROM passkeys p WHERE user_id = %s", [person.id]).fetchone() or [""]
    assert "novelty" not in row


# ---------------------------------------------------------------- challenges


def test_a_challenge_is_good_once(person: Person) -> None:
    options = creation_options(person)
    assert person.post(REGISTER, {"credential": Authenticator().create(options)}).status_code == 201
    again = person.post(REGISTER, {"credential": Authenticator().create(options)})
    assert (again.status_code, again.json()["code"]) == (422, "passkey_refused")


def test_a_challenge_of_somebody_else_is_refused_and_stays_theirs(new_person: Callable[..., Person]) -> None:
    ada, bob = new_person(), new_person()
    options = creation_options(ada)
    stolen = bob.post(REGISTER, {"credential": Authenticator().create(options)})
    assert stolen.json()["code"] == "passkey_refused"
    assert ada.post(REGISTER, {"credential": Authenticator().create(options)}).status_code == 201


def test_a_challenge_is_good_for_five_minutes(person: Person, sql: Sql) -> None:
    options = creation_options(person)
    (left,) = (
        sql.execute("SELECT expires_at - created_at FROM challenges WHERE user_id = %s", [person.id]).fetchone() or []
    )
    assert left.total_seconds() == 300
    sql.execute("UPDATE challenges SET expires_at = now() WHERE user_id = %s", [person.id])
    answer = person.post(REGISTER, {"credential": Authenticator().create(options)})
    assert answer.json()["code"] == "passkey_refused"


def test_a_challenge_for_signing_in_registers_nothing(person: Person) -> None:
    options = creation_options(person)
    for challenge in (request_options(person)["challenge"], request_options(Client(person.url))["challenge"]):
        credential = Authenticator().create(options, challenge=challenge)
        assert person.post(REGISTER, {"credential": credential}).json()["code"] == "passkey_refused"


def test_only_the_registration_begun_last_can_be_finished(person: Person, sql: Sql) -> None:
    first, second = creation_options(person), creation_options(person)
    assert sql.execute("SELECT count(*) FROM challenges WHERE user_id = %s", [person.id]).fetchone() == (1,)
    assert person.post(REGISTER, {"credential": Authenticator().create(first)}).status_code == 422
    assert person.post(REGISTER, {"credential": Authenticator().create(second)}).status_code == 201


# ---------------------------------------------------------------- what there is already


def test_a_credential_is_registered_once_whoever_asks(new_person: Callable[..., Person]) -> None:
    ada, bob = new_person(), new_person()
    authenticator, _ = new_passkey(ada)
    for person in (ada, bob):
        answer = person.post(REGISTER, {"credential": authenticator.create(creation_options(person))})
        assert (answer.status_code, answer.json()["code"]) == (409, "passkey_registered")
    assert bob.get(PASSKEYS).json() == {"items": []}


def test_an_account_has_25_passkeys_at_most(person: Person, sql: Sql) -> None:
    new_passkey(person)
    sql.execute(
        """
        INSERT INTO passkeys (user_id, credential_id, public_key, sign_count, name, transports, aaguid, is_syncable,
                              is_backed_up)
        SELECT user_id, uuid_send(gen_random_uuid()), public_key, 0, 'more', transports, aaguid, false, false
        FROM passkeys, generate_series(1, 24) WHERE user_id = %s
        """,
        [person.id],
    )
    answer = person.post(REGISTER, {"credential": Authenticator().create(creation_options(person))})
    assert (answer.status_code, answer.json()["code"], answer.json()["limit"]) == (409, "too_many_passkeys", 25)
