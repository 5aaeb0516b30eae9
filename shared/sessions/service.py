"""Beginning, continuing and ending sessions."""

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal
from uuid import UUID

from shared import accounts, db, limits, mail, settings
from shared.accounts import User
from shared.db import AnyCaller, Caller, Device, uuid7
from shared.documents import Document
from shared.errors import NotFound, Problem, RateLimited, Unauthorized
from shared.fields import Accepted
from shared.limits import Bucket
from shared.security import (
    access_tokens,
    device_cookies,
    password_quality,
    passwords,
    refresh_tokens,
)
from shared.security.keys import Key, keyring
from shared.security.random_tokens import one_time_tokens
from shared.sessions import queries
from shared.sessions.models import (
    Credentials,
    JsonWebKeySet,
    JwtInfo,
    KeyInfo,
    LoginRequest,
    LogoutAllRequest,
    Opened,
    Presented,
    RegisterRequest,
    RevokedSessions,
    Rotation,
    SecondFactorRequired,
    Sessions,
    SignedIn,
    SignedOut,
    SignIn,
    Status,
    Tokens,
    Transport,
    Verification,
)


class EmailTaken(Problem):
    status = HTTPStatus.CONFLICT
    code = "email_taken"
    title = "There is an account with this address; sign in, or use another one"


class InvalidCredentials(Unauthorized):
    code = "invalid_credentials"
    title = "The e-mail address or the password is wrong"


class EmailNotVerified(Problem):
    """The credentials were good: nobody else is told."""

    status = HTTPStatus.FORBIDDEN
    code = "email_not_verified"
    title = "Verify your e-mail address first; we have sent you a link"


class RefreshTokenInvalid(Unauthorized):
    code = "refresh_token_invalid"
    title = "The refresh token is not valid; sign in again"


class RefreshTokenReused(Unauthorized):
    """An old token came back, so somebody has a copy: the session is over for both."""

    code = "refresh_token_reused"
    title = "The refresh token was used before; its session has ended"


class SessionExpired(Unauthorized):
    code = "session_expired"
    title = "The session has expired; sign in again"


class NoSession(Problem):
    status = HTTPStatus.BAD_REQUEST
    code = "no_session"
    title = "Say which session: by a refresh token, its cookie, or an access token"


async def register(request: RegisterRequest, *, device: Device) -> SignedIn | Accepted:
    """Make an account, send its address a link that verifies it, and sign in.

    Where REQUIRE_VERIFIED_EMAIL is set nobody is signed in, and nobody is told whether the address is taken, but by
    mail to it: the work is the same, one hash and one statement.

    Raises:
        ValidationFailed: the password is not one to accept.
        EmailTaken: there is an account with this address.
        RateLimited: too many registrations from this network address.
    """
    await password_quality.check(
        request.password, about=(request.email, request.first_name, request.last_name, request.company)
    )
    config = settings.current()
    bucket = Bucket("register-address", limits.network(device.ip), config.register_limit_address)
    user_id, token = uuid7(), one_time_tokens.issue()
    opened = await db.as_service(limits.hit([bucket]), db.from_device(device)).write(
        queries.REGISTER,
        row=Opened,
        user_id=user_id,
        email=request.email,
        password_hash=await passwords.hash_password(request.password, owner=user_id),
        first_name=request.first_name,
        last_name=request.last_name,
        company=request.company,
        token_digest=one_time_tokens.digest(token),
        mail_sealed=mail.Message("verify_email", request.email, {"token": token}).sealed(),
        needs_verified=config.require_verified_email,
        **lifetimes(),
    )
    mail.soon()
    if config.require_verified_email:
        return Accepted()
    if not opened:
        raise EmailTaken
    return begin(opened[0], request.transport)


async def login(request: LoginRequest, *, device: Device) -> SignedIn | SecondFactorRequired:
    """Sign somebody in. Two round trips, because the password is verified between them.

    An attempt is counted before it is known to be bad, so that attempts made at once cannot outrun the limit, and taken
    back when it turns out to be good. An unknown or disabled account costs the same work and gets the same answer as a
    wrong password.

    Raises:
        InvalidCredentials: address and password do not belong to an active account.
        EmailNotVerified: they do, but REQUIRE_VERIFIED_EMAIL is set and the address is not verified.
        RateLimited: too many failures; of which, ``password_attempt()`` says.
    """
    buckets = password_attempt(request.email, device)
    found = await db.as_service(limits.hit(buckets)).write(
        queries.FIND_CREDENTIALS, row=Credentials, email=request.email
    )
    known = found[0] if found else None
    stored = known.password_hash if known else None
    is_right = await passwords.verify(stored, request.password, owner=known.user_id if known else None)
    door = db.as_service(db.from_device(device))
    if not (known and stored and is_right):
        facts = json.dumps({"methods": ["password"], "account": limits.digest("account", request.email).hex()})
        await door.write(queries.REFUSE_SIGN_IN, user_id=known and known.user_id, facts=facts)
        raise InvalidCredentials
    owner, pending = known.user_id, Pending.begun()
    is_outdated = passwords.is_outdated(stored, owner=owner)
    (signed_in,) = await door.write(
        queries.SIGN_IN_WITH_PASSWORD,
        row=SignIn,
        user_id=owner,
        verified_hash=stored,
        new_hash=await passwords.hash_password(request.password, owner=owner) if is_outdated else None,
        attempt=[bucket.name for bucket in buckets],
        **pending.terms(device_name=request.device_name, transport=request.transport),
    )
    return pending.conclude(signed_in, transport=request.transport)


def password_attempt(email: str, device: Device) -> tuple[Bucket, ...]:
    """Where an attempt at a password counts. A browser that has signed in to this account before has a bucket of its
    own, and meets no other: so nobody can lock the owner out by failing. All strangers share those of the account, of
    their address, and of everybody."""
    config = settings.current()
    if known := device_cookies.read(device.cookie, email):
        return (Bucket("login-device", f"{known} {email.lower()}", config.login_limit_account),)
    return (
        Bucket("login-address", limits.network(device.ip), config.login_limit_address),
        Bucket("login-account", email.lower(), config.login_limit_account),
        Bucket("login-total", "", config.login_limit_total),
    )


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in about to be decided by ``sign_in()``, and the challenge that a second factor would answer."""

    challenge: str

    @classmethod
    def begun(cls) -> "Pending":
        return cls("jtc_" + secrets.token_urlsafe(32))

    def terms(self, *, device_name: str | None, transport: Transport) -> dict[str, Any]:
        """Parameters every statement that calls ``sign_in()`` has."""
        return {
            "challenge_digest": digest(self.challenge),
            "needs_verified": settings.current().require_verified_email,
            "device_name": device_name,
            "transport": transport,
            **lifetimes(),
        }

    def conclude(self, decided: SignIn, *, transport: Transport) -> SignedIn | SecondFactorRequired:
        """What to answer, by what was decided.

        Raises:
            InvalidCredentials: the account is disabled, or its password was changed in between.
            EmailNotVerified: its address has to be verified first.
        """
        match decided.outcome:
            case "signed_in":
                return begin(decided, transport)
            case "second_factor":
                return SecondFactorRequired(challenge=self.challenge, methods=decided.factors)
            case "unverified":
                raise EmailNotVerified
            case "disabled" | "changed":
                raise InvalidCredentials


def digest(secret: str) -> bytes:
    """What the database keeps of a secret with 128 random bits or more."""
    return hashlib.sha256(secret.encode()).digest()


def lifetimes() -> dict[str, int]:
    """How long a new session lasts, as ``open_session()`` wants it."""
    config = settings.current()
    return {"idle_days": config.session_idle_days, "absolute_days": config.session_absolute_days}


def begin(opened: Opened | SignIn, transport: Transport) -> SignedIn:
    """The first tokens of a session just opened. Its owner may have to be told of it."""
    mail.soon()
    signed_in = _sign_in(
        opened.session_id,
        generation=1,
        refresh_seconds=opened.refresh_seconds,
        authenticated_at=opened.authenticated_at,
        owner=opened.owner,
        transport=transport,
    )
    return replace(signed_in, device_cookie=device_cookies.issue(signed_in.tokens.user.email))


async def refresh(presented: Presented | None, *, device: Device) -> SignedIn:
    """Exchange a refresh token for its successor: one statement decides and writes, see docs/sessions.md.

    Raises:
        RefreshTokenInvalid: never issued, or its session was ended.
        RefreshTokenReused: spent before; the session is ended by this very statement.
        SessionExpired: too long unused, or too old.
        RateLimited: this session refreshes too often.
    """
    token = refresh_tokens.read(presented.token) if presented else None
    if presented is None or token is None:
        raise RefreshTokenInvalid
    config = settings.current()
    limit = config.refresh_limit_session
    (rotation,) = await db.as_service().write(
        queries.ROTATE,
        row=Rotation,
        session_id=token.session_id,
        generation=token.generation,
        grace=timedelta(seconds=config.refresh_grace_seconds),
        idle=timedelta(days=config.session_idle_days),
        limit_hits=limit.hits,
        limit_window=timedelta(seconds=limit.seconds),
        ip=device.ip,
    )
    match rotation.outcome:
        case "rotated" | "replayed":
            return _sign_in(
                token.session_id,
                generation=rotation.generation,
                refresh_seconds=rotation.refresh_seconds,
                authenticated_at=rotation.authenticated_at,
                owner=rotation.owner,
                transport=presented.transport,
            )
        case "reused":  # the revocation is committed with the statement that found it
            mail.soon()
            raise RefreshTokenReused
        case "expired":
            raise SessionExpired
        case "limited":
            raise RateLimited(
                policy="refresh-session", limit=limit.hits, window=limit.seconds, retry_after=rotation.retry_after
            )
        case "refused" | "forged":
            raise RefreshTokenInvalid


async def logout(who: Presented | Caller | None, *, device: Device) -> SignedOut:
    """End one session, named by its refresh token or by an access token. Ending it again is no error.

    Raises:
        NoSession: nothing names one.
        RefreshTokenInvalid: the refresh token was never issued.
    """
    if who is None:
        raise NoSession
    named = refresh_tokens.read(who.token) if isinstance(who, Presented) else who
    if named is None:
        raise RefreshTokenInvalid
    await db.as_service(db.from_device(device)).write(queries.REVOKE, session_id=named.session_id)
    return SignedOut(who.transport if isinstance(who, Presented) else "body")


async def logout_all(caller: Caller, request: LogoutAllRequest, *, device: Device) -> RevokedSessions:
    """End every session of the caller's, or all but this one."""
    door = db.enter(caller).guarded_by(db.from_device(device))
    rows = await door.write(queries.REVOKE_ALL, kept=caller.session_id if request.except_current else None)
    return RevokedSessions(revoked=rows[0][0])


async def list_sessions(caller: Caller) -> Document[Sessions]:
    rows = await db.enter(caller).read(queries.LIST_SESSIONS)
    return Document(rows[0][0])


async def revoke_session(caller: Caller, session_id: UUID, *, device: Device) -> None:
    """End one of the caller's sessions.

    Raises:
        NotFound: the caller has no such session, or it has ended.
    """
    door = db.enter(caller).guarded_by(db.from_device(device))
    if not await door.write(queries.REVOKE_SESSION, session_id=session_id):
        raise NotFound


async def get_status(caller: AnyCaller) -> Status:
    return Status(user=await accounts.get_user(caller))


async def verify(caller: Caller) -> Verification:
    """What another service needs to know about the access token it was shown."""
    return Verification(
        user=await accounts.get_user(caller),
        session_id=caller.session_id,
        expires_at=datetime.fromtimestamp(caller.expires_at, UTC),
        scopes=["*"],
    )


async def get_jwt_info(caller: Caller) -> JwtInfo:
    """How tokens are signed here, for an administrator."""
    await db.admit(caller)
    config, keys = settings.current(), keyring()
    return JwtInfo(
        issuer=config.jwt_issuer,
        audience=config.jwt_audience,
        access_ttl_seconds=config.access_token_seconds,
        keys=[KeyInfo(**_key_info(key)) for key in keys.keys],
        **_key_info(keys.signing),
    )


async def get_jwks() -> JsonWebKeySet:
    """The public halves of the signing keys: none under HS256, whose key is shared."""
    return JsonWebKeySet.model_validate(keyring().jwks)


def _key_info(key: Key) -> dict[Literal["algorithm", "key_id", "key_fingerprint"], str]:
    return {"algorithm": key.algorithm, "key_id": key.id, "key_fingerprint": key.fingerprint}


def _sign_in(
    session_id: UUID,
    *,
    generation: int,
    refresh_seconds: int,
    authenticated_at: int,
    owner: str,
    transport: Transport,
) -> SignedIn:
    user = User.model_validate_json(owner)
    access_token, life = access_tokens.issue(user.id, session_id, role=user.role, authenticated_at=authenticated_at)
    tokens = Tokens(
        access_token=access_token,
        expires_in=life,
        refresh_token=refresh_tokens.issue(session_id, generation=generation),
        refresh_expires_in=refresh_seconds,
        user=user,
    )
    return SignedIn(tokens, transport)
