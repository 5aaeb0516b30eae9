"""Paths and methods: what is there, what is not, and what else a path may be asked."""

import pytest

from shared.routes import METHODS, Route
from tests.conftest import Client, Person
from tests.http.conftest import Send, concrete

NOWHERE = [
    "/",
    "/api",
    "/api/",
    "/api/nothing",
    "/api/applications/x/y",
    "/api//applications",
    "/api/quotas//consume",
    "//api/applications",
    "/health/live",
    "/healthz",
    "/.well-known/",
    "/.well-known/openid-configuration",
    "/.env",
    "/favicon.ico",
    "/api/../health",
    "/api/%2e%2e/health",
    "/api/docs/index.html",
    "/admin/host/status",
    "/\\evil",
    "/%",
    "/%00",
    "/%zz",
    "/%ff%fe",
    "/%ED%A0%80",
    "/" + "a" * 2000,
    "/" + "a/" * 1000,
    "/?x=1",
    "/nothing?x=%00&x=%ff&limit=0",
]
BAD_IDS = [
    "x",
    "0",
    "null",
    "me",
    "00000000-0000-0000-0000-00000000000",
    "00000000-0000-0000-0000-0000000000000",
    "00000000-0000-0000-0000-00000000000g",
    "00000000_0000_0000_0000_000000000000",
    "urn:uuid:00000000-0000-7000-8000-000000000000",
    "%00",
    "00000000-0000-7000-8000-000000000000%00",
    "%2F",
    "..%2Fprofile",
    "%",
    "%zz",
    "%ff",
    "%ED%A0%80",
    "%F0%9F%98%80",
    "%EF%BC%90" * 8,
    "*",
    "'",
    "a" * 2000,
]
BAD_NAMES = ["%00", "a%00", "%0A", "%2F", "exports%2Fconsume", "%", "%zz", "%ff", "%ED%A0%80", "a" * 2000]
MEMBERS_OF = ["/api/applications/{}", "/api/auth/sessions/{}", "/api/quotas/reservations/{}/commit"]
METHOD_OF = {"/api/auth/sessions/{}": "DELETE", "/api/quotas/reservations/{}/commit": "POST"}

# ---------------------------------------------------------------- nothing there


@pytest.mark.parametrize("target", NOWHERE)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_where_nothing_is_a_problem_says_so(client: Client, send: Send, method: str, target: str) -> None:
    answer = send(method, target)
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert b'"not_found"' in answer.body
    assert answer.headers["x-request-id"].encode() in answer.body


@pytest.mark.parametrize("member", MEMBERS_OF)
@pytest.mark.parametrize("bad", BAD_IDS)
def test_what_is_no_id_is_the_id_of_nothing(resident: Person, send: Send, member: str, bad: str) -> None:
    authorization = ("Authorization", resident.headers["Authorization"])
    answer = send(METHOD_OF.get(member, "GET"), member.format(bad), authorization)
    assert (answer.status, b'"not_found"' in answer.body) == (404, True)


def test_an_id_may_be_written_in_capitals(resident: Person) -> None:
    application = resident.create_application()
    assert resident.get(f"/api/applications/{application['id'].upper()}").json() == application


@pytest.mark.parametrize("metric", BAD_NAMES)
@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("POST", "/consume")])
def test_what_is_no_name_is_the_name_of_nothing(
    resident: Person, send: Send, method: str, rest: str, metric: str
) -> None:
    answer = send(method, f"/api/quotas/{metric}{rest}", ("Authorization", resident.headers["Authorization"]))
    assert (answer.status, b'"not_found"' in answer.body) == (404, True)


def test_letters_may_be_escaped(resident: Person, send: Send) -> None:
    authorization = ("Authorization", resident.headers["Authorization"])
    assert send("GET", "/api/quotas/%65xports", authorization).status == 200
    assert send("GET", "/%61pi/quotas/exports", authorization).status == 200


@pytest.mark.parametrize("path", ["/health", "/api/profile", "/api/applications", "/api/quotas/exports"])
def test_neither_a_slash_at_the_end_nor_capitals_change_anything(resident: Person, send: Send, path: str) -> None:
    authorization = ("Authorization", resident.headers["Authorization"])
    plain = send("GET", path, authorization)
    assert plain.status == 200
    for target in (f"{path}/", path.replace("api", "API").replace("health", "Health")):
        again = send("GET", target, authorization)
        assert (again.status, again.body) == (200, plain.body)


# ---------------------------------------------------------------- other methods


def test_a_method_that_a_path_has_not_is_refused_with_those_it_has(client: Client, routes: list[Route]) -> None:
    unchecked = Client(client.url, checked=False)
    has: dict[str, set[str]] = {}
    for route in routes:
        has.setdefault(concrete(route), set()).update(route.methods)
    for path, methods in has.items():
        for method in set(METHODS) - methods:
            refused = unchecked(method, path)
            seen = f"{method} {path}"
            assert refused.status_code == 405, seen
            assert refused.headers["allow"] == ", ".join(sorted(methods)), seen
            assert refused.headers["content-type"] == "application/problem+json", seen
            if method == "HEAD":
                assert refused.content == b""
            else:
                problem = refused.json()
                assert problem["code"] == "method_not_allowed"
                assert problem["request_id"] == refused.headers["x-request-id"]
    unchecked.close()
    assert len(has) >= 20


@pytest.mark.parametrize("path", ["/api/profile", "/api/profile/", "/API/Profile", "/api/profile?x=1"])
def test_however_the_path_is_written(send: Send, path: str) -> None:
    answer = send("DELETE", path)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, PATCH")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_where_nothing_is_no_method_is_there(send: Send, method: str) -> None:
    answer = send(method, "/api/nothing")
    assert (answer.status, answer.headers["allow"]) == (404, None)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
def test_nothing_is_ever_echoed(send: Send, method: str) -> None:
    answer = send(method, "/api/profile", ("X-Marker", "xyzzy"), ("Cookie", "xyzzy"))
    assert answer.status in (400, 404, 405)
    assert b"xyzzy" not in answer.body


def test_the_method_is_decided_before_who_calls(client: Client) -> None:
    assert client.delete("/api/profile").status_code == 405
    assert client.get("/api/auth/login").status_code == 405


def test_a_preflight_is_allowed_nothing(send: Send) -> None:
    answer = send(
        "OPTIONS",
        "/api/profile",
        ("Origin", "https://elsewhere.example"),
        ("Access-Control-Request-Method", "GET"),
    )
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
