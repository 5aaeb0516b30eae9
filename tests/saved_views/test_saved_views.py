"""Saved views: a question under a name, in one spelling."""

from typing import Any

import psycopg
import pytest

from tests.conftest import Person


def save(person: Person, query: str, name: str = "Open") -> Any:
    return person.post("/api/saved-views", {"name": name, "query": query})


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", ""),
        ("?status=applied", "status=applied"),
        ("status=offer,applied,offer&q=c%2b%2b&limit=5&cursor=abc", "q=c%2B%2B&status=applied%2Coffer"),
        ("sort=-created_at&category=closed", "category=closed"),
        ("sort=relevance&q=a+b", "q=a+b&sort=relevance"),
        ("applied_from=2026-01-01&deadline_before=2026-02-01", "applied_from=2026-01-01&deadline_before=2026-02-01"),
        ("follow_up_before=2026-01-01T00:00:00%2B01:00", "follow_up_before=2026-01-01T00%3A00%3A00%2B01%3A00"),
        ("tag=Go,%C3%9Aj", "tag=Go%2C%C3%9Aj"),
    ],
)
def test_a_query_is_kept_in_one_spelling_which_the_list_takes(person: Person, query: str, kept: str) -> None:
    created = save(person, query)
    view = created.json()
    assert (created.status_code, view["query"]) == (201, kept)
    assert person.get(created.headers["location"]).json() == view
    assert person.get(f"/api/applications?{kept}").status_code == 200
    again = person.patch(created.headers["location"], {"query": kept})
    assert (again.status_code, again.json()["query"]) == (200, kept)


@pytest.mark.parametrize(
    "query",
    [
        "colour=red",
        "status=hired",
        "status=applied&status=offer",
        "sort=relevance",
        "limit=0",
        "status",
        "q=%00",
        "q=%ff",
        "applied_from=yesterday",
        "=",
        "a" * 4001,
    ],
)
def test_a_query_the_list_would_refuse_is_refused(person: Person, query: str) -> None:
    refused = save(person, query)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "query")
    assert person.get("/api/saved-views").json()["items"] == []


def test_a_name_is_there_once_and_can_be_changed(person: Person) -> None:
    first, second = save(person, "", "Open").json(), save(person, "status=offer", "Offers").json()
    refused = save(person, "", "OPEN")
    assert (refused.status_code, refused.json()["code"], refused.json()["id"]) == (
        409,
        "saved_view_exists",
        first["id"],
    )
    place = f"/api/saved-views/{second['id']}"
    assert person.patch(place, {"name": "open"}).status_code == 409
    assert person.patch(place, {"name": "OFFERS"}, headers={"If-Match": '"1"'}).json()["name"] == "OFFERS"
    assert person.patch(place, {"name": "x"}, headers={"If-Match": '"1"'}).status_code == 412
    assert [view["name"] for view in person.get("/api/saved-views").json()["items"]] == ["OFFERS", "Open"]
    assert person.delete(place).status_code == 204
    assert person.get(place).status_code == 404


def test_there_are_at_most_100(person: Person, sql: psycopg.Connection[Any]) -> None:
    sql.execute(
        "INSERT INTO saved_views (user_id, name, query) SELECT %s, n::text, '' FROM generate_series(1, 99) AS n",
        [person.id],
    )
    assert save(person, "", "the last").status_code == 201
    refused = save(person, "", "one more")
    assert (refused.status_code, refused.json()["code"], refused.json()["limit"]) == (409, "too_many_saved_views", 100)
