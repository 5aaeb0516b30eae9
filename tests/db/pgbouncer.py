"""PgBouncer as Neon runs it, in transaction mode: a server connection is lent to a client for one transaction only."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from tests.processes import free_port

CONFIGURATION = """\
[databases]
jobtrail = {upstream}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 200
"""


class PgBouncer:
    """A running PgBouncer, and its own view of what it does."""

    def __init__(self, port: int) -> None:
        self.url = f"postgresql://jobtrail@127.0.0.1:{port}/jobtrail"
        self._console = f"postgresql://jobtrail@127.0.0.1:{port}/pgbouncer"

    def show(self, what: str) -> list[dict[str, Any]]:
        """The rows of ``SHOW POOLS``, ``CLIENTS`` or ``SERVERS`` that are about our database."""
        # The console speaks the simple protocol only, and has no transactions.
        with psycopg.connect(self._console, autocommit=True, cursor_factory=psycopg.ClientCursor) as console:
            rows = console.cursor(row_factory=dict_row).execute(f"SHOW {what}").fetchall()
        return [row for row in rows if row["database"] == "jobtrail"]

    def answers(self) -> bool:
        try:
            self.show("POOLS")
        except psycopg.OperationalError:
            return False
        return True


def program() -> str:
    """Where PgBouncer is; without one the test that asks says that it was not run, and in CI fails."""
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if found:
        return found
    why = "PgBouncer is not installed (Debian: apt-get install pgbouncer)"
    if "CI" in os.environ:
        pytest.fail(why)
    pytest.skip(f"NOT RUN: {why}")


@contextmanager
def pgbouncer_to(url: str, *, size: int) -> Iterator[PgBouncer]:
    """A PgBouncer before the database at ``url``, with so many server connections."""
    command, port = program(), free_port()
    # Its own directory, since the user that it runs as may not enter those of the tests.
    directory = Path(tempfile.mkdtemp(prefix="jobtrail-pgbouncer-"))
    try:
        configuration, log = directory / "pgbouncer.ini", directory / "log"
        configuration.write_text(CONFIGURATION.format(upstream=_upstream(url), port=port, size=size))
        who: dict[str, Any] = {}
        if os.geteuid() == 0:  # it refuses to run as root; the embedded server, whose socket it needs, is nobody's
            nobody = pwd.getpwnam("nobody")
            os.chown(directory, nobody.pw_uid, nobody.pw_gid)
            who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        with log.open("w") as output:
            process = subprocess.Popen([command, str(configuration)], stdout=output, stderr=output, **who)
        try:
            bouncer = PgBouncer(port)
            while not bouncer.answers():
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield bouncer
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(directory)


def _upstream(url: str) -> str:
    given = {"port": 5432, **conninfo_to_dict(url)}
    return " ".join(f"{name}={given[name]}" for name in ("host", "port", "dbname", "user", "password") if name in given)
