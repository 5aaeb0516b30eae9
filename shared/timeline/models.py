"""An event of an application's timeline."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.applications.models import Reason, Round
from shared.fields import NO_NUL, SEVERAL, Changes, Instant, Moment, Name, PageQuery, Prose, Request, Response

Activity = Literal[
    "email_sent",
    "email_received",
    "call",
    "message",
    "meeting",
    "assessment",
    "reference_check",
    "negotiation",
    "other",
]
"""What somebody does about an application without moving it."""

EventKind = Annotated[str, StringConstraints(min_length=1, max_length=40), NO_NUL]
"""An activity, or what the app writes itself: created, moved, edited, and what other features add."""


class EventDraft(Request):
    """Something that happened. Moves are made by ``move``."""

    kind: Activity
    occurred_at: Instant | None = Field(None, description="When it happened; left out: now. Not in the future.")
    note: Prose | None = Field(None, description="Markdown, kept to the letter.")


class EventChanges(Changes):
    """What to correct; what is left out stays, null empties. What it said before is kept."""

    kind: Activity = Field("other", description="Of an activity only.")
    occurred_at: Instant = Field(datetime(1970, 1, 1, tzinfo=UTC), description="When it happened. Not in the future.")
    note: Prose | None = Field(None, description="Markdown, kept to the letter.")
    stage_id: UUID = Field(UUID(int=0), description="Of a move only: where it led.")
    round: Round | None = Field(None, description="Of a move only.")
    round_name: Name | None = Field(None, description="Of a move only.")
    reason: Reason | None = Field(None, description="Of a move only: why it is closed.")


class Revision(Response):
    """What an event said until it was corrected."""

    revised_at: Moment
    kind: str
    occurred_at: Moment
    stage_id: UUID | None
    round: int | None
    round_name: str | None
    reason: str | None
    note: str | None


class Event(Response):
    """An event as it is kept."""

    id: UUID
    application_id: UUID
    kind: str
    occurred_at: Moment
    stage_id: UUID | None
    from_stage_id: Annotated[UUID | None, Field(description="Of a move: the stage before it in the timeline.")]
    round: int | None
    round_name: str | None
    reason: str | None
    note: str | None
    facts: Annotated[dict[str, Any], Field(description="Of `edited`: `was`, the values that were overwritten.")]
    revisions: Annotated[list[Revision], Field(description="What it said before, newest first.")]
    created_at: Moment
    updated_at: Moment
    version: int


class EventQuery(PageQuery):
    """Which events to list, the latest first."""

    kind: Annotated[tuple[EventKind, ...], SEVERAL, Field(min_length=1, max_length=20)] | None = Field(
        None, description="Any of these, comma-separated."
    )
