"""Everything that can go wrong, as a caller sees it: RFC 9457 problem details.

    Problem
    ├── ValidationFailed, MalformedJson, BodyTooLarge, UnsupportedMediaType, ...   the request is not well formed
    ├── Unauthorized ─ InvalidToken, SessionEnded, ReauthenticationRequired, ...   who is calling?
    ├── Forbidden ─ InsufficientScope, SessionRequired, OriginNotAllowed           may they?
    ├── NotFound, MethodNotAllowed, Conflict ─ ..., StaleVersion                   the resource and its state
    ├── TooManyRequests ─ RateLimited, QuotaExceeded                               how often
    └── Unexpected, DatabaseUnavailable                                            our own fault

A feature adds its own subclasses beside the code that raises them. A class with an ``sqlstate`` can also be raised by a
guard in SQL, which puts the facts into the error's DETAIL as JSON.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar


class Problem(Exception):
    """A refusal with its HTTP ``status``, a ``code`` that never changes, a ``title``, and facts for programs."""

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]
    title: ClassVar[str]
    sqlstate: ClassVar[str | None] = None
    _by_sqlstate: ClassVar[dict[str, type["Problem"]]] = {}

    def __init_subclass__(cls) -> None:
        if own := cls.__dict__.get("sqlstate"):
            Problem._by_sqlstate[own] = cls

    def __init__(self, detail: str | None = None, /, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers this refusal owes its caller."""
        return {}

    @staticmethod
    def from_sqlstate(sqlstate: str | None, facts: Mapping[str, Any]) -> "Problem | None":
        """The Problem that a guard in SQL raised, or None when the error is not one of ours."""
        problem = Problem._by_sqlstate.get(sqlstate or "")
        return problem(**facts) if problem else None


class MalformedJson(Problem):
    status = HTTPStatus.BAD_REQUEST
    code = "malformed_json"
    title = "The body is not JSON"


class ValidationFailed(Problem):
    """Carries ``errors``: a list of ``{"field", "code", "message"}``, none of which repeats the input."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "validation_failed"
    title = "Some fields are not valid"
    sqlstate = "JTV22"

    @classmethod
    def of(cls, field: str, code: str, message: str) -> "ValidationFailed":
        return cls(errors=[{"field": field, "code": code, "message": message}])


class BodyTooLarge(Problem):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "body_too_large"
    title = "The body is too large"


class UnsupportedMediaType(Problem):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_media_type"
    title = "The body must be application/json"


class FileTooLarge(Problem):
    """Carries ``limit``, in bytes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "file_too_large"
    title = "The file is too large"


class MalformedForm(Problem):
    status = HTTPStatus.BAD_REQUEST
    code = "malformed_form"
    title = "The body is not multipart/form-data as RFC 7578 has it"


class FormExpected(UnsupportedMediaType):
    title = "The body must be multipart/form-data"


class Unauthorized(Problem):
    """No credentials. Its ``WWW-Authenticate`` names the scheme only (RFC 6750, section 3)."""

    status = HTTPStatus.UNAUTHORIZED
    code = "unauthorized"
    title = "Sign in first"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class InvalidToken(Unauthorized):
    """A token was given, and it is forged, expired, or meant for somebody else."""

    code = "invalid_token"
    title = "The access token is not valid"
    sqlstate = "JTP01"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class SessionEnded(InvalidToken):
    """The token is genuine, but its session was revoked or has expired, or the account is disabled."""

    code = "session_ended"
    title = "The session has ended; sign in again"
    sqlstate = "28000"


class TokenRevoked(InvalidToken):
    """A personal access token that was good until somebody ended it."""

    code = "token_revoked"
    title = "The token was revoked; make another"
    sqlstate = "JTP02"


class TokenExpired(InvalidToken):
    """Told to who holds the token only: nobody else can know it."""

    code = "token_expired"
    title = "The token has expired; make another"
    sqlstate = "JTP03"


class ReauthenticationRequired(Unauthorized):
    """Carries ``max_age``: how many seconds old the proof may be. As RFC 9470 has it."""

    code = "reauthentication_required"
    title = "Prove again that it is you"

    @property
    def headers(self) -> Mapping[str, str]:
        challenge = f'Bearer error="insufficient_user_authentication", max_age={self.facts["max_age"]}'
        return {"WWW-Authenticate": challenge}


class Forbidden(Problem):
    status = HTTPStatus.FORBIDDEN
    code = "forbidden"
    title = "Your role does not allow this"
    sqlstate = "JT403"


class InsufficientScope(Problem):
    """Carries ``scope``: the one that the personal access token would need (RFC 6750, section 3.1)."""

    status = HTTPStatus.FORBIDDEN
    code = "insufficient_scope"
    title = "The token was not made for this"
    sqlstate = "JTP04"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{self.facts["scope"]}"'}


class SessionRequired(Problem):
    """A personal access token was given where none is enough, whatever its scopes."""

    status = HTTPStatus.FORBIDDEN
    code = "session_required"
    title = "Sign in to do this; no personal access token is enough"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}


class OriginNotAllowed(Problem):
    status = HTTPStatus.FORBIDDEN
    code = "origin_not_allowed"
    title = "Requests with the refresh cookie must come from an allowed origin"


class NotFound(Problem):
    status = HTTPStatus.NOT_FOUND
    code = "not_found"
    title = "There is nothing here"
    sqlstate = "JT404"


class MethodNotAllowed(Problem):
    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "method_not_allowed"
    title = "This path does not have that method"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Allow": ", ".join(self.facts["allowed"])}


class StaleVersion(Problem):
    """Carries the present ``version``."""

    status = HTTPStatus.PRECONDITION_FAILED
    code = "stale_version"
    title = "It was changed in the meantime; read it again"
    sqlstate = "JT412"


class IdempotencyInFlight(Problem):
    status = HTTPStatus.CONFLICT
    code = "idempotency_in_flight"
    title = "The first request with this key is still running"
    sqlstate = "JT409"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "1"}


class IdempotencyKeyReused(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "idempotency_key_reused"
    title = "This key was used for a different request"
    sqlstate = "JT422"


class RateLimited(Problem):
    """Carries ``policy``, ``limit``, ``window`` (seconds) and ``retry_after`` (seconds).

    Fields as in draft-ietf-httpapi-ratelimit-headers-10.
    """

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "rate_limited"
    title = "Too many attempts; wait and try again"
    sqlstate = "JT429"

    @property
    def headers(self) -> Mapping[str, str]:
        name, wait = self.facts["policy"], self.facts["retry_after"]
        return {
            "Retry-After": str(wait),
            "RateLimit-Policy": f'"{name}";q={self.facts["limit"]};w={self.facts["window"]}',
            "RateLimit": f'"{name}";r=0;t={wait}',
        }


class Unexpected(Problem):
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "unexpected"
    title = "Something went wrong on our side"


class Unavailable(Problem):
    """We cannot serve this now; the same request may well succeed later."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "2"}


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"
    title = "The database is out of reach; try again shortly"


class Overloaded(Unavailable):
    code = "overloaded"
    title = "Too much to do at once; try again shortly"
