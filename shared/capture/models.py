"""A draft, as far as a page gives one."""

from typing import Literal

from pydantic import Field

from shared.applications.models import Period, Workplace
from shared.fields import Day, Request, Response, WebAddress


class CaptureRequest(Request):
    """Where a posting is."""

    url: WebAddress


class CapturedDraft(Response):
    """What the page says of an application: `POST /api/applications` takes it as it is, if nothing is missing."""

    company: str | None = None
    position: str | None = None
    location: str | None = None
    workplace: Workplace | None = None
    url: str
    source: str | None = Field(None, description="The host of the page.")
    salary_min: int | None = Field(None, description="In the currency's smallest unit.")
    salary_max: int | None = Field(None, description="In the currency's smallest unit.")
    salary_currency: str | None = None
    salary_period: Period | None = None
    deadline: Day | None = None
    notes: str | None = Field(None, description="The description, as plain text.")


class Found(Response):
    """What else the page says, in its own words."""

    employment_type: list[str] = []
    date_posted: str | None = None
    valid_through: str | None = None
    identifier: str | None = None
    applicant_locations: list[str] = Field([], description="Where applicants must be, for remote work.")
    salary: str | None = Field(None, description="What it says of pay, where that has no one meaning.")


class Capture(Response):
    """What a page gives. What it does not say, or not in a way with one meaning, is not in it."""

    draft: CapturedDraft
    missing: list[Literal["company", "position"]] = Field(description="What an application needs and the page lacks.")
    found: Found
