"""Reading quotas: what one may use, what was used, what is left."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import Person
from tests.quotas.asking import SQL, consume, quota, reserved, stay_clear_of_midnight
from tests.quotas.conftest import NewMetric

SEEDED = {
    "exports": (5, "day"),
    "job_searches": (50, "day"),
    "resume_uploads": (10, "lifetime"),
    "sheet_syncs": (20, "day"),
}


def promote(sql: SQL, person: Person) -> None:
    sql.execute("UPDATE users SET role = 'admin' WHERE id = %s", [person.id])


@pytest.mark.parametrize("role", ["user", "admin"])
def test_everybody_begins_with_these(person: Person, sql: SQL, role: str) -> None:
    if role == "admin":
        promote(sql, person)
    items = person.get("/api/quotas").json()["items"]
    assert [item["metric"] for item in items] == list(SEEDED)
    assert {item["metric"]: (item["limit"], item["window"]) for item in items} == SEEDED
    for item in items:
        assert (item["used"], item["reserved"], item["remaining"], item["percentage"]) == (0, 0, item["limit"], 0)
        assert item["can_consume"] is True
        assert item == quota(person, item["metric"])


def test_used_and_reserved_count_together(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(8)
    consume(person, metric, 3)
    reserved(person, metric, "k", 2)
    assert quota(person, metric) == {
        "metric": metric,
        "limit": 8,
        "used": 3,
        "reserved": 2,
        "remaining": 3,
        "percentage": 62.5,
        "window": "lifetime",
        "resets_at": None,
        "can_consume": True,
    }


def test_a_percentage_has_one_decimal(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(3)
    consume(person, metric)
    assert quota(person, metric)["percentage"] == 33.3


def test_at_the_limit_nothing_can_be_consumed(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(2)
    consume(person, metric)
    reserved(person, metric, "k")
    state = quota(person, metric)
    assert (state["remaining"], state["percentage"], state["can_consume"]) == (0, 100, False)


def test_a_limit_lowered_below_what_is_used_leaves_nothing_and_not_less(
    person: Person, new_metric: NewMetric, sql: SQL
) -> None:
    metric = new_metric(4)
    consume(person, metric, 4)
    sql.execute("UPDATE quota_limits SET units = 2 WHERE metric = %s", [metric])
    state = quota(person, metric)
    assert (state["used"], state["remaining"], state["percentage"], state["can_consume"]) == (4, 0, 200, False)
    assert consume(person, metric).status_code == 429


def test_no_limit_is_as_much_as_one_likes(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(None)
    assert consume(person, metric, 1_000_000).status_code == 200
    reserved(person, metric, "k", 1_000_000)
    state = quota(person, metric)
    assert (state["limit"], state["remaining"], state["percentage"]) == (None, None, None)
    assert (state["used"], state["reserved"], state["can_consume"]) == (1_000_000, 1_000_000, True)


def test_a_limit_of_nothing_allows_nothing(person: Person, new_metric: NewMetric) -> None:
    metric = new_metric(0)
    state = quota(person, metric)
    assert (state["limit"], state["remaining"], state["percentage"], state["can_consume"]) == (0, 0, None, False)
    assert consume(person, metric).status_code == 429


def test_a_day_ends_at_midnight_utc(person: Person) -> None:
    stay_clear_of_midnight()
    resets_at = datetime.fromisoformat(quota(person, "exports")["resets_at"])
    now = datetime.now(UTC)
    assert resets_at == now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def test_each_role_has_its_own_limit(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    metric = new_metric(1, roles=("user",))
    sql.execute("INSERT INTO quota_limits VALUES (%s, 'admin', 3, 'lifetime')", [metric])
    assert quota(person, metric)["limit"] == 1
    promote(sql, person)  # the role that counts is the present one, whatever the token says
    assert quota(person, metric)["limit"] == 3
    assert consume(person, metric, 3).status_code == 200


def test_a_metric_of_another_role_is_not_there(person: Person, new_metric: NewMetric, sql: SQL) -> None:
    metric = new_metric(5, roles=("admin",))
    assert person.get(f"/api/quotas/{metric}").status_code == 404
    assert metric not in {item["metric"] for item in person.get("/api/quotas").json()["items"]}
    assert consume(person, metric).status_code == 404
    promote(sql, person)
    assert quota(person, metric)["limit"] == 5


def test_everybody_uses_their_own(new_person: Callable[..., Person], new_metric: NewMetric) -> None:
    metric, one, other = new_metric(2), new_person(), new_person()
    consume(one, metric)
    reserved(one, metric, "k")
    assert (quota(one, metric)["remaining"], quota(other, metric)["remaining"]) == (0, 2)


@pytest.mark.parametrize("metric", ["nothing", "Exports", "reservations", "'; DROP TABLE users;--", "%", "ü"])
def test_an_unknown_metric_is_not_found(person: Person, metric: str) -> None:
    for response in (
        person.get(f"/api/quotas/{metric}"),
        consume(person, metric),
        consume(person, metric, key="k"),
    ):
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    refused = person.post(f"/api/quotas/{metric}/reserve", {"key": "k"})
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
