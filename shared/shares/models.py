"""What a share is, and all that it shows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from shared.applications import Category, Status
from shared.applications.models import Workplace
from shared.fields import Day, Moment, Name, PageQuery, Request, Response


def _each_once(ids: list[UUID]) -> list[UUID]:
    if len(set(ids)) != len(ids):
        raise PydanticCustomError("duplicate", "must name each application once")
    return ids


class ShareRequest(Request):
    """A share to make. To be given: either ``application_ids`` or ``all``."""

    name: Annotated[Name, Field(description="What its readers see it called.")]
    application_ids: Annotated[list[UUID], Field(min_length=1, max_length=100), AfterValidator(_each_once)] | None = (
        Field(None, description="The applications it shows.")
    )
    all: bool = Field(False, description="Whether it shows all there are, and all there will be.")
    anonymous: bool = Field(False, description="Whether companies are shown by numbers in place of their names.")
    expires_in_days: Annotated[int, Field(ge=1, le=366)] = 30

    @model_validator(mode="after")
    def _says_what(self) -> "ShareRequest":
        if (self.application_ids is None) != self.all:
            raise PydanticCustomError("coverage", "either application_ids or all is needed")
        return self


class Share(Response):
    """A share that is good. ``applications``: how many of those it names are there; null where it covers all."""

    id: UUID
    name: str
    all: bool
    anonymous: bool
    applications: int | None
    created_at: Moment
    expires_at: Moment
    last_opened_at: Annotated[Moment | None, Field(description="When it was last read, to the hour.")]


class ShareQuery(PageQuery):
    """Which shares to list; the newest come first."""


class NewShare(Response):
    """A share just made. ``token``, and the ``url`` that ends in it, are shown this once."""

    id: UUID
    name: str
    all: bool
    anonymous: bool
    token: str
    url: str
    created_at: Moment
    expires_at: Moment


class SharedStep(Response):
    """A stage an application came to, and on which day."""

    stage: str
    category: Category
    on: Day


class SharedApplication(Response):
    """What a share shows of an application. Days are those of its owner's time zone."""

    number: int
    company: str
    position: str
    location: str | None
    workplace: Workplace | None
    stage: str
    category: Category
    status: Status
    stage_since: Day
    applied_on: Day | None
    furthest_category: Category
    timeline: list[SharedStep]


class SharedCounts(Response):
    """How many applications are where they are, of all that the share covers."""

    total: int
    saved: int
    applied: int
    in_process: int
    offer: int
    accepted: int
    closed: int


class SharedView(Response):
    """What somebody with the link sees: the latest applications first, at most 500 of them."""

    name: str
    expires_at: Moment
    counts: SharedCounts
    applications: list[SharedApplication]


@dataclass(frozen=True, slots=True)
class Made:
    """What the database says of a share just made."""

    id: UUID
    created_at: datetime
    expires_at: datetime
