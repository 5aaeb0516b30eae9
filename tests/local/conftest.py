"""What the local host's tests share: functions served over real HTTP, and a small project that can be started."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import azure.functions as func
import httpx
import pytest

from local import host, serve
from local.project import ROOT, HostJson, LocalSettings

Serve = Callable[..., str]

# Nothing here speaks TLS, and loading the system's certificates takes longer than a request.
get = partial(httpx.get, verify=False)
head = partial(httpx.head, verify=False)
options = partial(httpx.options, verify=False)
post = partial(httpx.post, verify=False)
put = partial(httpx.put, verify=False)

FUNCTION_APP = """
import os
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("who", methods=["GET"])
async def who(req: func.HttpRequest) -> func.HttpResponse:
    setting = os.environ.get("SETTING", "none")
    return func.HttpResponse(f"{os.getpid()} {os.environ['DATABASE_URL']} {os.environ['JWT_SECRET']} {setting}")

@app.route("filled", methods=["GET"])
async def filled(req: func.HttpRequest) -> func.HttpResponse:
    names = ("APP_URL", "API_URL", "MAIL_DIRECTORY", "FILE_DIRECTORY", "REGISTER_LIMIT_ADDRESS")
    return func.HttpResponse(" ".join(os.environ[name] for name in names))

@app.timer_trigger("timer", schedule="0 0 0 1 1 *")
async def yearly(timer: func.TimerRequest) -> None:
    return {"pid": os.getpid()}
"""

MIGRATIONS = '''
import psycopg

def upgrade(url):
    with psycopg.connect(url) as connection:
        connection.execute("""
            CREATE TABLE IF NOT EXISTS users (
                email text PRIMARY KEY, role text NOT NULL DEFAULT 'member', version int NOT NULL DEFAULT 1,
                updated_at timestamptz NOT NULL DEFAULT '2000-01-01')""")
        connection.execute("INSERT INTO users (email) VALUES ('ada@example.com') ON CONFLICT DO NOTHING")

def downgrade(url):
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS users")
'''


@pytest.fixture
def app() -> func.FunctionApp:
    return func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@pytest.fixture
def serving() -> Iterator[Serve]:
    """Serves an app until the end of the test; gives its URL."""
    with ExitStack() as stack:

        def start(
            app: func.FunctionApp,
            host_json: HostJson = HostJson(route_prefix=""),  # noqa: B008 - frozen
            settings: LocalSettings = LocalSettings(),  # noqa: B008 - frozen
            *,
            keep_timers: bool = False,
        ) -> str:
            built = host.build(app.get_functions(), host=host_json, settings=settings, keep_timers=keep_timers)
            return stack.enter_context(serve.in_thread(built))

        yield start


class Project:
    """A copy of ``local/`` beside a function app of a few lines, in a directory of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(ROOT / "local", root / "local", ignore=shutil.ignore_patterns("__pycache__"))
        (root / "shared" / "migrations").mkdir(parents=True)
        (root / "shared" / "__init__.py").touch()
        (root / "shared" / "migrations" / "__init__.py").write_text(MIGRATIONS)
        (root / "function_app.py").write_text(FUNCTION_APP)
        (root / "host.json").write_text('{"extensions": {"http": {"routePrefix": ""}}}')
        self._started: list[Started] = []

    def run(self, command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its output and its errors arrive together, as in a terminal."""
        done = subprocess.run(
            self._command(command, arguments),
            cwd=self.root,
            env=self._environment(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
        )
        done.stdout = without_notice(done.stdout)
        return done

    def start(self, *arguments: str, **environment: str) -> "Started":
        """``start`` on a free port, serving."""
        output = self.root / f"start-{len(self._started)}.txt"
        with output.open("w") as file:
            process = subprocess.Popen(
                self._command("start", ("--port", "0", *arguments)),
                cwd=self.root,
                env=self._environment(environment),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started = Started(process, output)
        self._started.append(started)
        started.wait_for("API reference: ")
        return started

    def stop(self) -> None:
        for started in self._started:
            if started.process.poll() is None:
                started.process.terminate()
                started.process.wait(15)

    def _command(self, command: str, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", f"local.{command}", *arguments]

    def _environment(self, changes: dict[str, str]) -> dict[str, str]:
        settings = (
            "DATABASE_URL",
            "DATABASE_URL_DIRECT",
            "JWT_SECRET",
            "APP_URL",
            "API_URL",
            "MAIL_DIRECTORY",
            "FILE_DIRECTORY",
            "REGISTER_LIMIT_ADDRESS",
        )
        return {name: value for name, value in os.environ.items() if name not in settings} | changes


class Started:
    """A running ``start``."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def output(self) -> str:
        return without_notice(self._output.read_text())

    @property
    def url(self) -> str:
        return self.output.partition("Jobtrail is at ")[2].split()[0]

    def wait_for(self, text: str) -> None:
        eventually(lambda: text in self.output or self.process.poll() is not None, within=20)
        assert text in self.output, self.output

    def who(self) -> tuple[int, str, str, str]:
        """A worker's process id, and the settings it has: DATABASE_URL, JWT_SECRET and SETTING."""
        pid, url, secret, setting = get(f"{self.url}/who").text.split()
        return int(pid), url, secret, setting

    def end(self, number: signal.Signals) -> int:
        """Send the launcher a signal and wait for its exit status."""
        self.process.send_signal(number)
        return self.process.wait(15)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path / "project")
    yield project
    project.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Started]]:
    """A start that tests share which do nothing to it."""
    project = Project(tmp_path_factory.mktemp("running") / "project")
    yield project, project.start()
    project.stop()


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def without_notice(output: str) -> str:
    """The output without what only root sees: that a directory, here a private one of pytest's, was opened."""
    return "".join(line for line in output.splitlines(keepends=True) if "passable for it" not in line)


def eventually(holds: Callable[[], bool], *, within: float = 5) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in status.read_text() if (status := Path(f"/proc/{pid}/status")).exists() else True
