"""A process that dies loses nothing: what was reserved is there, and what was half done is done or not."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.conftest import Person
from tests.processes import eventually
from tests.quotas.asking import SQL, commit, consume, expire, hold, reserve, reserved, standing, waiting
from tests.quotas.conftest import NewMetric, NewProcess, SamePerson


def test_a_reservation_outlives_the_process_that_made_it(
    new_person: Callable[..., Person],
    new_metric: NewMetric,
    new_process: NewProcess,
    same_person: SamePerson,
) -> None:
    metric, process = new_metric(5), new_process()
    person = new_person(process.url)
    reservation = reserved(person, metric, "k", 3)
    process.kill()
    person = same_person(person, new_process().url)
    assert standing(person, metric) == (0, 3)
    assert reserved(person, metric, "k", 3) == reservation
    assert commit(person, reservation).status_code == 200
    assert standing(person, metric) == (3, 0)


def test_nobody_need_commit_what_a_dead_process_reserved(
    new_person: Callable[..., Person],
    same_person: SamePerson,
    new_metric: NewMetric,
    new_process: NewProcess,
    sql: SQL,
) -> None:
    metric, process = new_metric(5), new_process()
    person = new_person(process.url)
    reservation = reserved(person, metric, "k", 5)
    process.kill()
    person = same_person(person)
    assert consume(person, metric).status_code == 429
    expire(sql, reservation)
    assert consume(person, metric, 5).status_code == 200


def test_a_reserve_whose_process_was_killed_may_be_sent_again(
    new_person: Callable[..., Person],
    same_person: SamePerson,
    new_metric: NewMetric,
    new_process: NewProcess,
    sql: SQL,
) -> None:
    metric, process = new_metric(5), new_process()
    person = new_person(process.url)
    consume(person, metric)
    with ThreadPoolExecutor(1) as thread:
        with sql.transaction():
            hold(sql, metric)
            answer = thread.submit(reserve, person, metric, "k", 3)
            eventually(lambda: bool(waiting(sql)), within=4)
            process.kill()
        with pytest.raises(httpx.HTTPError):
            answer.result()
    person = same_person(person)
    reservation = reserved(person, metric, "k", 3)
    assert standing(person, metric) == (1, 3)
    assert commit(person, reservation).status_code == 200
    assert standing(person, metric) == (4, 0)


def test_a_commit_whose_process_was_killed_may_be_sent_again(
    new_person: Callable[..., Person],
    same_person: SamePerson,
    new_metric: NewMetric,
    new_process: NewProcess,
    sql: SQL,
) -> None:
    metric, process = new_metric(5), new_process()
    person = new_person(process.url)
    reservation = reserved(person, metric, "k", 3)
    with ThreadPoolExecutor(1) as thread:
        with sql.transaction():
            hold(sql, metric)
            answer = thread.submit(commit, person, reservation)
            eventually(lambda: bool(waiting(sql)), within=4)
            process.kill()
        with pytest.raises(httpx.HTTPError):
            answer.result()
    person = same_person(person)
    assert commit(person, reservation).status_code == 200
    assert standing(person, metric) == (3, 0)


def test_a_database_connection_that_dies_in_the_middle_uses_nothing(
    person: Person, new_metric: NewMetric, sql: SQL
) -> None:
    metric = new_metric(5)
    consume(person, metric)
    with ThreadPoolExecutor(1) as thread, sql.transaction():
        hold(sql, metric)
        answer = thread.submit(consume, person, metric, 3, key="k")
        eventually(lambda: bool(waiting(sql)), within=4)
        for pid in waiting(sql):
            sql.execute("SELECT pg_terminate_backend(%s)", [pid])
        assert (answer.result().status_code, answer.result().json()["code"]) == (503, "database_unavailable")
    assert standing(person, metric) == (1, 0)
    for _ in range(2):
        assert consume(person, metric, 3, key="k").status_code == 200
    assert standing(person, metric) == (4, 0)
