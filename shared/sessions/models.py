"""Sessions, and the tokens that stand for them."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.accounts import User
from shared.fields import Email, EmailLike, Moment, Name, Password, Request, Response, Token

Transport = Literal["body", "cookie"]
"""Where the refresh token travels: in the JSON, or in a cookie that no script can read."""

Outcome = Literal["rotated", "replayed", "reused", "forged", "limited", "expired", "refused"]
"""What becomes of a refresh token; docs/sessions.md says which is when."""


class RegisterRequest(Request):
    email: Email
    password: Password
    first_name: Name | None = None
    last_name: Name | None = None
    company: Name | None = None
    transport: Transport = "body"


class LoginRequest(Request):
    email: EmailLike
    password: Password
    transport: Transport = "body"
    device_name: Name | None = None


class RefreshRequest(Request):
    """Without a token here, the cookie's is used."""

    refresh_token: Token | None = None


class LogoutRequest(Request):
    """Without a token here, the cookie's session ends, or else the bearer's."""

    refresh_token: Token | None = None


class LogoutAllRequest(Request):
    except_current: bool = False


class Tokens(Response):
    """A session just begun or continued. ``refresh_token`` is absent when it travels in the cookie."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - RFC 6749's name of the kind, not a secret
    expires_in: Annotated[int, Field(description="Seconds the access token is good for.")]
    refresh_token: str | None = None
    refresh_expires_in: Annotated[int, Field(description="Seconds the refresh token is good for, unless used.")]
    user: User


Factor = Literal["totp", "recovery_code", "passkey"]
"""What somebody can prove who they are by, besides a password."""


class SecondFactorRequired(Response):
    """The first factor was good; ``POST /api/auth/login/mfa`` with this challenge and one of the methods signs in."""

    mfa_required: Literal[True] = True
    challenge: Annotated[str, Field(description="Good for 5 minutes and 5 tries.")]
    methods: list[Factor]


class RevokedSessions(Response):
    revoked: Annotated[int, Field(ge=0, description="How many sessions ended.")]


class Session(Response):
    """A device somebody is signed in on."""

    id: UUID
    device_name: str | None
    user_agent: str | None
    ip: str | None
    created_at: Moment
    last_used_at: Moment
    expires_at: Moment
    current: bool


class Sessions(Response):
    items: list[Session]


class Status(Response):
    authenticated: Literal[True] = True
    user: User


class Verification(Response):
    """Who a token speaks for, asked of the database: what another service needs to trust it."""

    valid: Literal[True] = True
    user: User
    session_id: Annotated[UUID | None, Field(description="Null for a personal access token: it is in no session.")]
    expires_at: Moment
    scopes: Annotated[list[str], Field(description='What it may do; `["*"]`, in a session: all that its user may.')]


class PublicKey(Response):
    """A key that verifies access tokens (RFC 7517)."""

    kty: str
    kid: str
    alg: str
    use: Literal["sig"]
    crv: str
    x: str
    y: Annotated[str | None, Field(exclude_if=lambda y: y is None)] = None


class JsonWebKeySet(Response):
    keys: list[PublicKey]


class KeyInfo(Response):
    algorithm: str
    key_id: str
    key_fingerprint: str


class JwtInfo(KeyInfo):
    """How tokens are signed here. Fingerprints only: no part of a secret."""

    issuer: str
    audience: str
    access_ttl_seconds: int
    keys: list[KeyInfo]


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token somebody shows, and how it came."""

    token: str
    transport: Transport


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session just begun or continued, and how its refresh token is to travel."""

    tokens: Tokens
    transport: Transport
    device_cookie: str | None = None
    """What the browser is to be known by; for a session just begun."""


@dataclass(frozen=True, slots=True)
class SignedOut:
    """A session just ended. What came by cookie has a cookie to take back."""

    transport: Transport


@dataclass(frozen=True, slots=True)
class Credentials:
    """What login compares with."""

    user_id: UUID
    password_hash: str | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that just began."""

    session_id: UUID
    refresh_seconds: int
    authenticated_at: int
    owner: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """What became of somebody's signing in, once it was known who they are."""

    outcome: Literal["signed_in", "second_factor", "unverified", "disabled", "changed"]
    session_id: UUID
    refresh_seconds: int
    authenticated_at: int
    owner: str
    factors: list[Factor]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What became of a refresh token that was presented."""

    outcome: Outcome
    generation: int
    refresh_seconds: int
    retry_after: int
    authenticated_at: int
    owner: str
