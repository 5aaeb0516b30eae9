"""A task: what is to be done, and until when."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.fields import Changes, Instant, Moment, Name, PageQuery, Prose, Request, Response

Sort = Literal["due_at", "-created_at"]


class TaskDraft(Request):
    """Something to do."""

    title: Name
    notes: Prose | None = None
    due_at: Instant | None = None
    done: bool = False


class TaskChanges(Changes):
    """What to change; what is left out stays, null empties. ``done`` says when by itself: now."""

    title: Name = ""
    notes: Prose | None = None
    due_at: Instant | None = None
    done: bool = False


class Task(Response):
    """A task as it is kept."""

    id: UUID
    application_id: UUID | None
    title: str
    notes: str | None
    due_at: Moment | None
    done: bool
    done_at: Moment | None
    created_at: Moment
    updated_at: Moment
    version: int


class TaskQuery(PageQuery):
    """Which tasks to list, and in which order."""

    done: Literal["true", "false"] | None = Field(None, description="Only those that are done, or are not.")
    due_after: Instant | None = Field(None, description="Due at this moment or later.")
    due_before: Instant | None = Field(None, description="Due before this moment.")
    sort: Sort = Field("due_at", description="`due_at`: the earliest first, those without a day last.")
