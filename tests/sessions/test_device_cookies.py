"""Device cookies: who fails at somebody's account locks out strangers, and never the browser of its owner."""

import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import partial
from time import time
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.security import device_cookies
from shared.security.device_cookies import DAY, DAYS
from tests.conftest import PASSWORD, Client, Person, any_address
from tests.sessions.rows import Sql
from tests.sessions.together import at_once

NAME = "__Host-jobtrail_device"
WRONG = "a password that is wrong"


def log_in(client: Client, email: str, password: str = WRONG, *, cookie: str | None = None) -> httpx.Response:
    """From an address of its own, perhaps with a device cookie."""
    headers = {"X-Forwarded-For": any_address()} | ({"Cookie": f"a=b; {NAME}={cookie}"} if cookie else {})
    return client.post("/api/auth/login", {"email": email, "password": password}, headers=headers)


def cookie_set(answer: httpx.Response) -> str:
    """The device cookie that an answer sets, with every attribute a browser must see, and no other."""
    (line,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith(NAME)]
    found = re.fullmatch(rf"{NAME}=([\w-]+); Max-Age={DAYS * DAY}; Path=/; Secure; HttpOnly; SameSite=Lax", line)
    assert found, line
    return found[1]


def fill(client: Client, email: str, **options: Any) -> None:
    for _ in range(10):
        assert log_in(client, email, **options).status_code == 401


def test_a_sign_in_leaves_a_device_cookie_whichever_way_the_refresh_token_travels(person: Person) -> None:
    for transport in ("body", "cookie"):
        request = {"email": person.email, "password": PASSWORD, "transport": transport}
        assert cookie_set(person.post("/api/auth/login", request))


def test_a_registration_leaves_one_too_and_a_refresh_or_a_failure_does_not(client: Client) -> None:
    registration = {"email": f"{secrets.token_hex(8)}@example.com", "password": PASSWORD}
    registered = client.post("/api/auth/register", registration)
    assert cookie_set(registered)
    refreshed = client.post("/api/auth/refresh", {"refresh_token": registered.json()["refresh_token"]})
    failed = log_in(client, registration["email"])
    assert (refreshed.status_code, failed.status_code) == (200, 401)
    assert not any("set-cookie" in answer.headers for answer in (refreshed, failed))


def test_strangers_who_fail_lock_out_strangers_and_not_the_owners_browser(person: Person) -> None:
    cookie = cookie_set(log_in(person, person.email, PASSWORD))
    fill(person, person.email)
    assert log_in(person, person.email, PASSWORD).status_code == 429
    assert log_in(person, person.email, PASSWORD, cookie=cookie).status_code == 200


def test_the_owners_browser_is_let_in_when_its_address_is_full_as_well(person: Person) -> None:
    cookie = cookie_set(log_in(person, person.email, PASSWORD))
    everybodys = {"X-Forwarded-For": any_address()}
    request = {"email": person.email, "password": PASSWORD}
    for _ in range(10):
        person.post("/api/auth/login", request | {"email": f"{secrets.token_hex(8)}@example.com"}, headers=everybodys)
    refused = person.post("/api/auth/login", request, headers=everybodys)
    let_in = person.post("/api/auth/login", request, headers=everybodys | {"Cookie": f"{NAME}={cookie}"})
    assert (refused.status_code, refused.json()["policy"], let_in.status_code) == (429, "login-address", 200)


def test_whoever_holds_the_cookie_has_ten_failures_and_costs_nobody_else_one(person: Person) -> None:
    first, second = (cookie_set(log_in(person, person.email, PASSWORD)) for _ in range(2))
    fill(person, person.email, cookie=first)
    refused = log_in(person, person.email, PASSWORD, cookie=first)
    assert (refused.status_code, refused.json()["policy"]) == (429, "login-device")
    assert log_in(person, person.email, PASSWORD, cookie=second).status_code == 200
    assert log_in(person, person.email, PASSWORD).status_code == 200


def test_thirty_failures_of_one_device_at_once_let_ten_through(person: Person) -> None:
    cookie = cookie_set(log_in(person, person.email, PASSWORD))
    answers = at_once(*[partial(log_in, person, person.email, cookie=cookie)] * 30)
    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 20


def test_a_cookie_is_good_for_its_own_account_only(person: Person, client: Client) -> None:
    mine = cookie_set(log_in(person, person.email, PASSWORD))
    theirs = f"{secrets.token_hex(8)}@example.com"
    fill(client, theirs)
    assert log_in(client, theirs, cookie=mine).status_code == 429


def test_the_cookie_signs_nobody_in_and_tells_nobodys_address(person: Person, sql: Sql) -> None:
    cookie = cookie_set(log_in(person, person.email, PASSWORD))
    assert log_in(person, person.email, cookie=cookie).status_code == 401
    assert person.email.encode() not in urlsafe_b64decode(cookie + "==")


@given(place=st.integers(0, 36), flip=st.integers(1, 255))
def test_every_byte_of_a_cookie_is_under_its_seal(environment: dict[str, str], place: int, flip: int) -> None:
    sealed = bytearray(urlsafe_b64decode(device_cookies.issue("ada@example.com") + "=="))
    assert len(sealed) == 37
    sealed[place] ^= flip
    assert device_cookies.read(urlsafe_b64encode(sealed).decode().rstrip("="), "ada@example.com") is None


@pytest.mark.parametrize("cookie", ["", "x", "=", "\u00e9", "A" * 50, "A" * 5000, "*" * 50])
def test_what_is_no_cookie_of_ours_is_a_stranger(environment: dict[str, str], cookie: str) -> None:
    assert device_cookies.read(cookie, "ada@example.com") is None


def test_a_browser_is_forgotten_after_half_a_year(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    cookie, made = device_cookies.issue("ada@example.com"), time()
    for days, is_known in ((DAYS - 1, True), (DAYS + 1, False)):
        monkeypatch.setattr(device_cookies, "time", lambda days=days: made + days * DAY)
        assert (device_cookies.read(cookie, "Ada@example.com") is not None) == is_known
