"""Everything a person has, row by row, and one thing of each kind with all that can hang on it."""

from typing import Any, LiteralString

import psycopg
from psycopg.sql import SQL, Identifier

from tests.conftest import Person

Sql = psycopg.Connection[Any]
Rows = dict[str, list[str]]

NOT_THE_TRACKERS = {"users", "trash", "sessions", "idempotency_keys", "audit_events", "audit_chains"}
"""Tables whose rows are about the calls themselves."""

# A row for each table that things hang in; what is not said is as it comes.
MORE: tuple[LiteralString, ...] = (
    """INSERT INTO application_events (user_id, application_id, kind, occurred_at, note, facts)
       VALUES (%(user)s, %(application)s, 'call', now() - interval '1 day', 'They "called" \\ twice',
               '{"n": 1.50, "none": null}')""",
    "UPDATE application_events SET note = 'They called', version = 2 WHERE user_id = %(user)s AND kind = 'call'",
    """INSERT INTO interviews (user_id, application_id, kind, starts_at, time_zone, interviewers)
       VALUES (%(user)s, %(application)s, 'video', '2026-03-29 02:30+02', 'Europe/Berlin', '{"Ada, L.","{}"}')""",
    """INSERT INTO tasks (user_id, application_id, title, due_at)
       VALUES (%(user)s, %(application)s, 'Call them', '2026-12-01 09:00:00.123456+00')""",
    """WITH f AS (INSERT INTO files (user_id, series_id, kind, name)
                  VALUES (%(user)s, uuid7(), 'resume', 'cv.pdf') RETURNING id)
       INSERT INTO application_files (user_id, application_id, file_id)
       SELECT %(user)s, %(application)s, id FROM f""",
    """WITH s AS (INSERT INTO shares (user_id, digest, name, covers_all, is_anonymous, expires_at)
                  VALUES (%(user)s, sha256(gen_random_uuid()::text::bytea), 'My coach', false, false,
                          now() + interval '1 day') RETURNING id)
       INSERT INTO share_applications (user_id, share_id, application_id)
       SELECT %(user)s, id, %(application)s FROM s""",
    """WITH i AS (INSERT INTO imports (user_id, format, rows) VALUES (%(user)s, 'csv', 1) RETURNING id)
       INSERT INTO import_rows (user_id, import_id, row, row_key, application_id, version)
       SELECT %(user)s, id, 2, uuid7(), %(application)s, 1 FROM i""",
    "UPDATE applications SET board_rank = 1.2345678901234567890 WHERE id = %(application)s",
)


def furnish(person: Person, sql: Sql) -> dict[str, str]:
    """Give somebody an application with a row in every table that hangs on it; gives the id of one thing a kind."""
    application = person.create_application(
        company="Contoso",
        notes="Line one\n\tline two — ✓",
        tags=["remote", "dream"],
        salary_min=1,
        salary_currency="EUR",
    )["id"]
    place = f"/api/applications/{application}"
    for status in ("applied", "screening"):
        assert person.post(f"{place}/move", {"status": status}).status_code == 200
    note = person.post(f"{place}/notes", {"body": "first"}).json()["id"]
    for body in ("# Second\n", " third "):
        assert person.patch(f"{place}/notes/{note}", {"body": body}).status_code == 200
    linked = person.post(f"{place}/contacts", {"name": "Grace", "company": "CONTOSO", "role": "recruiter"})
    assert linked.status_code == 201, linked.text
    for statement in MORE:
        sql.execute(statement, {"user": person.id, "application": application})

    def only(table: LiteralString) -> str:
        query = SQL("SELECT id FROM {} WHERE user_id = %s ORDER BY id DESC LIMIT 1").format(Identifier(table))
        row = sql.execute(query, [person.id]).fetchone()
        assert row, table
        return str(row[0])

    things = {"application": application, "note": note, "contact": linked.json()["id"]}
    for kind, table in {
        "company": "companies",
        "event": "application_events",
        "interview": "interviews",
        "task": "tasks",
        "file": "files",
    }.items():
        things[kind] = only(table)
    return things


def tables(sql: Sql) -> list[str]:
    """Every table with rows of the tracker's, as the catalog has them."""
    rows = sql.execute(
        """
        SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'user_id'
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY 1
        """
    )
    return [name for (name,) in rows if name not in NOT_THE_TRACKERS]


def rows_of(sql: Sql, person: Person, *, without: dict[str, set[str]] | None = None) -> Rows:
    """All of somebody's rows, as text to the last digit; ``without`` some columns of some tables."""
    found: Rows = {}
    for table in tables(sql):
        name = Identifier(table)
        if ignored := list((without or {}).get(table, ())):
            query = SQL("SELECT (to_jsonb(t) - {}::text[])::text FROM {} t WHERE user_id = %s ORDER BY 1").format(
                ignored, name
            )
        else:
            query = SQL("SELECT row_to_json(t)::text FROM {} t WHERE user_id = %s ORDER BY 1").format(name)
        found[table] = [text for (text,) in sql.execute(query, [person.id])]
    return found


def hanging(sql: Sql, root: str) -> set[str]:
    """The tables whose rows go when a row of ``root`` goes."""
    rows = sql.execute(
        """
        WITH RECURSIVE below AS (
            SELECT child FROM references_between WHERE parent = %(root)s::regclass AND on_delete = 'c'
            UNION SELECT r.child FROM references_between r JOIN below b ON r.parent = b.child AND r.on_delete = 'c'
        )
        SELECT child::text FROM below
        """,
        {"root": root},
    )
    return {name for (name,) in rows}
