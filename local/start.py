"""``python3 -m local start``: a database, migrated; server processes, watched; and all of it stopped again.

The parent of everything it starts, and small: standard library only; the app is never imported here.
"""

import argparse
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from local import postgres
from local.project import APP, DATA, ROOT, UNLOADABLE, Refusal, host_json, local_settings

ADDRESS = "127.0.0.1"  # nothing here is meant for other machines
PATIENCE = 5.0  # seconds a worker gets to finish its requests; its own limit is shorter
WATCHED = (".py", ".json", ".html")
UNWATCHED = {".git", ".local", ".venv", "__pycache__", "node_modules"}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m local start", description="Serve the app on this machine.")
    parser.add_argument("--port", type=int, help="default: Host.LocalHttpPort in local.settings.json, or 7071")
    parser.add_argument(
        "--data", type=Path, default=Path(DATA), help="what is kept between runs (default: %(default)s)"
    )
    parser.add_argument("--workers", type=_count, default=1, help="server processes (default: %(default)s)")
    parser.add_argument("--reload", action="store_true", help="restart them when a file of the project changes")
    parser.add_argument("--access-log", action="store_true", help="write a line for each request")
    options = parser.parse_args(arguments)
    try:
        return _start(options)
    except Refusal as refusal:
        print(refusal, file=sys.stderr, flush=True)
        return 1


def _start(options: argparse.Namespace) -> int:
    _say("Starting Jobtrail ...")
    stop = Stop()
    settings = local_settings()
    host_json()
    environment = settings.environment()
    port = settings.port if options.port is None else options.port
    with postgres.claimed(options.data), _listener(port) as listener:
        own = {"JWT_SECRET": environment.get("JWT_SECRET") or _jwt_secret(options.data)}
        here = "http://{}:{}".format(*listener.getsockname())
        # There is no front end here: the local host has pages of its own for where mail leads.
        own["APP_URL"] = environment.get("APP_URL") or here + APP
        own["API_URL"] = environment.get("API_URL") or here
        own["MAIL_DIRECTORY"] = environment.get("MAIL_DIRECTORY") or str((options.data / "mail").absolute())
        own["FILE_DIRECTORY"] = environment.get("FILE_DIRECTORY") or str((options.data / "files").absolute())
        # Whoever tries the app out here makes all their accounts from one address.
        own["REGISTER_LIMIT_ADDRESS"] = environment.get("REGISTER_LIMIT_ADDRESS") or "10000/300"
        with _database(environment.get("DATABASE_URL"), options.data) as url:
            own["DATABASE_URL"] = url
            if not environment.get("DATABASE_URL"):
                own["DATABASE_URL_DIRECT"] = url  # one that is set belongs to another database
            _migrate(own, stop)
            if stop.asked():
                return 0
            workers = Workers(options.workers, listener, own, access_log=options.access_log)
            watch = Watch(ROOT) if options.reload else None
            try:
                return workers.supervise(stop, watch)
            finally:
                if stop.asked():
                    _say("Stopping ...")
                workers.stop(stop)


class Stop:
    """SIGINT, SIGTERM and SIGHUP as facts to look at: raised within a start, they would leave half of it."""

    def __init__(self) -> None:
        self.signals = 0
        self.wakes, waker = socket.socketpair()
        for end in (self.wakes, waker):
            end.setblocking(False)
        self._waker = waker
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._count)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup it stays ignored
            signal.signal(signal.SIGHUP, self._count)

    def asked(self) -> bool:
        return self.signals > 0

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.signals += 1


class Worker:
    """A server process. A socket ties it to this one: there it says ``ready``, and each sees the other end."""

    def __init__(self, number: int, listener: socket.socket, environment: dict[str, str], *, access_log: bool) -> None:
        self.number = number
        self.ready = False
        self.channel, theirs = socket.socketpair()
        command = [sys.executable, "-m", "local.serve", str(listener.fileno()), str(theirs.fileno())]
        # Every process would run every timer; the first one does.
        command += ["--timers"] * (number == 1) + ["--access-log"] * access_log
        with theirs:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                pass_fds=(listener.fileno(), theirs.fileno()),
                start_new_session=True,  # a terminal's Ctrl-C is for the parent, which stops the others in order
            )

    def end(self) -> str:
        """How the process ended, in words."""
        status = self.process.wait()
        self.channel.close()
        return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


class Workers:
    """The server processes: the first proves that the app can be loaded, then the others start."""

    def __init__(self, count: int, listener: socket.socket, environment: dict[str, str], *, access_log: bool) -> None:
        self._count = count
        self._listener = listener
        self._environment = environment
        self._access_log = access_log
        self._running: dict[int, Worker] = {}
        self._selector = selectors.DefaultSelector()
        self._proven = False

    def supervise(self, stop: Stop, watch: "Watch | None") -> int:
        """Keep the workers running until asked to stop. Returns the exit status of the command."""
        self._selector.register(stop.wakes, selectors.EVENT_READ)
        self._start(1)
        while not stop.asked():
            for key, _ in self._selector.select(0.5 if watch else None):
                if isinstance(key.data, Worker) and not self._heard(key.data, reloading=watch is not None):
                    return 1
            if watch and watch.changed():
                _say("Files have changed: reloading ...")
                self.stop(stop)
                self._start(1)
        return 0

    def stop(self, stop: Stop) -> None:
        """Stop every worker; one that takes too long, or that a second signal finds still running, is killed."""
        workers = list(self._running.values())
        self._running.clear()
        for worker in workers:
            self._selector.unregister(worker.channel)
            worker.process.terminate()
        deadline, signals = time.monotonic() + PATIENCE, max(stop.signals, 1)
        while any(worker.process.poll() is None for worker in workers):
            if time.monotonic() > deadline or stop.signals > signals:
                for worker in workers:
                    worker.process.kill()
            time.sleep(0.02)
        for worker in workers:
            worker.end()

    def _start(self, number: int) -> None:
        worker = Worker(number, self._listener, self._environment, access_log=self._access_log)
        self._running[number] = worker
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)

    def _heard(self, worker: Worker, *, reloading: bool) -> bool:
        """Take what a worker's socket has to say. False when there is no point in going on."""
        if worker.channel.recv(16):
            worker.ready = True
            if not self._proven:
                self._proven = True
                url = "http://{}:{}".format(*self._listener.getsockname())
                _say(
                    f"Jobtrail is at {url}   (Ctrl-C stops it)",
                    f"API reference: {url}/api/docs",
                    f"Mail: {url}/_local/mailbox",
                )
            for number in range(1, self._count + 1):
                if number not in self._running:
                    self._start(number)
            return True
        self._selector.unregister(worker.channel)
        del self._running[worker.number]
        how = worker.end()
        if worker.process.returncode == UNLOADABLE:  # the worker has said why
            if reloading:
                _say("Waiting for a file to change ...")
            return reloading
        if not self._proven:
            raise Refusal(f"The server process ended before it could serve: {how}")
        _say(f"Worker {worker.number} has ended ({how}): starting another.")
        if not worker.ready:
            time.sleep(1)  # it would end again at once, and again
        self._start(worker.number)
        return True


class Watch:
    """The project's files, looked at now and then: no dependency, and quick enough for some hundred files."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen = self._look()

    def changed(self) -> bool:
        """Whether a file came, went or was written since the last call."""
        before, self._seen = self._seen, self._look()
        return self._seen != before

    def _look(self) -> dict[Path, int]:
        seen = {}
        for directory, below, files in os.walk(self._root):
            below[:] = [name for name in below if name not in UNWATCHED]
            for name in files:
                if name.endswith(WATCHED):
                    file = Path(directory, name)
                    try:
                        seen[file] = file.stat().st_mtime_ns
                    except FileNotFoundError:  # gone since the listing
                        continue
        return seen


@contextmanager
def _listener(port: int) -> Iterator[socket.socket]:
    """The one socket all workers accept on.

    Raises:
        Refusal: something else has the port.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The workers of a launcher that was killed let go of the port within moments.
        deadline = time.monotonic() + 1
        while True:
            try:
                listener.bind((ADDRESS, port))
                listener.listen(2048)
                break
            except OverflowError:
                raise Refusal(f"Cannot listen at {ADDRESS} (no such port): port {port}") from None
            except OSError as error:
                if time.monotonic() > deadline:
                    raise Refusal(f"Cannot listen at {ADDRESS} ({error.strerror}): port {port}") from None
                time.sleep(0.1)
        yield listener


@contextmanager
def _database(url: str | None, data: Path) -> Iterator[str]:
    """The URL the app shall use: the one given, or that of the embedded server, which runs meanwhile."""
    if url:
        yield url
        return
    server = postgres.Server(data)
    _say(f"Starting PostgreSQL in {data / 'postgres'} ...")
    try:
        server.start()
        yield server.url
    finally:
        server.stop()


def _migrate(environment: dict[str, str], stop: Stop) -> None:
    """Bring the schema up to date, in a process of its own: what it needs is too large to keep in this one."""
    with tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", "local.migrate"]
        migration = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stderr=errors, start_new_session=True
        )
        while migration.poll() is None:
            if stop.asked():
                migration.terminate()
            time.sleep(0.02)
        if migration.returncode and not stop.asked():
            errors.seek(0)
            raise Refusal(errors.read().rstrip())


def _jwt_secret(data: Path) -> str:
    """The secret this data directory's tokens are signed with: made once, so that they outlive a restart."""
    file = data / "jwt_secret"
    try:
        if file.exists() and (secret := file.read_text().strip()):
            return secret
        secret = secrets.token_urlsafe(48)
        unfinished = data / "jwt_secret.new"
        with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as new:
            new.write(secret + "\n")
        unfinished.replace(file)
    except OSError as error:
        raise Refusal(f"The signing secret cannot be kept: {error.strerror}: {file}") from None
    return secret


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 64:
        raise argparse.ArgumentTypeError("must be from 1 to 64")
    return count


def _say(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
