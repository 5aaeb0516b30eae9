"""The app in Microsoft's own worker runtime for Python 3.13: indexed as in Azure, and driven as by the host."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.project import ROOT

RUNTIME = "azure-functions-runtime>=1.3,<2"
ENVIRONMENT = ROOT / ".venv-worker"
REFRESH_COOKIE = "__Host-jobtrail_refresh"

Seen = dict[str, Any]


def interpreters() -> Iterator[str]:
    """Where a Python 3.13 may be: this one, the PATH's, pyenv's."""
    yield sys.executable
    if on_path := shutil.which("python3.13"):
        yield on_path
    if pyenv := shutil.which("pyenv"):
        root = Path(subprocess.check_output([pyenv, "root"], text=True).strip())
        yield from map(str, sorted(root.glob("versions/3.13*/bin/python")))


def is_python_3_13(interpreter: str) -> bool:
    says = subprocess.run(
        [interpreter, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True
    )
    return says.stdout.split() == ["3", "13"]


@pytest.fixture(scope="module")
def worker_python() -> str:
    """The interpreter of an environment with the app's requirements and the runtime in it; made once, then kept."""
    interpreter = next(filter(is_python_3_13, interpreters()), None)
    if interpreter is None:
        pytest.skip("NOT RUN: the worker runtime needs Python 3.13, and there is none on this machine")
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "stamp"
    wanted = hashlib.sha256((ROOT / "requirements.txt").read_bytes() + RUNTIME.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.check_call([interpreter, "-m", "venv", "--clear", str(ENVIRONMENT)])
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        installed = subprocess.run([*pip, "-r", "requirements.txt", RUNTIME], cwd=ROOT, capture_output=True, text=True)
        if installed.returncode:
            why = f"the worker runtime could not be installed: {installed.stderr.strip().splitlines()[-1]}"
            pytest.fail(why) if "CI" in os.environ else pytest.skip(f"NOT RUN: {why}")
        stamp.write_text(wanted)
    return str(python)


@pytest.fixture(scope="module")
def seen(worker_python: str, environment: dict[str, str]) -> Seen:
    """What the worker answered to everything that driver.py asks of it."""
    driven = subprocess.run(
        [worker_python, str(Path(__file__).with_name("driver.py"))],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert driven.returncode == 0, driven.stderr
    answers: Seen = json.loads(driven.stdout)
    return answers


def problem(answer: Seen) -> tuple[int, str]:
    assert answer["headers"]["content-type"].startswith("application/problem+json"), answer
    return answer["status"], json.loads(answer["body"])["code"]


def test_every_function_is_indexed_with_its_bindings(seen: Seen) -> None:
    from function_app import app

    declared = {
        function.get_function_name(): [json.loads(binding) for binding in function.get_raw_bindings()]
        for function in app.get_functions()
    }
    assert seen["functions"] == declared


def test_an_account_can_be_made(seen: Seen) -> None:
    assert seen["register"]["status"] == 201
    assert json.loads(seen["register"]["body"])["refresh_token"].startswith("jtr_")


def test_the_refresh_cookie_reaches_the_host_with_all_its_attributes(seen: Seen) -> None:
    assert seen["login"]["status"] == 200
    assert "refresh_token" not in json.loads(seen["login"]["body"])
    cookie, device = seen["login"]["cookies"]
    assert (device["name"], device["http_only"]) == ("__Host-jobtrail_device", True)
    assert (cookie["name"], cookie["path"], cookie["same_site"]) == (REFRESH_COOKIE, "/", "Lax")
    assert cookie["secure"]
    assert cookie["http_only"]
    assert not cookie["domain"]  # the prefix wants none, and the worker writes that as an empty one
    assert float(cookie["max_age"]) == json.loads(seen["login"]["body"])["refresh_expires_in"]


def test_the_cookie_that_comes_back_continues_the_session(seen: Seen) -> None:
    assert seen["refresh"]["status"] == 200
    (before, _), (after,) = seen["login"]["cookies"], seen["refresh"]["cookies"]
    assert after["name"] == REFRESH_COOKIE
    assert after["value"] != before["value"]


def test_a_token_opens_its_owners_profile(seen: Seen) -> None:
    assert seen["profile"]["status"] == 200
    assert json.loads(seen["profile"]["body"])["id"] == json.loads(seen["login"]["body"])["user"]["id"]


def test_what_is_created_can_be_found_where_the_location_says(seen: Seen) -> None:
    assert seen["create"]["status"] == 201
    assert seen["create"]["headers"]["location"].endswith(json.loads(seen["create"]["body"])["id"])
    assert seen["change"]["function"] == "update_application"


def test_the_query_string_reaches_the_function(seen: Seen) -> None:
    assert [item["company"] for item in json.loads(seen["list"]["body"])["items"]] == ["Contoso"]
    assert json.loads(seen["empty list"]["body"])["items"] == []


def test_a_change_is_made_to_the_version_it_names_and_to_no_other(seen: Seen) -> None:
    assert (seen["change"]["status"], seen["change"]["headers"]["etag"]) == (200, '"2"')
    assert problem(seen["stale change"]) == (412, "stale_version")


def test_a_reader_of_the_present_version_gets_an_empty_304(seen: Seen) -> None:
    assert (seen["unchanged"]["status"], seen["unchanged"]["body"]) == (304, "")


def test_without_a_token_the_answer_is_401(seen: Seen) -> None:
    assert problem(seen["nobody"]) == (401, "unauthorized")
    assert seen["nobody"]["headers"]["www-authenticate"] == "Bearer"


def test_an_unknown_path_is_refused_by_the_catch_all(seen: Seen) -> None:
    assert seen["nowhere"]["function"] == "zz_unmatched"
    assert problem(seen["nowhere"]) == (404, "not_found")


def test_a_method_the_path_has_not_is_refused_with_those_it_has(seen: Seen) -> None:
    assert problem(seen["wrong method"]) == (405, "method_not_allowed")
    assert seen["wrong method"]["headers"]["allow"] == "GET, PATCH"


def test_a_body_over_a_mebibyte_is_refused(seen: Seen) -> None:
    assert problem(seen["too large"]) == (413, "body_too_large")


def test_fifty_invocations_at_once_are_all_served(seen: Seen) -> None:
    assert [answer.get("status", answer) for answer in seen["at once"]] == [201] * 50
    assert len({json.loads(answer["body"])["id"] for answer in seen["at once"]}) == 50


def test_each_invocation_has_a_request_id_of_its_own(seen: Seen) -> None:
    assert len({answer["headers"]["x-request-id"] for answer in seen["at once"]}) == 50


def test_a_timer_succeeds_and_returns_nothing(seen: Seen) -> None:
    assert seen["timer"] == {"ok": True, "answer": None, "error": None}


def test_a_session_that_was_ended_is_over_at_the_next_request(seen: Seen) -> None:
    assert seen["logout"]["status"] == 204
    assert problem(seen["signed out"]) == (401, "session_ended")
