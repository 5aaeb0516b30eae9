"""Another user's application reads exactly like one that never existed."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.applications.test_update_application import path_of
from tests.conftest import Person

PASSING = ("x-request-id", "date")
ATTEMPTS: dict[str, tuple[str, dict[str, Any]]] = {
    "read": ("GET", {}),
    "read what one has": ("GET", {"headers": {"If-None-Match": '"1"'}}),
    "change": ("PATCH", {"json": {"company": "Mine"}}),
    "change nothing": ("PATCH", {"json": {}}),
    "change this version": ("PATCH", {"json": {"company": "Mine"}, "headers": {"If-Match": '"1"'}}),
    "change another version": ("PATCH", {"json": {"company": "Mine"}, "headers": {"If-Match": '"9"'}}),
    "break a rule": ("PATCH", {"json": {"salary_min": 1}}),
    "be wrong": ("PATCH", {"json": {"status": "mine"}}),
    "delete": ("DELETE", {}),
    "delete this version": ("DELETE", {"headers": {"If-Match": '"1"'}}),
    "delete another version": ("DELETE", {"headers": {"If-Match": '"9"'}}),
}


def all_but_passing(response: httpx.Response) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Everything a caller sees, less what is new in every answer."""
    headers = {name: value for name, value in response.headers.items() if name not in PASSING}
    return response.status_code, headers, response.json() | {"request_id": None}


@pytest.mark.parametrize(("method", "options"), ATTEMPTS.values(), ids=ATTEMPTS)
def test_a_stranger_learns_nothing(writer: Person, person: Person, method: str, options: dict[str, Any]) -> None:
    theirs = writer.create_application(salary_currency="EUR")
    there = person(method, path_of(theirs), **options)
    nowhere = person(method, f"/api/applications/{uuid4()}", **options)
    assert there.status_code == (422 if options.get("json") == {"status": "mine"} else 404)
    assert all_but_passing(there) == all_but_passing(nowhere)
    assert writer.get(path_of(theirs)).json() == theirs


def test_an_application_that_is_gone_reads_the_same_to_its_owner_and_to_a_stranger(
    writer: Person, person: Person
) -> None:
    gone = writer.create_application()
    writer.delete(path_of(gone))
    assert all_but_passing(writer.get(path_of(gone))) == all_but_passing(person.get(path_of(gone)))


def test_lists_show_the_callers_own(new_person: Callable[..., Person]) -> None:
    one, other = new_person(), new_person()
    hers, his = one.create_application(company="Shared Ltd"), other.create_application(company="Shared Ltd")
    for query in ({}, {"q": "shared"}, {"company": "Shared"}, {"status": "saved"}, {"limit": 100}):
        assert one.get("/api/applications", params=query).json()["items"] == [hers]
        assert other.get("/api/applications", params=query).json()["items"] == [his]
