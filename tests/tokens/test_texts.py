"""Tokens as texts: random, recognisable, and refused by their checksum alone when they were changed on their way."""

import hashlib
import re
import string
import zlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.errors import InvalidToken
from shared.security import personal_access_tokens

BASE62 = string.digits + string.ascii_letters

a_token = st.builds(personal_access_tokens.issue)


def refused(token: str) -> bool:
    try:
        personal_access_tokens.digest(token)
    except InvalidToken:
        return True
    return False


def test_a_token_is_known_by_its_sha256() -> None:
    token = personal_access_tokens.issue()
    assert personal_access_tokens.digest(token) == hashlib.sha256(token.encode()).digest()


def test_a_token_has_at_least_160_random_bits() -> None:
    tokens = [personal_access_tokens.issue() for _ in range(400)]
    parts = [token[4:-6] for token in tokens]
    assert len({*parts}) == len(parts)
    assert {len(part) for part in parts} == {30}
    assert 62**30 > 2**160
    for place in range(30):  # that one of 62 is missing in all of 400 draws at more than 12 of them: never
        assert len({part[place] for part in parts}) > 50, f"place {place} is not random"


@given(token=a_token, place=st.integers(0, 39), char=st.one_of(st.sampled_from(BASE62), st.characters()))
def test_a_token_with_one_character_changed_is_refused_offline(token: str, place: int, char: str) -> None:
    assume(token[place] != char)
    assert refused(token[:place] + char + token[place + 1 :])


@given(token=a_token, place=st.integers(0, 38))
def test_a_token_with_two_neighbours_swapped_is_refused_offline(token: str, place: int) -> None:
    swapped = token[:place] + token[place + 1] + token[place] + token[place + 2 :]
    assume(swapped != token)
    assert refused(swapped)


@given(token=a_token, place=st.integers(0, 40), text=st.text(min_size=1, max_size=5))
def test_a_token_with_more_or_less_in_it_is_refused_offline(token: str, place: int, text: str) -> None:
    assert refused(token[:place] + text + token[place:])
    assert refused(token[:place] + token[place + len(text) :]) or place == 40


@given(token=a_token, around=st.sampled_from([" ", "\n", '"', "'", ",", "=", ":", "/", "<", ""]))
def test_a_scanner_finds_a_token_in_any_text(token: str, around: str) -> None:
    found = re.findall(personal_access_tokens.PATTERN, f"before{around}{token}{around}\n{token}")
    assert found[-1] == token
    assert token in found[0]


def test_what_looks_like_a_token_by_chance_is_told_from_one() -> None:
    lookalike = "jtp_" + "a" * 36
    assert personal_access_tokens.PATTERN.fullmatch(lookalike)
    assert refused(lookalike)


@pytest.mark.parametrize("token", ["", "jtp_", "jtr_AQ", "JTP_" + "0" * 36, "eyJhbGciOiJIUzI1NiJ9.e30.x", "jtp_\n" * 8])
def test_what_is_no_token_is_refused(token: str) -> None:
    assert refused(token)


def test_the_checksum_is_the_one_that_is_documented() -> None:
    token = personal_access_tokens.issue()
    number = zlib.crc32(token[:-6].encode())
    alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase
    assert sum(alphabet.index(char) * 62**power for power, char in enumerate(reversed(token[-6:]))) == number
