"""Using units now: up to the limit, never beyond, and never twice by the same key."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import Person
from tests.quotas.asking import SQL, consume, pass_a_day, quota, reserve, reserved, standing, stay_clear_of_midnight
from tests.quotas.conftest import NewMetric


def test_a_unit_is_used_unless_said_otherwise(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(5)
    answer = person.post(f"/api/quotas/{metric}/consume")
    assert (answer.status_code, answer.json()) == (200, quota(person, metric))
    assert answer.json()["used"] == 1


def test_the_last_unit_can_be_used_and_no_more(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(5)
    assert consume(person, metric, 4).status_code == 200
    assert consume(person, metric, 2).status_code == 429
    assert standing(person, metric) == (4, 0)  # of what does not fit nothing is used
    assert consume(person, metric).json()["can_consume"] is False
    assert consume(person, metric).status_code == 429
    assert standing(person, metric) == (5, 0)


@pytest.mark.parametrize("units", [0, -1, 1_000_001, 10**30, 1.0, 1.5, "1", True, None, [1]])
def test_units_are_counted_in_whole_numbers(person: Person, new_metric: NewMetric, units: object) -> None:
    metric = new_metric(None)
    for path, body in (("consume", {}), ("reserve", {"key": "k"})):
        refused = person.post(f"/api/quotas/{metric}/{path}", {"units": units, **body})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "units")
    assert standing(person, metric) == (0, 0)


@pytest.mark.parametrize("key", ["", "x" * 129, "a\0b", 1, ["k"]])
def test_a_key_is_1_to_128_characters_of_text(person: Person, new_metric: NewMetric, key: object) -> None:
    metric = new_metric(None)
    for path in ("consume", "reserve"):
        refused = person.post(f"/api/quotas/{metric}/{path}", {"key": key})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "key")


# ---------------------------------------------------------------- refused


def test_a_refusal_tells_how_things_stand(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(5)
    consume(person, metric, 2)
    reserved(person, metric, "k", 2)
    for refused in (consume(person, metric, 2), reserve(person, metric, "another", 2)):
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (429, "quota_exceeded")
        facts = {name: problem[name] for name in ("metric", "limit", "used", "reserved", "remaining", "resets_at")}
        assert facts == {
            "metric": metric,
            "limit": 5,
            "used": 2,
            "reserved": 2,
            "remaining": 1,
            "resets_at": None,
        }
        assert refused.headers["ratelimit-policy"] == f'"{metric}";q=5'
        assert refused.headers["ratelimit"] == f'"{metric}";r=0'


def test_waiting_does_not_help_where_no_window_ends(person: Person, new_metric: NewMetric) -> None:
    assert "retry-after" not in consume(person, new_metric(0)).headers


def test_who_waits_as_long_as_told_finds_a_new_day(person: Person, new_metric: NewMetric) -> None:
    stay_clear_of_midnight()
    metric = new_metric(0, window="day")
    refused = consume(person, metric)
    resets_at = datetime.fromisoformat(refused.json()["resets_at"])
    wait = int(refused.headers["retry-after"])
    assert 1 <= wait <= 86_400
    assert datetime.now(UTC) + timedelta(seconds=wait) >= resets_at
    assert refused.headers["ratelimit-policy"] == f'"{metric}";q=0'


# ---------------------------------------------------------------- keys


def test_a_repeated_key_uses_nothing_more(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(5)
    for _ in range(3):
        assert consume(person, metric, 2, key="k").status_code == 200
    assert standing(person, metric) == (2, 0)


def test_a_repeated_key_answers_as_the_first_time_at_the_limit_too(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(3)
    consume(person, metric, 2, key="k")
    consume(person, metric)
    again = consume(person, metric, 2, key="k")
    assert (again.status_code, again.json()["used"]) == (200, 3)
    assert consume(person, metric, 1, key="new").status_code == 429


def test_a_refused_key_is_not_spent(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    metric = new_metric(1)
    assert consume(person, metric, 2, key="k").status_code == 429
    sql.execute("UPDATE quota_limits SET units = 2 WHERE metric = %s", [metric])
    assert consume(person, metric, 2, key="k").status_code == 200
    assert standing(person, metric) == (2, 0)


def test_a_key_stands_for_one_request(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(9)
    consume(person, metric, 2, key="consumption")
    reserved(person, metric, "reservation", 2)
    for refused in (
        consume(person, metric, 3, key="consumption"),
        consume(person, metric, 2, key="reservation"),
        reserve(person, metric, "reservation", 3),
        reserve(person, metric, "consumption", 2),
    ):
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert standing(person, metric) == (2, 2)


def test_a_key_is_its_users_and_its_metrics_own(new_person: Callable[..., Person], new_metric: NewMetric) -> None:
    one, other, metric, another = new_person(), new_person(), new_metric(5), new_metric(5)
    consume(one, metric, 1, key="k")
    assert consume(one, another, 2, key="k").json()["used"] == 2
    assert consume(other, metric, 3, key="k").json()["used"] == 3


@pytest.mark.parametrize("key", ["'; DROP TABLE users;--", "$1", "%s", "%(key)s", "\\", "\\'", "\n", "🔑", "x" * 128])
def test_a_key_may_be_any_text(person: Person, new_metric: NewMetric, key: str) -> None:
    metric = new_metric(5)
    for _ in range(2):
        assert consume(person, metric, key=key).json()["used"] == 1


# ---------------------------------------------------------------- days


def test_what_was_used_yesterday_does_not_count_today(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    stay_clear_of_midnight()
    metric = new_metric(3, window="day")
    consume(person, metric, 2)
    reserved(person, metric, "k", 1)
    assert consume(person, metric).status_code == 429
    pass_a_day(sql, person)
    assert standing(person, metric) == (0, 0)
    assert consume(person, metric, 3).status_code == 200
    assert standing(person, metric) == (3, 0)


def test_a_lifetime_has_no_yesterday(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    metric = new_metric(1)
    consume(person, metric)
    sql.execute("UPDATE quota_entries SET created_at = created_at - interval '400 days' WHERE metric = %s", [metric])
    assert consume(person, metric).status_code == 429


def test_yesterdays_key_answers_today_and_uses_nothing(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    stay_clear_of_midnight()
    metric = new_metric(3, window="day")
    consume(person, metric, 3, key="k")
    pass_a_day(sql, person)
    again = consume(person, metric, 3, key="k")
    assert (again.status_code, again.json()["used"]) == (200, 0)
