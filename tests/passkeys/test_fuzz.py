"""Whatever stands in a credential, it is refused, and never stumbled over."""

import json
from dataclasses import dataclass
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Client, Person
from tests.passkeys.authenticator import Authenticator, base64url, unbase64url
from tests.passkeys.ceremonies import LOGIN, REGISTER, creation_options, new_passkey, request_options

CALMLY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers() | st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)
cose = st.dictionaries(st.sampled_from([1, 3, -1, -2, -3, -65537]), st.integers(-300, 10) | anything, max_size=6)


@dataclass(frozen=True)
class Damage:
    """Where bytes are cut out, how many, and what is put in; drawn apart from what is damaged, which is random."""

    place: float
    cut: int
    inserted: bytes

    def to(self, data: bytes) -> bytes:
        place = int(self.place * len(data))
        return data[:place] + self.inserted + data[place + self.cut :]


damage = st.builds(Damage, st.floats(0, 1), st.integers(0, 4), st.binary(max_size=4))


@CALMLY
@given(field=st.sampled_from(["attestationObject", "clientDataJSON"]), damage=damage)
def test_a_spoilt_attestation_is_refused_or_taken(person: Person, field: str, damage: Damage) -> None:
    credential = Authenticator().create(creation_options(person))
    credential["response"][field] = base64url(damage.to(unbase64url(credential["response"][field])))
    answer = person.post(REGISTER, {"credential": credential})
    assert answer.status_code in (201, 409, 422), answer.text


@CALMLY
@given(key=cose, statement=anything, fmt=st.sampled_from(["none", "packed", "tpm", "fido-u2f", "apple", "android-key"]))
def test_keys_and_statements_of_any_shape_are_refused(person: Person, key: Any, statement: Any, fmt: str) -> None:
    options = creation_options(person)
    credential = Authenticator().create(options, public_key=cbor2.dumps(key), fmt=fmt, statement=statement)
    answer = person.post(REGISTER, {"credential": credential})
    assert (answer.status_code, answer.json()["code"]) == (422, "passkey_refused")


@CALMLY
@given(said=anything.filter(lambda said: not isinstance(said, bytes)))
def test_client_data_of_any_shape_is_refused(person: Person, said: Any) -> None:
    credential = Authenticator().create(creation_options(person))
    credential["response"]["clientDataJSON"] = base64url(json.dumps(said, default=str, skipkeys=True).encode())
    assert person.post(REGISTER, {"credential": credential}).json()["code"] == "passkey_refused"


@pytest.fixture
def authenticator(person: Person) -> Authenticator:
    return new_passkey(person, counts=False)[0]


@CALMLY
@given(
    field=st.sampled_from(["authenticatorData", "clientDataJSON", "signature", "userHandle"]),
    damage=damage,
)
def test_a_spoilt_assertion_signs_nobody_in(
    person: Person, authenticator: Authenticator, field: str, damage: Damage
) -> None:
    somebody = Client(person.url)
    credential = authenticator.get(request_options(somebody))
    whole = unbase64url(credential["response"][field])
    spoilt = damage.to(whole)
    credential["response"][field] = base64url(spoilt)
    answer = somebody.post(LOGIN, {"credential": credential})
    somebody.close()
    assert answer.status_code in ((401, 422) if spoilt != whole else (200,)), answer.text
