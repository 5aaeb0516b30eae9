"""How tests move applications, and read what became of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conftest import Person


def ago(**span: float) -> str:
    return (datetime.now(UTC).replace(microsecond=0) - timedelta(**span)).isoformat()


def move(person: Person, application: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = person.post(f"/api/applications/{application['id']}/move", fields)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def read(person: Person, application: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = person.get(f"/api/applications/{application['id']}").json()
    return document


def events(person: Person, application: dict[str, Any], query: str = "?limit=100") -> list[dict[str, Any]]:
    """The timeline, the latest first."""
    found: list[dict[str, Any]] = person.get(f"/api/applications/{application['id']}/events{query}").json()["items"]
    return found


def path_of(event: dict[str, Any]) -> str:
    return f"/api/applications/{event['application_id']}/events/{event['id']}"


def stage(person: Person, name: str) -> str:
    return next(str(s["id"]) for s in person.get("/api/stages").json()["items"] if s["name"] == name)
