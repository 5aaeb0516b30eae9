"""A board of cards."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from shared.applications import Status
from shared.applications.models import Priority, Target
from shared.fields import Day, Moment, Query, Request, Response
from shared.stages import Stage


class Card(Response):
    """As much of an application as a board shows."""

    id: UUID
    company: str
    position: str
    status: Status
    priority: Priority | None
    tags: list[str]
    deadline: Day | None
    follow_up_at: Moment | None
    stage_since: Moment
    round: int | None
    round_name: str | None
    version: int


class Column(Response):
    """A stage and its cards, from the top."""

    stage: Stage
    count: Annotated[int, Field(description="How many cards are in it, shown or not.")]
    items: list[Card]
    next_cursor: str | None


class Board(Response):
    """A column for each stage in use, in their order, and for each retired one that has cards still."""

    columns: list[Column]


class BoardQuery(Query):
    """How much of the board to show."""

    stage_id: UUID | None = Field(None, description="This column only.")
    limit: int = Field(50, ge=1, le=100, description="How many cards of each column at most.")
    cursor: Annotated[str, StringConstraints(max_length=2048)] | None = Field(
        None, description="`next_cursor` of the column `stage_id`."
    )

    @model_validator(mode="after")
    def _continues_one_column(self) -> "BoardQuery":
        if self.cursor is not None and self.stage_id is None:
            raise PydanticCustomError("cursor", "a cursor needs the stage_id of its column")
        return self


class Place(Request):
    """Where a card goes: beside a neighbour, or, with null for one, to an end. Left out: on top.

    A neighbour that is in another column by then counts as none: the card goes on top.
    """

    status: Target | None = None
    stage_id: UUID | None = Field(None, description="Neither this nor `status`: it stays in its stage.")
    after: UUID | None = Field(None, description="Right below this card; null: on top.")
    before: UUID | None = Field(None, description="Right above this card; null: at the bottom.")

    @model_validator(mode="after")
    def _names_one_place(self) -> "Place":
        if self.status is not None and self.stage_id is not None:
            raise PydanticCustomError("target", "either status or stage_id, not both")
        if {"after", "before"} <= self.model_fields_set:
            raise PydanticCustomError("place", "either after or before, not both")
        return self
