"""A note on an application, and what it said before."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.fields import NO_NUL, Changes, Moment, PageQuery, Request, Response

Body = Annotated[str, StringConstraints(min_length=1, max_length=20_000), NO_NUL]
"""Markdown, kept to the letter. Whoever shows it makes it safe to show."""


class NoteDraft(Request):
    """A note as its owner writes it down."""

    body: Body


class NoteChanges(Changes):
    """What to change; what is left out stays. What it said before is kept."""

    body: Body = ""


class Note(Response):
    """A note as it is kept."""

    id: UUID
    application_id: UUID
    body: str
    revisions: Annotated[int, Field(description="How many wordings it had before this one.")]
    created_at: Moment
    updated_at: Moment
    version: int


class NoteRevision(Response):
    """What a note said until it was edited."""

    id: UUID
    body: str
    revised_at: Moment


class NoteQuery(PageQuery):
    """How many of an application's notes to list, newest first."""
