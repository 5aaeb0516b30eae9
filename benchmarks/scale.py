"""What people read when there are many of them: one with 20,000 applications in a table of 5 million, and one with few.

Builds the tables by SQL, once, in a PostgreSQL of its own under ``--data``; then asks every route that reads, with each
of its orders and formats, through the app's functions in this process, one request after another. Beside them, in the
same run, what reading as many rows costs by hand. Each request's plan is in ``plans.txt`` beside the data.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, LiteralString, get_args, get_origin
from urllib.parse import urlencode
from uuid import UUID

import azure.functions as func
import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks.inside import App, request
from benchmarks.machine import command_line, description, number, say, table
from benchmarks.servers import PASSWORD, Database, User
from local import postgres
from local.project import ROOT

NAME = "jobtrail_benchmark_scale"
LARGEST, TYPICAL = 1, 2
"""The numbers of the users who ask."""

SCOPES = {"applications:read", "files:read"}

Sql = psycopg.Connection[Any]

# ---------------------------------------------------------------- building

# Nobody has fewer than 10, most have fewer than 200, and one has as many as nobody else. Applications are written in
# the order of time, so that those of one person lie scattered. Two of five people have written their histories down.
BUILD: tuple[tuple[str, LiteralString], ...] = (
    (
        "users",
        """
        INSERT INTO users (email, password_hash, time_zone)
        SELECT format('user%%s@example.com', n), %(password_hash)s, 'Europe/Berlin'
        FROM generate_series(1, %(users)s) AS n;
        CREATE TABLE crowd AS
        SELECT id, n, n %% 5 < 3 AND n > 2 AS is_terse, CASE n WHEN 1 THEN %(largest)s WHEN 2 THEN 100
               ELSE 10 + round(-ln(1 - random()) * %(spread)s)::int END AS has
        FROM (SELECT id, substring(email FROM '[0-9]+')::int AS n FROM users) AS numbered;
        CREATE TABLE ladder AS
        SELECT user_id, (array_agg(id ORDER BY position))[1:7] AS ids FROM stages GROUP BY user_id;
        SET session_replication_role = replica;
        """,
    ),
    (
        "companies",
        """
        INSERT INTO companies (user_id, name)
        SELECT id, 'Company ' || i FROM crowd, generate_series(1, 1 + has / 4) AS i
        """,
    ),
    (
        "applications",
        """
        CREATE UNLOGGED TABLE drawn AS
        SELECT uuid7() AS id, c.id AS user_id, c.is_terse, i, 1 + i %% (1 + c.has / 4) AS company,
               now() - random() * interval '700 days' AS began, random() AS fate, random() AS noise, l.ids
        FROM crowd c JOIN ladder l ON l.user_id = c.id, generate_series(1, c.has) AS i;
        INSERT INTO applications (
            id, user_id, company, company_id, position, location, url, source, tags, notes, status, category, stage_id,
            close_reason, stage_since, furthest_category, furthest_stage_id, furthest_round, applied_on, follow_up_at,
            last_activity_at, created_at, updated_at, board_rank, search)
        SELECT d.id, d.user_id, k.name, k.id,
               (ARRAY['Senior backend engineer', 'Data analyst', 'Nurse', 'Welder'])[1 + i %% 4],
               'Berlin, Germany', CASE WHEN noise < 0.6 THEN 'https://jobs.example.com/' || i || '?utm_source=x' END,
               (ARRAY['LinkedIn', 'Indeed', 'Referral', NULL, 'Company site'])[1 + i %% 5], ARRAY['tag ' || i %% 9],
               repeat('They called; the next talk is with the team. ', i %% 6),
               CASE WHEN fate < 0.1 THEN 'saved' WHEN fate < 0.45 THEN 'applied' WHEN fate < 0.55 THEN 'interview'
                    WHEN fate < 0.57 THEN 'offer' WHEN fate < 0.58 THEN 'accepted' WHEN fate < 0.85 THEN 'rejected'
                    ELSE 'ghosted' END,
               CASE WHEN fate < 0.1 THEN 'saved' WHEN fate < 0.45 THEN 'applied' WHEN fate < 0.55 THEN 'in_process'
                    WHEN fate < 0.57 THEN 'offer' WHEN fate < 0.58 THEN 'accepted' ELSE 'closed' END,
               ids[CASE WHEN fate < 0.1 THEN 1 WHEN fate < 0.45 THEN 2 WHEN fate < 0.55 THEN 4 WHEN fate < 0.57 THEN 5
                        WHEN fate < 0.58 THEN 6 ELSE 7 END],
               CASE WHEN fate >= 0.85 THEN 'ghosted' WHEN fate >= 0.58 THEN 'rejected' END,
               began + noise * interval '30 days',
               CASE WHEN fate < 0.1 THEN 'saved' WHEN fate < 0.45 OR fate >= 0.7 THEN 'applied'
                    WHEN fate < 0.55 OR fate >= 0.58 THEN 'in_process' WHEN fate < 0.57 THEN 'offer'
                    ELSE 'accepted' END,
               ids[CASE WHEN fate < 0.1 THEN 1 WHEN fate < 0.45 OR fate >= 0.7 THEN 2
                        WHEN fate < 0.55 OR fate >= 0.58 THEN 4 WHEN fate < 0.57 THEN 5 ELSE 6 END],
               CASE WHEN fate BETWEEN 0.45 AND 0.55 THEN 1 + i %% 4 END, CASE WHEN fate >= 0.1 THEN began::date END,
               CASE WHEN fate BETWEEN 0.1 AND 0.57 THEN began + interval '7 days' END,
               began + noise * interval '30 days',
               began, began, -extract(epoch FROM began),
               -- What the trigger makes of it, in much less time.
               to_tsvector('simple', concat_ws(' ', k.name, (ARRAY['Senior backend engineer', 'Data analyst', 'Nurse',
                   'Welder'])[1 + i %% 4], 'Berlin Germany LinkedIn tag', i %% 9))
               || setweight(to_tsvector('simple', repeat('They called; the next talk is with the team. ', i %% 6)), 'C')
        FROM drawn d JOIN companies k ON k.user_id = d.user_id AND k.name = 'Company ' || d.company
        ORDER BY began
        """,
    ),
    (
        "tags",
        """
        INSERT INTO tags (user_id, name) SELECT id, 'tag ' || i FROM crowd, generate_series(0, least(has, 8)) AS i
        """,
    ),
    (
        "saved_views",
        """
        INSERT INTO saved_views (user_id, name, query) SELECT id, 'View ' || i, 'status=applied'
        FROM crowd, generate_series(1, 3) AS i
        """,
    ),
    (
        "application_events",
        """
        INSERT INTO application_events (user_id, application_id, kind, occurred_at, stage_id)
        SELECT d.user_id, d.id, s.kind, d.began + d.noise * s.n * interval '5 days',
               CASE WHEN s.stage > 0 THEN d.ids[s.stage] END
        FROM drawn d CROSS JOIN LATERAL (VALUES
            (0, 'created', 1), (1, 'moved', 2), (2, 'called', 0), (3, 'moved', 4), (4, 'called', 0), (6, 'moved', 7)
        ) AS s (n, kind, stage)
        WHERE NOT d.is_terse AND (s.n < 1 OR fate >= 0.1) AND (s.n NOT IN (3, 4) OR fate BETWEEN 0.45 AND 0.7)
          AND (s.n < 6 OR fate >= 0.58)
        """,
    ),
    (
        "notes",
        """
        INSERT INTO notes (user_id, application_id, body)
        SELECT user_id, id, repeat('They called. ', i %% 20 + 1) FROM drawn WHERE NOT is_terse AND i %% 5 = 0
        """,
    ),
    (
        "tasks",
        """
        INSERT INTO tasks (user_id, application_id, title, due_at, done, done_at)
        SELECT user_id, id, 'Call them', began + interval '9 days', i %% 2 = 0, CASE WHEN i %% 2 = 0 THEN now() END
        FROM drawn WHERE NOT is_terse AND i %% 5 = 1
        """,
    ),
    (
        "interviews",
        """
        INSERT INTO interviews (user_id, application_id, kind, starts_at, time_zone)
        SELECT user_id, id, 'video', began + interval '14 days', 'Europe/Berlin' FROM drawn
        WHERE NOT is_terse AND fate BETWEEN 0.45 AND 0.7
        """,
    ),
    (
        "contacts",
        """
        INSERT INTO contacts (user_id, company_id, name)
        SELECT k.user_id, k.id, 'Grace of ' || k.name FROM companies k JOIN crowd c ON c.id = k.user_id
        WHERE NOT is_terse
        """,
    ),
    (
        "application_contacts",
        """
        INSERT INTO application_contacts (user_id, application_id, contact_id)
        SELECT a.user_id, a.id, p.id FROM contacts p
        JOIN applications a ON a.user_id = p.user_id AND a.company_id = p.company_id
        """,
    ),
    (
        "files",
        """
        INSERT INTO files (user_id, series_id, kind, name, state, media_type, sha256)
        SELECT id, uuid7(), 'resume', 'resume ' || i || '.pdf', 'clean', 'application/pdf', repeat('0', 64)
        FROM crowd, generate_series(1, 4) AS i WHERE NOT is_terse
        """,
    ),
    (
        "application_files",
        """
        INSERT INTO application_files (user_id, application_id, file_id)
        SELECT d.user_id, d.id, f.id FROM drawn d
        JOIN files f ON f.user_id = d.user_id AND f.name = 'resume ' || 1 + i %% 4 || '.pdf'
        """,
    ),
    (
        "trash",
        """
        INSERT INTO trash (id, user_id, kind, title, content)
        SELECT uuid7(), id, 'tasks', 'Call them', '[]' FROM crowd, generate_series(1, has / 20)
        """,
    ),
)


def build(url: str, *, users: int, applications: int, largest: int) -> None:
    """Everybody's rows, indexes afterwards. The owner's rights are not enough for that: triggers stay silent."""
    from shared.security import passwords  # settings are in place by now

    values = {
        "users": users,
        "largest": largest,
        "spread": max((applications - largest) / users - 10, 1),
        "password_hash": passwords.HASHER.hash(PASSWORD),
    }
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as sql:
        sql.execute("SET maintenance_work_mem = '1GB'; SET work_mem = '512MB'; SET synchronous_commit = off")
        for name, statement in BUILD:
            began = perf_counter()
            if name != "users":
                _indexed(sql, name, False)
            sql.execute(statement, values)
            if name != "users":
                _indexed(sql, name, True)
            say(f"{name}: {perf_counter() - began:.0f} s")
        sql.execute("DROP TABLE drawn, ladder, crowd")
        began = perf_counter()
        sql.execute("VACUUM ANALYZE")
        say(f"VACUUM ANALYZE: {perf_counter() - began:.0f} s")


def _indexed(sql: Sql, name: str, is_ready: bool) -> None:
    """Indexes are left alone while rows come, and made in one piece from what is there then."""
    if is_ready:
        sql.execute(f"REINDEX TABLE {name}".encode())
    sql.execute(
        "UPDATE pg_index SET indisready = %s, indisvalid = %s WHERE indrelid = %s::regclass AND NOT indisprimary",
        [is_ready, is_ready, name],
    )


@contextmanager
def built(data: Path, options: Any) -> Iterator[Database]:
    """The database under ``data``: the one of an earlier run, if it is of that size and schema, or a new one."""
    from shared.health.service import SCHEMA_REVISION

    size = f"{options.users} users, {options.applications} applications, {options.largest} of one; {SCHEMA_REVISION}"
    with redirect_stdout(sys.stderr), postgres.running(data) as url:
        superuser = url.replace("jobtrail@", "postgres@", 1)
        database = Database(make_conninfo(url, dbname=NAME))
        os.environ.update(database.settings)
        with psycopg.connect(superuser, autocommit=True) as sql:
            found = sql.execute(
                "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [NAME]
            ).fetchone()
            if found != (size,):
                sql.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)".encode())
                sql.execute(f"CREATE DATABASE {NAME} OWNER jobtrail".encode())
                migrate = [sys.executable, "-m", "local.migrate"]
                subprocess.run(migrate, cwd=ROOT, env={**os.environ}, stdout=sys.stderr, check=True)
                build(
                    make_conninfo(superuser, dbname=NAME),
                    users=options.users,
                    applications=options.applications,
                    largest=options.largest,
                )
                sql.execute(f"COMMENT ON DATABASE {NAME} IS '{size}'".encode())
        yield database


# ---------------------------------------------------------------- asking

# What to look for, by the name of the parameter: those that a route must have, and each alone that it may have.
ASKED = {
    "q": "engineer",
    "company": "Company 7",
    "position": "Nurse",
    "tag": "tag 3",
    "source": "LinkedIn",
    "url": "https://jobs.example.com/77",
    "status": "applied,interview",
    "applied_from": "2026-06-01",
    "from": "2026-06-01",
}

# Where it is a moment, and no day; and where one asks nothing without the other.
ASKED_OF = {
    ("list_interviews", "from"): {"from": "2026-06-01T00:00:00Z"},
    ("list_duplicates", "company"): {"company": "Company 7", "position": "Nurse"},
    ("list_duplicates", "position"): {"company": "Company 7", "position": "Nurse"},
}

ELSEWHERE = {"get_file_content"}
"""What costs the store of files more than the database."""

# What an order makes no sense without.
NEEDED = {"relevance": {"q": "engineer"}}

# Where the things are that names in a path stand for; by themselves, and as those of an application.
THINGS: dict[str, LiteralString] = {
    "application_id": "SELECT id, id FROM applications WHERE user_id = %s ORDER BY id LIMIT 1",
    "company_id": "SELECT id, id FROM companies WHERE user_id = %s ORDER BY id LIMIT 1",
    "contact_id": "SELECT id, id FROM contacts WHERE user_id = %s ORDER BY id LIMIT 1",
    "file_id": "SELECT id, id FROM files WHERE user_id = %s ORDER BY id LIMIT 1",
    "interview_id": "SELECT id, id FROM interviews WHERE user_id = %s ORDER BY id LIMIT 1",
    "tag_id": "SELECT id, id FROM tags WHERE user_id = %s ORDER BY id LIMIT 1",
    "view_id": "SELECT id, id FROM saved_views WHERE user_id = %s ORDER BY id LIMIT 1",
    "stage_id": "SELECT id, id FROM stages WHERE user_id = %s ORDER BY id LIMIT 1",
    "task_id": "SELECT id, id FROM tasks WHERE user_id = %s ORDER BY id LIMIT 1",
}
THINGS_OF_APPLICATIONS: dict[str, LiteralString] = {
    "contact_id": "SELECT application_id, contact_id FROM application_contacts WHERE user_id = %s ORDER BY 2 LIMIT 1",
    "event_id": "SELECT application_id, id FROM application_events WHERE user_id = %s ORDER BY id LIMIT 1",
    "file_id": "SELECT application_id, file_id FROM application_files WHERE user_id = %s ORDER BY 2 LIMIT 1",
    "interview_id": "SELECT application_id, id FROM interviews WHERE user_id = %s ORDER BY id LIMIT 1",
    "note_id": "SELECT application_id, id FROM notes WHERE user_id = %s ORDER BY id LIMIT 1",
    "task_id": "SELECT application_id, id FROM tasks WHERE user_id = %s ORDER BY id LIMIT 1",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A request that reads: the function it goes to, its path as declared, and its query."""

    name: str
    path: str
    names: tuple[str, ...]
    query: str

    def __str__(self) -> str:
        return self.name + self.query


def questions(routes: Sequence[Any]) -> Iterator[Question]:
    """Of every declared route that reads: as it is, with each order and format it has, and with each filter we know."""
    for route in routes:
        if route.methods != ("GET",) or route.endpoint.access.scope not in SCOPES or route.name in ELSEWHERE:
            continue
        names = tuple(name for name, kind in route.endpoint.path.items() if kind is UUID)
        fields: Mapping[str, Any] = route.endpoint.query.model_fields if route.endpoint.query else {}
        needed, asked = {}, []
        for name, field in fields.items():
            shown = field.alias or name
            if field.is_required():
                needed[shown] = ASKED.get(shown, "x")
            elif shown in ("sort", "format") and get_origin(field.annotation) is Literal:
                asked += [{shown: value} | NEEDED.get(value, {}) for value in get_args(field.annotation)[1:]]
            elif shown in ASKED:
                asked.append(ASKED_OF.get((route.name, shown)) or {shown: ASKED[shown]})
        for more in ({}, *asked):
            given = needed | more
            yield Question(route.name, route.path, names, f"?{urlencode(given, safe=',:/')}" if given else "")


@dataclass(frozen=True, slots=True)
class Call:
    """A question as one user asks it."""

    question: Question
    user: User
    names: Mapping[str, str]

    async def made(self, app: App) -> func.HttpResponse:
        path = self.question.path.format(**self.names) + self.question.query
        return await app[self.question.name](request("GET", path, b"", self.user.access_token, self.names))


def names_for(sql: Sql, question: Question, user_id: str) -> dict[str, str] | None:
    """Ids of somebody's own things for the names in a path; None if they have nothing that it could be about."""
    if not question.names:
        return {}
    *above, last = question.names
    find = (THINGS_OF_APPLICATIONS if above == ["application_id"] else {} if above else THINGS).get(last)
    found = sql.execute(find, [user_id]).fetchone() if find else None
    return found and {"application_id": str(found[0]), last: str(found[1])}


@dataclass(frozen=True, slots=True)
class Taken:
    """How long calls took, in milliseconds, and how long the answer was."""

    times: list[float]
    size: int

    @property
    def p50(self) -> str:
        return number(self.times[len(self.times) // 2])

    @property
    def p99(self) -> str:
        return number(self.times[len(self.times) * 99 // 100])


async def measure(app: App, call: Call, calls: int) -> Taken:
    """One call after another; the first two, which find nothing warm, do not count.

    Raises:
        SystemExit: a call was not answered with 200.
    """
    times = []
    for _ in range(calls + 2):
        began = perf_counter()
        answer = await call.made(app)
        times.append((perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise SystemExit(f"{call.question}: {answer.status_code} {answer.get_body()[:500]!r}")
    return Taken(sorted(times[2:]), len(answer.get_body()))


# ---------------------------------------------------------------- plans


class Explained(BaseException):
    """Carries a plan past everything that handles answers."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines


@asynccontextmanager
async def explaining() -> AsyncIterator[None]:
    """Until then every statement is explained in place of answered: behind its own guards, in the role they give."""
    from shared import connections, db

    run, batch = connections.Pool.run, db._batch  # noqa: SLF001

    async def explain(self: Any, statements: bytes, params: Any, _row: Any, *, repeatable: bool) -> Any:
        raise Explained([line for (line,) in await run(self, statements, params, None, repeatable=repeatable)])

    def explained(guards: tuple[bytes, ...], statement: bytes) -> bytes:
        return batch(guards, b"EXPLAIN (ANALYZE, BUFFERS) " + statement)

    connections.Pool.run, db._batch = explain, explained  # type: ignore[assignment, method-assign]  # noqa: SLF001
    try:
        yield
    finally:
        connections.Pool.run, db._batch = run, batch  # type: ignore[method-assign]  # noqa: SLF001


async def plan(app: App, call: Call) -> list[str]:
    """What PostgreSQL does with the question. What it does within functions of ours shows as buffers only."""
    async with explaining():
        try:
            await call.made(app)
        except Explained as found:
            return found.lines
    raise SystemExit(f"{call.question} asked the database nothing")


SCAN = re.compile(r"(?:Index (?:Only )?Scan(?: Backward)? using|Bitmap Index Scan on) (\w+)|(Seq Scan on \w+)")


def summary(lines: Sequence[str]) -> str:
    """By which indexes it goes, each once, or what it reads from end to end; and the pages it touched."""
    ways = dict.fromkeys(way or scan for line in lines for way, scan in SCAN.findall(line))
    touched = next((re.findall(r"(?:hit|read)=(\d+)", line) for line in lines if "Buffers:" in line), [])
    return f"{', '.join(ways) or 'functions of ours'}; {sum(map(int, touched)):,} pages"


# ---------------------------------------------------------------- the limit

LIMITS: dict[str, LiteralString] = {
    "20 rows by key": """SELECT row_to_json(a)::text FROM applications a WHERE user_id = %s
                         ORDER BY created_at DESC, id DESC LIMIT 20""",
    "count of all rows by index": "SELECT count(*) FROM applications WHERE user_id = %s",
    "every row read once": "SELECT count(*), max(position), max(location) FROM applications WHERE user_id = %s",
    "every event read once": "SELECT count(*), max(note), max(kind) FROM application_events WHERE user_id = %s",
}


def measure_limit(sql: Sql, statement: LiteralString, user_id: str, calls: int) -> Taken:
    """A prepared statement of the owner's, without row-level security, sessions, or anything of the app."""
    times = []
    for _ in range(calls + 2):
        began = perf_counter()
        rows = sql.execute(statement, [user_id], prepare=True).fetchall()
        times.append((perf_counter() - began) * 1000)
    return Taken(sorted(times[2:]), len(rows))


# ---------------------------------------------------------------- the command


def main(arguments: Sequence[str]) -> None:
    parser = command_line("scale", __doc__)
    parser.add_argument("--data", type=Path, required=True, help="where the database is, or is to be made")
    parser.add_argument("--users", type=int, default=50_000, help="(default: %(default)s)")
    parser.add_argument("--applications", type=int, default=5_000_000, help="(default: %(default)s)")
    parser.add_argument("--largest", type=int, help="how many the largest user has (default: 20,000, or a quarter)")
    parser.add_argument("--calls", type=int, default=100, help="of each kind (default: %(default)s)")
    parser.add_argument("--only", default="", help="questions whose name contains this")
    options = parser.parse_args(arguments)
    options.largest = options.largest or min(20_000, options.applications // 4)
    with built(options.data, options) as database:
        rows, plans = asyncio.run(run(database, options.calls, options.only))
        counted = ", ".join(
            f"{database.ask(b'SELECT count(*) FROM ' + name.encode()):,} {name}"  # type: ignore[arg-type]
            for name in ("users", "applications", "application_events", "notes", "tasks", "application_files")
        )
    (options.data / "plans.txt").write_text("\n\n".join(plans) + "\n")
    print(f"{description()}\n{counted}; {options.calls} calls of each kind, ms\n")
    largest = f"of {options.largest:,}"
    print(table(["what", "p50", "p99", f"{largest} p50", "p99", "bytes", "goes by"], rows, markdown=options.markdown))


async def run(database: Database, calls: int, only: str) -> tuple[list[list[str]], list[str]]:
    """The rows of the table, and the plans."""
    from function_app import app as declared

    app, rows, plans = App(), [], []
    few, many = await app.sign_in(TYPICAL), await app.sign_in(LARGEST)
    with psycopg.connect(database.url, autocommit=True) as sql:
        ids = {
            user.email: str(sql.execute("SELECT id FROM users WHERE email = %s", [user.email]).fetchone()[0])  # type: ignore[index]
            for user in (few, many)
        }
        for name, statement in LIMITS.items():
            taken = [measure_limit(sql, statement, ids[user.email], calls) for user in (few, many)]
            rows.append([f"limit: {name}", *(f for t in taken for f in (t.p50, t.p99)), "", ""])
        for question in questions(declared.routes):
            if only not in str(question):
                continue
            found = [(user, names_for(sql, question, ids[user.email])) for user in (few, many)]
            asked = [Call(question, user, names) for user, names in found if names is not None]
            if len(asked) < 2:
                say(f"{question}: NOT MEASURED, there is nothing of that kind")
                continue
            taken = []
            for call in asked:
                taken.append(await measure(app, call, calls))
                lines = await plan(app, call)
                plans.append("\n".join([f"{question}, {call.user.email}", *lines]))
            say(f"{question}: {taken[0].p50} ms, {taken[1].p50} ms")
            figures = (f for t in taken for f in (t.p50, t.p99))
            rows.append([str(question), *figures, f"{taken[1].size:,}", summary(lines)])
    return rows, plans
