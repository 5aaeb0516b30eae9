"""Whatever somebody reads goes by an index: counted by PostgreSQL itself, in functions and guards as in statements.

For everybody in tables of many people's rows. The statements are caught on their way, and run once more with a question
after them: which tables were read from end to end in this transaction?
"""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

import httpx
import psycopg
import pytest

from shared import connections
from shared.routes import Route
from tests.conftest import Person
from tests.db import walk

Sql = psycopg.Connection[Any]

PEOPLE, EACH, MOST = 3000, 10, 4000

# Others' rows, and somebody's with many: enough that a scan of a table is what no good plan does.
SEED: tuple[LiteralString, ...] = (
    """INSERT INTO users (email, password_hash)
       SELECT format('plan%%s-%%s@example.com', n, %(person)s::text), 'x' FROM generate_series(1, %(people)s) AS n""",
    """CREATE TEMPORARY TABLE crowd AS
       SELECT id, %(each)s AS n FROM users WHERE email LIKE 'plan%%-' || %(person)s || '@example.com'
       UNION ALL SELECT %(person)s::uuid, %(most)s""",
    "SET session_replication_role = replica",
    """INSERT INTO companies (user_id, name) SELECT id, 'Company ' || i FROM crowd, generate_series(1, n / 4) AS i""",
    """INSERT INTO applications (user_id, company, company_id, position, url, source, status, category, stage_id,
                                 stage_since, furthest_category, furthest_stage_id, applied_on, follow_up_at,
                                 last_activity_at, created_at, tags, board_rank, search)
       SELECT c.id, 'Company ' || i, k.id, 'Engineer', 'https://jobs.example.com/' || i, 'Site ' || i %% 7, s.status,
              s.category, s.id, now() - i * interval '1 hour', 'applied', s.id, current_date - i / 24,
              now() + i * interval '1 hour', now() - i * interval '1 hour', now() - i * interval '1 hour',
              ARRAY['tag ' || i %% 5], -i, vector_of('AA', 'Company ' || i, 'Engineer')
       FROM crowd c CROSS JOIN LATERAL generate_series(1, n) AS i
            JOIN companies k ON k.user_id = c.id AND k.name = 'Company ' || 1 + i %% (n / 4)
            JOIN stages s ON s.user_id = c.id AND s.position = 2 + i %% 3""",
    """INSERT INTO application_events (user_id, application_id, kind, occurred_at, stage_id)
       SELECT a.user_id, a.id, CASE e WHEN 1 THEN 'created' WHEN 2 THEN 'moved' ELSE 'called' END,
              a.stage_since + e * interval '1 minute', CASE WHEN e < 3 THEN a.stage_id END
       FROM applications a JOIN crowd c ON c.id = a.user_id, generate_series(1, 3) AS e""",
    """INSERT INTO notes (user_id, application_id, body)
       SELECT a.user_id, a.id, 'They called.' FROM applications a JOIN crowd c ON c.id = a.user_id""",
    """INSERT INTO tasks (user_id, application_id, title, due_at)
       SELECT a.user_id, a.id, 'Call', a.follow_up_at FROM applications a JOIN crowd c ON c.id = a.user_id""",
    """INSERT INTO interviews (user_id, application_id, kind, starts_at, time_zone)
       SELECT a.user_id, a.id, 'video', a.follow_up_at, 'UTC' FROM applications a JOIN crowd c ON c.id = a.user_id""",
    """INSERT INTO contacts (user_id, company_id, name) SELECT k.user_id, k.id, 'Grace ' || k.name
       FROM companies k JOIN crowd c ON c.id = k.user_id""",
    """INSERT INTO application_contacts (user_id, application_id, contact_id) SELECT a.user_id, a.id, p.id
       FROM applications a JOIN crowd c ON c.id = a.user_id
            JOIN contacts p ON p.user_id = a.user_id AND p.company_id = a.company_id""",
    """INSERT INTO files (user_id, series_id, kind, name)
       SELECT id, uuid7(), 'resume', 'cv.pdf' FROM crowd, generate_series(1, n / 10)""",
    """INSERT INTO application_files (user_id, application_id, file_id)
       SELECT a.user_id, a.id, f.id FROM crowd c JOIN LATERAL (
           SELECT id, user_id, row_number() OVER () AS i FROM applications WHERE user_id = c.id) AS a ON true
       JOIN LATERAL (SELECT id, row_number() OVER () AS i FROM files WHERE user_id = c.id) AS f
         ON f.i = 1 + a.i %% (c.n / 10)""",
    "INSERT INTO tags (user_id, name) SELECT id, 'tag ' || i FROM crowd, generate_series(0, 4) AS i",
    """INSERT INTO saved_views (user_id, name, query)
       SELECT id, 'View ' || i, 'status=applied' FROM crowd, generate_series(1, 3) AS i""",
    "INSERT INTO event_revisions (user_id, event_id, was) SELECT user_id, id, '{}' FROM application_events",
    "INSERT INTO note_revisions (user_id, note_id, body) SELECT user_id, id, 'They' FROM notes",
    "INSERT INTO imports (user_id, format, rows) SELECT id, 'csv', 1 FROM crowd, generate_series(1, 3)",
    """INSERT INTO trash (id, user_id, kind, title, content)
       SELECT uuid7(), id, 'tasks', 'Call', '[]' FROM crowd, generate_series(1, n / 4)""",
    """INSERT INTO sessions (user_id, idle_expires_at, absolute_expires_at) SELECT id, now(), now() FROM crowd""",
    "SET session_replication_role = origin",
    "ANALYZE",
)
CLEAR: LiteralString = """
    SET session_replication_role = replica;
    DO $$
    DECLARE
        the_table regclass;
    BEGIN
        FOR the_table IN SELECT attrelid FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
                         WHERE attname = 'user_id' AND relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
            EXECUTE format('DELETE FROM %s WHERE user_id IN (SELECT id FROM crowd)', the_table);
        END LOOP;
        DELETE FROM users WHERE id IN (SELECT id FROM crowd);
    END $$
"""

# What a route is asked besides its bare path: every filter changes the plan.
QUESTIONS: dict[str, tuple[str, ...]] = {
    "list_applications": (
        "?status=applied,interview",
        "?category=applied&tag=tag+3&source=Site+3",
        "?sort=updated_at",
        "?sort=-applied_on",
        "?sort=company",
        "?sort=follow_up_at",
        "?sort=-last_activity_at",
        "?q=engineer",
        "?q=engineer&sort=relevance",
        "?company=Company+7",
    ),
    "list_duplicates": ("?url=https://jobs.example.com/7", "?company=Company+7&position=Engineer"),
    "list_interviews": ("?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z",),
    "list_tasks": ("?done=false", "?sort=-created_at", "?due_before=2026-12-01T00:00:00Z"),
    "list_companies": ("?q=company", "?blocked=true"),
    "list_contacts": ("?q=grace",),
    "list_files": ("?kind=resume", "?state=clean"),
    "export_applications": ("?format=json", "?status=applied"),
    "get_summary": ("?from=2026-01-01&to=2026-02-01",),
    "get_funnel": ("?from=2026-01-01&to=2026-02-01",),
    "compare_sources": ("?from=2026-01-01&to=2026-02-01",),
    "draw_sankey": ("?format=svg", "?from=2026-01-01&to=2026-02-01"),
    "get_weekly_activity": ("?from=2026-01-01&to=2026-02-01",),
    "list_quiet_applications": ("?days=1",),
}

SCANNED = """
    ; SELECT s.relname FROM pg_stat_xact_user_tables s JOIN pg_attribute a ON a.attrelid = s.relid
    WHERE s.seq_scan > 0 AND a.attname = 'user_id' AND NOT a.attisdropped
    UNION SELECT relname FROM pg_stat_xact_user_tables WHERE seq_scan > 0 AND relname = 'users'
"""


@dataclass(frozen=True)
class Batch:
    """What went to the database in one round trip."""

    statements: bytes
    params: Mapping[str, Any]

    def scans(self, url: str) -> set[str]:
        """The tables of people's rows that it reads from end to end."""
        with (
            psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(self.statements + SCANNED.encode(), self.params)
            while cursor.nextset():
                pass
            return {name for (name,) in cursor}


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """What the app sends from now on."""
    batches: list[Batch] = []
    run = connections.Pool.run

    async def watch(self: Any, batch: bytes, params: Mapping[str, Any], row: Any, *, repeatable: bool) -> Any:
        batches.append(Batch(batch, dict(params)))
        return await run(self, batch, params, row, repeatable=repeatable)

    monkeypatch.setattr(connections.Pool, "run", watch)
    return batches


@pytest.fixture(scope="module")
def somebody(app_url: str, postgres_server: Any, database_url: str) -> Iterator[Person]:
    """Somebody with thousands of applications among hundreds of people with theirs."""
    person = Person(app_url, email=f"{secrets.token_hex(8)}@example.com")
    registered = person.post("/api/auth/register", {"email": person.email, "password": person.password})
    person.bear(registered.json())
    superuser = postgres_server.url.replace("jobtrail@", "postgres@", 1)
    values = {"person": person.id, "people": PEOPLE, "each": EACH, "most": MOST}
    with psycopg.connect(superuser, autocommit=True, cursor_factory=psycopg.ClientCursor) as sql:
        for statement in SEED:
            sql.execute(statement, values)
        yield person
        sql.execute(CLEAR)
    person.close()


def reading(routes: list[Route]) -> list[Route]:
    """The tracker's routes that only read."""
    scopes = {"applications:read", "files:read"}
    return [route for route in routes if route.methods == ("GET",) and route.endpoint.access.scope in scopes]


def test_no_route_that_reads_scans_a_table_of_peoples_rows(
    routes: list[Route], somebody: Person, caught: list[Batch], database_url: str
) -> None:
    scanned = {}
    for route in reading(routes):
        path = walk.visit(route, somebody).path
        for question in ("", *QUESTIONS.get(route.name, ())):
            caught.clear()
            answer = somebody.get(path + question)
            assert answer.status_code == 200, answer.text
            if "json" in answer.headers["content-type"] and (cursor := answer.json().get("next_cursor")):
                more = somebody.get(path, params={**httpx.QueryParams(question.removeprefix("?")), "cursor": cursor})
                assert more.status_code == 200, more.text
            assert caught, f"{route.name} asked nothing"
            if scans := set.union(*(batch.scans(database_url) for batch in caught)):
                scanned[route.name + question] = scans
    assert scanned == {}


def test_a_scan_is_noticed_also_within_a_function(
    somebody: Person, caught: list[Batch], database_url: str, sql: Sql
) -> None:
    somebody.get("/api/applications?limit=1")
    (batch,) = caught
    assert batch.scans(database_url) == set()
    in_sight = b"; SELECT count(*) FROM applications WHERE salary_min = 7"
    assert Batch(
        b"SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off;" + batch.statements + in_sight,
        batch.params,
    ).scans(database_url) >= {"applications"}
    hidden = b"; DO $$ BEGIN PERFORM FROM application_events WHERE note = 'x'; END $$"
    as_service = b"; SELECT set_config('role', 'none', true)"
    assert "application_events" in Batch(batch.statements + as_service + hidden, batch.params).scans(database_url)
