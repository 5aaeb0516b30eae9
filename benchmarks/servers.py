"""What is measured: a PostgreSQL server, a seeded database for each program, and the programs that serve."""

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, LiteralString

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from benchmarks import limit
from local import postgres
from local.project import ROOT
from shared.security import passwords

Through = Literal["host", "worker"]

USERS, APPLICATIONS = 1000, 200
PASSWORD = "correct horse battery staple"
SEED = """
INSERT INTO users (email, password_hash, first_name, last_name, company)
SELECT format('user%%s@example.com', n), %(password_hash)s, 'Ada', 'Lovelace', 'Analytical Engines'
FROM generate_series(1, %(users)s) AS n;
INSERT INTO applications (user_id, company, position, location, url, status, applied_on, notes, created_at)
SELECT id, 'Company ' || n, 'Senior backend engineer', 'Berlin, Germany', 'https://jobs.example.com/' || n, 'applied',
       date '2026-01-01' + n, repeat('They called; the next talk is with the team. ', 4), now() - n * interval '1 hour'
FROM users, generate_series(1, %(applications)s) AS n;
"""
SETTINGS = {
    "JWT_SECRET": "known to everybody who reads the benchmarks",
    "DATABASE_POOL_SIZE": str(limit.CONNECTIONS),
    "ACCESS_TOKEN_SECONDS": str(limit.LIFE),  # so that no run outlives its tokens
    # High enough never to refuse; every attempt is counted all the same.
    "LOGIN_LIMIT_ACCOUNT": "1000000/300",
    "LOGIN_LIMIT_ADDRESS": "1000000/300",
    "LOGIN_LIMIT_TOTAL": "1000000/300",
    "REFRESH_LIMIT_SESSION": "1000000/300",
}
UVICORN = ["--loop", "uvloop", "--http", "httptools", "--lifespan", "off", "--no-access-log", "--log-level", "warning"]


def add_database(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--database",
        metavar="URL",
        help="a server to make databases on, by its owner's URL (default: an embedded one)",
    )


@contextmanager
def postgresql(url: str | None) -> Iterator[str]:
    """The server at ``url``, or an embedded one that lives as long as the measurement."""
    if url:
        yield url
        return
    with tempfile.TemporaryDirectory() as data, ExitStack() as stack:
        with redirect_stdout(sys.stderr):
            own = stack.enter_context(postgres.running(Path(data)))
        yield own


@dataclass(frozen=True, slots=True)
class Database:
    """A database of the benchmark's."""

    url: str

    @property
    def settings(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url, "DATABASE_URL_DIRECT": self.url, **SETTINGS}

    def ask(self, question: LiteralString) -> Any:
        """The one value that a statement answers."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            (value,) = connection.execute(question).fetchone() or (None,)
            return value

    def postmaster(self) -> psutil.Process | None:
        """The server's first process; None if it is on another machine."""
        with psycopg.connect(self.url) as connection:
            pid = connection.info.backend_pid
            is_here = psutil.pid_exists(pid) and psutil.Process(pid).name().startswith("postgres")
            return psutil.Process(pid).parent() if is_here else None


@contextmanager
def database(server: str, name: str) -> Iterator[Database]:
    """A database beside the one that ``server`` names, with the schema of the app (``ours``) or the limit, seeded."""
    own_name = f"jobtrail_benchmark_{name}"
    made = Database(make_conninfo(server, dbname=own_name))
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(own_name))
    with psycopg.connect(server, autocommit=True) as owner:
        owner.execute(drop)
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(own_name)))
        try:
            if name == "ours":
                environment = {**os.environ, **made.settings}
                migrate = [sys.executable, "-m", "local.migrate"]
                subprocess.run(migrate, cwd=ROOT, env=environment, stdout=sys.stderr, check=True)
            with psycopg.connect(made.url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
                if name == "limit":
                    connection.execute(limit.SCHEMA)
                password_hash = passwords.HASHER.hash(PASSWORD)
                connection.execute("SET statement_timeout = 0")  # each application writes its first event, too
                counts = {"users": USERS, "applications": APPLICATIONS}
                connection.execute(SEED, {"password_hash": password_hash, **counts})
                connection.execute("VACUUM ANALYZE")
            yield made
        finally:
            owner.execute(drop)


@dataclass(frozen=True, slots=True)
class User:
    email: str
    access_token: str = ""
    refresh_token: str = ""

    @staticmethod
    def number(n: int) -> "User":
        return User(f"user{n}@example.com")


@dataclass(frozen=True, slots=True)
class Program:
    """A server that is running, and the database it works on."""

    name: str
    port: int
    process: psutil.Process
    database: Database

    def call(self, method: str, path: str, content: str, access_token: str) -> tuple[int, Any]:
        """The status and the JSON of one request."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {access_token}"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, content or None, headers)
            response = connection.getresponse()
            return response.status, json.load(response)

    def sign_in(self, n: int) -> User:
        user = User.number(n)
        content = json.dumps({"email": user.email, "password": PASSWORD})
        status, tokens = self.call("POST", "/api/auth/login", content, "")
        if status != 200:
            raise SystemExit(f"{self.name}: login was answered {status}: {tokens}")
        return User(user.email, tokens["access_token"], tokens["refresh_token"])


@contextmanager
def serving(name: str, database: Database, through: Through, **settings: str) -> Iterator[Program]:
    """Serve the app (``ours``) or the limit with one process, through the local host or the worker runtime."""
    with tempfile.TemporaryDirectory() as data:
        if through == "worker":
            command = ["benchmarks.worker", "function_app.py" if name == "ours" else "benchmarks/limit_functions.py"]
        elif name == "ours":
            command = ["local.start", "--data", data]
        else:
            command = ["uvicorn", "benchmarks.limit:app", *UVICORN]
        with listening(*command, settings={**database.settings, **settings}) as (port, process):
            yield Program(name, port, process, database)


@contextmanager
def listening(*command: str, settings: Mapping[str, str]) -> Iterator[tuple[int, psutil.Process]]:
    """A Python server on a port of its own. What it prints goes where progress goes.

    Raises:
        SystemExit: it does not listen within half a minute.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    environment = {**os.environ, **settings}
    with subprocess.Popen(
        [sys.executable, "-m", *command, "--port", str(port)], cwd=ROOT, env=environment, stdout=sys.stderr
    ) as process:
        try:
            deadline = time.monotonic() + 30
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{command[0]} did not start; above is what it said")
                time.sleep(0.05)
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        try:
            connection.request("GET", "/health")
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            return False
        return True
