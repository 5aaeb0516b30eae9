"""A declaration that cannot work fails where it stands, in words that show the one that does."""

import re
from typing import Any
from uuid import UUID

import pytest

from shared.access import Access, anyone, member, member_or_token, role, scope
from shared.db import AnyCaller, Caller
from shared.documents import Retry, Versions
from shared.errors import NotFound
from shared.fields import Query, Request, Response
from shared.http import Call, Endpoint, endpoint


class ThingChanges(Request):
    name: str


class ThingQuery(Query):
    q: str | None = None


class Thing(Response):
    id: UUID


RIGHT = "Write it like: async def rename_thing(caller: Caller, thing_id: UUID, body: ThingChanges) -> Document[Thing]"


async def rename_thing(caller: Caller, thing_id: UUID, body: ThingChanges) -> Thing:
    """Rename a thing."""
    raise NotFound


def rename_at_once(caller: Caller, thing_id: UUID) -> Thing:
    """Rename a thing."""
    raise NotFound


async def rename_silently(caller: Caller) -> Thing:
    raise NotFound


async def rename_blankly(caller: Caller) -> Thing:
    """ """
    raise NotFound


async def rename_somehow(caller: Caller):  # type: ignore[no-untyped-def]
    """Rename a thing."""


async def rename_by_text(caller: Caller, body: str) -> None:
    """Rename a thing."""


async def rename_by_dict(caller: Caller, body: dict[str, Any]) -> None:
    """Rename a thing."""


async def rename_by_anything(caller: Caller, body) -> None:  # type: ignore[no-untyped-def]
    """Rename a thing."""


async def rename_asked(caller: Caller, query: str) -> None:
    """Rename a thing."""


async def rename_by_user(caller: UUID) -> None:
    """Rename a thing."""


async def rename_by_token(caller: AnyCaller) -> None:
    """Rename a thing."""


async def rename_by_number(caller: Caller, thing_id: int) -> None:
    """Rename a thing."""


async def rename_unnamed(caller: Caller, thing_id) -> None:  # type: ignore[no-untyped-def]
    """Rename a thing."""


async def rename_request(caller: Caller, request: Call) -> None:
    """Rename a thing."""


async def rename_many(caller: Caller, *things: int) -> None:
    """Rename a thing."""


async def rename_maybe(caller: Caller, body: ThingChanges, retry: Retry) -> None:
    """Rename a thing."""


async def rename_again(caller: Caller, retry: Retry | None) -> None:
    """Rename a thing."""


async def rename_version(caller: Caller, versions: int) -> None:
    """Rename a thing."""


async def rename_call(caller: Caller, call: str) -> None:
    """Rename a thing."""


WRONG: list[tuple[Access, Any, str]] = [
    (member, rename_at_once, "handlers are async"),
    (member, rename_silently, "its docstring's first line becomes the summary"),
    (member, rename_blankly, "its docstring's first line becomes the summary"),
    (member, rename_somehow, "what it returns is not declared"),
    (member, rename_by_text, "body must be a pydantic model"),
    (member, rename_by_dict, "body must be a pydantic model"),
    (member, rename_by_anything, "body must be a pydantic model"),
    (member, rename_asked, "query must be a pydantic model"),
    (member, rename_by_user, "caller must be declared as"),
    (member, rename_by_token, "caller must be declared as"),
    (scope("profile:write"), rename_thing, "caller must be declared as"),
    (member_or_token, rename_thing, "caller must be declared as"),
    (anyone, rename_thing, "'caller' is none of"),
    (member, rename_by_number, "'thing_id' is none of"),
    (member, rename_unnamed, "'thing_id' is none of"),
    (member, rename_request, "'request' is none of"),
    (member, rename_many, "'things' is none of"),
    (member, rename_maybe, "retry must be declared as"),
    (member, rename_again, "retry needs a body"),
    (member, rename_version, "versions must be declared as"),
    (member, rename_call, "call must be declared as"),
]


@pytest.mark.parametrize(
    ("access", "handler", "why"), WRONG, ids=lambda value: getattr(value, "__name__", "" if value else "x")
)
def test_a_wrong_declaration_is_told_and_shown_the_right_one(access: Access, handler: Any, why: str) -> None:
    with pytest.raises(TypeError) as raised:
        endpoint(access)(handler)
    message = str(raised.value)
    assert message.startswith(f"{handler.__name__}: {why}")
    assert message.endswith(RIGHT)


RULE = re.escape('who may call it: @endpoint(anyone or member or scope("applications:read") or role("admin"))')


@pytest.mark.parametrize("access", [None, "member", True, {"role": "admin"}, Access])
def test_an_endpoint_says_who_may_call_it(access: Any) -> None:
    with pytest.raises(TypeError, match=RULE):
        endpoint(access)(rename_thing)


def test_there_is_no_default_for_who_may_call_it() -> None:
    with pytest.raises(TypeError, match="access"):
        endpoint()  # type: ignore[call-arg]


def test_a_scope_that_there_is_not_is_a_wrong_declaration() -> None:
    with pytest.raises(TypeError, match="there is no scope 'applications:raed', only applications:read, "):
        scope("applications:raed")  # type: ignore[arg-type]


def test_a_bare_endpoint_is_a_wrong_declaration_too() -> None:
    with pytest.raises(TypeError, match="who may call it"):
        endpoint(rename_thing)  # type: ignore[arg-type]


@pytest.mark.parametrize("access", [anyone, member, role("admin")])
def test_a_right_declaration_is_kept_with_the_function(access: Access) -> None:
    async def find_thing(thing_id: UUID, part: str, query: ThingQuery, versions: Versions, call: Call) -> Thing:
        """Find a thing.

        And tell about it.
        """
        raise NotFound

    function = endpoint(access, raises=(NotFound,))(find_thing)
    spec: Endpoint = function.endpoint  # type: ignore[attr-defined]
    assert (function.__name__, function.__doc__) == ("find_thing", find_thing.__doc__)
    assert (spec.access, spec.path, spec.query, spec.body) == (
        access,
        {"thing_id": UUID, "part": str},
        ThingQuery,
        None,
    )
    assert (spec.summary, spec.description) == ("Find a thing.", "And tell about it.")
    assert not hasattr(function, "__wrapped__")  # the worker would look through it, at parameters that are no bindings
