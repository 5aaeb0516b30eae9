"""Migrations: up, down, twice, at once, and beside another database; as an owner who is no superuser, as on Neon."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.sql import SQL, Identifier

from local import postgres
from local.project import ROOT
from shared import migrations
from shared.health.service import SCHEMA_REVISION
from tests.conftest import Person

Sql = psycopg.Connection[Any]

TURN = 7411202601
"""The advisory lock by which upgrades take turns."""

# Everything a database may hold, by a name that says what it is. What PostgreSQL itself brings is left out.
OBJECTS = """
    WITH ours AS (
        SELECT classid, objid, objsubid FROM pg_depend
        UNION SELECT 'pg_class'::regclass, oid, 0 FROM pg_class
        UNION SELECT 'pg_proc'::regclass, oid, 0 FROM pg_proc
        UNION SELECT 'pg_type'::regclass, oid, 0 FROM pg_type
        UNION SELECT 'pg_namespace'::regclass, oid, 0 FROM pg_namespace
        UNION SELECT 'pg_extension'::regclass, oid, 0 FROM pg_extension
    )
    SELECT pg_describe_object(classid, objid, objsubid) FROM ours WHERE objid >= 16384
    UNION ALL
    SELECT 'privilege ' || privilege_type || ' on schema ' || nspname || ' for ' || grantee::regrole
    FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'public' AND grantee <> 0
    UNION ALL
    SELECT 'setting ' || unnest(setconfig) FROM pg_db_role_setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Server]:
    """A server that no migration has touched."""
    data = tmp_path_factory.mktemp("untouched")
    with postgres.claimed(data):
        server = postgres.Server(data)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def new_database(server: postgres.Server) -> Iterator[Callable[[str], str]]:
    """Makes empty databases; gives their URLs. All are gone afterwards, and the role ``tenant`` with them."""
    made: list[str] = []
    with psycopg.connect(server.url, autocommit=True) as owner:

        def make(name: str) -> str:
            owner.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
            made.append(name)
            return server.url.replace("/jobtrail?", f"/{name}?")

        yield make
        for name in made:
            owner.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
        owner.execute("DROP ROLE IF EXISTS tenant")


@pytest.fixture
def database(new_database: Callable[[str], str]) -> str:
    return new_database("first")


def ask(url: str, question: str) -> list[Any]:
    """The first column of the answer."""
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(question.encode())]


def objects(url: str) -> set[str]:
    return set(ask(url, OBJECTS))


def roles(url: str) -> set[str]:
    return set(ask(url, "SELECT rolname FROM pg_roles WHERE oid >= 16384"))


def upgrade_in_processes(*urls: str) -> None:
    """Migrate these all at once, each in a process of its own, as deployments do."""
    command = [sys.executable, "-c", "import sys; from shared import migrations; migrations.upgrade(sys.argv[1])"]
    started = [subprocess.Popen([*command, url], cwd=ROOT, stderr=subprocess.PIPE, text=True) for url in urls]
    said = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0] * len(urls), said


def test_the_owner_is_no_more_than_neon_gives(server: postgres.Server) -> None:
    with psycopg.connect(server.url) as owner:
        role = owner.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert role == (False, True, True, True)


def test_up_and_down_again_leaves_nothing_of_ours_but_alembics_empty_table(database: str) -> None:
    before, roles_before = objects(database), roles(database)
    migrations.upgrade(database)
    assert len(objects(database)) > len(before) + 50
    assert roles(database) == roles_before | {"tenant"}
    migrations.downgrade(database)
    left = {name for name in objects(database) - before if "alembic_version" not in name}
    assert left == set()
    assert ask(database, "SELECT count(*) FROM alembic_version") == [0]
    assert roles(database) == roles_before


def test_a_new_database_has_nobodys_account(database: str) -> None:
    """Nor any other row that would let somebody in: whoever administers it registers first, like everybody."""
    migrations.upgrade(database)
    for table in ("users", "sessions", "personal_access_tokens", "passkeys", "identities"):
        assert ask(database, f"SELECT count(*) FROM {table}") == [0], table


def test_up_down_and_up_again_makes_the_same_schema(database: str) -> None:
    migrations.upgrade(database)
    first = objects(database)
    migrations.downgrade(database)
    migrations.upgrade(database)
    assert {re.sub(r"[0-9]{5,}", "#", name) for name in objects(database)} == {
        re.sub(r"[0-9]{5,}", "#", name) for name in first
    }


def test_up_twice_changes_nothing(database: str) -> None:
    migrations.upgrade(database)
    first = objects(database)
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO users (email) VALUES ('ada@example.com')")
        connection.execute("UPDATE quota_limits SET units = 1 WHERE metric = 'exports'")
    migrations.upgrade(database)
    assert objects(database) == first
    assert ask(database, "SELECT email FROM users") == ["ada@example.com"]
    assert ask(database, "SELECT DISTINCT units FROM quota_limits WHERE metric = 'exports'") == [1]


def test_two_upgrades_at_once_take_turns(database: str) -> None:
    upgrade_in_processes(database, database, database)
    assert ask(database, "SELECT version_num FROM alembic_version") == [SCHEMA_REVISION]


def test_an_upgrade_waits_for_one_that_takes_long(database: str) -> None:
    migrations.upgrade(database)  # from here on the role has the limits that requests need
    with psycopg.connect(database) as another, ThreadPoolExecutor(1) as thread:
        another.execute(SQL("SELECT pg_advisory_xact_lock({})").format(TURN))
        upgrade = thread.submit(migrations.upgrade, database)
        with pytest.raises(TimeoutError):
            upgrade.result(6)
        another.rollback()
        upgrade.result(30)


def test_two_databases_of_one_server_can_be_upgraded_at_once(new_database: Callable[[str], str]) -> None:
    urls = [new_database(name) for name in ("first", "second", "third")]
    upgrade_in_processes(*urls)
    assert [ask(url, "SELECT version_num FROM alembic_version") for url in urls] == [[SCHEMA_REVISION]] * 3


def test_taking_one_database_down_leaves_the_other_at_work(
    new_database: Callable[[str], str], start_app: Callable[..., str], new_person: Callable[..., Person]
) -> None:
    first, second = new_database("first"), new_database("second")
    migrations.upgrade(first)
    migrations.upgrade(second)
    migrations.downgrade(first)
    person = new_person(start_app(DATABASE_URL=second))
    person.create_application()
    assert len(person.get("/api/applications").json()["items"]) == 1


def test_the_newest_migration_is_the_one_the_app_is_written_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_REVISION]


def test_the_role_gets_the_limits_that_requests_need(database: str) -> None:
    migrations.upgrade(database)
    limits = {"statement_timeout": "8s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "15s"}
    assert {name: ask(database, f"SHOW {name}")[0] for name in limits} == limits


def test_our_ids_are_uuids_of_version_7_in_the_order_they_were_made(database: str) -> None:
    migrations.upgrade(database)
    began, *made, ended = ask(
        database,
        """
        SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint::text
        UNION ALL (SELECT uuid7()::text FROM generate_series(1, 10000))
        UNION ALL SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint::text
        """,
    )
    ids = [UUID(text) for text in made]
    assert len(set(ids)) == 10_000
    assert {(made.version, made.variant) for made in ids} == {(7, "specified in RFC 4122")}
    moments = [int.from_bytes(made.bytes[:6]) for made in ids]
    assert moments == sorted(moments)
    assert int(began) - 1 <= moments[0] <= moments[-1] <= int(ended) + 1


# ---------------------------------------------------------------- with data in it


def test_people_sessions_and_events_from_before_go_on_and_the_events_are_chained(
    new_database: Callable[[str], str],
) -> None:
    url = new_database("lived_in")
    command.upgrade(migrations._config(url), "0001")
    with psycopg.connect(url, autocommit=True) as sql:
        ((ada,),) = sql.execute("INSERT INTO users (email) VALUES ('ada@example.com') RETURNING id").fetchall()
        sql.execute(
            "INSERT INTO sessions (user_id, idle_expires_at, absolute_expires_at) SELECT %s, 'infinity', 'infinity'",
            [ada],
        )
        sql.execute(
            """
            INSERT INTO audit_events (event, user_id, ip, facts, created_at)
            VALUES ('refresh_token_reused', %(ada)s, '203.0.113.7', '{"presented": 1}', '2026-11-19T10:00Z'),
                   ('refresh_token_forged', %(ada)s, NULL, '{}', '2026-11-19T11:00Z'),
                   ('refresh_token_forged', NULL, NULL, '{}', '2026-11-19T12:00Z')
            """,
            {"ada": ada},
        )
    migrations.upgrade(url)
    assert ask(url, "SELECT event FROM audit_events WHERE user_id = (SELECT id FROM users) ORDER BY place") == [
        "refresh_token_reused",
        "refresh_token_forged",
    ]
    assert ask(url, "SELECT methods FROM sessions WHERE authenticated_at IS NOT NULL") == [["password"]]
    verify = [sys.executable, "-m", "local.audit_verify"]
    verified = subprocess.run(verify, cwd=ROOT, env=os.environ | {"DATABASE_URL": url}, capture_output=True, text=True)
    assert (verified.returncode, verified.stdout.splitlines()[0]) == (0, "3 events in 2 chains; faults: 0")
