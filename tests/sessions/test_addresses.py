"""Whose word is taken for a client's address: the platform's own hop, and nobody before it."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conftest import PASSWORD, Client, Person

FORWARDED = "X-Forwarded-For"


def address_seen(person: Person, headers: dict[str, str] | list[tuple[str, str]]) -> Any:
    """The address that a login with these headers is listed with."""
    login = {"email": person.email, "password": PASSWORD}
    answer = httpx.post(f"{person.url}/api/auth/login", json=login, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return person.get("/api/auth/sessions").json()["items"][0]["ip"]


@pytest.mark.parametrize(
    ("forwarded", "seen"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("198.51.100.1,10.0.0.1,203.0.113.7:50123", "203.0.113.7"),
        ("198.51.100.1, [2001:db8::7]:50123", "2001:db8::7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
    ],
)
def test_behind_one_hop_the_right_most_entry_is_the_client(person: Person, forwarded: str, seen: str) -> None:
    assert address_seen(person, {FORWARDED: forwarded}) == seen


def test_entries_on_several_lines_are_one_list(person: Person) -> None:
    assert address_seen(person, [(FORWARDED, "198.51.100.1"), (FORWARDED, "203.0.113.7")]) == "203.0.113.7"


@pytest.mark.parametrize(
    "forwarded",
    ["", "unknown", "198.51.100.1, unknown", "198.51.100.1,", "203.0.113.700", "fe80::1%eth0", "_hidden", "a" * 5000],
    ids=["empty", "a word", "a word last", "nothing last", "no such address", "a zone", "obfuscated", "long"],
)
def test_an_entry_that_is_no_address_leaves_the_client_without_one(person: Person, forwarded: str) -> None:
    assert address_seen(person, {FORWARDED: forwarded}) is None


def test_without_the_hops_header_the_client_has_no_address(person: Person) -> None:
    assert address_seen(person, {"X-Real-IP": "203.0.113.7", "Forwarded": "for=203.0.113.7"}) is None


def test_behind_two_hops_the_second_entry_from_the_right_is_the_client(
    start_app: Callable[..., str], new_person: Callable[..., Person]
) -> None:
    person = new_person(start_app(TRUSTED_PROXY_HOPS="2"))
    assert address_seen(person, {FORWARDED: "198.51.100.1, 203.0.113.7, 10.0.0.1"}) == "203.0.113.7"
    assert address_seen(person, {FORWARDED: "203.0.113.7"}) is None


def test_behind_no_hop_the_client_is_whoever_connects(
    start_app: Callable[..., str], new_person: Callable[..., Person]
) -> None:
    person = new_person(start_app(TRUSTED_PROXY_HOPS="0"))
    assert address_seen(person, {FORWARDED: "203.0.113.7"}) == "127.0.0.1"
    assert address_seen(person, {"Client-IP": "203.0.113.7"}) == "127.0.0.1"


def test_an_address_invented_on_the_left_does_not_escape_the_limit(client: Client) -> None:
    """Ten failures from one address, each with another invented one before it: the eleventh is refused."""
    hop = client.headers[FORWARDED]
    statuses = [
        client.post(
            "/api/auth/login",
            {"email": f"nobody-{number}@example.com", "password": PASSWORD},
            headers={FORWARDED: f"198.51.100.{number}, {hop}"},
        ).status_code
        for number in range(11)
    ]
    assert statuses == [401] * 10 + [429]
