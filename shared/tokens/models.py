"""Personal access tokens, and what they may do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, cast
from uuid import UUID

from pydantic import Field

from shared.fields import Moment, Name, Request, Response

Scope = Literal[
    "applications:read",
    "applications:write",
    "files:read",
    "files:write",
    "profile:read",
    "profile:write",
    "quotas:consume",
    "quotas:read",
]
"""What a token may be allowed: what is acted on, and how."""

SCOPES: Mapping[Scope, str] = {
    "applications:read": "List and read applications.",
    "applications:write": "Write applications down, change and delete them.",
    "files:read": "List and read files.",
    "files:write": "Upload, rename, link and delete files.",
    "profile:read": "Read the profile.",
    "profile:write": "Change the profile.",
    "quotas:consume": "Use quotas; reserve, commit and release.",
    "quotas:read": "Read quotas.",
}
"""The same, in words."""


def granted(scopes: Iterable[Scope]) -> list[Scope]:
    """These scopes and what they include: who may act on something may read it, for that is what acting answers."""
    included = {cast("Scope", f"{scope.partition(':')[0]}:read") for scope in scopes}
    return sorted(included.union(scopes))


class TokenRequest(Request):
    """A token to make. Whatever else a scope ends in, it includes the ``read`` of the same."""

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=100)]
    expires_in_days: Annotated[int, Field(ge=1, le=366)] = 90


class PersonalAccessToken(Response):
    """A token that is good. ``last_used_at`` is exact to a minute."""

    id: UUID
    name: str
    scopes: list[Scope]
    created_at: Moment
    expires_at: Moment
    last_used_at: Moment | None


class PersonalAccessTokens(Response):
    items: list[PersonalAccessToken]


class NewToken(Response):
    """A token just made. ``token`` is shown this once."""

    id: UUID
    name: str
    scopes: list[Scope]
    token: str
    created_at: Moment
    expires_at: Moment


@dataclass(frozen=True, slots=True)
class Made:
    """What the database says of a token just made."""

    id: UUID
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token says of itself."""

    owner: str
    expires_at: datetime
    scopes: list[str]
