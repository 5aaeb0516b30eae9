"""A tag, and how it is shown."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from shared import applications
from shared.fields import Changes, Moment, Query, Request, Response

Color = Annotated[str, StringConstraints(to_lower=True, pattern=r"^#[0-9A-Fa-f]{6}$")]
"""As HTML writes it: #rrggbb."""


class TagDraft(Request):
    """A tag. Applications make those they use by themselves; this one may have a color before."""

    name: applications.Tag
    color: Color | None = None


class TagChanges(Changes):
    """What to change. Another name is another name on every application."""

    name: applications.Tag = ""
    color: Color | None = None


class Tag(Response):
    """A tag as it is kept: one for each name, whatever its case."""

    id: UUID
    name: str
    color: str | None
    created_at: Moment
    updated_at: Moment
    version: int


class ListedTag(Tag):
    """A tag, and how many applications have it."""

    applications: int


class TagQuery(Query):
    """Which part of the list."""

    limit: int = Field(20, ge=1, le=100, description="How many at most.")
    cursor: Annotated[str, StringConstraints(max_length=2048)] | None = Field(
        None, description="`next_cursor` of the page before."
    )
