"""Passwords: how they are hashed, how long they are, and that a refusal costs and says the same for everybody."""

import asyncio
import json
import secrets
import threading
import time
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from argon2 import PasswordHasher, extract_parameters

from shared import connections, settings
from shared.db import uuid7
from shared.errors import Overloaded
from shared.security import passwords
from shared.security.sealing import SealingKey
from shared.settings import SettingsError
from tests.conftest import PASSWORD, Client, Person
from tests.sessions.rows import Sql, disable
from tests.sessions.together import at_once

WRONG = "a password that is wrong"
CHEAPER = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1)
COMPOSED, DECOMPOSED = "\u00e9", "e\u0301"
HANGUL = "\ub300\ud55c\ubbfc\uad6d\ub9cc\uc138\uc6b0\ub9ac\ub098\ub77c"
LONG = (
    "nobody knows how the owl got into the attic, but all through October we heard it walk about over our heads, "
    "and in the morning there was dust on the piano"
)


def keys(count: int) -> str:
    """As many characters that UTF-16 writes as two each, no two of them alike."""
    return "".join(chr(0x1F300 + 7 * number % 509) for number in range(count))


def new_email() -> str:
    return f"{secrets.token_hex(8)}@example.com"


def log_in(client: Client, email: str, password: str = PASSWORD) -> httpx.Response:
    return client.post("/api/auth/login", {"email": email, "password": password})


def register(client: Client, password: str, email: str | None = None) -> httpx.Response:
    return client.post("/api/auth/register", {"email": email or new_email(), "password": password})


def stored_hash(sql: Sql, user_id: str) -> str:
    found = sql.execute("SELECT password_hash FROM users WHERE id = %s", [user_id]).fetchone()
    assert found
    return str(found[0])


def store_hash(sql: Sql, user_id: str, password_hash: str | None) -> None:
    sql.execute("UPDATE users SET password_hash = %s WHERE id = %s", [password_hash, user_id])


# ---------------------------------------------------------------- how they are hashed


def test_a_password_is_kept_as_argon2id_with_the_cost_that_is_documented(person: Person, sql: Sql) -> None:
    found = stored_hash(sql, person.id)
    assert found.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in found


def test_one_password_of_two_people_is_kept_differently(new_person: Callable[..., Person], sql: Sql) -> None:
    one, two = new_person(), new_person()
    assert stored_hash(sql, one.id) != stored_hash(sql, two.id)


def test_what_is_verified_when_there_is_no_account_costs_as_much_as_an_account(environment: dict[str, str]) -> None:
    assert extract_parameters(passwords.NOBODY) == extract_parameters(passwords.HASHER.hash(PASSWORD))
    assert not passwords.is_outdated(passwords.NOBODY, owner=uuid7())


def test_a_hash_of_another_cost_is_replaced_at_the_next_login(person: Person, sql: Sql) -> None:
    store_hash(sql, person.id, CHEAPER.hash(PASSWORD))
    assert log_in(person, person.email).status_code == 200
    renewed = stored_hash(sql, person.id)
    assert extract_parameters(renewed) == extract_parameters(passwords.NOBODY)
    assert log_in(person, person.email).status_code == 200
    assert stored_hash(sql, person.id) == renewed


def test_a_wrong_password_replaces_no_hash(person: Person, sql: Sql) -> None:
    old = CHEAPER.hash(PASSWORD)
    store_hash(sql, person.id, old)
    assert log_in(person, person.email, WRONG).status_code == 401
    assert stored_hash(sql, person.id) == old


@pytest.mark.parametrize("kept", ["", "x", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv", PASSWORD, None], ids=str)
def test_what_is_no_hash_lets_nobody_in(person: Person, sql: Sql, kept: str | None) -> None:
    store_hash(sql, person.id, kept)
    refused = log_in(person, person.email)
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_credentials")


# ---------------------------------------------------------------- what a password may be


@pytest.mark.parametrize(
    "password",
    [
        LONG[:10],
        LONG[:128],
        keys(10),
        keys(128),
        LONG.replace("o", COMPOSED)[:128],
        "12 45 78 0",
        "\u6f22\u5b57\u4eee\u540d\u4ea4\u3058\u308a\u6587\u7ae0\u4f53",
    ],
    ids=["10", "128", "10 keys", "128 keys", "accents", "digits", "CJK"],
)
def test_ten_to_128_characters_are_a_password_whatever_they_are(client: Client, password: str) -> None:
    email = new_email()
    assert register(client, password, email).status_code == 201
    assert log_in(client, email, password).status_code == 200


@pytest.mark.parametrize(
    "password",
    ["x", LONG[:9], LONG[:129], keys(9), keys(129)],
    ids=["1", "9", "129", "9 keys", "129 keys"],
)
def test_a_password_too_short_or_too_long_is_refused(client: Client, password: str) -> None:
    refused = register(client, password)
    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {"field": "password", "code": "password_length", "message": "must have 10 to 128 characters"}
    ]


def test_the_least_length_is_a_setting(start_app: Callable[..., str]) -> None:
    client = Client(start_app(PASSWORD_MIN_LENGTH="15"))
    assert register(client, LONG[:14]).status_code == 422
    assert register(client, LONG[:15]).status_code == 201
    client.close()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (f"caf{COMPOSED} au lait", f"caf{DECOMPOSED} au lait"),
        (f"caf{DECOMPOSED} au lait", f"caf{COMPOSED} au lait"),
        (unicodedata.normalize("NFD", HANGUL), HANGUL),
        ("\u212bngstr\u00f6ms units", "\u00c5ngstr\u00f6ms units"),
    ],
    ids=["composed first", "decomposed first", "Hangul", "Angstrom"],
)
def test_a_password_is_the_same_however_a_keyboard_composes_it(client: Client, first: str, then: str) -> None:
    assert first != then
    email = new_email()
    assert register(client, first, email).status_code == 201
    assert [log_in(client, email, typed).status_code for typed in (first, then)] == [200, 200]


def test_what_only_looks_alike_is_another_password(client: Client) -> None:
    """NFC and not NFKC: a ligature is not its letters, nor a wide letter a narrow one."""
    email = new_email()
    assert register(client, "o\ufb03ce hours", email).status_code == 201
    assert log_in(client, email, "office hours").status_code == 401


@pytest.mark.parametrize(("times", "status"), [(9, 422), (10, 201), (128, 201), (129, 422)])
def test_a_password_is_as_long_however_a_keyboard_composes_it(client: Client, times: int, status: int) -> None:
    """Counted as it is hashed. Or else a tablet could not type what a computer made, or made too short a one."""
    composed = LONG.replace("o", COMPOSED)[:times]
    decomposed = unicodedata.normalize("NFD", composed)
    assert (len(composed), len(decomposed) > times) == (times, True)
    assert [register(client, password).status_code for password in (composed, decomposed)] == [status, status]


def test_a_password_is_good_however_old_it_is(person: Person, sql: Sql) -> None:
    """Nobody has to change one for its age (NIST SP 800-63B-4, section 3.1.1.2)."""
    sql.execute("UPDATE users SET created_at = '2001-01-01', updated_at = '2001-01-01' WHERE id = %s", [person.id])
    answer = log_in(person, person.email)
    assert (answer.status_code, "access_token" in answer.json()) == (200, True)


# ---------------------------------------------------------------- the same for everybody


@dataclass
class Work:
    """What a login made the app do."""

    verified: list[str] = field(default_factory=list)
    hashed: int = 0
    at_once: int = 0
    most_at_once: int = 0
    round_trips: int = 0


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Counts the app's work as it does it."""
    counted = Work()
    lock = threading.Lock()
    hasher, exchange = passwords.HASHER, connections.Connection.exchange

    class CountingHasher(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Any:  # noqa: A002 - as it is called there
            with lock:
                counted.verified.append(str(hash))
                counted.at_once += 1
                counted.most_at_once = max(counted.most_at_once, counted.at_once)
            try:
                return super().verify(hash, password)
            finally:
                with lock:
                    counted.at_once -= 1

        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            counted.hashed += 1
            return super().hash(password, salt=salt)

    async def counting_exchange(self: connections.Connection, *args: Any) -> Any:
        counted.round_trips += 1
        return await exchange(self, *args)

    same_cost = CountingHasher(hasher.time_cost, hasher.memory_cost, hasher.parallelism)
    monkeypatch.setattr(passwords, "HASHER", same_cost)
    monkeypatch.setattr(connections.Connection, "exchange", counting_exchange)
    return counted


def without_account(person: Person, sql: Sql) -> tuple[str, str]:
    return new_email(), PASSWORD


def with_wrong_password(person: Person, sql: Sql) -> tuple[str, str]:
    return person.email, WRONG


def when_disabled(person: Person, sql: Sql) -> tuple[str, str]:
    disable(sql, person.id)
    return person.email, PASSWORD


def when_disabled_and_wrong(person: Person, sql: Sql) -> tuple[str, str]:
    disable(sql, person.id)
    return person.email, WRONG


def without_password(person: Person, sql: Sql) -> tuple[str, str]:
    store_hash(sql, person.id, None)
    return person.email, PASSWORD


def with_a_provider_only(person: Person, sql: Sql) -> tuple[str, str]:
    sql.execute(
        """
        INSERT INTO identities (user_id, provider, subject, email, email_verified)
        VALUES (%s, 'google', %s, %s, true)
        """,
        [person.id, secrets.token_hex(8), person.email],
    )
    return without_password(person, sql)


def with_a_second_factor_and_wrong(person: Person, sql: Sql) -> tuple[str, str]:
    sql.execute("UPDATE users SET second_factor_at = now() WHERE id = %s", [person.id])
    return person.email, WRONG


def with_no_address(person: Person, sql: Sql) -> tuple[str, str]:
    return "nobody", PASSWORD


REFUSED = [
    without_account,
    with_wrong_password,
    when_disabled,
    when_disabled_and_wrong,
    without_password,
    with_a_provider_only,
    with_a_second_factor_and_wrong,
    with_no_address,
]
"""Whose address is not verified either: all of them."""

verified_or_not = pytest.mark.parametrize("required", ["false", "true"], ids=["any address", "verified addresses only"])


@verified_or_not
def test_every_refused_login_says_the_same(
    new_person: Callable[..., Person], sql: Sql, configure: Callable[..., None], required: str
) -> None:
    """To the letter, in status, header and body: nothing tells whether there is such an account."""
    told = set()
    people = [new_person() for _ in REFUSED]
    configure(REQUIRE_VERIFIED_EMAIL=required)
    for person, prepare in zip(people, REFUSED, strict=True):
        person.headers["X-Request-Id"] = "the-same-one"
        answer = log_in(person, *prepare(person, sql))
        headers = tuple(field for field in answer.headers.multi_items() if field[0] != "date")
        told.add((answer.status_code, headers, answer.text))
    ((status, headers, text),) = told
    assert (status, ("www-authenticate", "Bearer") in headers) == (401, True)
    assert json.loads(text)["code"] == "invalid_credentials"


@verified_or_not
@pytest.mark.parametrize("prepare", REFUSED)
def test_every_refused_login_costs_the_same(
    person: Person,
    sql: Sql,
    configure: Callable[..., None],
    work: Work,
    prepare: Callable[[Person, Sql], tuple[str, str]],
    required: str,
) -> None:
    """One password verified, at one and the same cost, and two round trips: nothing to measure from outside."""
    email, password = prepare(person, sql)
    configure(REQUIRE_VERIFIED_EMAIL=required)
    work.round_trips = 0
    assert log_in(person, email, password).status_code == 401
    assert [extract_parameters(stored) for stored in work.verified] == [extract_parameters(passwords.NOBODY)]
    assert (work.hashed, work.round_trips) == (0, 2)


def test_an_unverified_account_costs_the_same_and_says_so_to_the_right_password_only(
    person: Person, configure: Callable[..., None], work: Work
) -> None:
    configure(REQUIRE_VERIFIED_EMAIL="true")
    for password, code in ((WRONG, "invalid_credentials"), (PASSWORD, "email_not_verified")):
        work.verified, work.round_trips = [], 0
        assert log_in(person, person.email, password).json()["code"] == code
        assert [extract_parameters(stored) for stored in work.verified] == [extract_parameters(passwords.NOBODY)]
        assert (work.hashed, work.round_trips) == (0, 2)


def test_a_second_factor_that_is_asked_for_costs_what_a_wrong_password_does(
    person: Person, sql: Sql, work: Work
) -> None:
    email, _ = with_a_second_factor_and_wrong(person, sql)
    assert log_in(person, email).json()["mfa_required"] is True
    assert (len(work.verified), work.hashed, work.round_trips) == (1, 0, 2)


def test_a_good_login_verifies_once_and_takes_two_round_trips(person: Person, work: Work) -> None:
    assert log_in(person, person.email).status_code == 200
    assert (len(work.verified), work.hashed, work.round_trips) == (1, 0, 2)


def test_an_attempt_over_the_limit_costs_no_hash(person: Person, work: Work) -> None:
    for _ in range(10):
        log_in(person, person.email, WRONG)
    assert log_in(person, person.email, WRONG).status_code == 429
    assert (len(work.verified), work.round_trips) == (10, 10 * 2 + 2), "the first one too many is written down"
    assert log_in(person, person.email, WRONG).status_code == 429
    assert work.round_trips == 10 * 2 + 3


# ---------------------------------------------------------------- what happens meanwhile


@pytest.mark.parametrize("change", ["password_hash = 'changed'", "disabled_at = now()"])
def test_a_login_ends_when_the_account_changes_while_its_password_is_verified(
    person: Person, sql: Sql, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    class Meanwhile(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Any:  # noqa: A002 - as it is called there
            sql.execute(f"UPDATE users SET {change} WHERE id = %s", [person.id])
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "HASHER", Meanwhile())
    refused = log_in(person, person.email)
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_credentials")
    assert sql.execute("SELECT count(*) FROM sessions WHERE user_id = %s", [person.id]).fetchone() == (1,)


def test_no_more_passwords_are_hashed_at_once_than_is_set(
    person: Person, configure: Callable[..., None], work: Work
) -> None:
    configure(PASSWORD_HASH_WORKERS="2")
    answers = at_once(*[partial(log_in, person, person.email)] * 8)
    assert {answer.status_code for answer in answers} == {200}
    assert len(work.verified) == 8
    assert work.most_at_once <= 2


def test_when_too_many_wait_the_next_one_is_told_to_come_back(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = passwords._bench()
    monkeypatch.setattr(bench, "waiting", bench.seats * passwords.QUEUE)
    for answer in (log_in(person, person.email), log_in(person, new_email()), register(person, PASSWORD)):
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert answer.headers["retry-after"] == "2"
    assert person.get("/api/profile").status_code == 200
    monkeypatch.undo()
    assert log_in(person, person.email).status_code == 200


def test_the_queue_is_as_long_as_it_may_be_and_empties(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "QUEUE", 3)
    bench, gate = passwords._bench(), threading.Event()

    async def crowd() -> list[Any]:
        room = bench.seats * 3
        inside = [asyncio.create_task(passwords._compute(gate.wait)) for _ in range(room)]
        await asyncio.sleep(0)
        assert bench.waiting == room
        with pytest.raises(Overloaded):
            await passwords._compute(time.time)
        gate.set()
        return await asyncio.gather(*inside)

    assert all(asyncio.run(crowd()))
    assert bench.waiting == 0


# ---------------------------------------------------------------- with a pepper

OLD, NEW = (
    f"{name}:{b64encode(bytes(range(start, start + 32))).decode()}" for name, start in (("old", 1), ("new", 99))
)


def seals(name: str) -> str:
    return f"$sealed$v=1${name}$"


def test_with_a_pepper_the_database_holds_nothing_to_guess_against(
    configure: Callable[..., None], new_person: Callable[..., Person], sql: Sql
) -> None:
    configure(PASSWORD_PEPPER_KEYS=OLD)
    person = new_person()
    stored = stored_hash(sql, person.id)
    assert stored.startswith(seals("old"))
    assert b"argon2" not in b64decode(stored.removeprefix(seals("old")))
    assert log_in(person, person.email).status_code == 200
    assert log_in(person, person.email, WRONG).status_code == 401
    assert stored_hash(sql, person.id) == stored


@pytest.mark.parametrize(
    ("before", "after", "beginning"),
    [
        ({}, {"PASSWORD_PEPPER_KEYS": OLD}, seals("old")),
        ({"PASSWORD_PEPPER_KEYS": OLD}, {"PASSWORD_PEPPER_KEYS": f"{NEW},{OLD}"}, seals("new")),
        (
            {"PASSWORD_PEPPER_KEYS": OLD},
            {"PASSWORD_PEPPER_KEYS": NEW, "PASSWORD_PEPPER_KEYS_PREVIOUS": OLD},
            seals("new"),
        ),
        (
            {"PASSWORD_PEPPER_KEYS": OLD},
            {"PASSWORD_PEPPER_KEYS": "", "PASSWORD_PEPPER_KEYS_PREVIOUS": OLD},
            "$argon2id$",
        ),
    ],
    ids=["a first pepper", "a new one", "a new one in place of the old", "none any more"],
)
def test_a_hash_is_kept_as_it_is_to_be_kept_now_from_the_next_login_on(
    configure: Callable[..., None],
    new_person: Callable[..., Person],
    sql: Sql,
    before: dict[str, str],
    after: dict[str, str],
    beginning: str,
) -> None:
    configure(**before)
    person = new_person()
    old = stored_hash(sql, person.id)
    configure(**after)
    assert log_in(person, person.email, WRONG).status_code == 401
    assert stored_hash(sql, person.id) == old
    assert log_in(person, person.email).status_code == 200
    renewed = stored_hash(sql, person.id)
    assert renewed.startswith(beginning)
    assert not old.startswith(beginning)
    assert log_in(person, person.email).status_code == 200
    assert stored_hash(sql, person.id) == renewed


def test_a_sealed_hash_of_another_cost_is_replaced_at_the_next_login(
    configure: Callable[..., None], new_person: Callable[..., Person], sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(PASSWORD_PEPPER_KEYS=OLD)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(passwords, "HASHER", CHEAPER)
        person = new_person()
    old = stored_hash(sql, person.id)
    assert passwords.is_outdated(old, owner=UUID(person.id))
    assert log_in(person, person.email).status_code == 200
    renewed = stored_hash(sql, person.id)
    assert (renewed == old, passwords.is_outdated(renewed, owner=UUID(person.id))) == (False, False)


def test_a_sealed_hash_lets_nobody_in_to_another_account(
    configure: Callable[..., None], new_person: Callable[..., Person], sql: Sql
) -> None:
    configure(PASSWORD_PEPPER_KEYS=OLD)
    ada, eve = new_person(), new_person()
    store_hash(sql, ada.id, stored_hash(sql, eve.id))
    assert log_in(ada, ada.email, eve.password).status_code == 401


def test_without_its_key_a_sealed_hash_lets_nobody_in_until_it_is_back_and_the_log_says_so(
    configure: Callable[..., None], new_person: Callable[..., Person], sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    configure(PASSWORD_PEPPER_KEYS=OLD)
    person = new_person()
    old = stored_hash(sql, person.id)
    for others in (NEW, ""):
        caplog.clear()
        configure(PASSWORD_PEPPER_KEYS=others)
        assert log_in(person, person.email).status_code == 401
        assert "a password hash under key 'old' cannot be opened" in caplog.text
        assert stored_hash(sql, person.id) == old
    configure(PASSWORD_PEPPER_KEYS=OLD)
    assert log_in(person, person.email).status_code == 200


@pytest.mark.usefixtures("environment")
def test_no_character_of_a_sealed_hash_can_be_another(
    configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(PASSWORD_PEPPER_KEYS=f"{OLD},{NEW}")
    cheapest = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", cheapest)
    monkeypatch.setattr(passwords, "NOBODY", cheapest.hash(WRONG))
    owner = uuid7()
    stored = asyncio.run(passwords.hash_password(PASSWORD, owner=owner))
    altered = [
        stored[:at] + other + stored[at + 1 :] for at in range(len(stored)) for other in "$A9=n" if other != stored[at]
    ]
    altered += [stored.replace("$old$", "$new$"), stored[:-1], stored + "=", stored + "A", stored.lower()]

    async def verify_all() -> list[bool]:
        return [await passwords.verify(each, PASSWORD, owner=owner) for each in altered]

    assert asyncio.run(passwords.verify(stored, PASSWORD, owner=owner))
    assert not any(asyncio.run(verify_all()))
    for other in (uuid7(), None):
        assert not asyncio.run(passwords.verify(stored, PASSWORD, owner=other))


@pytest.mark.parametrize("pepper_came", ["before the account", "after the account"])
@pytest.mark.parametrize("setting", ["PASSWORD_PEPPER_KEYS", "PASSWORD_PEPPER_KEYS_PREVIOUS"])
@pytest.mark.parametrize("prepare", [case for case in REFUSED if case is not when_disabled])  # see the test after this
def test_with_a_pepper_too_every_refused_login_costs_the_same(
    configure: Callable[..., None],
    new_person: Callable[..., Person],
    sql: Sql,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[Person, Sql], tuple[str, str]],
    setting: str,
    pepper_came: str,
) -> None:
    """One seal opened and one password verified, whether or not there is an account, and however it is kept."""
    if pepper_came == "before the account":
        configure(PASSWORD_PEPPER_KEYS=OLD)
    person = new_person()
    email, password = prepare(person, sql)
    configure(PASSWORD_PEPPER_KEYS="")
    configure(**{setting: OLD})
    opened, open_seal = [], SealingKey.open

    def counting_open(self: SealingKey, *args: Any, **named: Any) -> bytes:
        opened.append(self.id)
        return open_seal(self, *args, **named)

    monkeypatch.setattr(SealingKey, "open", counting_open)
    work.hashed = work.round_trips = 0
    assert log_in(person, email, password).status_code == 401
    assert opened == ["old"]
    assert [extract_parameters(stored) for stored in work.verified] == [extract_parameters(passwords.NOBODY)]
    assert (work.hashed, work.round_trips) == (0, 2)


def test_with_a_pepper_a_right_password_of_a_disabled_account_costs_no_hash_more_than_a_wrong_one(
    configure: Callable[..., None], new_person: Callable[..., Person], sql: Sql, work: Work
) -> None:
    """Its seal is opened twice, which takes microseconds: to verify it, and to see whether it is kept as it should."""
    configure(PASSWORD_PEPPER_KEYS=OLD)
    person = new_person()
    email, password = when_disabled(person, sql)
    work.hashed = work.round_trips = 0
    assert log_in(person, email, password).status_code == 401
    assert (len(work.verified), work.hashed, work.round_trips) == (1, 0, 2)


def test_a_key_that_seals_and_one_that_only_opens_have_different_ids(configure: Callable[..., None]) -> None:
    configure(PASSWORD_PEPPER_KEYS=OLD, PASSWORD_PEPPER_KEYS_PREVIOUS=OLD)
    with pytest.raises(SettingsError, match="PASSWORD_PEPPER_KEYS_PREVIOUS must not share an id"):
        settings.current()
