"""A company, and whether somebody wants nothing to do with it."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.fields import NO_NUL, Changes, Day, Moment, PageQuery, Prose, Request, Response, WebAddress

Sort = Literal["name", "-name", "created_at", "-created_at"]
CompanyName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), NO_NUL]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), NO_NUL]
Search = Annotated[str, StringConstraints(min_length=1, max_length=200), NO_NUL]


class CompanyDraft(Request):
    """A company as its owner writes it down."""

    name: CompanyName
    website: WebAddress | None = None
    notes: Prose | None = None
    blocked: bool = Field(False, description="On the blocklist: not to be applied at again.")
    blocked_reason: Reason | None = None


class CompanyChanges(Changes):
    """What to change; what is left out stays, null empties. Its applications follow another name."""

    name: CompanyName = ""
    website: WebAddress | None = None
    notes: Prose | None = None
    blocked: bool = False
    blocked_reason: Reason | None = None


class Company(Response):
    """A company, and what somebody has had to do with it."""

    id: UUID
    name: str
    website: str | None
    notes: str | None
    blocked: bool
    blocked_reason: str | None
    applications: Annotated[int, Field(description="How many applications are there, those in the trash aside.")]
    last_applied_on: Day | None
    created_at: Moment
    updated_at: Moment
    version: int


class CompanyQuery(PageQuery):
    """Which companies to list, and in which order."""

    q: Search | None = Field(None, description="Part of the name.")
    blocked: bool | None = Field(None, description="True: the blocklist. False: all others.")
    sort: Sort = Field("name", description="`-` puts the greatest first.")
