"""A job application, from the wish to the answer."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, StringConstraints

from shared.fields import NO_NUL, Changes, Day, Moment, Prose, Query, Request, Response, WebAddress

Status = Literal["saved", "applied", "screening", "interview", "offer", "accepted", "rejected", "withdrawn", "ghosted"]
Period = Literal["hour", "day", "week", "month", "year"]
Sort = Literal[
    "-created_at", "created_at", "-updated_at", "updated_at", "-applied_on", "applied_on", "-company", "company"
]

MinorUnits = Annotated[int, Field(ge=0, le=10**15)]
"""An amount of money in the currency's smallest unit: cents, not euros."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""An ISO 4217 code."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), NO_NUL]
Search = Annotated[str, StringConstraints(min_length=1, max_length=200), NO_NUL]


class ApplicationDraft(Request):
    """An application as its owner writes it down. Amounts need a currency, and the lower one comes first."""

    company: Text
    position: Text
    location: Text | None = None
    url: WebAddress | None = None
    source: Text | None = None
    status: Status = "saved"
    salary_min: MinorUnits | None = None
    salary_max: MinorUnits | None = None
    salary_currency: Currency | None = None
    salary_period: Period | None = None
    applied_on: Day | None = None
    notes: Prose | None = None


class ApplicationChanges(Changes):
    """What to change; what is left out stays, null empties."""

    company: Text = ""
    position: Text = ""
    location: Text | None = None
    url: WebAddress | None = None
    source: Text | None = None
    status: Status = "saved"
    salary_min: MinorUnits | None = None
    salary_max: MinorUnits | None = None
    salary_currency: Currency | None = None
    salary_period: Period | None = None
    applied_on: Day | None = None
    notes: Prose | None = None


class Application(Response):
    """An application as it is kept."""

    id: UUID
    company: str
    position: str
    location: str | None
    url: str | None
    source: str | None
    status: Status
    salary_min: int | None
    salary_max: int | None
    salary_currency: str | None
    salary_period: Period | None
    applied_on: Day | None
    notes: str | None
    created_at: Moment
    updated_at: Moment
    version: int


def _several(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


class ApplicationQuery(Query):
    """Which applications to list, and in which order."""

    status: Annotated[tuple[Status, ...], BeforeValidator(_several), Field(min_length=1, max_length=9)] | None = Field(
        None, description="Any of these, comma-separated."
    )
    q: Search | None = Field(None, description="Part of the company, position, location, source, address or notes.")
    company: Search | None = Field(None, description="Part of the company's name.")
    applied_from: Day | None = Field(None, description="Applied on this day or later.")
    applied_to: Day | None = Field(None, description="Applied on this day or earlier.")
    sort: Sort = Field("-created_at", description="`-` puts the greatest first. Without a day applied: the earliest.")
    limit: int = Field(20, ge=1, le=100, description="How many at most.")
    cursor: Annotated[str, StringConstraints(max_length=2048)] | None = Field(
        None, description="`next_cursor` of the page before."
    )
