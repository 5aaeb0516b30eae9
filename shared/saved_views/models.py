"""A saved view: a name for a query string."""

from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from pydantic import AfterValidator, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from shared.applications import ApplicationQuery
from shared.fields import NO_NUL, Changes, Moment, Name, PageQuery, Request, Response

OF_A_PAGE = {"limit", "cursor"}
"""Parameters that say which part of a list, not which list: a view keeps none."""


def _canonical(text: str) -> str:
    """One spelling for each question: parameters and their values in order, none that only repeats a default."""
    try:
        pairs = parse_qsl(text.removeprefix("?"), keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    except ValueError:
        raise PydanticCustomError("query", "must be a query string, such as status=applied&sort=company") from None
    given = dict(pairs)
    if len(given) != len(pairs):
        raise PydanticCustomError("query", "each parameter must be given once")
    try:
        query = ApplicationQuery.model_validate(given)
    except ValidationError as invalid:
        at_fault = {str(part) for fault in invalid.errors() for part in fault["loc"][:1]}
        known = sorted(at_fault & ApplicationQuery.model_fields.keys())
        why = f"wrong: {', '.join(known)}" if known else "it has a parameter that list does not know, or lacks one"
        raise PydanticCustomError("query", f"must be a query of GET /api/applications; {why}") from None
    asked = query.model_dump(exclude_defaults=True, exclude=OF_A_PAGE)
    return urlencode(sorted((name, _spelled(value)) for name, value in asked.items()))


def _spelled(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(sorted(set(value)))
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)


ViewQuery = Annotated[str, StringConstraints(max_length=4000), NO_NUL, AfterValidator(_canonical)]
"""A query string of GET /api/applications, kept in one spelling and without limit and cursor."""


class SavedViewDraft(Request):
    """A question under a name."""

    name: Name
    query: ViewQuery


class SavedViewChanges(Changes):
    """What to change; what is left out stays."""

    name: Name = ""
    query: ViewQuery = ""


class SavedView(Response):
    """A saved view: ``GET /api/applications?`` with its ``query`` asks the question."""

    id: UUID
    name: str
    query: str
    created_at: Moment
    updated_at: Moment
    version: int


class SavedViewQuery(PageQuery):
    """Which part of the list."""
