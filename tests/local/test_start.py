import os
import signal
import socket
import stat
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from local import serve
from local.project import ROOT
from tests.local.conftest import Project, Started, eventually, get, is_alive, post


def postgres_pid(project: Project, data: str = ".local") -> int:
    return int((project.root / data / "postgres" / "postmaster.pid").read_text().split()[0])


def everything_ended(project: Project, started: Started, *pids: int) -> None:
    eventually(lambda: not any(is_alive(pid) for pid in pids), within=8)
    assert not (project.root / ".local" / "postgres" / "postmaster.pid").exists()


# ---------------------------------------------------------------- a start that works


def test_start_serves_the_app_on_an_embedded_database_and_stops_it_all(project: Project) -> None:
    started = project.start()
    assert started.output.splitlines() == [
        "Starting Jobtrail ...",
        "Starting PostgreSQL in .local/postgres ...",
        "The schema is up to date.",
        f"Jobtrail is at {started.url}   (Ctrl-C stops it)",
        f"API reference: {started.url}/api/docs",
        f"Mail: {started.url}/_local/mailbox",
    ]
    worker, url, secret, _ = started.who()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT email FROM users").fetchall() == [("ada@example.com",)]
    kept = project.root / ".local" / "jwt_secret"
    assert kept.read_text().strip() == secret
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert len(secret) >= 48

    assert post(f"{started.url}/_local/timers/yearly").json() == {"pid": worker}
    pids = worker, postgres_pid(project)
    assert started.end(signal.SIGINT) == 0
    everything_ended(project, started, *pids)

    again = project.start()
    assert again.who()[2] == secret
    assert again.end(signal.SIGTERM) == 0
    assert "Stopping ..." in again.output
    assert "Traceback" not in started.output + again.output


def test_the_embedded_owner_can_do_what_neons_can_and_no_more(running: tuple[Project, Started]) -> None:
    with psycopg.connect(running[1].who()[1], autocommit=True) as connection:
        rights = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication FROM pg_roles"
            " WHERE rolname = current_user"
        ).fetchone()
        assert rights == (False, True, True, True, False)
        server = connection.execute(
            "SELECT current_database(), pg_get_userbyid(datdba), datlocale, current_setting('timezone'),"
            " current_setting('listen_addresses') FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        assert server == ("jobtrail", "jobtrail", "C.UTF-8", "UTC", "")
        connection.execute("CREATE ROLE tenant NOLOGIN")
        connection.execute("CREATE DATABASE another")


def test_what_is_not_set_is_filled_in_mail_leads_to_this_host_and_everybody_may_have_one_address(
    project: Project, running: tuple[Project, Started]
) -> None:
    shared, started = running
    url, api, mail, files, registrations = get(f"{started.url}/filled").text.split()
    assert get(f"{url}/verify-email").status_code == 200
    assert url.startswith(started.url)
    assert api == started.url
    assert (Path(mail), Path(files)) == (shared.root / ".local" / "mail", shared.root / ".local" / "files")
    assert registrations == "10000/300"
    own = project.start(
        APP_URL="https://app.example.com",
        API_URL="https://api.example.com",
        MAIL_DIRECTORY="elsewhere",
        FILE_DIRECTORY="there",
        REGISTER_LIMIT_ADDRESS="1/1",
    )
    filled = get(f"{own.url}/filled").text.split()
    assert filled == ["https://app.example.com", "https://api.example.com", "elsewhere", "there", "1/1"]


def test_settings_come_from_the_environment_then_from_the_file(project: Project) -> None:
    values = '{"JWT_SECRET": "from-the-file", "SETTING": "from-the-file"}'
    settings = f'{{"Values": {values}, "Host": {{"CORS": "http://localhost:5173"}}}}'
    (project.root / "local.settings.json").write_text(settings)
    started = project.start(JWT_SECRET="from-the-environment")
    assert started.who()[2:] == ("from-the-environment", "from-the-file")
    answer = get(f"{started.url}/who", headers={"Origin": "http://localhost:5173"})
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert not (project.root / ".local" / "jwt_secret").exists()


def test_a_database_of_ones_own_replaces_the_embedded_one(project: Project, running: tuple[Project, Started]) -> None:
    url = running[1].who()[1]
    started = project.start(DATABASE_URL=url)
    assert started.who()[1] == url
    assert not (project.root / ".local" / "postgres").exists()
    assert "PostgreSQL" not in started.output


def test_a_data_directory_may_have_a_long_name_with_spaces(project: Project) -> None:
    started = project.start("--data", "a long name, " * 12)
    assert started.who()[1].startswith("postgresql://jobtrail@/jobtrail?host=%2Ftmp%2Fjobtrail-")


def test_requests_are_logged_where_that_is_asked_for(project: Project, running: tuple[Project, Started]) -> None:
    started = project.start("--access-log", DATABASE_URL=running[1].who()[1])
    started.who()
    started.wait_for('"GET /who HTTP/1.1" 200')
    assert "GET" not in running[1].output


def test_each_worker_serves_and_one_that_dies_is_replaced(project: Project) -> None:
    started = project.start("--workers", "2")

    def workers() -> set[int]:
        return {started.who()[0] for _ in range(20)}

    eventually(lambda: len(workers()) == 2)
    before = workers()
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    started.wait_for("has ended (killed by SIGKILL): starting another.")
    eventually(lambda: len(workers() - before) == 1)
    everyone = before | workers()
    assert started.end(signal.SIGTERM) == 0
    everything_ended(project, started, *everyone)


def test_a_changed_file_is_served_after_a_moment(project: Project) -> None:
    started = project.start("--reload")

    def worker() -> int:
        try:
            return started.who()[0]
        except httpx.TransportError:  # connected to a worker that was just asked to stop
            return 0

    app = project.root / "function_app.py"
    text = app.read_text()
    app.write_text(text.replace('f"{os.getpid()} ', 'f"{-os.getpid()} '))
    eventually(lambda: worker() < 0)
    app.write_text("import nothing_of_that_name\n")
    started.wait_for("Waiting for a file to change ...")
    assert "function_app.py could not be loaded (function_app.py, line 1):\nModuleNotFoundError" in started.output
    app.write_text(text)
    eventually(lambda: worker() > 0)
    assert started.end(signal.SIGINT) == 0


# ---------------------------------------------------------------- a start that ends badly


def test_workers_end_with_a_launcher_that_was_killed_and_the_next_start_recovers(project: Project) -> None:
    started = project.start("--workers", "2")
    worker, *settings = started.who()
    database = postgres_pid(project)
    started.end(signal.SIGKILL)
    eventually(lambda: not is_alive(worker))
    again = project.start()
    assert list(again.who()[1:]) == settings
    assert again.end(signal.SIGTERM) == 0
    everything_ended(project, again, database)


def test_a_start_recovers_when_postgresql_was_killed_too(project: Project) -> None:
    started = project.start()
    os.kill(postgres_pid(project), signal.SIGKILL)
    started.end(signal.SIGKILL)
    # As after a restart of a container: the pid in the file is now somebody else's, here our own.
    file = project.root / ".local" / "postgres" / "postmaster.pid"
    file.write_text(file.read_text().replace(file.read_text().split()[0], str(os.getpid()), 1))
    assert project.start().who()[0] > 0


def test_a_second_signal_leaves_nothing_behind_either(project: Project) -> None:
    (project.root / "function_app.py").write_text(
        (project.root / "function_app.py").read_text()
        + "\n@app.route('hang')\nasync def hang(req: func.HttpRequest) -> str:\n    import time; time.sleep(60)\n"
    )
    started = project.start()
    pids = started.who()[0], postgres_pid(project)
    host, port = started.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.2)  # until the function holds up its worker's loop
        started.process.send_signal(signal.SIGINT)
        started.wait_for("Stopping ...")
        assert started.end(signal.SIGINT) == 0
    everything_ended(project, started, *pids)


def test_a_signal_during_the_start_leaves_nothing_behind(project: Project) -> None:
    (project.root / "shared" / "migrations" / "__init__.py").write_text(
        "import time\ndef upgrade(url):\n    print('migrating', flush=True)\n    time.sleep(60)\ndowngrade = upgrade\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Started, "wait_for", lambda self, text: eventually(lambda: "migrating" in self.output, within=20))
        started = project.start()
    database = postgres_pid(project)
    assert started.end(signal.SIGTERM) == 0
    everything_ended(project, started, database)


# ---------------------------------------------------------------- a start that is refused


def refused(project: Project, *arguments: str, **environment: str) -> list[str]:
    """The lines of a ``start`` that is refused, without the greeting."""
    done = project.run("start", *arguments, **environment)
    lines = done.stdout.rstrip().splitlines()
    assert done.returncode == 1, lines
    assert lines[0] == "Starting Jobtrail ..."
    assert len(lines) < 8, lines
    assert "Traceback" not in done.stdout
    return lines[1:]


def test_a_port_in_use_is_named_before_postgresql_is_started(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        lines = refused(project, "--port", port)
    assert lines == [f"Cannot listen at 127.0.0.1 (Address already in use): port {port}"]
    assert not (project.root / ".local" / "postgres").exists()


def test_a_port_that_does_not_exist_is_named(project: Project) -> None:
    assert refused(project, "--port", "70000") == ["Cannot listen at 127.0.0.1 (no such port): port 70000"]


@pytest.mark.parametrize("data", ["taken", "taken/below", "/proc/jobtrail"])
def test_a_data_directory_that_cannot_be_used_is_named(project: Project, data: str) -> None:
    (project.root / "taken").write_text("")
    (line,) = refused(project, "--data", data)
    assert line.startswith("The data directory cannot be used: ")
    assert line.endswith(f": {data}")


def test_a_second_start_on_the_same_data_is_refused(running: tuple[Project, Started]) -> None:
    project, first = running
    assert refused(project, "--port", "0") == ["Another process is running on the data directory .local"]
    assert refused(project, "--port", first.url.rpartition(":")[2])[-1].endswith(" .local")
    assert first.who()[0] > 0


def test_a_database_that_cannot_be_reached_is_named_without_its_password(project: Project, free_port: int) -> None:
    url = f"postgresql://ada:s3cr3t@127.0.0.1:{free_port}/diary"
    lines = refused(project, "--port", "0", DATABASE_URL=url)
    assert lines[-1] == f"The database cannot be reached: diary at 127.0.0.1:{free_port}"
    assert "s3cr3t" not in "\n".join(lines)


@pytest.mark.parametrize("url", ["nonsense s3cr3t", "postgres:/s3cr3t", "mysql://ada:s3cr3t@localhost/diary"])
def test_a_url_that_is_none_is_not_repeated(project: Project, url: str) -> None:
    lines = refused(project, "--port", "0", DATABASE_URL=url)
    assert lines == ["DATABASE_URL is not a PostgreSQL URL: postgresql://user:password@host/database"]


def test_an_app_that_cannot_be_loaded_says_why_and_where(project: Project) -> None:
    (project.root / "shared" / "settings.py").write_text(
        'class SettingsError(Exception):\n    pass\n\nraise SettingsError("jwt_secret: must be at least 32 bytes")\n'
    )
    (project.root / "function_app.py").write_text("import shared.settings\n")
    lines = refused(project, "--port", "0")
    assert lines[-2:] == [
        "function_app.py could not be loaded (shared/settings.py, line 4):",
        "SettingsError: jwt_secret: must be at least 32 bytes",
    ]


def test_a_mistake_of_syntax_is_placed() -> None:
    mistake = SyntaxError("invalid syntax", (str(ROOT / "shared" / "odd.py"), 7, 1, "def broken(:"))
    assert serve.explain(mistake) == (
        "function_app.py could not be loaded (shared/odd.py, line 7):\nSyntaxError: invalid syntax (odd.py, line 7)"
    )


def test_a_file_of_settings_that_is_not_json_is_named(project: Project) -> None:
    (project.root / "local.settings.json").write_text("{")
    assert refused(project)[-1].startswith("local.settings.json is not JSON")


def test_a_migration_that_fails_names_the_database(project: Project) -> None:
    migrations: Path = project.root / "shared" / "migrations" / "__init__.py"
    migrations.write_text(migrations.read_text().replace("CREATE TABLE IF NOT EXISTS users", "CREATE TABBLE users"))
    lines = refused(project, "--port", "0")
    assert any("syntax error" in line for line in lines)
    assert lines[-1].startswith("The database could not be migrated: jobtrail at ")
    assert not (project.root / ".local" / "postgres" / "postmaster.pid").exists()
