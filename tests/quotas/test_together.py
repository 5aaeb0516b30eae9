"""Many at once, in one process or several: never more than the limit, at no moment, and every unit accounted for."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from threading import Barrier, Event, Lock
from typing import Any

import httpx
import psycopg
import pytest

from tests.conftest import Person
from tests.processes import eventually
from tests.quotas.asking import (
    SQL,
    commit,
    consume,
    expire,
    hold,
    quota,
    release,
    reserve,
    reserved,
    standing,
    waiting,
)
from tests.quotas.conftest import NewMetric, SamePerson

LIMIT = 10
CLAIMS = 200
EACH = 16
"""Requests at once of one client: with more, its connection pool gets into its own way."""


def patiently(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask again while the app is too busy to say anything: what is claimed here is what it says in the end."""
    while (answer := ask()).status_code == 503:
        time.sleep(0.2)
    return answer


# ---------------------------------------------------------------- a crowd at the limit


def crowd(people: list[Person], ask: Callable[[Person, int], httpx.Response]) -> list[httpx.Response]:
    """CLAIMS answers, from so many requests at once as all of these people can make."""

    def ask_all(desk: int) -> list[httpx.Response]:
        with ThreadPoolExecutor(EACH) as threads:
            return list(threads.map(lambda n: ask(people[desk], n), range(desk, CLAIMS, len(people))))

    with ThreadPoolExecutor(len(people)) as threads:
        return [answer for answers in threads.map(ask_all, range(len(people))) for answer in answers]


def test_of_200_reservations_at_once_the_limit_holds(
    person: Person, same_person: SamePerson, new_metric: NewMetric
) -> None:
    metric = new_metric(LIMIT)
    people = [person, *(same_person(person) for _ in range(3))]
    answers = crowd(people, lambda who, n: patiently(lambda: reserve(who, metric, f"claim {n}")))
    assert sorted(answer.status_code for answer in answers) == [201] * LIMIT + [429] * (CLAIMS - LIMIT)
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == LIMIT
    assert standing(person, metric) == (0, LIMIT)


def test_two_processes_hold_one_limit_together(
    person: Person, same_person: SamePerson, new_metric: NewMetric, start_app: Callable[..., str]
) -> None:
    metric, urls = new_metric(LIMIT), [start_app(), start_app()]
    people = [same_person(person, url) for url in urls * 2]
    answers = crowd(people, lambda who, n: patiently(lambda: reserve(who, metric, f"claim {n}")))
    assert sorted(answer.status_code for answer in answers) == [201] * LIMIT + [429] * (CLAIMS - LIMIT)
    assert {standing(who, metric) for who in people} == {(0, LIMIT)}


def test_of_200_consumptions_at_once_the_limit_holds(
    person: Person, same_person: SamePerson, new_metric: NewMetric
) -> None:
    metric = new_metric(LIMIT)
    people = [person, *(same_person(person) for _ in range(3))]
    answers = crowd(people, lambda who, _: consume(who, metric))
    assert sum(answer.status_code == 200 for answer in answers) == LIMIT
    assert standing(person, metric) == (LIMIT, 0)


@pytest.mark.parametrize("kind", ["consume", "reserve"])
def test_one_key_sent_by_many_at_once_counts_once(person: Person, new_metric: NewMetric, kind: str) -> None:
    metric = new_metric(LIMIT)
    body = {"units": LIMIT, "key": "k"}
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: person.post(f"/api/quotas/{metric}/{kind}", body), range(16)))
    assert {answer.status_code for answer in answers} == {200 if kind == "consume" else 201}
    assert len({answer.json().get("id") for answer in answers}) == 1
    assert sum(standing(person, metric)) == LIMIT


@pytest.mark.parametrize("kind", ["consume", "reserve"])
def test_one_key_sent_again_before_the_first_is_done_counts_once(
    person: Person, new_metric: NewMetric, sql: SQL, kind: str
) -> None:
    metric = new_metric(LIMIT)
    consume(person, metric)
    body = {"units": LIMIT - 1, "key": "k"}
    with ThreadPoolExecutor(4) as threads:
        with sql.transaction():
            hold(sql, metric)
            answers = [threads.submit(person.post, f"/api/quotas/{metric}/{kind}", body) for _ in range(4)]
            eventually(lambda: all_waiting(sql) >= 4, within=4)
        assert {answer.result().status_code for answer in answers} == {200 if kind == "consume" else 201}
    assert sum(standing(person, metric)) == LIMIT


def all_waiting(sql: SQL) -> int:
    """How many backends wait for somebody."""
    ((backends,),) = sql.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchall()
    return int(backends)


@pytest.mark.parametrize("settle", [commit, release])
def test_a_reservation_settled_by_many_at_once_is_settled_once(
    person: Person, new_metric: NewMetric, settle: Callable[[Person, str], httpx.Response]
) -> None:
    metric = new_metric(LIMIT)
    reservation = reserved(person, metric, "k", 3)
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: settle(person, reservation), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert standing(person, metric) == ((3, 0) if settle is commit else (0, 0))


def test_committed_and_released_at_once_it_is_one_of_them(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(LIMIT * 10)
    for n in range(10):
        used, _ = standing(person, metric)
        reservation = reserved(person, metric, f"{n}", 1)
        committed, released = at_once(partial(commit, person, reservation), partial(release, person, reservation))
        assert sorted([committed.status_code, released.status_code]) == [200, 409]
        assert standing(person, metric) == (used + (committed.status_code == 200), 0)


def at_once(*asked: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """The answers to questions asked at the same moment."""
    barrier = Barrier(len(asked))

    def ask(question: Callable[[], httpx.Response]) -> httpx.Response:
        barrier.wait()
        return question()

    with ThreadPoolExecutor(len(asked)) as threads:
        return list(threads.map(ask, asked))


# ---------------------------------------------------------------- a late commit and a new claim


def test_of_a_late_commit_and_new_claims_one_gets_the_units(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    for _ in range(10):
        metric = new_metric(1)
        late = reserved(person, metric, "late")
        expire(sql, late)
        answers = at_once(
            partial(commit, person, late),
            partial(consume, person, metric),
            partial(reserve, person, metric, "new"),
            partial(commit, person, late),
        )
        codes = [answer.status_code for answer in answers]
        assert codes in ([200, 429, 429, 200], [409, 200, 429, 409], [409, 429, 201, 409])
        assert sum(standing(person, metric)) == 1


def test_a_commit_at_the_very_moment_of_expiry_never_exceeds_the_limit(
    person: Person, new_metric: NewMetric, sql: SQL
) -> None:
    for n in range(8):
        metric = new_metric(1)
        reservation = reserved(person, metric, "k")
        sql.execute(
            "UPDATE quota_entries SET expires_at = clock_timestamp() + interval '100 ms' WHERE id = %s", [reservation]
        )
        with ThreadPoolExecutor(2) as threads:
            claim = threads.submit(until_it_is_over, person, metric, sql, reservation)
            time.sleep(0.09 + n * 0.003)
            committed = commit(person, reservation).status_code
            claimed = claim.result()
        assert (committed == 200) != claimed
        assert standing(person, metric) == (1, 0)


def test_a_commit_that_had_to_wait_is_judged_by_the_clock_and_not_by_when_it_was_sent(
    person: Person, new_metric: NewMetric, sql: SQL
) -> None:
    metric = new_metric(1)
    reservation = reserved(person, metric, "k", ttl_seconds=2)
    with ThreadPoolExecutor(1) as thread:
        with sql.transaction():
            hold(sql, metric)
            answer = thread.submit(commit, person, reservation)
            eventually(lambda: bool(waiting(sql)))
            sql.execute("SELECT pg_sleep(2)")
            # Over: whoever comes now finds the unit free, and takes it while the commit still waits.
            sql.execute("UPDATE quota_usage SET used = used + 1 WHERE metric = %s", [metric])
        refused = answer.result()
    assert (refused.status_code, refused.json()["code"]) == (409, "reservation_expired")
    assert standing(person, metric) == (1, 0)


def until_it_is_over(person: Person, metric: str, sql: SQL, reservation: str) -> bool:
    """Claim the unit again and again until well after its reservation's end; whether that worked."""
    ((left,),) = sql.execute(
        "SELECT expires_at - clock_timestamp() FROM quota_entries WHERE id = %s", [reservation]
    ).fetchall()
    stop_at = time.monotonic() + (left + timedelta(milliseconds=200)).total_seconds()
    while time.monotonic() < stop_at:
        if consume(person, metric).status_code == 200:
            return True
    return False


# ---------------------------------------------------------------- everything at once


@dataclass
class Books:
    """What the app said it did, kept by those whom it said it to."""

    units_consumed: int = 0
    consumed_keys: dict[str, int] = field(default_factory=dict)
    reservations: dict[str, int] = field(default_factory=dict)
    committed: set[str] = field(default_factory=set)
    released: set[str] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)

    @property
    def used(self) -> int:
        by_commits = sum(self.reservations[reservation] for reservation in self.committed)
        return self.units_consumed + sum(self.consumed_keys.values()) + by_commits


def act(person: Person, metric: str, books: Books, chance: Random) -> None:
    """Do one thing or another, and write down what the app said."""
    with books.lock:
        known = list(books.reservations)
    action = chance.choice(["consume", "consume keyed", "reserve", "reserve", "commit", "commit", "release"])
    units = chance.randint(1, 4)
    match action:
        case "consume":
            if consume(person, metric, units).status_code == 200:
                with books.lock:
                    books.units_consumed += units
        case "consume keyed":
            key = f"consumption {units} {chance.randint(1, 5)}"
            if consume(person, metric, units, key=key).status_code == 200:
                with books.lock:
                    books.consumed_keys[key] = units
        case "reserve":
            answer = reserve(person, metric, f"reservation {units} {chance.randint(1, 12)}", units)
            if answer.status_code == 201:
                with books.lock:
                    books.reservations[answer.json()["id"]] = units
        case "commit" if known:
            if commit(person, chosen := chance.choice(known)).status_code == 200:
                with books.lock:
                    books.committed.add(chosen)
        case "release" if known:
            if release(person, chosen := chance.choice(known)).status_code == 200:
                with books.lock:
                    books.released.add(chosen)


@contextmanager
def watched(database_url: str, metric: str, limit: int) -> Iterator[list[int]]:
    """Look at the database all the while: the list is of what counted, at each look."""
    looks: list[int] = []
    over = Event()

    def look() -> None:
        with psycopg.connect(database_url, autocommit=True) as sql:
            while not over.wait(0.001):
                ((counted,),) = sql.execute(
                    """
                    SELECT coalesce((SELECT sum(used) FROM quota_usage WHERE metric = %(metric)s), 0)
                         + coalesce((SELECT sum(units) FROM quota_entries WHERE metric = %(metric)s
                                     AND state = 'reserved' AND expires_at > clock_timestamp()), 0)
                    """,
                    {"metric": metric},
                ).fetchall()
                looks.append(int(counted))

    def let_expire() -> None:
        chance = Random(7)
        with psycopg.connect(database_url, autocommit=True) as sql:
            while not over.wait(0.01 + chance.random() / 50):
                sql.execute(
                    """
                    UPDATE quota_entries SET expires_at = clock_timestamp() WHERE id = (
                        SELECT id FROM quota_entries WHERE metric = %s AND state = 'reserved' ORDER BY random() LIMIT 1)
                    """,
                    [metric],
                )

    with ThreadPoolExecutor(2) as threads:
        background: list[Future[Any]] = [threads.submit(look), threads.submit(let_expire)]
        try:
            yield looks
        finally:
            over.set()
        for task in background:
            task.result()
    assert max(looks) <= limit


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_at_once_the_limit_holds_and_the_sums_agree(
    person: Person, new_metric: NewMetric, sql: SQL, database_url: str, seed: int
) -> None:
    limit = 40
    metric, books = new_metric(limit), Books()

    def live(worker: int) -> None:
        chance = Random(seed * 100 + worker)
        for _ in range(40):
            act(person, metric, books, chance)

    with watched(database_url, metric, limit) as looks, ThreadPoolExecutor(8) as threads:
        list(threads.map(live, range(8)))
    assert len(looks) > 10
    assert not books.committed & books.released
    ((kept, live_units),) = sql.execute(
        """
        SELECT coalesce(sum(units) FILTER (WHERE state = 'committed'), 0),
               coalesce(sum(units) FILTER (WHERE state = 'reserved' AND expires_at > clock_timestamp()), 0)
        FROM quota_entries WHERE metric = %s
        """,
        [metric],
    ).fetchall()
    assert standing(person, metric) == (books.used, live_units)
    assert books.used == kept + books.units_consumed
    assert quota(person, metric)["remaining"] == limit - books.used - live_units
