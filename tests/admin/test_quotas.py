"""Quotas granted by hand: they hold at once, for the one they were granted to, and never for more."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.admin.conftest import events
from tests.conftest import Person
from tests.quotas.asking import consume, quota, reserve, standing

Sql = psycopg.Connection[Any]
METRIC = "exports"  # five a day


def grant(admin: Person, person: Person, units: int | None, *, reason: str = "a good cause") -> Any:
    answer = admin("PUT", f"/api/admin/users/{person.id}/quotas/{METRIC}", {"units": units, "reason": reason})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_grant_holds_at_once_and_for_nobody_else(admin: Person, new_person: Callable[..., Person], sql: Sql) -> None:
    ada, bob = new_person(), new_person()
    shown = grant(admin, ada, 7)
    assert (shown["limit"], shown["remaining"]) == (7, 7)
    assert {**shown["override"], "created_at": ""} == {
        "units": 7,
        "reason": "a good cause",
        "granted_by": admin.id,
        "created_at": "",
    }
    assert (quota(ada, METRIC)["limit"], quota(bob, METRIC)["limit"]) == (7, 5)
    assert events(sql, ada)[-1] == (
        "quota_granted",
        True,
        admin.id,
        {"metric": METRIC, "units": "7", "reason": "a good cause"},
    )


def test_a_later_grant_replaces_the_first(admin: Person, person: Person) -> None:
    grant(admin, person, 7)
    assert grant(admin, person, 2, reason="too much")["override"]["reason"] == "too much"
    assert [item["limit"] for item in person.get("/api/quotas").json()["items"] if item["metric"] == METRIC] == [2]


def test_less_than_was_used_already_leaves_nothing(admin: Person, person: Person) -> None:
    consume(person, METRIC, 3)
    shown = grant(admin, person, 2)
    assert (shown["used"], shown["remaining"], shown["can_consume"]) == (3, 0, False)
    assert consume(person, METRIC).status_code == 429
    assert standing(person, METRIC) == (3, 0)


def test_nothing_and_no_limit_are_grants_too(admin: Person, person: Person) -> None:
    grant(admin, person, 0)
    assert consume(person, METRIC).status_code == 429
    assert reserve(person, METRIC, "k").status_code == 429
    shown = grant(admin, person, None)
    assert (shown["limit"], shown["remaining"], shown["percentage"]) == (None, None, None)
    assert shown["override"]["units"] is None
    assert consume(person, METRIC, 1000).status_code == 200


def test_without_the_grant_the_roles_limit_holds_again(admin: Person, person: Person, sql: Sql) -> None:
    grant(admin, person, 7)
    path = f"/api/admin/users/{person.id}/quotas/{METRIC}"
    assert admin.delete(path).status_code == 204
    assert quota(person, METRIC)["limit"] == 5
    assert events(sql, person)[-1] == ("quota_restored", True, admin.id, {"metric": METRIC})
    assert admin.delete(path).status_code == 404


def test_there_is_no_grant_of_what_there_is_not(admin: Person, person: Person) -> None:
    path = f"/api/admin/users/{person.id}/quotas/nothing"
    assert admin("PUT", path, {"units": 1, "reason": "because"}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"units": 1},
        {"reason": "because"},
        {"units": -1, "reason": "x"},
        {"units": 1, "reason": " "},
        {"units": "1"},
    ],
)
def test_a_grant_needs_a_number_and_a_reason(body: dict[str, Any], admin: Person, person: Person) -> None:
    assert admin("PUT", f"/api/admin/users/{person.id}/quotas/{METRIC}", body).status_code == 422


def test_many_at_once_use_no_more_than_was_granted(admin: Person, person: Person) -> None:
    grant(admin, person, 13)
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda _: consume(person, METRIC).status_code, range(30)))
    assert (statuses.count(200), statuses.count(429)) == (13, 17)
    assert standing(person, METRIC) == (13, 0)


def test_raised_and_lowered_while_it_is_used_it_is_never_beyond_the_greatest_of_them(
    admin: Person, person: Person
) -> None:
    grant(admin, person, 4)
    with ThreadPoolExecutor(8) as threads:
        changes = [threads.submit(grant, admin, person, units) for units in (9, 6, 9, 6)]
        uses = list(threads.map(lambda _: consume(person, METRIC).status_code, range(30)))
        for change in changes:
            change.result(20)
    assert standing(person, METRIC)[0] == uses.count(200) <= 9


def test_its_owner_cannot_read_who_granted_it_nor_why(admin: Person, person: Person, sql: Sql) -> None:
    grant(admin, person, 7)
    with sql.transaction(force_rollback=True):
        sql.execute("SELECT set_config('app.user_id', %s, true)", [person.id])
        sql.execute("SET LOCAL ROLE tenant")
        assert sql.execute("SELECT units FROM quota_overrides").fetchall() == [(7,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            sql.execute("SELECT reason FROM quota_overrides")
