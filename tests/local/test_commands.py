import signal

import psycopg

from tests.local.conftest import Project, Started


def role_of_ada(url: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT role, version, updated_at > '2020-01-01' FROM users").fetchone()


def test_an_account_becomes_an_administrator_while_the_app_runs(running: tuple[Project, Started]) -> None:
    project, started = running
    url = started.who()[1]
    assert role_of_ada(url) == ("member", 1, False)
    done = project.run("admin", "Ada@Example.com")
    assert (done.returncode, done.stdout) == (0, "ada@example.com is an administrator now.\n")
    assert role_of_ada(url) == ("admin", 2, True)
    assert started.who()[1] == url


def test_an_account_becomes_an_administrator_while_nothing_runs(project: Project) -> None:
    project.start("--data", "elsewhere").end(signal.SIGTERM)
    done = project.run("admin", "ada@example.com", "--data", "elsewhere")
    assert (done.returncode, done.stdout) == (0, "ada@example.com is an administrator now.\n")
    assert not (project.root / "elsewhere" / "postgres" / "postmaster.pid").exists()
    assert role_of_ada(project.start("--data", "elsewhere").who()[1]) == ("admin", 2, True)


def test_an_account_that_does_not_exist_is_an_error_of_one_line(running: tuple[Project, Started]) -> None:
    done = running[0].run("admin", "nobody@example.com")
    assert done.returncode == 1
    assert done.stdout.startswith("No account has the address nobody@example.com in jobtrail at ")
    assert done.stdout.count("\n") == 1


def test_admin_makes_no_database_to_find_nobody_in(project: Project) -> None:
    done = project.run("admin", "ada@example.com")
    assert (done.returncode, done.stdout) == (
        1,
        "Run `python3 -m local start` first: there is no database in .local\n",
    )
    assert not (project.root / ".local").exists()


def test_audit_verify_says_where_there_is_no_log(running: tuple[Project, Started]) -> None:
    project, started = running
    done = project.run("audit_verify")
    assert done.returncode == 1
    assert done.stdout.startswith("Run `python3 -m local migrate` first: no audit log in jobtrail at ")
    assert done.stdout.count("\n") == 1
    assert started.who()[0] > 0


def test_audit_verify_makes_no_database_to_verify(project: Project) -> None:
    done = project.run("audit_verify", "--data", "elsewhere")
    assert (done.returncode, done.stdout) == (
        1,
        "Run `python3 -m local start` first: there is no database in elsewhere\n",
    )


def test_migrate_goes_up_and_down(project: Project) -> None:
    done = project.run("migrate")
    assert (done.returncode, done.stdout) == (0, "The schema is up to date.\n")
    done = project.run("migrate", "--down")
    assert (done.returncode, done.stdout) == (0, "The schema is gone.\n")
    done = project.run("admin", "ada@example.com")
    assert done.returncode == 1
    assert done.stdout.startswith("Run `python3 -m local migrate` first: no tables in jobtrail at ")


def test_migrate_prefers_the_direct_url(project: Project, free_port: int) -> None:
    pooled = f"postgresql://ada:s3cr3t@127.0.0.1:{free_port}/pooled"
    done = project.run("migrate", DATABASE_URL=pooled, DATABASE_URL_DIRECT=pooled.replace("pooled", "direct"))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == f"The database cannot be reached: direct at 127.0.0.1:{free_port}"


def test_a_direct_url_alone_does_not_lead_to_another_database(project: Project, free_port: int) -> None:
    direct = f"postgresql://ada:s3cr3t@127.0.0.1:{free_port}/direct"
    assert project.start(DATABASE_URL_DIRECT=direct).who()[0] > 0
