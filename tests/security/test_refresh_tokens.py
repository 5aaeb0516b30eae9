"""Refresh tokens: what a seal protects. The app that judges them has no database to ask."""

import hmac
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from uuid import UUID

import pytest

from shared.security import keys, refresh_tokens
from shared.security.refresh_tokens import PREFIX, TAG_BYTES, RefreshToken
from tests.conftest import SECRET, Client
from tests.security.forge import base64url
from tests.sessions.rows import Sql, open_session

SESSION = UUID("0192f0c1-2d3e-7abc-8def-0123456789ab")


@pytest.fixture
def genuine(environment: dict[str, str]) -> str:
    return refresh_tokens.issue(SESSION, generation=5)


def sealed(token: str) -> bytes:
    return urlsafe_b64decode(token.removeprefix(PREFIX) + "=")


def spell(data: bytes) -> str:
    return PREFIX + base64url(data)


def test_a_token_says_which_session_and_which_generation(genuine: str) -> None:
    assert refresh_tokens.read(genuine) == RefreshToken(SESSION, 5)
    assert re.fullmatch(r"jtr_[\w-]{55}", genuine)


@pytest.mark.parametrize("generation", [1, 2**31, 2**63 - 1])
def test_every_generation_a_row_can_have_can_be_told(environment: dict[str, str], generation: int) -> None:
    token = refresh_tokens.issue(SESSION, generation=generation)
    assert refresh_tokens.read(token) == RefreshToken(SESSION, generation)


def test_one_generation_has_one_token(genuine: str) -> None:
    """So that an answer which was lost can be given again, though it was never kept."""
    assert refresh_tokens.issue(SESSION, generation=5) == genuine
    assert refresh_tokens.issue(SESSION, generation=6) != genuine


def test_no_single_bit_can_be_changed(genuine: str) -> None:
    data = sealed(genuine)
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert refresh_tokens.read(spell(bytes(flipped))) is None, bit


def test_no_single_letter_can_be_changed(genuine: str) -> None:
    for position, letter in enumerate(genuine):
        for other in "A_-x.=+/ \n\u00e9":
            if other != letter:
                assert refresh_tokens.read(genuine[:position] + other + genuine[position + 1 :]) is None, position


def test_a_token_has_one_spelling(genuine: str) -> None:
    plain = genuine.removeprefix(PREFIX)
    for other in (
        genuine + "=",
        genuine + "\n",
        " " + genuine,
        genuine.upper(),
        PREFIX + plain[:20] + "!" + plain[20:],
        PREFIX * 2 + plain,
        plain,
        spell(sealed(genuine) + b"\0"),
        spell(sealed(genuine)[:-1]),
        spell(b"\x02" + sealed(genuine)[1:]),
    ):
        assert refresh_tokens.read(other) is None, other


def test_every_byte_of_a_token_is_under_the_seal_at_the_app_too(offline: Client, genuine: str) -> None:
    """Refused without asking the database: there is none."""
    data = sealed(genuine)
    for position in range(len(data)):
        flipped = spell(data[:position] + bytes([data[position] ^ 0x80]) + data[position + 1 :])
        refused = offline.post("/api/auth/refresh", {"refresh_token": flipped})
        assert (refused.status_code, refused.json()["code"]) == (401, "refresh_token_invalid"), position


def test_a_genuine_token_is_not_refused_before_the_database_is_asked(offline: Client, genuine: str) -> None:
    """The other half of the test above."""
    answer = offline.post("/api/auth/refresh", {"refresh_token": genuine})
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")


def test_a_forged_token_logs_nobody_out_and_asks_nothing(offline: Client, genuine: str) -> None:
    refused = offline.post("/api/auth/logout", {"refresh_token": genuine[:-1]})
    assert (refused.status_code, refused.json()["code"]) == (401, "refresh_token_invalid")


@pytest.mark.parametrize(
    "key",
    [
        lambda: SECRET.encode(),
        lambda: keys.bucket_key(),
        lambda: keys.keyring().signing.id.encode(),
        lambda: keys.keyring().signing.fingerprint.encode(),
        lambda: b"",
    ],
    ids=["the secret itself", "the limits' key", "the key's name", "its fingerprint", "none"],
)
def test_no_other_key_makes_a_seal(genuine: str, key: Callable[[], bytes]) -> None:
    body = sealed(genuine)[:-TAG_BYTES]
    assert refresh_tokens.read(spell(body + hmac.digest(key(), body, "sha256")[:TAG_BYTES])) is None


def test_no_part_of_a_tag_is_enough(genuine: str) -> None:
    body, tag = sealed(genuine)[:-TAG_BYTES], sealed(genuine)[-TAG_BYTES:]
    for length in range(TAG_BYTES):
        assert refresh_tokens.read(spell(body + tag[:length])) is None
        assert refresh_tokens.read(spell(body + tag[:length] + bytes(TAG_BYTES - length))) is None


def test_another_secret_makes_another_seal(genuine: str, configure: Callable[..., None]) -> None:
    configure(JWT_SECRET=SECRET.swapcase())
    assert refresh_tokens.read(genuine) is None


def test_the_database_holds_no_token_and_nothing_to_make_one_of(client: Client, sql: Sql) -> None:
    """What a thief of the whole database has: no token, no tag, no key."""
    session = open_session(sql)
    tokens = [session.refresh_token(generation) for generation in (1, 2, 3)]
    for token in tokens[:2]:
        assert client.post("/api/auth/refresh", {"refresh_token": token}).status_code == 200
    tables = [name for (name,) in sql.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    assert {"sessions", "users", "audit_events"} <= set(tables)
    secrets = [part for token in tokens for part in (token, sealed(token)[-TAG_BYTES:].hex())]
    secrets += [SECRET, keys.refresh_keys()[0].hex(), keys.bucket_key().hex()]
    for table in tables:
        dump = "\n".join(row for (row,) in sql.execute(f'SELECT t::text FROM "{table}" t'))
        assert not any(secret in dump for secret in secrets), table
