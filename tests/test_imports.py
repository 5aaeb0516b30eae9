"""What is imported, by whom, and when: every cold start pays for what the app imports at start."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from local.project import ROOT

SHARED = sorted((ROOT / "shared").rglob("*.py"))
DEPLOYED = [ROOT / "function_app.py", *(file for file in SHARED if "migrations" not in file.parts)]
STANDARD = sys.stdlib_module_names

WANTED = {"azure", "psycopg", "pydantic", "pydantic_core", "argon2"}
"""The packages that the app imports at start. What they bring along is theirs to choose."""

NOT_AT_START = {
    "OpenSSL",
    "aiohttp",
    "alembic",
    "azure.durable_functions",
    "azure.storage",
    "cbor2",
    "cryptography",
    "dateutil",
    "dns",
    "email_validator",
    "google",
    "httpcore",
    "httpx",
    "icalendar",
    "jwt",
    "local",
    "pyotp",
    "pytest",
    "requests",
    "segno",
    "sqlalchemy",
    "starlette",
    "tests",
    "tzdata",
    "uvicorn",
    "uvloop",
    "webauthn",
}


def imports(statements: Iterable[ast.AST]) -> Iterator[str]:
    """The names of the modules that these statements import."""
    for statement in statements:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield str(statement.module)


def packages(names: Iterable[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def loaded_by(program: str) -> set[str]:
    """The names of all modules that are loaded when the program, in a process of its own, has run."""
    command = [sys.executable, "-c", f"{program}\nimport json, sys; print(json.dumps(list(sys.modules)))"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stdout))


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


@pytest.mark.usefixtures("environment")
def test_at_start_the_app_loads_nothing_that_only_some_requests_or_only_developers_need() -> None:
    modules = loaded_by("import function_app")
    assert "shared.http" in modules
    assert modules & NOT_AT_START == set()


@pytest.mark.usefixtures("environment")
def test_no_module_but_the_migrations_loads_alembic_or_sqlalchemy() -> None:
    names = [name_of(file) for file in DEPLOYED]
    modules = loaded_by("\n".join(f"import {name}" for name in names))
    assert set(names) <= modules
    assert modules & {"alembic", "sqlalchemy", "shared.migrations"} == set()


def test_the_modules_of_the_app_import_few_packages_at_start() -> None:
    at_start = {name_of(file): packages(imports(ast.parse(file.read_text()).body)) for file in DEPLOYED}
    assert {name: extra for name, found in at_start.items() if (extra := found - STANDARD - WANTED - {"shared"})} == {}
    assert set.union(*at_start.values()) - STANDARD == WANTED | {"shared"}


def test_what_is_shared_knows_nothing_of_those_who_use_it() -> None:
    ever = {name_of(file): packages(imports(ast.walk(ast.parse(file.read_text())))) for file in SHARED}
    users = {"function_app", "local", "tests", "benchmarks"}
    assert {name: wrong for name, found in ever.items() if (wrong := found & users)} == {}


def test_chance_that_could_be_predicted_decides_only_when_something_happens() -> None:
    """Whatever must not be guessed comes from the operating system: ``secrets``, ``os.urandom``."""
    users = {name_of(file) for file in SHARED if "random" in imports(ast.walk(ast.parse(file.read_text())))}
    assert users == {
        "shared.mail.service",  # how long to wait before the next attempt
        "shared.security.access_tokens",  # by how many seconds a token's life is shortened
    }
