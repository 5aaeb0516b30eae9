"""Bodies: what is no JSON, too much of it, or not what was asked for is refused in the same words everywhere."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared.routes import Route
from tests.conftest import Person
from tests.http.bodies import ENDPOINTS, Endpoint, every_endpoint, properties, texts

MEBIBYTE = 1024 * 1024
DEPTH = 100_000

MALFORMED = {
    "prose": b"company: Contoso",
    "space": b"  \n",
    "NUL": b"\0",
    "half an object": b'{"company": "Con',
    "two objects": b"{}{}",
    "a trailing comma": b'{"x": 1,}',
    "single quotes": b"{'x': 1}",
    "a comment": b"{} // nothing",
    "a control character in a text": b'{"x": "\n"}',
    "an unknown escape": b'{"x": "\\x41"}',
    "a leading zero": b'{"x": 01}',
    "NaN": b'{"x": NaN}',
    "Infinity": b'{"x": Infinity}',
    "-Infinity": b'{"x": -Infinity}',
    "a key twice": b'{"x": 1, "x": 1}',
    "a key twice by another spelling": b'{"x": 1, "\\u0078": 2}',
    "a key twice, deeper": b'{"x": [{"y": {"z": 1, "z": 2}}]}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "UTF-32": "{}".encode("utf-32-le"),
    "Latin-1": b'{"x": "\xfc"}',
    "an overlong encoding": b'{"x": "\xc0\xaf"}',
    "half a character": b'{"x": "\xf0\x9f\x98"}',
    "an encoded surrogate": b'{"x": "\xed\xa0\x80"}',
    "100,000 arrays": b'{"x": ' + b"[" * DEPTH + b"]" * DEPTH + b"}",
    "100,000 arrays left open": b"[" * DEPTH,
    "100,000 objects": b'{"x":' * DEPTH + b"1" + b"}" * DEPTH,
}
NO_OBJECTS = {
    "an array": b"[]",
    "a number": b"1",
    "a text": b'"x"',
    "null": b"null",
    "true": b"true",
    "pairs": b"[[1,2]]",
}


def test_every_endpoint_with_a_body_is_tried(routes: list[Route]) -> None:
    declared = {f"{method} {route.path}" for route in routes if route.endpoint.body for method in route.methods}
    assert {str(endpoint) for endpoint in ENDPOINTS} == declared
    members = {route.path for route in routes if route.endpoint.access.needs_caller}
    assert all(endpoint.for_members == (endpoint.path in members) for endpoint in ENDPOINTS)


@every_endpoint
@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_json_is_refused(resident: Person, endpoint: Endpoint, content: bytes) -> None:
    refused = endpoint.send(resident, content)
    assert (refused.status_code, refused.json()["code"]) == (400, "malformed_json")


@every_endpoint
@pytest.mark.parametrize("content", NO_OBJECTS.values(), ids=NO_OBJECTS)
def test_json_that_is_no_object_is_refused(resident: Person, endpoint: Endpoint, content: bytes) -> None:
    refused = endpoint.send(resident, content)
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"y":', "}")], ids=["arrays", "objects"])
def test_no_depth_of_nesting_is_too_much_for_us(resident: Person, opening: str, closing: str) -> None:
    # Each parser has its own idea of too deep; in between lies what one takes and another does not.
    for depth in (10, 100, *range(195, 210), *range(900, 1010), 5000):
        content = f'{{"x": {opening * depth}1{closing * depth}}}'.encode()
        refused = resident.post("/api/applications", content=content, headers={"Content-Type": "application/json"})
        assert refused.status_code in (400, 422), depth


@every_endpoint
@pytest.mark.parametrize("number", ["9" * 4000, "9" * 5001, "-" + "9" * 5001, "1e400", "1e-400", "0.1" + "0" * 5000])
def test_no_number_is_too_great_for_us(
    resident: Person, document: dict[str, Any], endpoint: Endpoint, number: str
) -> None:
    for field in [*properties(document, endpoint), "unknown"]:
        others = {name: value for name, value in endpoint.sound.items() if name != field}
        content = json.dumps(others | {field: 0})[:-2] + number + "}"
        assert endpoint.send(resident, content.encode()).status_code in (400, 422), field


@every_endpoint
def test_no_body_is_as_good_as_an_empty_one_where_nothing_is_required(new_admin: Any, endpoint: Endpoint) -> None:
    person = new_admin()
    nothing, empty = endpoint.send(person, b"", media_type=""), endpoint.send(new_admin(), b"{}")
    if endpoint.valid is None:
        assert nothing.status_code == empty.status_code
    else:
        assert (nothing.status_code, empty.status_code) == (415, 422)
        assert endpoint.send(person, b"").json()["code"] == "malformed_json"


# ---------------------------------------------------------------- size


LONGER = {"/api/applications/import": 10 * MEBIBYTE}
"""Bodies that hold a file."""


@every_endpoint
@pytest.mark.parametrize("besides", [1, 9 * MEBIBYTE])
def test_more_than_a_mebibyte_is_too_much(resident: Person, endpoint: Endpoint, besides: int) -> None:
    limit = LONGER.get(endpoint.path, MEBIBYTE)
    refused = endpoint.send(resident, json.dumps(endpoint.sound).encode().ljust(limit + besides))
    assert (refused.status_code, refused.json()["code"], refused.json()["limit"]) == (413, "body_too_large", limit)


def test_a_mebibyte_is_not(resident: Person) -> None:
    content = b'{"company": "Contoso", "position": "Engineer"}'.ljust(MEBIBYTE)
    created = resident.post("/api/applications", content=content, headers={"Content-Type": "application/json"})
    assert created.status_code == 201


@pytest.mark.parametrize(("size", "status"), [(MEBIBYTE, 201), (MEBIBYTE + 1, 413)])
def test_the_size_need_not_be_told_beforehand(resident: Person, size: int, status: int) -> None:
    def chunks() -> Iterator[bytes]:
        content = b'{"company": "Contoso", "position": "Engineer"}'.ljust(size)
        for start in range(0, size, 100_000):
            yield content[start : start + 100_000]

    answer = resident.post("/api/applications", content=chunks(), headers={"Content-Type": "application/json"})
    assert answer.status_code == status


# ---------------------------------------------------------------- media types

NO_JSON = [
    "",
    "text/plain",
    "text/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonx",
    "application/xml",
    "application",
    "json",
    "text/plain; a=application/json",
    "*/*",
    "/",
]
JSON = [
    "application/json",
    "Application/JSON",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8;x=y",
    "application/json ; charset=utf-8",
    "application/merge-patch+json",
    "application/vnd.example+json",
]


@every_endpoint
@pytest.mark.parametrize("media_type", NO_JSON)
def test_what_does_not_say_it_is_json_is_refused(resident: Person, endpoint: Endpoint, media_type: str) -> None:
    refused = endpoint.send(resident, json.dumps(endpoint.sound).encode(), media_type)
    assert (refused.status_code, refused.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("media_type", JSON)
def test_json_may_say_so_in_several_ways(resident: Person, media_type: str) -> None:
    for method, path, body in (
        ("POST", "/api/applications", '{"company": "Müller", "position": "Engineer"}'),
        ("PATCH", "/api/profile", '{"company": "Müller"}'),
    ):
        answer = resident(method, path, content=body.encode(), headers={"Content-Type": media_type})
        assert (answer.status_code // 100, answer.json()["company"]) == (2, "Müller")


# ---------------------------------------------------------------- fields


@every_endpoint
@pytest.mark.parametrize("name", ["unknown", "__proto__", "Email", "a.b", "", "x" * 10_000, "\0", "'; --", "ü", "$ref"])
def test_a_field_we_do_not_know_is_refused(resident: Person, endpoint: Endpoint, name: str) -> None:
    refused = endpoint.send_json(resident, endpoint.sound | {name: "x"})
    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["code"], error["field"]) == (422, "extra_forbidden", name[:100])


@every_endpoint
def test_a_value_of_another_type_is_refused(resident: Person, document: dict[str, Any], endpoint: Endpoint) -> None:
    for field, schema in properties(document, endpoint).items():
        takes_none = schema.get("type") == "array" and not schema.get("minItems")
        takes_no_entry = schema.get("type") == "object" and "patternProperties" in schema  # names of the caller's own
        for value in (*([] if takes_no_entry else [{}]), {"x": 1}, *([] if takes_none else [[]]), [1], 0.5, -(10**400)):
            refused = endpoint.send_json(resident, endpoint.sound | {field: value})
            assert refused.status_code == 422, (field, value)
            assert refused.json()["errors"][0]["field"].partition(".")[0] == field  # or one of what it lists


NEVER_ISSUED = {"refresh_token": (401, "refresh_token_invalid"), "token": (400, "token_invalid")}
"""Tokens that were never issued are told so, whatever they are made of, and no more."""


@every_endpoint
def test_nul_is_no_character_of_any_text(resident: Person, document: dict[str, Any], endpoint: Endpoint) -> None:
    for field in texts(document, endpoint):
        for value in ("\0", "a\0", "\0a", "a\0b"):
            refused = endpoint.send_json(resident, endpoint.sound | {field: value})
            if field in NEVER_ISSUED:
                assert (refused.status_code, refused.json()["code"]) == NEVER_ISSUED[field]
            else:
                assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


@every_endpoint
def test_half_a_surrogate_pair_is_no_text(resident: Person, document: dict[str, Any], endpoint: Endpoint) -> None:
    for field in [*properties(document, endpoint), "unknown"]:
        for value in (r"\ud800", r"\udfff", r"a\ud83d", r"\ude00\ud83d", r"\ud800\ud800"):
            content = json.dumps(endpoint.sound | {field: "HERE"}).replace("HERE", value)
            refused = endpoint.send(resident, content.encode())
            assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed"), (field, value)
    refused = endpoint.send(resident, rb'{"\ud800": 1}')
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")


@every_endpoint
def test_at_most_twenty_faults_are_told(resident: Person, endpoint: Endpoint) -> None:
    refused = endpoint.send_json(resident, {f"field {n}": n for n in range(5000)})
    assert (refused.status_code, len(refused.json()["errors"])) == (422, 20)
    assert len(refused.content) < 10_000
