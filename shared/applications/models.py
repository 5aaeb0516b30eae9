"""A job application, from the wish to the answer."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from shared.fields import (
    NO_NUL,
    SEVERAL,
    Changes,
    Day,
    Instant,
    Moment,
    Name,
    PageQuery,
    Prose,
    Request,
    Response,
    WebAddress,
)

Category = Literal["saved", "applied", "in_process", "offer", "accepted", "closed"]
"""What kind of step a stage is, whatever its owner calls it."""

Status = Literal[
    "saved", "applied", "screening", "interview", "offer", "accepted", "rejected", "withdrawn", "ghosted", "closed"
]
"""A stage for those who know no stages. ``closed`` is closed for a reason that is none of the three before it."""

Target = Status | Literal["in_process"]
"""Where a move goes to: the stage of that status, or else the first one of that category."""

Workplace = Literal["on_site", "hybrid", "remote"]
Priority = Literal["low", "medium", "high"]
Period = Literal["hour", "day", "week", "month", "year"]
Sort = Literal[
    "-created_at",
    "created_at",
    "-updated_at",
    "updated_at",
    "-applied_on",
    "applied_on",
    "-company",
    "company",
    "-follow_up_at",
    "follow_up_at",
    "-last_activity_at",
    "last_activity_at",
    "relevance",
]

MinorUnits = Annotated[int, Field(ge=0, le=10**15)]
"""An amount of money in the currency's smallest unit: cents, not euros."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""An ISO 4217 code."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), NO_NUL]
Search = Annotated[str, StringConstraints(min_length=1, max_length=200), NO_NUL]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern="^[^,]*$"), NO_NUL]
"""The name of a tag. It has no comma, which separates several of them in a query."""

Tags = Annotated[list[Tag], Field(max_length=20)]

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), NO_NUL]
"""Why an application is closed: rejected, ghosted, withdrew, declined, role_closed, or own words."""

Round = Annotated[int, Field(ge=1, le=100)]


class ApplicationDraft(Request):
    """An application as its owner writes it down. Amounts need a currency, and the lower one comes first."""

    company: Text
    position: Text
    location: Text | None = None
    workplace: Workplace | None = None
    url: WebAddress | None = None
    source: Text | None = None
    priority: Priority | None = None
    tags: Tags = []
    status: Status = "saved"
    stage_id: UUID | None = Field(None, description="A stage of one's own, in place of the one that status means.")
    salary_min: MinorUnits | None = None
    salary_max: MinorUnits | None = None
    salary_currency: Currency | None = None
    salary_period: Period | None = None
    applied_on: Day | None = None
    deadline: Day | None = None
    notes: Prose | None = None


class ApplicationChanges(Changes):
    """What to change; what is left out stays, null empties. Another status or stage is a move, made now."""

    company: Text = ""
    position: Text = ""
    location: Text | None = None
    workplace: Workplace | None = None
    url: WebAddress | None = None
    source: Text | None = None
    priority: Priority | None = None
    tags: Tags = []
    status: Status = "saved"
    stage_id: UUID = UUID(int=0)
    salary_min: MinorUnits | None = None
    salary_max: MinorUnits | None = None
    salary_currency: Currency | None = None
    salary_period: Period | None = None
    applied_on: Day | None = Field(None, description="From then on it is the owner's: the timeline changes it no more.")
    deadline: Day | None = None
    follow_up_at: Instant | None = Field(None, description="Holds until the next move, which sets its own.")
    notes: Prose | None = None


MOVED = ("status", "stage_id")
"""The changes that are a move: an event of the timeline."""


class Move(Request):
    """A step through the pipeline, now or earlier. To be given: either ``status`` or ``stage_id``."""

    status: Target | None = None
    stage_id: UUID | None = None
    occurred_at: Instant | None = Field(None, description="When it happened; left out: now.")
    round: Round | None = None
    round_name: Name | None = None
    reason: Reason | None = Field(None, description="Why it is closed; for closing only.")
    note: Prose | None = None

    @model_validator(mode="after")
    def _names_one_target(self) -> "Move":
        if (self.status is None) == (self.stage_id is None):
            raise PydanticCustomError("target", "either status or stage_id is needed")
        return self


class Application(Response):
    """An application as it is kept."""

    id: UUID
    company: str
    company_id: UUID | None
    position: str
    location: str | None
    workplace: Workplace | None
    url: str | None
    source: str | None
    priority: Priority | None
    tags: list[str]
    status: Status
    stage_id: UUID
    category: Category
    stage_since: Annotated[Moment, Field(description="When it entered its stage: the waiting clock.")]
    round: int | None
    round_name: str | None
    close_reason: str | None
    furthest_stage_id: UUID | None
    furthest_category: Annotated[Category, Field(description="How far it ever came, whatever happened since.")]
    furthest_round: int | None
    salary_min: int | None
    salary_max: int | None
    salary_currency: str | None
    salary_period: Period | None
    applied_on: Day | None
    deadline: Day | None
    follow_up_at: Moment | None
    last_activity_at: Annotated[Moment, Field(description="When anything last happened: the quiet clock.")]
    notes: str | None
    created_at: Moment
    updated_at: Moment
    version: int


class Duplicate(Response):
    """Another application that may be the same: of the same posting, or at the same company for the same position."""

    code: Literal["duplicate"]
    application_id: UUID
    matched: Literal["url", "company_and_position"]


class AppliedHere(Response):
    """The latest application to the same company, if it is not half a year ago."""

    code: Literal["applied_here"]
    application_id: UUID
    company_id: UUID
    days_ago: int


class CompanyBlocked(Response):
    """The owner did not want to apply there any more."""

    code: Literal["company_blocked"]
    company_id: UUID
    reason: str | None


class ApplicationCreated(Application):
    """The application that was made, with what its owner may want to know before going on; nothing was refused."""

    warnings: Annotated[
        list[Duplicate | AppliedHere | CompanyBlocked], Field(max_length=10, description="Absent if there are none.")
    ] = []


class ApplicationQuery(PageQuery):
    """Which applications to list, and in which order. What is given narrows each other."""

    status: Annotated[tuple[Status, ...], SEVERAL, Field(min_length=1, max_length=10)] | None = Field(
        None, description="Any of these, comma-separated."
    )
    category: Annotated[tuple[Category, ...], SEVERAL, Field(min_length=1, max_length=6)] | None = Field(
        None, description="Any of these, comma-separated."
    )
    stage_id: UUID | None = None
    tag: Annotated[tuple[Tag, ...], SEVERAL, Field(min_length=1, max_length=20)] | None = Field(
        None, description="All of these, comma-separated; case does not matter."
    )
    priority: Priority | None = None
    workplace: Workplace | None = None
    source: Text | None = Field(None, description="The source, to the letter.")
    company_id: UUID | None = None
    q: Search | None = Field(
        None,
        description='Words, beginnings of words, "phrases", -without, or: in all texts, tags and notes. Or part of '
        "the company, position, location, source or address.",
    )
    company: Search | None = Field(None, description="Part of the company's name.")
    applied_from: Day | None = Field(None, description="Applied on this day or later.")
    applied_to: Day | None = Field(None, description="Applied on this day or earlier.")
    follow_up_before: Instant | None = Field(None, description="To be followed up before this moment.")
    deadline_before: Day | None = Field(None, description="With a deadline before this day.")
    sort: Sort = Field(
        "-created_at",
        description="`-` puts the greatest first. Without a day applied: the earliest. Without a follow-up: last. "
        "`relevance`: the best match for `q` first.",
    )

    @model_validator(mode="after")
    def _is_relevant_to_something(self) -> "ApplicationQuery":
        if self.sort == "relevance" and self.q is None:
            raise PydanticCustomError("relevance", "sort=relevance needs q")
        return self


class BulkChange(Changes):
    """What to change of each; what is left out stays, null empties."""

    priority: Priority | None = None
    source: Text | None = None
    workplace: Workplace | None = None
    deadline: Day | None = None
    follow_up_at: Instant | None = None
    tags_add: Tags = []
    tags_remove: Tags = []

    @model_validator(mode="after")
    def _changes_something(self) -> "BulkChange":
        if not self.model_fields_set:
            raise PydanticCustomError("change", "at least one field is needed")
        return self


class BulkRequest(Request):
    """One thing to do to many applications: ``move``, ``change`` or ``delete``, and one of them only."""

    ids: Annotated[list[UUID], Field(min_length=1, max_length=100, json_schema_extra={"uniqueItems": True})]
    move: Move | None = None
    change: BulkChange | None = None
    delete: Literal[True] | None = None

    @model_validator(mode="after")
    def _does_one_thing(self) -> "BulkRequest":
        if len(set(self.ids)) < len(self.ids):
            raise PydanticCustomError("ids", "ids must be given once each")
        if sum(given is not None for given in (self.move, self.change, self.delete)) != 1:
            raise PydanticCustomError("bulk", "exactly one of move, change and delete is needed")
        return self


class BulkError(Response):
    """Why it was not done: as the same request for this one application would be refused."""

    code: Literal["not_found", "validation_failed"]
    errors: list[dict[str, str]] = []


class BulkResult(Response):
    """What became of one application."""

    id: UUID
    outcome: Literal["done", "not_found", "invalid"]
    version: Annotated[int, Field(description="The present version; absent once deleted.")] = 0
    error: BulkError | None = None


class BulkResults(Response):
    """What became of each, in the order of the ids. What failed was undone by itself."""

    results: list[BulkResult]
