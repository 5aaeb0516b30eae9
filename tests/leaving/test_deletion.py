"""The end of an account: seven days to think again, and then nothing is left but that there was one."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from shared import connections, db, leaving
from shared.leaving import queries, service
from shared.leaving.queries import HOLDINGS
from tests.conftest import PASSWORD, Client, Person
from tests.leaving.conftest import Sql, rows_of, tables


@pytest.fixture
def fire(app_url: str) -> Callable[[], None]:
    """Fires the timer that takes accounts apart."""

    def fire() -> None:
        answer = httpx.post(f"{app_url}/_local/timers/erase_deleted_accounts", timeout=60)
        assert (answer.status_code, answer.json()) == (200, None)

    return fire


def leave(person: Person) -> datetime:
    answer = person.delete("/api/account")
    assert answer.status_code == 202, answer.text
    return datetime.fromisoformat(answer.json()["deletion_due_at"])


def pass_days(sql: Sql, person: Person, days: float) -> None:
    sql.execute(
        "UPDATE users SET deletion_due_at = deletion_due_at - make_interval(hours => %s) WHERE id = %s",
        [int(days * 24), person.id],
    )


def log_in(person: Client, email: str) -> httpx.Response:
    return person.post("/api/auth/login", {"email": email, "password": PASSWORD})


# ---------------------------------------------------------------- seven days


def test_an_account_goes_seven_days_after_it_was_asked_for(ada: Person) -> None:
    due = leave(ada)
    assert abs(due - datetime.now(UTC) - timedelta(days=7)) < timedelta(minutes=1)
    assert datetime.fromisoformat(ada.get("/api/profile").json()["deletion_due_at"]) == due


def test_asking_again_does_not_move_the_day(ada: Person) -> None:
    assert leave(ada) == leave(ada)


def test_every_other_session_ends_and_this_one_can_take_it_back(ada: Person, new_person: Any) -> None:
    other = log_in(ada, ada.email).json()
    leave(ada)
    assert ada.post("/api/auth/refresh", {"refresh_token": other["refresh_token"]}).status_code == 401
    assert ada.post("/api/account/restore").status_code == 204
    assert ada.get("/api/profile").json()["deletion_due_at"] is None


def test_one_can_sign_in_to_take_it_back(ada: Person, sql: Sql) -> None:
    leave(ada)
    pass_days(sql, ada, 6.9)
    answer = log_in(ada, ada.email)
    assert answer.json()["user"]["deletion_due_at"] is not None
    ada.bear(answer.json())
    assert ada.post("/api/account/restore").status_code == 204


def test_what_was_taken_back_stays_whole(ada: Person, sql: Sql, fire: Callable[[], None]) -> None:
    leave(ada)
    ada.post("/api/account/restore")
    before = ada.get("/api/applications").json()
    pass_days(sql, ada, 8)
    fire()
    assert ada.get("/api/applications").json() == before


def test_there_is_nothing_to_take_back_for_somebody_who_stays(ada: Person) -> None:
    answer = ada.post("/api/account/restore")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_deletion_pending")


def test_before_its_day_nothing_goes(ada: Person, sql: Sql, fire: Callable[[], None]) -> None:
    leave(ada)
    pass_days(sql, ada, 6.9)
    before = rows_of(sql, ada.id)
    fire()
    assert rows_of(sql, ada.id) == before


def test_the_owner_is_told_each_time(ada: Person, sql: Sql, fire: Callable[[], None]) -> None:
    def told(recipient: str) -> list[str]:
        found = sql.execute("SELECT template FROM mail_outbox WHERE recipient = %s ORDER BY id", [recipient])
        return [template for (template,) in found]

    leave(ada)
    ada.post("/api/account/restore")
    leave(ada)
    assert told(ada.email)[-3:] == [
        "account_deletion_requested",
        "account_deletion_cancelled",
        "account_deletion_requested",
    ]
    pass_days(sql, ada, 8)
    fire()
    assert told(ada.email) == ["account_deleted"]


def test_an_administrator_hands_the_role_over_first(ada: Person, sql: Sql, fire: Callable[[], None]) -> None:
    """So the last one cannot leave; nor does one go who became one after having asked."""
    sql.execute("UPDATE users SET role = 'admin' WHERE id = %s", [ada.id])
    answer = ada.delete("/api/account")
    assert (answer.status_code, answer.json()["code"]) == (409, "admin_cannot_leave")
    sql.execute("UPDATE users SET deletion_due_at = now() WHERE id = %s", [ada.id])
    fire()
    assert ada.get("/api/profile").status_code == 200


# ---------------------------------------------------------------- the end


def test_nothing_is_left_but_that_there_was_an_account(
    ada: Person, new_person: Callable[..., Person], sql: Sql, fire: Callable[[], None]
) -> None:
    bob = new_person(first_name="Bob")
    bob.create_application()
    others = rows_of(sql, bob.id)
    leave(ada)
    pass_days(sql, ada, 7)
    fire()
    assert rows_of(sql, ada.id) == {}
    assert rows_of(sql, bob.id) == others
    left = mentions(sql, ada, ["mail_outbox"])
    assert left.keys() == {"audit_events"}
    (tombstone,) = left["audit_events"]
    assert tombstone["event"] == "account_forgotten"
    assert (tombstone["ip"], tombstone["user_agent"], tombstone["session_id"]) == (None, None, None)


def mentions(sql: Sql, person: Person, but: list[str]) -> dict[str, list[Any]]:
    """The rows of any table that name somebody, by id or by address, wherever it stands in them."""
    found = {}
    everywhere = sql.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    for (table,) in everywhere.fetchall():
        if table not in but:
            rows = sql.execute(f'SELECT to_jsonb(t) FROM "{table}" t').fetchall()
            found[table] = [row for (row,) in rows if person.id in json.dumps(row) or person.email in json.dumps(row)]
    return {table: rows for table, rows in found.items() if rows}


def test_the_last_mail_is_the_only_thing_that_still_knows_the_address_and_it_is_purged_when_sent(
    ada: Person, sql: Sql, fire: Callable[[], None], app_url: str
) -> None:
    leave(ada)
    pass_days(sql, ada, 7)
    fire()
    sql.execute(
        "UPDATE mail_outbox SET state = 'sent', sealed = NULL, settled_at = now() WHERE recipient = %s", [ada.email]
    )
    assert httpx.post(f"{app_url}/_local/timers/purge_expired_sessions", timeout=60).status_code == 200
    assert mentions(sql, ada, []).keys() == {"audit_events"}


def test_its_address_is_free_again(ada: Person, sql: Sql, fire: Callable[[], None], client: Client) -> None:
    leave(ada)
    pass_days(sql, ada, 7)
    fire()
    registered = client.post("/api/auth/register", {"email": ada.email, "password": PASSWORD})
    assert registered.status_code == 201
    assert registered.json()["user"]["id"] != ada.id


def test_from_its_day_on_nobody_gets_in_even_if_the_timer_dies_in_between(ada: Person, sql: Sql) -> None:
    leave(ada)
    pass_days(sql, ada, 7)
    run(queries.SHUT)
    assert ada.get("/api/profile").status_code == 401
    assert log_in(ada, ada.email).status_code == 401
    assert ada.post("/api/account/restore").status_code == 401


def run(statement: bytes, **params: Any) -> Any:
    async def once() -> Any:
        try:
            return await db.as_service().write(statement, **params)
        finally:
            for connection in connections.pool()._idle:
                await connection.close()

    return in_a_pool_of_its_own(once)


def in_a_pool_of_its_own(errand: Callable[[], Any]) -> Any:
    apps_pool, connections._present = connections._present, None
    try:
        return asyncio.run(errand())
    finally:
        connections._present = apps_pool


# ---------------------------------------------------------------- step by step


def test_it_can_stop_after_any_step_and_go_on_later(
    ada: Person, sql: Sql, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    """The process dies after its first statement, then after its second, and so on, until one run comes to the end."""
    monkeypatch.setenv("MAIL_AT_ONCE", "false")
    leave(ada)
    pass_days(sql, ada, 7)
    for patience in range(100):

        async def mortal(allowed: int = patience) -> int:
            door = db.Door.write
            left = allowed

            async def write(self: db.Door, *args: Any, **params: Any) -> Any:
                nonlocal left
                if left == 0:
                    raise KeyboardInterrupt
                left -= 1
                return await door(self, *args, **params)

            with monkeypatch.context() as patched:
                patched.setattr(db.Door, "write", write)
                return await leaving.erase(batch=1)

        try:
            in_a_pool_of_its_own(mortal)
        except KeyboardInterrupt:
            continue
        break
    assert patience > len(queries.BITES)
    assert rows_of(sql, ada.id) == {}


def test_a_run_without_time_leaves_the_rest_to_the_next(ada: Person, sql: Sql) -> None:
    leave(ada)
    pass_days(sql, ada, 7)
    assert in_a_pool_of_its_own(lambda: service.erase(budget=0)) == 0
    assert rows_of(sql, ada.id)["applications"] == 4


# ---------------------------------------------------------------- declared


def test_every_table_with_rows_of_people_is_declared_and_no_other(sql: Sql) -> None:
    assert sorted(holding.table for holding in HOLDINGS) == sorted(tables(sql))
