"""Reservations: they count while they live; commit uses them, release and expiry give them back."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.conftest import Person
from tests.quotas.asking import (
    SQL,
    commit,
    consume,
    expire,
    pass_a_day,
    quota,
    release,
    reserve,
    reserved,
    standing,
    stay_clear_of_midnight,
)
from tests.quotas.conftest import NewMetric


def test_a_reservation_holds_units(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(5)
    made = reserve(person, metric, "k", 3)
    assert made.status_code == 201
    assert made.json()["quota"] == quota(person, metric)
    assert standing(person, metric) == (0, 3)
    assert consume(person, metric, 3).status_code == 429
    assert reserve(person, metric, "another", 3).status_code == 429


@pytest.mark.parametrize(("given", "seconds"), [({}, 900), ({"ttl_seconds": 1}, 1), ({"ttl_seconds": 86_400}, 86_400)])
def test_it_lives_as_long_as_asked_or_a_quarter_of_an_hour(
    person: Person, new_metric: NewMetric, given: dict[str, int], seconds: int
) -> None:
    before = datetime.now(UTC)
    expires_at = datetime.fromisoformat(reserve(person, new_metric(1), "k", **given).json()["expires_at"])
    assert before <= expires_at - timedelta(seconds=seconds) <= datetime.now(UTC)


@pytest.mark.parametrize("ttl", [0, -1, 86_401, 10**30, 1.5, "900", None, True])
def test_it_lives_a_second_to_a_day(person: Person, new_metric: NewMetric, ttl: object) -> None:
    refused = reserve(person, new_metric(1), "k", ttl_seconds=ttl)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "ttl_seconds")


@pytest.mark.parametrize("body", [{}, {"units": 1}, {"key": None}])
def test_it_needs_a_key(person: Person, new_metric: NewMetric, body: dict[str, object]) -> None:
    refused = person.post(f"/api/quotas/{new_metric(1)}/reserve", body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "key")


def test_a_repeated_key_answers_with_the_same_reservation_at_the_limit_too(
    person: Person, new_metric: NewMetric
) -> None:
    metric = new_metric(2)
    first = reserve(person, metric, "k", 2)
    again = reserve(person, metric, "k", 2)
    assert (again.status_code, again.json()) == (201, first.json())
    assert reserve(person, metric, "another").status_code == 429
    assert standing(person, metric) == (0, 2)


@pytest.mark.parametrize("settle", [commit, release])
def test_a_key_names_its_reservation_after_it_is_settled_too(
    person: Person, new_metric: NewMetric, settle: Callable[[Person, str], object]
) -> None:
    metric = new_metric(2)
    reservation = reserved(person, metric, "k", 2)
    settle(person, reservation)
    before = standing(person, metric)
    assert reserved(person, metric, "k", 2) == reservation
    assert standing(person, metric) == before


# ---------------------------------------------------------------- settled


def test_commit_uses_what_was_reserved(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(5)
    made = reserve(person, metric, "k", 3).json()
    committed = commit(person, made["id"])
    assert committed.status_code == 200
    assert committed.json() == made | {"quota": quota(person, metric)}
    assert standing(person, metric) == (3, 0)


def test_release_gives_it_back(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(5)
    made = reserve(person, metric, "k", 5).json()
    released = release(person, made["id"])
    assert released.status_code == 200
    assert released.json() == made | {"quota": quota(person, metric)}
    assert standing(person, metric) == (0, 0)
    assert consume(person, metric, 5).status_code == 200


@pytest.mark.parametrize(("settle", "left"), [(commit, (3, 0)), (release, (0, 0))])
def test_settling_again_changes_nothing(
    person: Person, new_metric: NewMetric, settle: Callable[[Person, str], object], left: tuple[int, int]
) -> None:
    metric = new_metric(5)
    reservation = reserved(person, metric, "k", 3)
    for _ in range(3):
        settle(person, reservation)
        assert standing(person, metric) == left


def test_what_was_settled_one_way_cannot_be_settled_the_other(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(5)
    committed, released = reserved(person, metric, "c", 2), reserved(person, metric, "r", 3)
    commit(person, committed)
    release(person, released)
    for refused, state in ((release(person, committed), "committed"), (commit(person, released), "released")):
        problem = refused.json()
        assert (refused.status_code, problem["code"], problem["state"]) == (409, "reservation_settled", state)
    assert standing(person, metric) == (2, 0)


@pytest.mark.parametrize("settle", ["commit", "release"])
def test_a_reservation_of_somebody_else_reads_like_one_that_never_was(
    new_person: Callable[..., Person], new_metric: NewMetric, settle: str
) -> None:
    owner, stranger, metric = new_person(), new_person(), new_metric(5)
    reservation = reserved(owner, metric, "k", 3)
    there = stranger.post(f"/api/quotas/reservations/{reservation}/{settle}")
    nowhere = stranger.post(f"/api/quotas/reservations/{uuid4()}/{settle}")
    assert there.status_code == nowhere.status_code == 404
    assert there.json() | {"request_id": ""} == nowhere.json() | {"request_id": ""}
    assert standing(owner, metric) == (0, 3)


def test_a_consumption_is_no_reservation(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    metric = new_metric(5)
    consume(person, metric, 1, key="k")
    ((entry,),) = sql.execute("SELECT id FROM quota_entries WHERE metric = %s", [metric]).fetchall()
    assert commit(person, str(entry)).status_code == release(person, str(entry)).status_code == 404


# ---------------------------------------------------------------- expired


def test_expiry_gives_the_units_back(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    metric = new_metric(3)
    reservation = reserved(person, metric, "k", 3)
    expire(sql, reservation)
    assert standing(person, metric) == (0, 0)
    assert consume(person, metric, 3).status_code == 200


def test_a_late_commit_takes_the_units_again(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    metric = new_metric(3)
    reservation = reserved(person, metric, "k", 3)
    expire(sql, reservation)
    assert commit(person, reservation).status_code == 200
    assert standing(person, metric) == (3, 0)
    assert commit(person, reservation).status_code == 200
    assert standing(person, metric) == (3, 0)


def test_a_late_commit_is_refused_where_the_units_are_taken(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    metric = new_metric(3)
    late = reserved(person, metric, "late", 2)
    expire(sql, late)
    other = reserved(person, metric, "other", 2)
    refused = commit(person, late)
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "reservation_expired")
    assert (problem["metric"], problem["used"], problem["reserved"], problem["remaining"]) == (metric, 0, 2, 1)
    assert standing(person, metric) == (0, 2)
    release(person, other)
    assert commit(person, late).status_code == 200  # there is room again
    assert standing(person, metric) == (2, 0)


def test_an_expired_reservation_can_be_released(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    metric = new_metric(3)
    reservation = reserved(person, metric, "k", 3)
    expire(sql, reservation)
    assert release(person, reservation).status_code == 200
    assert commit(person, reservation).json()["code"] == "reservation_settled"
    assert standing(person, metric) == (0, 0)


def test_a_repeated_key_does_not_make_an_expired_reservation_live(
    person: Person, new_metric: NewMetric, sql: SQL
) -> None:
    metric = new_metric(3)
    reservation = reserved(person, metric, "k", 3)
    expire(sql, reservation)
    assert reserved(person, metric, "k", 3) == reservation
    assert standing(person, metric) == (0, 0)


# ---------------------------------------------------------------- over midnight


def test_what_was_reserved_before_midnight_is_used_on_its_day(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    stay_clear_of_midnight()
    metric = new_metric(3, window="day")
    reservation = reserved(person, metric, "k", 3)
    pass_a_day(sql, person)
    assert commit(person, reservation).status_code == 200
    assert standing(person, metric) == (0, 0)
    ((used,),) = sql.execute("SELECT used FROM quota_usage WHERE metric = %s AND used > 0", [metric]).fetchall()
    assert used == 3


def test_what_expired_before_midnight_is_used_today(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    stay_clear_of_midnight()
    metric = new_metric(3, window="day")
    reservation = reserved(person, metric, "k", 3)
    pass_a_day(sql, person)
    expire(sql, reservation)
    assert commit(person, reservation).status_code == 200
    assert standing(person, metric) == (3, 0)
