"""Headers of every answer: which request it was, who may keep it, and what a browser must not do with it."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conftest import PASSWORD, Client, Person
from tests.http.conftest import Send

Ask = Callable[[Person, dict[str, str]], httpx.Response]


def patch_with(content: bytes, media_type: str = "application/json") -> Ask:
    """A change of the profile with this body."""
    return lambda p, h: p.patch("/api/profile", content=content, headers=h | {"Content-Type": media_type})


# One of each kind of answer: with a document, with none, unchanged, and refused for every reason there is.
ANSWERS: dict[str, tuple[int, Ask]] = {
    "a page": (200, lambda p, h: p.get("/api/applications", headers=h)),
    "a document": (200, lambda p, h: p.get("/api/profile", headers=h)),
    "made": (201, lambda p, h: p.post("/api/applications", {"company": "A", "position": "B"}, headers=h)),
    "gone": (204, lambda p, h: p.delete(f"/api/applications/{p.create_application()['id']}", headers=h)),
    "unchanged": (304, lambda p, h: p.get("/api/profile", headers=h | {"If-None-Match": "*"})),
    "not JSON": (
        400,
        lambda p, h: p.patch("/api/profile", content="{", headers=h | {"Content-Type": "application/json"}),
    ),
    "not signed in": (401, lambda p, h: p.get("/api/profile", headers=h | {"Authorization": ""})),
    "a bad token": (401, lambda p, h: p.get("/api/profile", headers=h | {"Authorization": "Bearer x"})),
    "not allowed": (
        403,
        lambda p, h: p.post("/api/auth/refresh", headers=h | {"Cookie": "__Host-jobtrail_refresh=x"}),
    ),
    "not found": (404, lambda p, h: p.get("/api/quotas/nothing", headers=h)),
    "nowhere": (404, lambda p, h: p.get("/api/nothing", headers=h)),
    "another method": (405, lambda p, h: p.delete("/api/profile", headers=h)),
    "taken": (409, lambda p, h: p.post("/api/auth/register", {"email": p.email, "password": PASSWORD}, headers=h)),
    "stale": (412, lambda p, h: p.patch("/api/profile", {}, headers=h | {"If-Match": '"99"'})),
    "too much": (413, patch_with(b" " * 1_048_577)),
    "another media type": (415, patch_with(b"{}", "text/plain")),
    "not valid": (422, lambda p, h: p.patch("/api/profile", {"role": "admin"}, headers=h)),
    "used up": (429, lambda p, h: p.post("/api/quotas/exports/consume", {"units": 6}, headers=h)),
    "health": (200, lambda p, h: p.get("/health", headers=h)),
    "OpenAPI": (200, lambda p, h: p.get("/api/openapi.json", headers=h)),
    "the reference": (200, lambda p, h: p.get("/api/docs", headers=h)),
    "keys": (200, lambda p, h: p.get("/.well-known/jwks.json", headers=h)),
}
every_answer = pytest.mark.parametrize(("status", "ask"), ANSWERS.values(), ids=ANSWERS)


# ---------------------------------------------------------------- which request it was


@every_answer
def test_a_request_may_bring_its_own_name(resident: Person, status: int, ask: Ask) -> None:
    answer = ask(resident, {"X-Request-Id": "Request-0815"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (status, "Request-0815")
    if status >= 400:
        assert answer.json()["request_id"] == "Request-0815"


@every_answer
def test_or_else_it_is_given_one(resident: Person, status: int, ask: Ask) -> None:
    names = [ask(resident, {}).headers["x-request-id"] for _ in range(2)]
    assert all(len(name) == 32 and int(name, 16) for name in names)
    assert names[0] != names[1]


@pytest.mark.parametrize("name", ["x" * 8, "x" * 64, "a-b-c-d-e", "0123456789", "--------"])
def test_names_have_8_to_64_plain_characters(client: Client, name: str) -> None:
    assert client.get("/health", headers={"X-Request-Id": name}).headers["x-request-id"] == name


NO_NAMES = [
    "",
    "x" * 7,
    "x" * 65,
    "x" * 5000,
    "under_score",
    "with space",
    "tab\tulator",
    "comma,comma",
    "semi;colon",
    'quo"tes"x',
    "a.b.c.d.e",
    "<script>x",
    "%0d%0aSet-Cookie: x",
    "'; DROP TABLE users;--",
    "\xfcmlaut-x",
]


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_is_replaced(send: Send, name: str) -> None:
    answer = send("GET", "/health", ("X-Request-Id", name))
    given = answer.headers["x-request-id"]
    assert (answer.status, len(given), given.isalnum()) == (200, 32, True)
    assert answer.headers["set-cookie"] is None


def test_two_names_are_none(send: Send) -> None:
    answer = send("GET", "/health", ("X-Request-Id", "request-1"), ("X-Request-Id", "request-2"))
    assert answer.headers["x-request-id"] not in ("request-1", "request-2")
    assert len(answer.headers.get_all("x-request-id") or []) == 1


# ---------------------------------------------------------------- who may keep it, and how it is shown


@every_answer
def test_only_what_is_for_everybody_may_be_kept_by_anybody(resident: Person, status: int, ask: Ask) -> None:
    answer = ask(resident, {})
    kept = answer.headers["cache-control"]
    if answer.request.url.path in ("/api/openapi.json", "/api/docs"):
        assert kept == "public, max-age=300"
    elif answer.request.url.path == "/.well-known/jwks.json":
        assert kept == "public, max-age=600"
    elif "etag" in answer.headers:
        assert kept == "private, no-cache"
    else:
        assert kept == "no-store"


@every_answer
def test_a_browser_is_told_to_take_no_liberties(resident: Person, status: int, ask: Ask) -> None:
    headers = ask(resident, {}).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers
    assert "x-powered-by" not in headers


@every_answer
def test_every_answer_says_what_it_is(resident: Person, status: int, ask: Ask) -> None:
    answer = ask(resident, {})
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if status in (204, 304):
        assert (answer.content, "content-length" in answer.headers) == (b"", False)
    elif status >= 400:
        problem: dict[str, Any] = answer.json()
        assert media_type == "application/problem+json"
        assert problem.keys() >= {"type", "title", "status", "code", "detail", "request_id"}
        assert (problem["status"], problem["type"]) == (status, "about:blank")
    else:
        assert media_type == ("text/html" if answer.request.url.path == "/api/docs" else "application/json")


def test_a_refused_caller_is_told_how_to_come_in(resident: Person) -> None:
    assert resident.get("/api/profile", headers={"Authorization": ""}).headers["www-authenticate"] == "Bearer"
    refused = resident.get("/api/profile", headers={"Authorization": "Bearer x"})
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_text_is_utf_8(resident: Person) -> None:
    resident.patch("/api/profile", {"company": "Müller 😀"})
    assert "Müller 😀".encode() in resident.get("/api/profile").content
