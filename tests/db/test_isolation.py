"""Whose rows they are: over HTTP on every route, and in the database whatever a statement says."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb

from shared import db
from shared.admin import service as admin_service
from shared.errors import Forbidden, SessionEnded
from shared.routes import Route
from tests.conftest import Person
from tests.db import walk
from tests.db.conftest import Errand, caller_of

Sql = psycopg.Connection[Any]
Row = dict[str, Any]

NOBODYS = {"quota_limits", "rate_limits", "alembic_version"}
"""Tables whose rows belong to no user."""


def tables(sql: Sql) -> dict[str, str]:
    """Every table with somebody's rows in it, and the column that says whose they are."""
    rows = sql.execute(
        """
        SELECT t.relname, CASE t.relname WHEN 'users' THEN 'id' ELSE 'user_id' END
        FROM pg_class t
        WHERE t.relkind IN ('r', 'p') AND t.relnamespace = 'public'::regnamespace AND t.relname <> ALL(%s)
        """,
        [list(NOBODYS)],
    ).fetchall()
    assert len(rows) >= 7, "the walk must find the tables, or it proves nothing"
    return dict(rows)


def rows_of(sql: Sql, person: Person) -> dict[str, list[Row]]:
    """Everything the database holds of a person, read by the owner of the tables."""
    return {
        table: [
            row
            for (row,) in sql.execute(
                SQL("SELECT to_jsonb(t) FROM {} t WHERE {} = %s ORDER BY t::text").format(
                    Identifier(table), Identifier(owner)
                ),
                [person.id],
            )
        ]
        for table, owner in tables(sql).items()
    }


@pytest.fixture
def ada(new_person: Callable[..., Person], sql: Sql) -> Person:
    """Somebody with at least one row in every table."""
    ada = new_person(first_name="Ada")
    walk.furnish(ada, sql)
    assert all(rows_of(sql, ada).values()), "a new table: give everybody a row in it, in walk.furnish()"
    return ada


@pytest.fixture
def bob(new_person: Callable[..., Person]) -> Person:
    return new_person(first_name="Bob")


@pytest.fixture
def as_tenant(sql: Sql) -> Callable[[Person], Any]:
    """Opens a transaction that is undone, in the role and as the user that ``enter()`` would set."""

    @contextmanager
    def transaction(person: Person) -> Iterator[Sql]:
        with sql.transaction(force_rollback=True):
            sql.execute("SELECT set_config('app.user_id', %s, true), set_config('app.role', 'user', true)", [person.id])
            sql.execute("SELECT set_config('app.session_id', gen_random_uuid()::text, true)")
            sql.execute("SET LOCAL ROLE tenant")
            yield sql

    return transaction


def attempt(sql: Sql, statement: Any, parameters: Any = ()) -> psycopg.Cursor[Any]:
    """Run a statement without ending the transaction if it fails."""
    with sql.transaction():
        return sql.execute(statement, parameters)


def privileges(sql: Sql, table: str, kind: str) -> list[str]:
    """The columns of ``table`` that a tenant may SELECT, INSERT or UPDATE."""
    rows = sql.execute(
        """
        SELECT attname FROM pg_attribute
        WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped
          AND has_column_privilege('tenant', attrelid, attnum, %(kind)s)
        ORDER BY attnum
        """,
        {"table": table, "kind": kind},
    )
    return [column for (column,) in rows]


# ---------------------------------------------------------------- over HTTP


def test_on_every_route_another_persons_things_are_as_if_they_had_never_been(
    ada: Person, bob: Person, sql: Sql, routes: list[Route]
) -> None:
    tried = []
    # Administrators see everybody; whom else they let in is tested with them.
    # Where nobody has to be signed in, something else in the address is the key to it.
    accesses = {route.name: route.endpoint.access for route in routes if walk.things_named_by(route)}
    own = {name for name, access in accesses.items() if access.needs_caller and not access.role}
    for route in (route for route in routes if route.name in own):
        adas = walk.visit(route, ada)
        before = rows_of(sql, ada)
        answers = [adas.by(bob), walk.visit(route, bob, names=lambda _: str(uuid4())).by(bob)]
        assert [answer.status_code for answer in answers] == [404, 404], route.name
        hers, nobodys = ({**answer.json(), "request_id": ""} for answer in answers)
        assert hers == nobodys, route.name
        assert rows_of(sql, ada) == before, route.name
        assert adas.by(ada).status_code == route.endpoint.status, f"{route.name}: it was not there at all"
        tried.append(route.name)
    assert len(tried) >= 6


def test_lists_hold_the_callers_own_things_only(ada: Person, bob: Person) -> None:
    mine = bob.create_application()
    assert [item["id"] for item in bob.get("/api/applications").json()["items"]] == [mine["id"]]
    assert [session["current"] for session in bob.get("/api/auth/sessions").json()["items"]] == [True]
    assert {quota["used"] for quota in bob.get("/api/quotas").json()["items"]} == {0}


def test_one_persons_idempotency_key_is_not_anothers(ada: Person, bob: Person) -> None:
    answer = bob.post(
        "/api/applications", {"company": "Contoso", "position": "Engineer"}, headers={"Idempotency-Key": "first"}
    )
    assert (answer.status_code, answer.headers.get("idempotency-replayed")) == (201, None)


def test_signing_out_everywhere_ends_nobody_elses_sessions(ada: Person, bob: Person) -> None:
    assert bob.post("/api/auth/logout-all", {}).json() == {"revoked": 1}
    assert ada.get("/api/profile").status_code == 200


# ---------------------------------------------------------------- at the door


def test_a_statement_that_forgets_where_sees_the_callers_rows_only(
    ada: Person, bob: Person, at_the_door: Callable[[Errand[Any]], Any]
) -> None:
    bob.create_application()
    bob.create_application()

    async def count() -> list[int]:
        people = (ada, bob)
        return [(await db.enter(caller_of(p)).read(b"SELECT count(*) FROM applications"))[0][0] for p in people]

    assert at_the_door(count) == [1, 2]


def test_a_write_that_forgets_where_changes_the_callers_rows_only(
    ada: Person, bob: Person, sql: Sql, at_the_door: Callable[[Errand[Any]], Any]
) -> None:
    bob.create_application()
    before = rows_of(sql, ada)

    async def change() -> list[tuple[UUID]]:
        return await db.enter(caller_of(bob)).write(b"UPDATE applications SET notes = 'mine' RETURNING user_id")

    assert at_the_door(change) == [(UUID(bob.id),)]
    assert rows_of(sql, ada) == before


def test_nothing_of_a_request_stays_on_its_connection(ada: Person, at_the_door: Callable[[Errand[Any]], Any]) -> None:
    who = b"""
        SELECT pg_backend_pid(), current_user::text, current_setting('app.user_id', true),
               current_setting('app.session_id', true), current_setting('app.role', true)
        """

    async def visit() -> list[Any]:
        before = await db.as_service().read(who)
        during = await db.enter(caller_of(ada)).read(who)
        after = await db.as_service().read(who)
        return before + during + after

    before, during, after = at_the_door(visit)
    assert before[0] == during[0] == after[0], "the same connection"
    assert during[1:3] == ("tenant", ada.id)
    assert after[1:] == (before[1], "", "", "")


def test_after_a_refusal_at_the_door_nothing_stays_either(
    ada: Person, bob: Person, at_the_door: Callable[[Errand[Any]], Any]
) -> None:
    async def visit() -> Any:
        mixed_up = db.Caller(UUID(bob.id), caller_of(ada).session_id, "user", 0)
        with pytest.raises(SessionEnded):
            await db.enter(mixed_up).read(b"SELECT count(*) FROM applications")
        return await db.as_service().read(b"SELECT current_user = session_user")

    assert at_the_door(visit) == [(True,)]


# ---------------------------------------------------------------- in the database


def test_every_table_with_somebodys_rows_confines_tenants_to_their_own(sql: Sql) -> None:
    unconfined = sql.execute(
        """
        SELECT t.relname FROM pg_class t
        WHERE t.oid = ANY(%s::regclass[]) AND NOT (t.relrowsecurity AND EXISTS (
            SELECT FROM pg_policy p WHERE p.polrelid = t.oid AND 'tenant'::regrole = ANY(p.polroles)
              AND p.polcmd = '*' AND p.polpermissive))
        """,
        [list(tables(sql))],
    ).fetchall()
    assert unconfined == []


def test_a_tenant_sees_nobody_elses_rows_in_any_table(
    ada: Person, bob: Person, sql: Sql, as_tenant: Callable[[Person], Any]
) -> None:
    for table, owner in tables(sql).items():
        count = SQL("SELECT count(*) FROM {} WHERE {} = %s").format(Identifier(table), Identifier(owner))
        if not privileges(sql, table, "SELECT"):
            with as_tenant(bob), pytest.raises(errors.InsufficientPrivilege):
                attempt(sql, count, [ada.id])
            continue
        with as_tenant(bob):
            assert attempt(sql, count, [ada.id]).fetchone() == (0,), table
        with as_tenant(ada):
            seen = attempt(sql, count, [ada.id]).fetchone()
            assert seen, table
            assert seen[0] > 0, table


def generated(sql: Sql, table: str) -> set[str]:
    found = sql.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attgenerated <> ''", [table]
    )
    return {name for (name,) in found}


def test_a_tenant_cannot_insert_a_row_for_somebody_else_into_any_table(
    ada: Person, bob: Person, sql: Sql, as_tenant: Callable[[Person], Any]
) -> None:
    theirs = rows_of(sql, ada)
    insertable = 0
    for table, owner in tables(sql).items():
        columns = [column for column in privileges(sql, table, "INSERT") if column not in generated(sql, table)]
        insertable += bool(columns)
        insert = SQL("INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_record(NULL::{table}, %s)")
        statement = insert.format(table=Identifier(table), columns=SQL(", ").join(map(Identifier, columns or [owner])))
        # Ada's own row in everything but its key, so that nothing but whose it is speaks against it.
        fresh = {"id": str(uuid4()), "key": "k", "metric": "m", "place": 99, "digest": f"\\x{secrets.token_hex(32)}"}
        fresh |= {"name": secrets.token_hex(8)}
        row = Jsonb(theirs[table][0] | {owner: ada.id} | fresh)
        with as_tenant(bob), pytest.raises(errors.InsufficientPrivilege):
            attempt(sql, statement, [row])
        if columns:
            with as_tenant(ada), suppress(errors.UniqueViolation):  # of one row a person, Ada has hers
                assert attempt(sql, statement, [row]).rowcount == 1, table
    assert insertable >= 5


def test_a_tenant_cannot_change_or_delete_somebody_elses_row_in_any_table(
    ada: Person, bob: Person, sql: Sql, as_tenant: Callable[[Person], Any]
) -> None:
    before = rows_of(sql, ada)
    for table, owner in tables(sql).items():
        whose = {"table": Identifier(table), "owner": Identifier(owner)}
        for column in privileges(sql, table, "UPDATE"):
            update = SQL("UPDATE {table} SET {column} = DEFAULT WHERE {owner} = %s")
            with as_tenant(bob):
                assert attempt(sql, update.format(column=Identifier(column), **whose), [ada.id]).rowcount == 0, table
        if sql.execute("SELECT has_table_privilege('tenant', %s, 'DELETE')", [table]).fetchone() == (True,):
            delete = SQL("DELETE FROM {table} WHERE {owner} = %s").format(**whose)
            with as_tenant(bob):
                assert attempt(sql, delete, [ada.id]).rowcount == 0, table
    assert rows_of(sql, ada) == before


def test_a_tenant_cannot_give_its_row_to_somebody_else(
    ada: Person, bob: Person, sql: Sql, as_tenant: Callable[[Person], Any]
) -> None:
    bob.create_application()
    with as_tenant(bob), pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        attempt(sql, "UPDATE applications SET user_id = %s", [ada.id])


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT password_hash FROM users",
        "SELECT generation FROM sessions",
        "SELECT revoked_reason FROM sessions",
        "SELECT * FROM challenges",
        "SELECT * FROM totp",
        "UPDATE users SET second_factor_at = NULL",
        "UPDATE sessions SET authenticated_at = now()",
        "UPDATE sessions SET methods = '{totp}'",
        "UPDATE audit_events SET facts = '{}'",
        "SELECT * FROM rate_limits",
        "SELECT * FROM alembic_version",
        "DELETE FROM rate_limits",
        "UPDATE users SET role = 'admin'",
        "UPDATE users SET email = 'somebody@example.com'",
        "UPDATE users SET email_verified_at = now()",
        "UPDATE users SET password_hash = ''",
        "UPDATE users SET disabled_at = NULL",
        "UPDATE sessions SET absolute_expires_at = 'infinity'",
        "UPDATE sessions SET generation = 1",
        "SELECT digest FROM personal_access_tokens",
        "UPDATE personal_access_tokens SET scopes = '{profile:write}'",
        "UPDATE personal_access_tokens SET expires_at = 'infinity'",
        "DELETE FROM personal_access_tokens",
        "UPDATE quota_limits SET units = NULL",
        "UPDATE quota_overrides SET units = NULL",
        "INSERT INTO quota_overrides (user_id, metric, reason) SELECT id, 'exports', 'mine' FROM users",
        "SELECT reason, granted_by FROM quota_overrides",
        "UPDATE audit_chains SET root = '', forgotten = 1",
        "DELETE FROM audit_chains",
        "TRUNCATE audit_events",
        "INSERT INTO users (email) VALUES ('somebody@example.com')",
        "INSERT INTO sessions (user_id, idle_expires_at, absolute_expires_at) SELECT id, now(), now() FROM users",
        "DELETE FROM users",
        "DELETE FROM sessions",
        "DELETE FROM audit_events",
        "TRUNCATE applications",
        "ALTER TABLE applications DISABLE ROW LEVEL SECURITY",
        "CREATE TABLE mine ()",
        "DROP TABLE applications",
    ],
)
def test_a_tenant_may_not(statement: str, bob: Person, as_tenant: Callable[[Person], Any]) -> None:
    with as_tenant(bob) as sql, pytest.raises(errors.InsufficientPrivilege):
        attempt(sql, statement)


def test_a_tenant_has_no_privilege_on_what_is_nobodys_but_to_read_the_limits(sql: Sql) -> None:
    granted = sql.execute(
        """
        SELECT table_name, privilege_type FROM information_schema.column_privileges
        WHERE grantee IN ('tenant', 'PUBLIC') AND table_name = ANY(%(tables)s)
        UNION SELECT table_name, privilege_type FROM information_schema.table_privileges
        WHERE grantee IN ('tenant', 'PUBLIC') AND table_name = ANY(%(tables)s)
        """,
        {"tables": list(NOBODYS)},
    ).fetchall()
    assert granted == [("quota_limits", "SELECT")]


def test_without_a_user_every_question_of_a_tenant_is_an_error(database_url: str, sql: Sql) -> None:
    for table in tables(sql):
        if not privileges(sql, table, "SELECT"):
            continue
        question = SQL("SELECT count(*) FROM {}").format(Identifier(table))
        with psycopg.connect(database_url) as fresh:  # where nobody was ever set
            fresh.execute("SET ROLE tenant")
            with pytest.raises(errors.UndefinedObject):
                fresh.execute(question)
        with psycopg.connect(database_url, autocommit=True) as used:  # where somebody was, and is gone
            used.execute("SELECT set_config('app.user_id', gen_random_uuid()::text, true)")
            used.execute("SET ROLE tenant")
            with pytest.raises(errors.InvalidTextRepresentation):
                used.execute(question)


def test_the_tenant_owns_nothing_cannot_log_in_and_is_nothing_special(sql: Sql) -> None:
    role = sql.execute(
        """
        SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
               EXISTS (SELECT FROM pg_shdepend WHERE refobjid = r.oid AND deptype = 'o'),
               EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid)
        FROM pg_roles r WHERE rolname = 'tenant'
        """
    ).fetchone()
    assert role == (False,) * 8


def test_no_function_of_ours_runs_with_more_rights_than_its_caller_has(sql: Sql) -> None:
    definers = sql.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
    ).fetchall()
    assert definers == []


# ---------------------------------------------------------------- the administrators' door


def test_the_administrators_door_is_shut_to_endpoints_that_did_not_ask_for_the_role(
    bob: Person, at_the_door: Callable[[Errand[Any]], Any]
) -> None:
    with pytest.raises(PermissionError):
        db.administer(caller_of(bob))

    async def pretend() -> Any:
        return await db.administer(replace(caller_of(bob), needed_role="admin")).read(b"SELECT count(*) FROM users")

    with pytest.raises(Forbidden):
        at_the_door(pretend)


def test_behind_the_administrators_door_everybodys_rows_are_in_sight_and_nothing_stays(
    ada: Person, bob: Person, sql: Sql, at_the_door: Callable[[Errand[Any]], Any]
) -> None:
    sql.execute("UPDATE users SET role = 'admin' WHERE id = %s", [bob.id])
    who = b"SELECT pg_backend_pid(), current_user = session_user, current_setting('app.user_id', true)"

    async def visit() -> Any:
        door = db.administer(replace(caller_of(bob), needed_role="admin"))
        seen = await door.read(b"SELECT count(*) FROM users WHERE id = ANY(%(ids)s)", ids=[UUID(ada.id), UUID(bob.id)])
        return seen + await door.read(who) + await db.as_service().read(who)

    seen, during, after = at_the_door(visit)
    assert seen == (2,)
    assert during == (after[0], True, bob.id)
    assert after[1:] == (True, "")


def test_only_endpoints_for_administrators_use_their_door(
    sql: Sql,
    new_admin: Callable[[str], Person],
    new_person: Callable[..., Person],
    app_url: str,
    routes: list[Route],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: list[db.Caller] = []
    administer = db.administer

    def noticed(caller: db.Caller) -> db.Door:
        used.append(caller)
        return administer(caller)

    monkeypatch.setattr(db, "administer", noticed)
    monkeypatch.setattr(admin_service, "_last", None)  # metrics are asked for anew
    by_route = {}
    for route in routes:
        person = (new_person if route.name in walk.NEWCOMERS else new_admin)(app_url)
        visit = walk.visit(route, person)
        used.clear()
        assert visit.by(person).status_code == route.endpoint.status, route.name
        by_route[route.name] = bool(used)
    roles = {route.name: route.endpoint.access.role for route in routes}
    through = {name for name, is_used in by_route.items() if is_used}
    assert through == {name for name, role in roles.items() if role == "admin"} - {"get_jwt_info"}
