"""Idempotency-Key: a create that is sent again makes nothing new, whatever became of the first answer."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.conftest import Person
from tests.processes import AppProcess, eventually

DRAFT: dict[str, Any] = {"company": "Contoso", "position": "Engineer"}
FACTS = ("location", "etag", "content-type", "cache-control")
HOLD = "SELECT pg_advisory_xact_lock(hashtextextended(%s || %s, 0))"
"""What a create with this key does first, and holds to its end."""


def create(person: Person, key: str, draft: dict[str, Any] = DRAFT) -> httpx.Response:
    return person.post("/api/applications", draft, headers={"Idempotency-Key": key})


def applications_of(person: Person) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = person.get("/api/applications").json()["items"]
    return items


def test_a_retry_gets_the_first_answer_and_makes_nothing_new(person: Person) -> None:
    first, again, once_more = (create(person, "a key") for _ in range(3))
    assert (first.status_code, first.headers.get("idempotency-replayed")) == (201, None)
    for replay in (again, once_more):
        assert (replay.status_code, replay.headers["idempotency-replayed"]) == (201, "true")
        assert replay.content == first.content
        assert [replay.headers[name] for name in FACTS] == [first.headers[name] for name in FACTS]
    assert applications_of(person) == [first.json()]


def test_each_answer_has_a_request_id_of_its_own(person: Person) -> None:
    assert create(person, "k").headers["x-request-id"] != create(person, "k").headers["x-request-id"]


def test_the_first_answer_is_given_again_whatever_happened_since(person: Person) -> None:
    first = create(person, "k")
    person.patch(first.headers["location"], {"company": "Fabrikam"})
    assert create(person, "k").content == first.content
    person.delete(first.headers["location"])
    replayed = create(person, "k")
    assert (replayed.status_code, replayed.content) == (201, first.content)
    assert applications_of(person) == []


def test_a_retry_may_spell_its_json_another_way(person: Person) -> None:
    first = create(person, "k", DRAFT | {"notes": "ü"})
    spelled = b'{ "notes" : "\\u00fc", "position": "Engineer",\n"company": "Contoso" }'
    again = person.post(
        "/api/applications", content=spelled, headers={"Idempotency-Key": "k", "Content-Type": "application/json"}
    )
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")


@pytest.mark.parametrize("other", [{"company": "Fabrikam"}, {"notes": ""}, {"status": "applied"}, {"salary_min": None}])
def test_a_key_stands_for_one_request(person: Person, other: dict[str, Any]) -> None:
    first = create(person, "k", DRAFT | {"notes": "x"})
    refused = create(person, "k", DRAFT | {"notes": "x"} | other)
    if other == {"salary_min": None}:  # which says nothing that was not said before
        assert refused.content == first.content
    else:
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert applications_of(person) == [first.json()]


def test_a_key_is_its_users_own(new_person: Callable[..., Person]) -> None:
    one, other = new_person(), new_person()
    hers, his = create(one, "k"), create(other, "k", DRAFT | {"company": "Fabrikam"})
    assert (hers.status_code, his.status_code) == (201, 201)
    assert "idempotency-replayed" not in his.headers
    assert (applications_of(one), applications_of(other)) == ([hers.json()], [his.json()])


def test_other_keys_make_other_rows(person: Person) -> None:
    keys = ("k", "K", "k k", "'; DROP TABLE users;--", "%s", "%(a)s", "$1", "\\", "\\'", "x" * 128, "x" * 127)
    created = {key: create(person, key).json()["id"] for key in keys}
    assert len(set(created.values())) == len(applications_of(person)) == len(keys)
    assert {key: create(person, key).json()["id"] for key in keys} == created


def test_without_a_key_every_create_makes_a_row(person: Person) -> None:
    assert len({person.post("/api/applications", DRAFT).json()["id"] for _ in range(2)}) == 2


@pytest.mark.parametrize("key", ["", "x" * 129, "x" * 5000, "a	b"], ids=["empty", "129", "5000", "tab"])
def test_a_key_that_is_none_is_refused(person: Person, key: str) -> None:
    refused = create(person, key)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert applications_of(person) == []


def test_a_refused_create_does_not_spend_its_key(person: Person) -> None:
    assert create(person, "k", {"company": "Contoso"}).status_code == 422
    assert create(person, "k", DRAFT | {"salary_min": 1}).status_code == 422
    made = create(person, "k")
    assert (made.status_code, made.headers.get("idempotency-replayed")) == (201, None)


def test_after_a_day_a_key_is_free_again(person: Person, sql: psycopg.Connection[Any]) -> None:
    first = create(person, "k").json()
    age(sql, person, "23 hours 59 minutes")
    assert create(person, "k").json() == first
    age(sql, person, "24 hours")
    other = create(person, "k", DRAFT | {"company": "Fabrikam"})
    assert (other.status_code, other.headers.get("idempotency-replayed")) == (201, None)
    assert create(person, "k", DRAFT | {"company": "Fabrikam"}).json() == other.json()
    assert {item["id"] for item in applications_of(person)} == {first["id"], other.json()["id"]}


def age(sql: psycopg.Connection[Any], person: Person, by: str) -> None:
    sql.execute(
        "UPDATE idempotency_keys SET created_at = now() - %s::interval WHERE user_id = %s AND key = 'k'",
        [by, person.id],
    )


# ---------------------------------------------------------------- at the same time


def test_of_sixteen_at_once_one_makes_the_row(person: Person) -> None:
    for round_ in range(3):
        key = f"round {round_}"
        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(lambda _, key=key: create(person, key), range(16)))
        made = {answer.content for answer in answers if answer.status_code == 201}
        refused = [answer for answer in answers if answer.status_code != 201]
        assert len(made) == 1
        assert {(answer.status_code, answer.json()["code"]) for answer in refused} <= {(409, "idempotency_in_flight")}
        first = [a for a in answers if a.status_code == 201 and "idempotency-replayed" not in a.headers]
        assert len(first) == 1
        assert len(applications_of(person)) == round_ + 1


def test_while_the_first_is_running_a_retry_is_told_to_wait(person: Person, sql: psycopg.Connection[Any]) -> None:
    with sql.transaction():
        sql.execute(HOLD, [person.id, "k"])
        refused = create(person, "k")
        assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_in_flight")
        assert int(refused.headers["retry-after"]) >= 1
        assert create(person, "another key").status_code == 201
    assert create(person, "k").status_code == 201
    assert len(applications_of(person)) == 2


def test_somebody_elses_running_create_is_no_reason_to_wait(
    new_person: Callable[..., Person], sql: psycopg.Connection[Any]
) -> None:
    one, other = new_person(), new_person()
    with sql.transaction():
        sql.execute(HOLD, [one.id, "k"])
        assert create(other, "k").status_code == 201


# ---------------------------------------------------------------- crashes


def stop_in_the_middle(sql: psycopg.Connection[Any], person: Person) -> None:
    """From here to the end of the transaction a create with the key ``k`` waits: after its row, before its key."""
    sql.execute(
        """
        INSERT INTO idempotency_keys (user_id, key, fingerprint, answer_id, answer_version, answer)
        VALUES (%s, 'k', '', %s, 1, '')
        """,
        [person.id, uuid4()],
    )


def waiting(sql: psycopg.Connection[Any]) -> list[int]:
    """The backends that wait for this one."""
    rows = sql.execute("SELECT pid FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
    return [pid for (pid,) in rows]


def test_a_database_connection_that_dies_in_the_middle_leaves_nothing_half_done(
    person: Person, sql: psycopg.Connection[Any]
) -> None:
    with ThreadPoolExecutor(1) as thread:
        with sql.transaction(force_rollback=True):
            stop_in_the_middle(sql, person)
            answer = thread.submit(create, person, "k")
            eventually(lambda: bool(waiting(sql)), within=4)
            for pid in waiting(sql):
                sql.execute("SELECT pg_terminate_backend(%s)", [pid])
            lost = answer.result()
        assert (lost.status_code, lost.json()["code"]) == (503, "database_unavailable")
    assert applications_of(person) == []
    assert create(person, "k").status_code == 201
    assert len(applications_of(person)) == 1


def test_a_process_that_is_killed_in_the_middle_leaves_all_or_nothing(
    new_person: Callable[..., Person], process: AppProcess, sql: psycopg.Connection[Any]
) -> None:
    victim = new_person(process.url)
    with ThreadPoolExecutor(1) as thread:
        with sql.transaction(force_rollback=True):
            stop_in_the_middle(sql, victim)
            answer = thread.submit(create, victim, "k")
            eventually(lambda: bool(waiting(sql)), within=4)
            process.kill()
        with pytest.raises(httpx.HTTPError):
            answer.result()
    survivor = new_person()
    survivor.bear(victim.tokens)

    def is_answered() -> bool:  # the server finishes what it was told to do, or not; then it lets go of the key
        return create(survivor, "k").status_code == 201

    eventually(is_answered)
    (kept,) = applications_of(survivor)
    assert create(survivor, "k").json() == kept


def test_what_is_kept_for_a_retry_is_what_was_answered(person: Person, sql: psycopg.Connection[Any]) -> None:
    answered = create(person, "k")
    ((kept,),) = sql.execute("SELECT answer FROM idempotency_keys WHERE user_id = %s", [person.id]).fetchall()
    assert json.loads(kept) == answered.json()
