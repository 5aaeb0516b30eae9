"""A tag, and how it is shown."""

from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from shared import applications
from shared.fields import Changes, Moment, PageQuery, Request, Response

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


class TagQuery(PageQuery):
    """Which part of the list."""
