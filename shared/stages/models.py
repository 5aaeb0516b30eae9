"""A step of somebody's own pipeline."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.applications import Category
from shared.fields import NO_NUL, Changes, Moment, PageQuery, Request, Response

StageStatus = Literal["saved", "applied", "screening", "interview", "offer", "accepted", "closed"]
"""What clients that know statuses only are told of an application in it; of a closed one, by its reason."""

StageName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60), NO_NUL]

MOST = 50
"""Stages that a person may have, the retired ones included."""

Position = Annotated[int, Field(ge=1, le=MOST)]
"""The place in the order, from 1. Beyond the end means the end."""


class StageDraft(Request):
    """A stage of one's own. Its category is for good: figures are made of categories."""

    name: StageName
    category: Category
    position: Position | None = Field(None, description="Left out: after those that are as far.")


class StageChanges(Changes):
    """What to change; what is left out stays."""

    name: StageName = ""
    position: Position = 1
    retired: bool = Field(False, description="A retired stage keeps its applications, and gets no new ones.")


class Stage(Response):
    """A stage as it is kept."""

    id: UUID
    name: str
    category: Category
    status: StageStatus
    position: Annotated[int, Field(description="From 1, without gaps: those in use first, then the retired ones.")]
    retired: bool
    retired_at: Moment | None
    created_at: Moment
    updated_at: Moment
    version: int


class StageQuery(PageQuery):
    """Which stages to list; in their order."""

    retired: bool | None = Field(None, description="Only those that are, or are not.")
    limit: int = Field(MOST, ge=1, le=100, description="How many at most.")
