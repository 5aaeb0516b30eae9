"""An interview: when, where, with whom, and how it went."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.applications.models import Round
from shared.fields import NO_NUL, Changes, Instant, Moment, Name, PageQuery, Prose, Request, Response, TimeZone

Kind = Literal["phone", "video", "on_site", "technical", "assessment", "panel", "other"]
Outcome = Literal["pending", "passed", "failed", "cancelled", "no_show"]
Minutes = Annotated[int, Field(ge=1, le=1440)]
Place = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2048), NO_NUL]
Interviewers = Annotated[list[Name], Field(max_length=20)]


class InterviewDraft(Request):
    """An interview to come, or one that was."""

    kind: Kind
    title: Name | None = None
    starts_at: Instant
    duration_minutes: Minutes = 60
    time_zone: TimeZone | None = Field(None, description="Where it takes place; left out: the profile's.")
    location: Place | None = Field(None, description="An address, a room, or a link.")
    interviewers: Interviewers = []
    round: Round | None = None
    outcome: Outcome = "pending"
    notes: Prose | None = None


class InterviewChanges(Changes):
    """What to change; what is left out stays, null empties."""

    kind: Kind = "other"
    title: Name | None = None
    starts_at: Instant = datetime(2000, 1, 1, tzinfo=UTC)
    duration_minutes: Minutes = 60
    time_zone: TimeZone = "UTC"
    location: Place | None = None
    interviewers: Interviewers = []
    round: Round | None = None
    outcome: Outcome = "pending"
    notes: Prose | None = None


class Interview(Response):
    """An interview as it is kept."""

    id: UUID
    application_id: UUID
    kind: Kind
    title: str | None
    starts_at: Moment
    ends_at: Moment
    duration_minutes: int
    time_zone: str
    location: str | None
    interviewers: list[str]
    round: int | None
    outcome: Outcome
    notes: str | None
    created_at: Moment
    updated_at: Moment
    version: int


class InterviewPage(PageQuery):
    """Which page of an application's interviews."""


class InterviewQuery(InterviewPage):
    """Which of one's interviews to list: those that begin between two moments, the earliest first."""

    since: Instant | None = Field(None, alias="from", description="Beginning at this moment or later.")
    until: Instant | None = Field(None, alias="to", description="Beginning before this moment.")
