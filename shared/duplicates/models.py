"""What may be the same application."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from shared.applications import Status
from shared.fields import NO_NUL, Day, PageQuery, Request, Response, WebAddress

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), NO_NUL]


class DuplicateQuery(PageQuery):
    """What somebody is about to write down; without it: what they have twice already."""

    url: WebAddress | None = Field(
        None, description="The posting's address. What only tells where it was found is not read."
    )
    company: Line | None = Field(None, description="To be given with the position.")
    position: Line | None = Field(None, description="To be given with the company; case and spaces do not matter.")

    @model_validator(mode="after")
    def _names_both(self) -> "DuplicateQuery":
        if (self.company is None) != (self.position is None):
            raise PydanticCustomError("both", "company and position go together")
        return self


class PossibleDuplicate(Response):
    """An application that is of the same posting as another, or at the same company for the same position."""

    application_id: UUID
    company: str
    position: str
    status: Status
    applied_on: Day | None
    matched: Literal["url", "company_and_position"]
    days_ago: Annotated[int | None, Field(description="Days since applied_on.")]
    group: Annotated[UUID, Field(description="The earliest of those that are the same, by the same match.")]


class Merge(Request):
    """Which other application is the same."""

    duplicate_id: UUID
