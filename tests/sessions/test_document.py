"""docs/sessions.md: each claim has a test, and the outcomes are those of the database, in its order."""

import ast
import re
from typing import get_args

from local.project import ROOT
from shared.sessions.models import Outcome
from shared.settings import Settings
from tests.sessions.rows import Sql

DOCUMENT = (ROOT / "docs" / "sessions.md").read_text()


def existing_tests() -> set[str]:
    return {
        node.name
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def rows() -> list[list[str]]:
    """The cells of every row of every table, without the heads."""
    lines = [line for line in DOCUMENT.splitlines() if line.startswith("| ") and not line.endswith("| test |")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def outcomes() -> list[str]:
    return [cells[0] for cells in rows() if len(cells) == 5]


def test_every_test_the_document_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT))
    assert len(named) > 40
    assert named <= existing_tests()


def test_every_claim_of_the_document_names_a_test() -> None:
    claims = rows()
    assert len(claims) > 25
    assert [cells for cells in claims if not re.search(r"`test_\w+`", cells[-1])] == []


def test_the_document_has_every_outcome_and_no_other() -> None:
    assert sorted(outcomes()) == sorted(get_args(Outcome))


def test_the_outcomes_are_decided_in_the_order_of_the_document(sql: Sql) -> None:
    (source,) = sql.execute("SELECT prosrc FROM pg_proc WHERE proname = 'rotate_refresh_token'").fetchone() or ("",)
    decision = source.partition("CASE")[2].partition("END;")[0]
    assert list(dict.fromkeys(re.findall(r"'(\w+)'", decision))) == outcomes()


def test_every_setting_the_document_names_exists() -> None:
    named = set(re.findall(r"`([A-Z_]+)`", DOCUMENT)) - {"NOBODY"}
    assert named
    assert named <= {name.upper() for name in Settings.model_fields}
