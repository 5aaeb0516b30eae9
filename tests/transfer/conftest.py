"""How the tests put files in and take them out."""

import csv
import io
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Person

Row = dict[str, Any]


def bring_in(person: Person, content: str | bytes, **options: Any) -> Row:
    """Import a file; gives the report."""
    given = {"content": content} if isinstance(content, str) else {"content_base64": b64encode(content).decode()}
    answer = person.post("/api/applications/import", {**given, **options})
    assert answer.status_code == 200, answer.text
    report: Row = answer.json()
    return report


def refusal(person: Person, content: str | bytes, **options: Any) -> tuple[str, str]:
    """The field and the code for which a file is refused as a whole."""
    given = {"content": content} if isinstance(content, str) else {"content_base64": b64encode(content).decode()}
    answer = person.post("/api/applications/import", {**given, **options})
    assert answer.status_code == 422, answer.text
    (fault,) = answer.json()["errors"]
    return fault["field"], fault["code"]


def faults(report: Row) -> dict[int, list[tuple[str, str]]]:
    """For each row that failed, the fields and the codes."""
    return {
        result["row"]: [(fault["field"], fault["code"]) for fault in result["errors"]]
        for result in report["results"]
        if result["outcome"] == "failed"
    }


def outcomes(report: Row) -> list[str]:
    return [result["outcome"] for result in report["results"]]


def take_out(person: Person, **query: Any) -> Any:
    """Export everything as JSON."""
    answer = person.get("/api/applications/export", params={"format": "json", **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def take_csv(person: Person, **query: Any) -> tuple[str, list[dict[str, str]]]:
    """Export everything as CSV: as it is, and its rows."""
    answer = person.get("/api/applications/export", params={"format": "csv", **query})
    assert answer.status_code == 200, answer.text
    text = answer.content.decode("utf-8-sig")
    return text, list(csv.DictReader(io.StringIO(text, newline="")))


def applications(person: Person) -> list[Row]:
    """Everything the list shows, the oldest first."""
    answer = person.get("/api/applications?sort=created_at&limit=100")
    assert answer.status_code == 200
    items: list[Row] = answer.json()["items"]
    return items


@pytest.fixture
def ada(new_person: Callable[..., Person]) -> Person:
    return new_person()


@pytest.fixture
def bob(new_person: Callable[..., Person]) -> Person:
    return new_person()
