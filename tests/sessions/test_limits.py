"""Limits: how often a login may fail and a session be refreshed, counted by all processes together."""

import secrets
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle

import httpx
import pytest

from shared.limits import Bucket, network
from shared.settings import Limit
from tests.conftest import PASSWORD, Client, Person, any_address
from tests.sessions.rows import OpenSession, Sql, disable, open_session
from tests.sessions.together import at_once

WRONG = "a password that is wrong"
WINDOW = 300


def new_email() -> str:
    return f"{secrets.token_hex(8)}@example.com"


class Door:
    """Logs in at one process after the other, so that none of them alone sees all the attempts."""

    def __init__(self, *clients: Client) -> None:
        self._turns = cycle(clients)

    def __call__(self, email: str, password: str = WRONG, *, address: str | None = None) -> httpx.Response:
        return next(self._turns).post(
            "/api/auth/login",
            {"email": email, "password": password},
            headers={"X-Forwarded-For": address or any_address()},
        )


@pytest.fixture
def log_in(two_processes: tuple[str, str]) -> Iterator[Door]:
    clients = [Client(url) for url in two_processes]
    yield Door(*clients)
    for client in clients:
        client.close()


def assert_limited(answer: httpx.Response, policy: str, *, limit: int = 10, window: int = WINDOW) -> None:
    """It is a 429, and says in the body and in the fields of the IETF when to come back."""
    assert answer.status_code == 429, answer.text
    problem = answer.json()
    wait = problem["retry_after"]
    assert (problem["code"], problem["policy"], problem["limit"], problem["window"]) == (
        "rate_limited",
        policy,
        limit,
        window,
    )
    assert 1 <= wait <= window
    assert answer.headers["retry-after"] == str(wait)
    assert answer.headers["ratelimit-policy"] == f'"{policy}";q={limit};w={window}'
    assert answer.headers["ratelimit"] == f'"{policy}";r=0;t={wait}'


def failures(sql: Sql, policy: str, subject: str) -> int:
    """How many are counted in a bucket now."""
    bucket = Bucket(policy, subject, Limit(hits=10, seconds=WINDOW)).name
    found = sql.execute("SELECT hits FROM rate_limits WHERE bucket = %s", [bucket]).fetchone()
    return int(found[0]) if found else 0


# ---------------------------------------------------------------- of an account


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
def test_the_eleventh_failure_for_an_account_is_too_many(person: Person, log_in: Door, is_known: bool) -> None:
    """Ten from ten addresses, over two processes; an account that does not exist is limited just the same."""
    email = person.email if is_known else new_email()
    answers = [log_in(email) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert_limited(answers[-1], "login-account")


def test_the_right_password_is_refused_too_once_the_account_is_full(person: Person, log_in: Door) -> None:
    for _ in range(10):
        log_in(person.email)
    assert_limited(log_in(person.email, PASSWORD), "login-account")
    assert len(person.get("/api/auth/sessions").json()["items"]) == 1


def test_a_full_account_leaves_its_sessions_alone(person: Person, log_in: Door) -> None:
    for _ in range(11):
        log_in(person.email)
    assert person.get("/api/profile").status_code == 200
    assert person.post("/api/auth/refresh", {"refresh_token": person.refresh_token}).status_code == 200


def test_a_good_login_takes_its_attempt_back(person: Person, log_in: Door) -> None:
    for _ in range(9):
        log_in(person.email)
    assert [log_in(person.email, PASSWORD).status_code for _ in range(3)] == [200, 200, 200]
    assert [log_in(person.email).status_code for _ in range(2)] == [401, 429]


def test_a_good_login_does_not_forgive_the_failures_before_it(person: Person, log_in: Door, sql: Sql) -> None:
    for password in (WRONG, WRONG, PASSWORD):
        log_in(person.email, password)
    assert failures(sql, "login-account", person.email) == 2


def test_a_window_that_is_over_begins_anew(person: Person, log_in: Door, sql: Sql) -> None:
    for _ in range(11):
        log_in(person.email)
    bucket = Bucket("login-account", person.email, Limit(hits=10, seconds=WINDOW)).name
    sql.execute("UPDATE rate_limits SET reset_at = now() WHERE bucket = %s", [bucket])
    assert log_in(person.email, PASSWORD).status_code == 200
    assert log_in(person.email).status_code == 401
    assert failures(sql, "login-account", person.email) == 1


def test_an_account_that_is_full_is_full_however_its_address_is_spelt(log_in: Door) -> None:
    email = f"Ada.{new_email()}"
    for _ in range(10):
        log_in(email)
    for spelling in (email, email.upper(), email.lower(), f"  {email} "):
        assert_limited(log_in(spelling), "login-account")


@pytest.mark.parametrize("capital", ["I", "\u0130"], ids=["capital I", "capital I with a dot"])
def test_a_spelling_that_signs_in_to_an_account_counts_against_it(client: Client, log_in: Door, capital: str) -> None:
    """PostgreSQL and Python do not agree on every letter's small one: what is looked up must be what is counted."""
    email = f"irin{new_email()}"
    assert client.post("/api/auth/register", {"email": email, "password": PASSWORD}).status_code == 201
    spelling = email.replace("i", capital, 1)
    signs_in = log_in(spelling, PASSWORD).status_code == 200
    for _ in range(10):
        log_in(spelling)
    is_full = log_in(email).status_code == 429
    assert is_full == signs_in


def test_a_disabled_account_is_limited_like_any_other(person: Person, log_in: Door, sql: Sql) -> None:
    disable(sql, person.id)
    answers = [log_in(person.email, PASSWORD) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]


# ---------------------------------------------------------------- of an address


def test_the_eleventh_failure_from_an_address_is_too_many_whoever_is_tried(log_in: Door) -> None:
    address = any_address()
    answers = [log_in(new_email(), address=address) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert_limited(answers[-1], "login-address")


def test_an_attempt_refused_for_its_address_does_not_fill_the_account(person: Person, log_in: Door, sql: Sql) -> None:
    """Or else whoever is shut out could shut others out."""
    address = any_address()
    for _ in range(10):
        log_in(new_email(), address=address)
    for _ in range(12):
        assert_limited(log_in(person.email, address=address), "login-address")
    assert failures(sql, "login-account", person.email) == 0
    assert log_in(person.email, PASSWORD).status_code == 200


def test_an_attempt_refused_for_its_account_does_not_fill_the_address(log_in: Door, sql: Sql) -> None:
    email, address = new_email(), any_address()
    for _ in range(10):
        log_in(email)
    for _ in range(3):
        assert_limited(log_in(email, address=address), "login-account")
    assert failures(sql, "login-address", network(address)) == 0


def test_one_network_of_64_bits_is_one_address(log_in: Door) -> None:
    site = f"2001:db8:{secrets.token_hex(2)}"
    answers = [log_in(new_email(), address=f"{site}:a::{number:x}") for number in range(11)]
    assert [answer.status_code for answer in answers[:-1]] == [401] * 10
    assert_limited(answers[-1], "login-address")
    assert log_in(new_email(), address=f"{site}:b::1").status_code == 401


# ---------------------------------------------------------------- at once, and altogether


def test_thirty_failures_at_once_let_ten_through(person: Person, log_in: Door) -> None:
    """Each is counted before its password is looked at: none gets in while another is still being verified."""
    answers = at_once(*[partial(log_in, person.email)] * 30)
    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 20


def test_good_logins_at_once_are_all_let_in_and_leave_nothing_counted(person: Person, log_in: Door, sql: Sql) -> None:
    address = any_address()
    answers = at_once(*[partial(log_in, person.email, PASSWORD, address=address)] * 10)
    assert [answer.status_code for answer in answers] == [200] * 10
    assert failures(sql, "login-account", person.email) == failures(sql, "login-address", network(address)) == 0


def test_limits_are_as_they_are_set_and_hold_for_everybody_together(
    start_app: Callable[..., str], new_person: Callable[..., Person]
) -> None:
    """With a secret of its own an app has buckets of its own: nobody else's failures are in the total."""
    url = start_app(
        JWT_SECRET=secrets.token_hex(32),
        LOGIN_LIMIT_TOTAL="6/60",
        LOGIN_LIMIT_ACCOUNT="2/30",
        REFRESH_LIMIT_SESSION="3/20",
    )
    person = new_person(url)
    log_in = Door(person)
    assert [log_in(person.email).status_code for _ in range(2)] == [401, 401]
    assert_limited(log_in(person.email), "login-account", limit=2, window=30)
    assert [log_in(new_email()).status_code for _ in range(4)] == [401] * 4
    assert_limited(log_in(new_email()), "login-total", limit=6, window=60)

    for _ in range(3):
        answer = person.post("/api/auth/refresh", {"refresh_token": person.refresh_token})
        assert answer.status_code == 200
        person.bear(answer.json())
    assert_limited(
        person.post("/api/auth/refresh", {"refresh_token": person.refresh_token}), "refresh-session", limit=3, window=20
    )


# ---------------------------------------------------------------- of a session


def refreshes_counted(sql: Sql, session_id: object, count: int) -> None:
    """As if so many refreshes had been counted a moment ago."""
    sql.execute(
        "UPDATE sessions SET refreshes = %s, refreshes_reset_at = now() + '5 minutes' WHERE id = %s",
        [count, session_id],
    )


def refresh(client: Client, session: OpenSession, generation: int) -> httpx.Response:
    return client.post("/api/auth/refresh", {"refresh_token": session.refresh_token(generation)})


def test_a_session_that_refreshes_too_often_must_wait_and_goes_on(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    refreshes_counted(sql, session.id, 299)
    assert refresh(client, session, 1).status_code == 200
    before = session.row(sql)
    assert_limited(refresh(client, session, 2), "refresh-session", limit=300)
    assert session.row(sql) == before
    assert client.get("/api/auth/status", headers=session.bearer).status_code == 200
    sql.execute("UPDATE sessions SET refreshes_reset_at = now() WHERE id = %s", [session.id])
    assert refresh(client, session, 2).status_code == 200


def test_refreshes_are_counted_by_all_processes_together(two_processes: tuple[str, str], sql: Sql) -> None:
    session = open_session(sql)
    refreshes_counted(sql, session.id, 295)
    tokens = [{"refresh_token": session.refresh_token(generation)} for generation in range(1, 8)]
    statuses = [
        httpx.post(f"{url}/api/auth/refresh", json=token).status_code
        for url, token in zip(cycle(two_processes), tokens, strict=False)
    ]
    assert statuses == [200] * 5 + [429] + [401]


def test_a_replay_counts_as_a_refresh(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    refreshes_counted(sql, session.id, 298)
    statuses = [refresh(client, session, 1).status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]


def test_a_session_at_its_limit_is_ended_by_a_spent_token_all_the_same(client: Client, sql: Sql) -> None:
    """A thief cannot hide a theft by refreshing often."""
    session = open_session(sql)
    for generation in (1, 2):
        refresh(client, session, generation)
    refreshes_counted(sql, session.id, 300)
    refused = refresh(client, session, 1)
    assert (refused.status_code, refused.json()["code"]) == (401, "refresh_token_reused")


def test_one_session_at_its_limit_does_not_hold_up_another(client: Client, sql: Sql) -> None:
    session = open_session(sql)
    other = open_session(sql, session.user_id)
    refreshes_counted(sql, session.id, 300)
    assert refresh(client, session, 1).status_code == 429
    assert refresh(client, other, 1).status_code == 200


def test_the_table_of_limits_tells_nobodys_address(person: Person, log_in: Door, sql: Sql) -> None:
    address = any_address()
    log_in(person.email, address=address)
    assert failures(sql, "login-account", person.email) == 1
    dump = " ".join(row for (row,) in sql.execute("SELECT l::text FROM rate_limits l").fetchall())
    for told in (person.email, address):
        assert told not in dump
        assert told.encode().hex() not in dump
