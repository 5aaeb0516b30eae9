"""docs/pipeline.md: each claim has a test, and its categories, statuses and follow-ups are those of the database."""

import re
from typing import Any, get_args

import psycopg

from local.project import ROOT
from shared.applications import Category
from shared.timeline.models import Activity
from tests.conftest import Person
from tests.sessions.test_document import existing_tests

Sql = psycopg.Connection[Any]
DOCUMENT = (ROOT / "docs" / "pipeline.md").read_text()


def rows() -> list[list[str]]:
    """The cells of every row of every table, without the heads."""
    lines = [line for line in DOCUMENT.splitlines() if line.startswith("| ") and not line.endswith("| test |")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def categories() -> list[list[str]]:
    return [cells for cells in rows() if len(cells) == 4][1:]


def test_every_test_the_pipelines_document_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT))
    assert len(named) > 40
    assert named <= existing_tests()


def test_every_claim_of_the_pipelines_document_names_a_test() -> None:
    claims = [cells for cells in rows() if len(cells) < 4]
    assert len(claims) > 30
    assert [cells for cells in claims if not re.search(r"`test_\w+`", cells[-1])] == []


def test_the_pipelines_document_has_every_category_with_its_stages_and_follow_up(person: Person, sql: Sql) -> None:
    given = person.get("/api/stages").json()["items"]
    assert [cells[0].strip("`") for cells in categories()] == list(get_args(Category))
    for category, names, _, days in categories():
        stages = [s["name"] for s in given if f"`{s['category']}`" == category]
        assert names.split(", ") == stages
        (source,) = sql.execute("SELECT prosrc FROM pg_proc WHERE proname = 'follow_up_for'").fetchone() or ("",)
        waits = re.search(rf"WHEN '{category.strip('`')}' THEN (\d+)", source)
        assert re.findall(r"\d+", days) == ([waits[1]] if waits else [])


def test_the_pipelines_document_names_every_activity() -> None:
    assert [name for name in get_args(Activity) if f"`{name}`" not in DOCUMENT] == []
