"""The documentation, held against what it describes."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.project import DEFAULT_PORT, ROOT
from shared import VERSION
from shared.access import Access
from shared.settings import Limit, Settings

README = (ROOT / "README.md").read_text()
DOCUMENTS = {file: file.read_text() for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}

Operation = tuple[str, str]
"""A method and a path."""


def section(heading: str) -> str:
    """What stands in the README under a heading of the second level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    assert found, f"README.md has no section {heading!r}"
    return found[1]


def block(heading: str, language: str) -> str:
    """The one fenced block of that language under a heading of the README."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", section(heading), re.DOTALL | re.MULTILINE)
    return str(code)


def table(text: str) -> list[list[str]]:
    """The rows of a table, each a list of its cells, without the heading."""
    rows = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def operations(cell: str) -> Iterator[Operation]:
    """What a cell names: ``GET`` and ``PATCH /a``, then ``/b`` with the methods of the one before."""
    methods: list[str] = []
    is_complete = True
    for name in re.findall(r"`([^`]+)`", cell):
        method, _, path = name.rpartition(" ")
        if not name.startswith("/"):
            methods = [*([] if is_complete else methods), method or name]
            is_complete = bool(method)
        if path.startswith("/"):
            yield from ((each, path) for each in methods)


def who(access: Access) -> str:
    return (access.role or "member") if access.needs_caller else "anyone"


@pytest.fixture(scope="session")
def declared(environment: dict[str, str]) -> dict[Operation, str]:
    """Every operation the app declares, and who may use it."""
    from function_app import app

    return {(method, r.path): who(r.endpoint.access) for r in app.routes for method in r.methods}


# ---------------------------------------------------------------- routes and timers


def listed_operations() -> list[list[str]]:
    """The rows of all tables of docs/operations.md."""
    parts = (ROOT / "docs" / "operations.md").read_text().split("\n## ")[1:]
    return [row for part in parts for row in table(part)]


def test_every_operation_is_listed_with_who_may_use_it_and_no_other(declared: dict[Operation, str]) -> None:
    listed = {
        operation: audience
        for cell, audience, _ in listed_operations()
        if not cell.startswith("timer")
        for operation in operations(cell)
    }
    assert listed == declared


def test_every_timer_is_listed(environment: dict[str, str]) -> None:
    from function_app import app

    timers = [f.get_function_name() for f in app.get_functions() if '"timerTrigger"' in f.get_raw_bindings()[0]]
    listed = [cell for cell, _, _ in listed_operations() if cell.startswith("timer")]
    assert sorted(listed) == sorted(f"timer `{name}`" for name in timers)


def test_the_readme_leads_to_every_page() -> None:
    linked = set(re.findall(r"\(docs/([a-z]+\.md)\)", README))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} == linked


# ---------------------------------------------------------------- settings


def test_every_setting_is_documented_with_its_default_and_its_meaning() -> None:
    expected = []
    for name, field in Settings.model_fields.items():
        default = f"`{field.default}`"
        if isinstance(field.default, Limit):
            default = f"`{field.default.hits}/{field.default.seconds}`"
        elif field.default in (None, ()):
            default = "-"
        elif field.is_required():
            default = "required"
        expected.append([f"`{name.upper()}`", default, field.description])
    assert table((ROOT / "docs" / "settings.md").read_text()) == expected


def test_the_example_of_local_settings_names_known_settings_only() -> None:
    named = set(json.loads((ROOT / "local.settings.example.json").read_text())["Values"])
    hosts = {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage", "DATABASE_URL_DIRECT"}
    assert named - hosts <= {name.upper() for name in Settings.model_fields}
    assert named >= hosts | {"DATABASE_URL", "JWT_SECRET"}


# ---------------------------------------------------------------- what can be run


def test_the_walk_with_curl_can_be_walked(start_app: Callable[..., str]) -> None:
    if not shutil.which("curl") or not shutil.which("bash"):
        pytest.skip("NOT RUN: there is no curl, or no bash, on this machine")
    walk = block("A walk with curl", "bash")
    address = f"http://127.0.0.1:{DEFAULT_PORT}"
    assert address in walk
    walked = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", walk.replace(address, start_app())],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert walked.returncode == 0, walked.stderr
    listed, moved, restored, *exported, ended = walked.stdout.splitlines()
    (application,) = json.loads(listed)["items"]
    assert (application["status"], json.loads(moved)["status"]) == ("applied", "interview")
    assert json.loads(restored)["id"] == application["id"]
    assert application["id"] in "".join(exported)
    assert ended == "signed out: 204"


def test_the_sample_of_another_service_is_python() -> None:
    compile(block("From another service", "python"), "README.md", "exec")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_link_to_a_file_leads_to_one(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", DOCUMENTS[document])
    assert [link for link in links if not (document.parent / link).exists()] == []


# ---------------------------------------------------------------- what is deployed


def test_routes_stand_in_function_app_as_they_are_called() -> None:
    assert json.loads((ROOT / "host.json").read_text())["extensions"]["http"]["routePrefix"] == ""


def test_what_only_developers_need_is_not_deployed() -> None:
    ignored = (ROOT / ".funcignore").read_text().split()
    assert {"tests", "local", "benchmarks", "docs", "shared/migrations", "local.settings*.json", ".venv*"} <= set(
        ignored
    )


def test_the_changelog_has_this_version() -> None:
    versions = re.findall(r"^## ([0-9.]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == VERSION
