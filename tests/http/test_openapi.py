"""The OpenAPI document says all there is to know of the API; the page that shows it needs no network."""

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from shared.applications.models import Sort
from shared.routes import Route
from shared.tokens import SCOPES
from tests.conftest import Client

Operation = dict[str, Any]


@pytest.fixture(scope="session")
def operations(document: dict[str, Any]) -> dict[str, Operation]:
    """Each operation by its id."""
    return {o["operationId"]: o for path in document["paths"].values() for o in path.values()}


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object anywhere in a document."""
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from nodes(value)


def codes(operation: Operation, status: int) -> set[str]:
    """The problems an operation may answer with."""
    answer = operation["responses"].get(str(status))
    if answer is None:
        return set()
    return set(answer["content"]["application/problem+json"]["schema"]["properties"]["code"]["enum"])


# ---------------------------------------------------------------- the document


def test_it_is_served_as_it_is(client: Client, document: dict[str, Any]) -> None:
    assert client.get("/api/openapi.json").json() == document


def test_it_is_valid(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"] == "3.1.0"


def test_every_schema_in_it_is_valid(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert schema.get("title", name)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = {node["$ref"] for node in nodes(document) if isinstance(node.get("$ref"), str)}
    assert len(references) >= 10
    for reference in references:
        place: Any = document
        for word in reference.removeprefix("#/").split("/"):
            place = place[word]


def test_nothing_in_it_is_unused(document: dict[str, Any]) -> None:
    used = {node["$ref"].rpartition("/")[2] for node in nodes(document) if isinstance(node.get("$ref"), str)}
    assert set(document["components"]["schemas"]) == used


def test_it_has_every_route_and_nothing_else(document: dict[str, Any], routes: list[Route]) -> None:
    documented = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert documented == {(method, route.path) for route in routes for method in route.methods}


def test_every_operation_has_a_name_a_summary_and_a_tag(operations: dict[str, Operation], routes: list[Route]) -> None:
    assert set(operations) == {route.name for route in routes}
    for name, operation in operations.items():
        assert 10 < len(operation["summary"]) < 70, name
        assert not operation["summary"].endswith("."), name
        assert len(operation["tags"]) == 1, name


def test_every_operation_says_who_may_call_it(operations: dict[str, Operation], routes: list[Route]) -> None:
    for route in routes:
        security, access = operations[route.name]["security"], route.endpoint.access
        if access.takes_tokens:
            assert security == [{"bearer": []}, {"token": [access.scope] if access.scope else []}], route.name
            assert f"`{access.scope}`" in operations[route.name]["description"] or not access.scope, route.name
        elif access.needs_caller:
            assert security == [{"bearer": []}], route.name
        else:
            accepts = route.endpoint.accepts
            assert security == ([{}, *({scheme: []} for scheme in accepts)] if accepts else []), route.name
        if route.endpoint.access.role:
            assert f"`{route.endpoint.access.role}`" in operations[route.name]["description"]


def test_the_schemes_are_bearer_token_and_cookie(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    kinds = {"bearer": "http", "token": "http", "cookie": "apiKey"}
    assert {name: scheme["type"] for name, scheme in schemes.items()} == kinds
    assert schemes["bearer"]["scheme"] == schemes["token"]["scheme"] == "bearer"
    assert all(f"`{scope}`" in schemes["token"]["description"] for scope in SCOPES)
    assert (schemes["cookie"]["in"], schemes["cookie"]["name"]) == ("cookie", "__Host-jobtrail_refresh")


def test_every_operation_lists_its_problems(operations: dict[str, Operation], routes: list[Route]) -> None:
    for route in routes:
        operation, spec = operations[route.name], route.endpoint
        assert codes(operation, 500) == {"unexpected"}, route.name
        assert "validation_failed" in codes(operation, 422), route.name
        if spec.access.needs_caller:
            refusals = {"unauthorized", "invalid_token", "session_ended"}
            refusals |= {"reauthentication_required"} if spec.access.is_fresh else set()
            refusals |= {"token_expired", "token_revoked"} if spec.access.takes_tokens else set()
            assert codes(operation, 401) >= refusals, route.name
            assert ("session_required" in codes(operation, 403)) != spec.access.takes_tokens, route.name
            assert ("insufficient_scope" in codes(operation, 403)) == bool(spec.access.scope), route.name
            assert "database_unavailable" in codes(operation, 503), route.name
        if spec.access.role:
            assert "forbidden" in codes(operation, 403), route.name
        if spec.body:
            assert codes(operation, 400) >= {"malformed_json"}, route.name
            assert codes(operation, 413) == {"body_too_large"}, route.name
            assert codes(operation, 415) == {"unsupported_media_type"}, route.name
        if spec.path:
            assert codes(operation, 404) == {"not_found"}, route.name
        if "versions" in spec.takes:
            assert codes(operation, 412) == {"stale_version"}, route.name
        if "retry" in spec.takes:
            assert codes(operation, 409) >= {"idempotency_in_flight"}, route.name
            assert codes(operation, 422) >= {"idempotency_key_reused"}, route.name
        for problem in spec.raises:
            assert problem.code in codes(operation, problem.status), f"{route.name}: {problem.__name__}"


def test_every_problem_is_described_in_words(operations: dict[str, Operation]) -> None:
    for name, operation in operations.items():
        for status in (status for status in operation["responses"] if int(status) >= 400):
            described = operation["responses"][status]["description"]
            for code in codes(operation, int(status)):
                assert f"`{code}`: " in described, name


def test_headers_are_where_they_are_due(operations: dict[str, Operation]) -> None:
    due = {"401": "WWW-Authenticate", "405": "Allow", "429": "RateLimit", "503": "Retry-After", "304": "ETag"}
    for name, operation in operations.items():
        for status, answer in operation["responses"].items():
            assert "X-Request-Id" in answer["headers"], name
            if status in due:
                assert due[status] in answer["headers"], f"{name} {status}"


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("create_application", {"X-Request-Id", "Idempotency-Key"}),
        ("get_application", {"X-Request-Id", "If-None-Match", "application_id"}),
        ("update_application", {"X-Request-Id", "If-Match", "application_id"}),
        ("delete_application", {"X-Request-Id", "If-Match", "application_id"}),
        ("get_profile", {"X-Request-Id", "If-None-Match"}),
        ("get_health", {"X-Request-Id"}),
    ],
)
def test_parameters_are_those_that_do_something(
    operations: dict[str, Operation], operation: str, parameters: set[str]
) -> None:
    assert {parameter["name"] for parameter in operations[operation]["parameters"]} == parameters


def test_every_parameter_of_a_path_is_required(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            given = {p["name"] for p in operation["parameters"] if p["in"] == "path" and p["required"]}
            assert given == set(re.findall(r"\{(\w+)\}", path)), path


def test_orders_and_statuses_are_enumerated(operations: dict[str, Operation]) -> None:
    query = {p["name"]: p for p in operations["list_applications"]["parameters"] if p["in"] == "query"}
    assert query["sort"]["schema"]["enum"] == list(get_args(Sort))
    assert query["sort"]["schema"]["default"] == "-created_at"
    assert query["limit"]["schema"] | {"minimum": 1, "maximum": 100, "default": 20} == query["limit"]["schema"]
    assert (query["status"]["style"], query["status"]["explode"]) == ("form", False)
    assert len(query["status"]["schema"]["items"]["enum"]) == 10
    assert not any(parameter["required"] for parameter in query.values())


def test_it_describes_what_is_asked_for_and_what_is_given(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert described, f"{name}.{field} may be anything"
    draft = document["components"]["schemas"]["ApplicationDraft"]
    assert (draft["required"], draft["additionalProperties"]) == (["company", "position"], False)


def test_nobody_is_asked_for_a_hint_or_a_secret_question(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    fields = {field for schema in schemas.values() for field in schema.get("properties", {})}
    assert {"password", "email", "recovery_codes"} <= fields, "the walk must find the fields, or it proves nothing"
    assert {field for field in fields if re.search("hint|question|answer|maiden|birth|pet_", field)} == set()
    assert schemas["RegisterRequest"]["properties"].keys() == {
        "email",
        "password",
        "first_name",
        "last_name",
        "company",
        "transport",
    }


# ---------------------------------------------------------------- the page


class Page(HTMLParser):
    """What a page loads and runs."""

    LOADING = ("src", "href", "srcset", "data", "action", "poster", "formaction", "background", "ping")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[dict[str, str | None]] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.scripts.append(dict(attrs))
        self.loads += [value or "" for name, value in attrs if name in self.LOADING]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


@pytest.fixture
def page(client: Client) -> str:
    answer = client.get("/api/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def test_the_page_runs_one_script_and_the_browser_would_run_no_other(client: Client, page: str) -> None:
    (script,) = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = dict(
        directive.strip().split(" ", 1)
        for directive in client.get("/api/docs").headers["content-security-policy"].split(";")
    )
    assert Page(page).scripts == [{}]
    assert Page(page).handlers == []
    assert policy["script-src"] == f"'sha256-{digest}'"
    assert (policy["default-src"], policy["connect-src"]) == ("'none'", "'self'")
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"


def test_the_page_loads_nothing_from_anywhere(page: str) -> None:
    assert set(Page(page).loads) == {"data:,", "#", "#main", "openapi.json"}
    assert not re.search(r"@import|url\(\s*['\"]?(?!data:)", page)
    # The one address in it is an example's, and what the script asks for is beside the page.
    assert set(re.findall(r"https?://[\w.-]+", page)) <= {"https://example.com"}
    assert "new URL('openapi.json', location.href)" in page
