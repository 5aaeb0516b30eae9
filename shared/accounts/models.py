"""What an account looks like from outside."""

from typing import Literal
from uuid import UUID

from shared.fields import Changes, Moment, Name, Response, TimeZone, WebAddress

Role = Literal["user", "admin"]


class User(Response):
    """The person behind an account."""

    id: UUID
    email: str
    email_verified: bool
    first_name: str | None
    last_name: str | None
    company: str | None
    picture_url: str | None
    time_zone: str
    role: Role
    created_at: Moment
    deletion_due_at: Moment | None = None


class Profile(User):
    """The caller's own account, as it can be changed."""

    reminders: bool
    version: int


class ProfileChanges(Changes):
    """What to change; what is left out stays."""

    first_name: Name | None = None
    last_name: Name | None = None
    company: Name | None = None
    picture_url: WebAddress | None = None
    time_zone: TimeZone = "UTC"
    reminders: bool = True
