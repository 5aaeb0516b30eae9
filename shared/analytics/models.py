"""Figures of somebody's applications: what each of them counts."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from shared.applications import Category, Status
from shared.fields import Day, Moment, PageQuery, Query, Response

MOST_WEEKS = 260
SMALL_SAMPLE = 5
"""Below so many, a rate says little. It is flagged, not hidden: whoever has only four sources wants to see four."""

Rate = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Step = Literal["saved", "applied", "in_process", "offer", "accepted"]


class Period(Query):
    """Which applications to count, by the day they were applied to. Given either, those without such a day are out."""

    from_: Day | None = Field(None, alias="from", description="Applied on this day or later.")
    to: Day | None = Field(None, description="Applied on this day or earlier.")

    @model_validator(mode="after")
    def _runs_forwards(self) -> "Period":
        if self.from_ is not None and self.to is not None and self.from_ > self.to:
            raise PydanticCustomError("period", "from must not be after to")
        return self


class Weeks(Period):
    """Which weeks to show: whole ones, from Monday, in the user's time zone."""

    from_: Day | None = Field(
        None, alias="from", description="A day of the first week; left out: 25 weeks before `to`."
    )
    to: Day | None = Field(None, description=f"A day of the last week, at most the {MOST_WEEKS}th; left out: today.")


class QuietQuery(PageQuery):
    """How long nothing has to have happened."""

    days: int = Field(30, ge=1, le=3650, description="At least so many days without anything.")


class SankeyQuery(Period):
    """Which applications flow, and how that is written down."""

    format: Literal["json", "text", "svg"] = Field("json", description="`text` is what SankeyMATIC reads.")


class Responses(Response):
    """How often employers answered: by a step of the process, or by a rejection. Silence is no answer."""

    n: Annotated[Count, Field(description="Applied to.")]
    responses: Count
    rate: Rate | None
    small_sample: Annotated[bool, Field(description=f"`n` is less than {SMALL_SAMPLE}: the rate says little.")]


class AppliedCounts(Response):
    """How many were applied to, by the user's own calendar; weeks begin on Monday."""

    this_week: Count
    last_week: Count
    last_30_days: Count


class TaskCounts(Response):
    due: Annotated[Count, Field(description="Not done, and due by the end of today.")]
    overdue: Annotated[Count, Field(description="Of these, those whose time has passed.")]


class QuietCounts(Response):
    """Open applications of which nothing was heard for so long."""

    quiet: Annotated[Count, Field(description="30 to 59 days.")]
    gone: Annotated[Count, Field(description="60 days or more.")]


class Summary(Response):
    """How it stands. `from` and `to` confine the totals and the responses; the rest is as of now."""

    total: Count
    open: Annotated[Count, Field(description="Applied, in process, or with an offer.")]
    by_category: dict[Category, Count]
    by_status: dict[Status, Count]
    responses: Responses
    applied: AppliedCounts
    overdue_follow_ups: Count
    tasks: TaskCounts
    interviews_next_7_days: Count
    quiet: QuietCounts


class Week(Response):
    week: Annotated[date, Field(description="Its Monday.")]
    applied: Annotated[Count, Field(description="Applications applied to.")]
    events: Annotated[Count, Field(description="What happened, edits aside.")]


class WeeklyVolume(Response):
    """Every week between the first and the last, also those in which nothing happened."""

    weeks: list[Week]


class RoundReached(Response):
    round: int
    reached: Count


class CategoryReached(Response):
    """How many came at least that far."""

    category: Step
    reached: Count
    share: Annotated[Rate | None, Field(description="Of those applied to; null for what comes before that.")]
    conversion: Annotated[Rate | None, Field(description="How many of these came to the next; null for the last.")]
    rounds: Annotated[list[RoundReached], Field(description="Within `in_process`: at least that round, or further.")]


class StageReached(Response):
    """A stage of the user's own, in the order of the pipeline."""

    stage_id: UUID
    name: str
    category: Step
    furthest: Annotated[Count, Field(description="Came to this stage and no further.")]
    reached: Count
    share: Rate | None
    conversion: Rate | None


class Funnel(Response):
    """How far applications came, whatever became of them."""

    total: Count
    applied: Annotated[Count, Field(description="Applied to: what rates are of.")]
    categories: list[CategoryReached]
    stages: list[StageReached]


class SourceResponses(Responses):
    source: Annotated[str | None, Field(description="In its most frequent spelling; null: none was written down.")]
    offers: Count


class ResumeResponses(Responses):
    file_id: UUID
    series_id: UUID
    name: str
    offers: Count


class Sources(Response):
    """What applications came of, and what came of them: the 50 with the most applications each."""

    sources: list[SourceResponses]
    resumes: list[ResumeResponses]


class Stays(Response):
    """Days spent in a stage; null where there are none."""

    n: Count
    median_days: float | None
    p90_days: float | None
    small_sample: bool


class Waiting(Response):
    n: Count
    median_days: float | None


class StageTimes(Response):
    stage_id: UUID
    name: str
    category: Step
    completed: Annotated[Stays, Field(description="Stays that ended in another stage.")]
    waiting: Annotated[Waiting, Field(description="Stays that last.")]


class TimeInStage(Response):
    stages: list[StageTimes]


Level = Literal["waiting", "quiet", "gone"]
Suggestion = Literal["follow_up", "close_as_ghosted"]


class QuietApplication(Response):
    """An open application of which nothing was heard. What is suggested is never done by itself."""

    id: UUID
    company: str
    position: str
    status: Status
    category: Category
    stage_id: UUID
    stage_since: Moment
    last_activity_at: Moment
    days_waiting: Annotated[int, Field(description="In its stage.")]
    days_quiet: Annotated[int, Field(description="Without anything.")]
    level: Annotated[Level, Field(description="`quiet` from 30 days on, `gone` from 60.")]
    suggestion: Suggestion | None
    version: int


class Node(Response):
    name: str
    kind: Annotated[Step | Literal["closed", "open"], Field(description="Of a stage: its category; or how it ended.")]
    count: Count


class Link(Response):
    source: Annotated[int, Field(description="Position in `nodes`.")]
    target: int
    count: Count


class Sankey(Response):
    """How applications flowed through the stages. Every link leads forwards: there are no cycles."""

    nodes: list[Node]
    links: list[Link]
