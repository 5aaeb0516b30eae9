"""The purge: what is over goes, what is not stays, in bites, and any number of purges may run at once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, LiteralString
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg import sql as composed

from tests.conftest import Person
from tests.retention.conftest import Purged

SQL = psycopg.Connection[Any]
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Table:
    """How to put rows that have been over for so long (or, if negative, are not yet) into a table, and to find them."""

    name: str
    put: LiteralString
    find: LiteralString


TABLES = [
    Table(
        "sessions",
        """
        INSERT INTO sessions (user_id, device_name, idle_expires_at, absolute_expires_at)
        SELECT %(owner)s, 'put here', now() - %(over)s, now() + interval '1 day' FROM generate_series(1, %(rows)s)
        """,
        "SELECT ctid FROM sessions WHERE user_id = %(owner)s AND device_name = 'put here'",
    ),
    Table(
        "idempotency_keys",
        """
        INSERT INTO idempotency_keys (user_id, key, fingerprint, answer_id, answer_version, answer, created_at)
        SELECT %(owner)s, gen_random_uuid()::text, '', gen_random_uuid(), 1, '{}',
               now() - interval '24 hours' - %(over)s
        FROM generate_series(1, %(rows)s)
        """,
        "SELECT ctid FROM idempotency_keys WHERE user_id = %(owner)s",
    ),
    Table(
        "quota_entries",
        """
        INSERT INTO quota_entries (user_id, metric, key, kind, units, state, window_start, created_at, expires_at)
        SELECT %(owner)s, 'exports', gen_random_uuid()::text, 'reservation', 1, 'reserved', now() - interval '40 days',
               now() - interval '31 days' - %(over)s, now() - interval '30 days' - %(over)s
        FROM generate_series(1, %(rows)s)
        """,
        "SELECT ctid FROM quota_entries WHERE user_id = %(owner)s",
    ),
    Table(
        "mail_outbox",
        """
        INSERT INTO mail_outbox (user_id, recipient, template, state, settled_at)
        SELECT %(owner)s, 'ada@example.com', 'password_changed', state,
               now() - CASE state WHEN 'sent' THEN interval '30 days' ELSE interval '90 days' END - %(over)s
        FROM generate_series(1, %(rows)s) AS n,
             LATERAL (SELECT CASE n %% 2 WHEN 0 THEN 'sent' ELSE 'dead' END AS state) AS made
        """,
        "SELECT ctid FROM mail_outbox WHERE user_id = %(owner)s AND recipient = 'ada@example.com'",
    ),
    Table(
        "reminders_sent",
        """
        INSERT INTO reminders_sent (user_id, thing_id, due_at)
        SELECT %(owner)s, gen_random_uuid(), now() - interval '7 days' - %(over)s FROM generate_series(1, %(rows)s)
        """,
        "SELECT ctid FROM reminders_sent WHERE user_id = %(owner)s",
    ),
    Table(
        "challenges",
        """
        INSERT INTO challenges (digest, kind, user_id, expires_at)
        SELECT uuid_send(gen_random_uuid()), 'sign_in', %(owner)s, now() - %(over)s FROM generate_series(1, %(rows)s)
        """,
        "SELECT ctid FROM challenges WHERE user_id = %(owner)s",
    ),
    Table(
        "totp",
        """
        WITH somebody AS (
            INSERT INTO users (email, company)
            SELECT gen_random_uuid() || '@example.com', %(owner)s::text FROM generate_series(1, %(rows)s) RETURNING id
        )
        INSERT INTO totp (user_id, offered, offered_at)
        SELECT id, '', now() - interval '1 hour' - %(over)s FROM somebody
        """,
        "SELECT t.ctid FROM totp t JOIN users u ON u.id = t.user_id WHERE u.company = %(owner)s::text",
    ),
    Table(
        "personal_access_tokens",
        """
        INSERT INTO personal_access_tokens (user_id, digest, name, scopes, expires_at, revoked_at)
        SELECT %(owner)s, sha256(uuid_send(gen_random_uuid())), 'put here', '{profile:read}',
               now() + make_interval(days => CASE n %% 2 WHEN 0 THEN 1 ELSE -30 END) - (n %% 2) * %(over)s,
               CASE n %% 2 WHEN 0 THEN now() - interval '30 days' - %(over)s END
        FROM generate_series(1, %(rows)s) AS n
        """,
        "SELECT ctid FROM personal_access_tokens WHERE user_id = %(owner)s",
    ),
    Table(
        "one_time_tokens",
        """
        INSERT INTO one_time_tokens (digest, user_id, purpose, email, expires_at)
        SELECT uuid_send(gen_random_uuid()), %(owner)s, 'verify_email', 'ada@example.com', now() - %(over)s
        FROM generate_series(1, %(rows)s)
        """,
        "SELECT ctid FROM one_time_tokens WHERE user_id = %(owner)s AND email = 'ada@example.com'",
    ),
    Table(
        "shares",
        """
        INSERT INTO shares (user_id, digest, name, covers_all, is_anonymous, expires_at)
        SELECT %(owner)s, sha256(uuid_send(gen_random_uuid())), 'put here', true, false, now() - %(over)s
        FROM generate_series(1, %(rows)s)
        """,
        "SELECT ctid FROM shares WHERE user_id = %(owner)s",
    ),
    Table(
        "audit_events",
        """
        WITH chain AS (
            INSERT INTO audit_chains AS c (user_id, length, head) VALUES (md5(%(owner)s::text)::uuid, %(rows)s, '')
            ON CONFLICT (user_id) DO UPDATE SET length = c.length + excluded.length RETURNING user_id, length
        )
        INSERT INTO audit_events (user_id, place, event, succeeded, facts, created_at, digest)
        SELECT user_id, length - n + 1, 'tested', true, '{}', now() - interval '730 days' - %(over)s, ''
        FROM chain, generate_series(1, %(rows)s) AS n
        """,
        # The last ones first: what is held at the front of a chain holds all after it.
        "SELECT ctid FROM audit_events WHERE user_id = md5(%(owner)s::text)::uuid ORDER BY place DESC",
    ),
    Table(
        "trash",
        """
        INSERT INTO trash (id, user_id, kind, title, content, deleted_at)
        SELECT uuid7(), %(owner)s, 'notes', '', '[]', now() - interval '30 days' - %(over)s
        FROM generate_series(1, %(rows)s)
        """,
        "SELECT ctid FROM trash WHERE user_id = %(owner)s",
    ),
    Table(
        "rate_limits",
        """
        INSERT INTO rate_limits (bucket, hits, reset_at)
        SELECT uuid_send(%(owner)s) || uuid_send(gen_random_uuid()), 1, now() - %(over)s
        FROM generate_series(1, %(rows)s)
        """,
        "SELECT ctid FROM rate_limits WHERE substr(bucket, 1, 16) = uuid_send(%(owner)s)",
    ),
]
every_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


def put(sql: SQL, table: Table, owner: Person, over: timedelta, rows: int = 1) -> None:
    sql.execute(table.put, {"owner": UUID(owner.id), "over": over, "rows": rows})


def left(sql: SQL, table: Table, owner: Person) -> int:
    return len(sql.execute(table.find, {"owner": UUID(owner.id)}).fetchall())


@pytest.fixture(autouse=True)
def fire(app_url: str, sql: SQL) -> Callable[[], None]:
    """Fires the timer; it has fired once, so that nothing of other tests is left to purge, or soon will be."""

    def fire() -> None:
        answer = httpx.post(f"{app_url}/_local/timers/purge_expired_sessions", timeout=60)
        assert (answer.status_code, answer.json()) == (200, None)

    sql.execute("DELETE FROM rate_limits")
    sql.execute("DELETE FROM challenges")
    fire()
    return fire


# ---------------------------------------------------------------- what goes


@every_table
@pytest.mark.parametrize("over", [timedelta(0), MINUTE, timedelta(days=400)])
def test_what_is_over_goes(person: Person, sql: SQL, fire: Callable[[], None], table: Table, over: timedelta) -> None:
    put(sql, table, person, over, rows=3)
    fire()
    assert left(sql, table, person) == 0


@every_table
def test_what_is_not_over_stays(person: Person, sql: SQL, fire: Callable[[], None], table: Table) -> None:
    put(sql, table, person, over=-MINUTE, rows=3)
    fire()
    assert left(sql, table, person) == 3


def test_a_purge_tells_how_many_rows_went(person: Person, sql: SQL, purge: Callable[..., Purged]) -> None:
    for rows, table in enumerate(TABLES):
        put(sql, table, person, over=MINUTE, rows=rows)
        put(sql, table, person, over=-MINUTE, rows=2)
    assert purge() == {table.name: rows for rows, table in enumerate(TABLES)}
    assert [left(sql, table, person) for table in TABLES] == [2] * len(TABLES)


def test_a_session_goes_when_too_old_though_it_is_in_use(person: Person, sql: SQL, fire: Callable[[], None]) -> None:
    sql.execute("UPDATE sessions SET absolute_expires_at = now() WHERE user_id = %s", [person.id])
    fire()
    assert sql.execute("SELECT FROM sessions WHERE user_id = %s", [person.id]).fetchall() == []


@pytest.mark.parametrize(("since", "stays"), [("29 days 23 hours", True), ("30 days", False), ("0 days", True)])
def test_a_revoked_session_is_remembered_for_thirty_days(
    person: Person, sql: SQL, fire: Callable[[], None], since: str, stays: bool
) -> None:
    sql.execute(
        "UPDATE sessions SET revoked_at = now() - %s::interval, revoked_reason = 'logout' WHERE user_id = %s",
        [since, person.id],
    )
    fire()
    assert bool(sql.execute("SELECT FROM sessions WHERE user_id = %s", [person.id]).fetchall()) is stays


def test_an_entry_that_lives_longer_than_it_is_old_stays(person: Person, sql: SQL, fire: Callable[[], None]) -> None:
    (entries,) = (table for table in TABLES if table.name == "quota_entries")
    put(sql, entries, person, over=timedelta(days=9))
    sql.execute("UPDATE quota_entries SET expires_at = now() + interval '1 minute' WHERE user_id = %s", [person.id])
    fire()
    assert left(sql, entries, person) == 1


def test_tokens_of_a_session_that_went_are_told_it_is_over(person: Person, sql: SQL, fire: Callable[[], None]) -> None:
    sql.execute("UPDATE sessions SET idle_expires_at = now() WHERE user_id = %s", [person.id])
    fire()
    refreshed = person.post("/api/auth/refresh", {"refresh_token": person.refresh_token})
    assert (refreshed.status_code, refreshed.json()["code"]) == (401, "session_expired")
    assert person.get("/api/profile").json()["code"] == "session_ended"


def test_what_people_own_and_what_they_used_is_nothing_to_purge(
    person: Person, sql: SQL, fire: Callable[[], None]
) -> None:
    application = person.create_application()
    used = person.post("/api/quotas/resume_uploads/consume", {"units": 3, "key": "k"}).json()
    for statement in (
        "UPDATE users SET created_at = now() - interval '9 years' WHERE id = %s",
        "UPDATE applications SET updated_at = now() - interval '9 years' WHERE user_id = %s",
        "UPDATE quota_entries SET created_at = now() - interval '9 years', expires_at = now() WHERE user_id = %s",
        "UPDATE quota_entries SET expires_at = created_at WHERE user_id = %s",
        """
        SELECT audit_append(jsonb_populate_record(NULL::audit_events, jsonb_build_object(
            'id', uuid7(), 'user_id', %s::uuid, 'event', 'test', 'succeeded', true, 'facts', '{}'::jsonb,
            'created_at', now() - interval '1 year')))
        """,
    ):
        sql.execute(statement, [person.id])
    fire()
    assert person.get(f"/api/applications/{application['id']}").json()["company"] == "Contoso"
    assert sql.execute("SELECT FROM quota_entries WHERE user_id = %s", [person.id]).fetchall() == []
    assert person.get("/api/quotas/resume_uploads").json() == used
    written = sql.execute("SELECT event FROM audit_events WHERE user_id = %s ORDER BY place", [person.id]).fetchall()
    assert written == [("registered",), ("signed_in",), ("test",)]


# ---------------------------------------------------------------- in bites


@pytest.fixture
def bites(sql: SQL) -> Iterator[Callable[..., Callable[[], list[int]]]]:
    """Counts the rows of each statement that deletes from a table, and makes the statement take so many seconds."""

    def watch(table: Table, seconds: float = 0) -> Callable[[], list[int]]:
        sql.execute("CREATE TABLE bites (n serial, rows int)")
        sql.execute(
            """
            CREATE FUNCTION count_bite() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO bites (rows) SELECT count(*) FROM gone;
                PERFORM pg_sleep(TG_ARGV[0]::float);
                RETURN NULL;
            END $$
            """
        )
        sql.execute(
            composed.SQL(
                """
                CREATE TRIGGER count_bite AFTER DELETE ON {} REFERENCING OLD TABLE AS gone
                FOR EACH STATEMENT EXECUTE FUNCTION count_bite({})
                """
            ).format(composed.Identifier(table.name), seconds)
        )
        return lambda: [rows for (rows,) in sql.execute("SELECT rows FROM bites ORDER BY n")]

    yield watch
    sql.execute("DROP FUNCTION IF EXISTS count_bite CASCADE")
    sql.execute("DROP TABLE IF EXISTS bites")


@every_table
def test_no_statement_takes_more_than_a_bite(
    person: Person,
    sql: SQL,
    purge: Callable[..., Purged],
    bites: Callable[..., Callable[[], list[int]]],
    table: Table,
) -> None:
    put(sql, table, person, over=MINUTE, rows=10)
    taken = bites(table)
    assert purge(batch=4)[table.name] == 10
    assert taken() == [4, 4, 2]


def test_tables_of_whole_bites_are_emptied_too(person: Person, sql: SQL, purge: Callable[..., Purged]) -> None:
    for table in TABLES:
        put(sql, table, person, over=MINUTE, rows=8)
    assert purge(batch=4) == {table.name: 8 for table in TABLES}


def test_a_purge_stops_when_its_time_is_up_and_the_next_goes_on(
    person: Person, sql: SQL, purge: Callable[..., Purged], bites: Callable[..., Callable[[], list[int]]]
) -> None:
    sessions = TABLES[0]
    put(sql, sessions, person, over=MINUTE, rows=9)
    taken = bites(sessions, 0.2)
    first = purge(batch=1, budget=0.5)["sessions"]
    assert 1 <= first <= 3  # the third bite begins in time; a slow machine may not get that far
    assert taken() == [1] * first
    assert left(sql, sessions, person) == 9 - first
    assert purge(batch=9)["sessions"] == 9 - first
    assert left(sql, sessions, person) == 0


def test_without_time_nothing_is_done(person: Person, sql: SQL, purge: Callable[..., Purged]) -> None:
    for table in TABLES:
        put(sql, table, person, over=MINUTE)
    assert set(purge(budget=0).values()) == {0}
    assert [left(sql, table, person) for table in TABLES] == [1] * len(TABLES)


# ---------------------------------------------------------------- at once


@every_table
def test_a_row_that_somebody_holds_is_left_for_the_next_purge(
    person: Person, sql: SQL, fire: Callable[[], None], table: Table
) -> None:
    put(sql, table, person, over=MINUTE, rows=5)
    with sql.transaction():
        held = composed.SQL("{} LIMIT 2 FOR UPDATE").format(composed.SQL(table.find))
        assert len(sql.execute(held, {"owner": UUID(person.id)}).fetchall()) == 2
        fire()  # which does not wait: a lock that is waited for is an error soon
        assert left(sql, table, person) == 2
    fire()
    assert left(sql, table, person) == 0


def test_purges_at_once_share_the_work(
    person: Person, sql: SQL, begin_purge: Callable[..., Callable[[], Purged]]
) -> None:
    for table in TABLES:
        put(sql, table, person, over=MINUTE, rows=200)
    one, other = [finish() for finish in [begin_purge(batch=5), begin_purge(batch=5)]]
    assert {name: one[name] + other[name] for name in one} == {table.name: 200 for table in TABLES}
