"""What happened, as its owner and as an administrator may see it."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from shared.fields import Moment, PageQuery, Response

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""What happened, in the past tense: ``signed_in``, ``sign_in_refused``."""


def _network(text: str) -> str:
    from ipaddress import ip_network  # not at start: only this field needs it

    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError:
        raise PydanticCustomError("network", "must be an IP address or network: 192.0.2.1 or 2001:db8::/64") from None


Network = Annotated[str, StringConstraints(max_length=64), AfterValidator(_network)]


class _EventQuery(PageQuery):
    event: Name | None = Field(None, description="What happened: `signed_in`, `sign_in_refused`, ...")
    succeeded: bool | None = Field(None, description="Only what succeeded, or only what was refused.")


class ActivityQuery(_EventQuery):
    """Which of one's own events to list; the newest come first."""


class AuditQuery(_EventQuery):
    """Which events to list; the newest come first."""

    user_id: UUID | None = Field(None, description="Whom it concerned.")
    actor_id: UUID | None = Field(None, description="Who did it, when it was somebody else.")
    ip: Network | None = Field(None, description="From where: an address, or a network such as `2001:db8::/64`.")
    from_: Moment | None = Field(None, alias="from", description="At this moment or later.")
    to: Moment | None = Field(None, description="Before this moment.")


class Activity(Response):
    """Something that happened to the caller's account, or was refused."""

    id: UUID
    event: str
    succeeded: bool
    by_administrator: bool
    session_id: UUID | None
    ip: str | None
    user_agent: str | None
    facts: dict[str, Any]
    created_at: Moment


class AuditEvent(Response):
    """Something that happened. ``user_id`` null: it concerned no account. ``place``: where in its account's chain."""

    id: UUID
    event: str
    succeeded: bool
    user_id: UUID | None
    actor_id: Annotated[UUID | None, Field(description="Who did it, unless the account's owner.")]
    session_id: UUID | None
    ip: str | None
    user_agent: str | None
    facts: dict[str, Any]
    created_at: Moment
    place: int
