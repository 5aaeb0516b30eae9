"""Identities at other providers, and the way there and back."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from shared.fields import NO_NUL, Moment, Name, Query, Request, Response
from shared.sessions import Factor, SignedIn, Transport

ProviderName = Literal["google", "github", "microsoft"]

ReturnTo = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2048),
    Field(description="Where the browser goes afterwards; its origin must be among ALLOWED_ORIGINS."),
]

Parameter = Annotated[str, StringConstraints(max_length=8192), NO_NUL]
"""What a provider sends back. Microsoft's codes have more than a thousand characters."""


class StartQuery(Query):
    transport: Annotated[
        Transport | None, Field(description="`cookie` with `return_to`, and `body` without it, unless given.")
    ] = None
    return_to: ReturnTo | None = None
    device_name: Name | None = None


class CallbackQuery(Query):
    """What a provider sends back; it may send more, which is not looked at."""

    model_config = ConfigDict(extra="ignore")

    state: Parameter | None = None
    code: Parameter | None = None
    error: Parameter | None = None


class LinkRequest(Request):
    return_to: ReturnTo | None = None


class Authorization(Response):
    authorization_url: Annotated[str, Field(description="Where the browser goes next, with the cookie it was given.")]


class Identity(Response):
    """Who somebody is at a provider."""

    provider: ProviderName
    email: Annotated[str | None, Field(description="As the provider last said.")]
    email_verified: bool
    created_at: Moment
    last_used_at: Moment | None


class Identities(Response):
    items: list[Identity]


@dataclass(frozen=True, slots=True)
class Departure:
    """A browser on its way to a provider, and the secret by which it will be known when it comes back."""

    location: str
    browser: str


@dataclass(frozen=True, slots=True)
class LinkBegun:
    """The same for a page that sends the browser itself."""

    authorization: Authorization
    browser: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A browser on its way back to the page it came from, and the session that began meanwhile, if one did."""

    location: str
    signed_in: SignedIn | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a provider vouches for. ``subject`` is theirs for ever; everything else may change hands."""

    subject: str
    email: str | None
    email_verified: bool
    first_name: str | None = None
    last_name: str | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """What somebody set out to do: sign in, or, if ``user_id`` says whose account it is, link."""

    user_id: UUID | None
    session_id: UUID | None
    transport: Transport
    device_name: str | None
    return_to: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a sign-in: ``sessions.SignIn`` unless it was refused before it came to that."""

    outcome: Literal["signed_in", "second_factor", "unverified", "disabled", "nameless", "link_required"]
    session_id: UUID
    refresh_seconds: int
    authenticated_at: int
    owner: str
    factors: list[Factor]


@dataclass(frozen=True, slots=True)
class Linking:
    outcome: Literal["linked", "session_ended", "taken", "another"]
    identity: str
