"""How much of something a user may use, and how much is left."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.fields import Key, Moment, Request, Response

Units = Annotated[int, Field(ge=1, le=1_000_000)]


class Quota(Response):
    """A metric of the caller's in its present window. ``limit`` null: as much as you like."""

    metric: str
    limit: int | None
    used: int
    reserved: int
    remaining: int | None
    percentage: float | None
    window: Literal["lifetime", "day"]
    resets_at: Moment | None
    can_consume: bool


class Quotas(Response):
    items: list[Quota]


class Consumption(Request):
    """Units to use now. The same key again uses nothing and answers as before."""

    units: Units = 1
    key: Key | None = None


class ReservationRequest(Request):
    """Units to hold for a while: commit them when the work is done, release them when it fails."""

    units: Units = 1
    key: Key
    ttl_seconds: Annotated[int, Field(ge=1, le=86_400)] = 900


class Reservation(Response):
    id: UUID
    expires_at: Moment
    quota: Quota
