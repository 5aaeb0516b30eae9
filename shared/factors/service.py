"""Turning second factors on and off, signing in with them, and proving anew who one is."""

import logging
import re
import secrets
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from shared import db, limits, mail, passkeys, sessions, settings
from shared.db import Caller, Device, Door, Guard
from shared.documents import Document
from shared.errors import NotFound, Problem, Unauthorized, ValidationFailed
from shared.factors import queries
from shared.factors.models import (
    ALPHABET,
    Attempt,
    Confirmation,
    Factors,
    Finish,
    Fresh,
    FreshToken,
    Proof,
    RecoveryCodes,
    SecondStep,
    TotpSetup,
)
from shared.limits import Bucket
from shared.passkeys import Assertion, ChallengeInvalid, PasskeyInvalid
from shared.security import access_tokens, passwords, totp
from shared.sessions import SignedIn

PURPOSE = "totp"
CODES = 10
GROUPS, GROUP = 6, 4
"""24 characters of 5 bits: 120 bits. At 112 and more, a plain digest is enough (OWASP ASVS 5.0, 6.5.2)."""

CHALLENGE = re.compile(r"jtc_[A-Za-z0-9_-]{43}")

logger = logging.getLogger(__name__)


class SecondFactorInvalid(Unauthorized):
    code = "second_factor_invalid"
    title = "The code is wrong, or was used before"


class SecondFactorNeeded(Problem):
    status = HTTPStatus.FORBIDDEN
    code = "second_factor_needed"
    sqlstate = "JT2FA"
    title = "This account has a second factor: a password alone is not enough"


class TotpNotOffered(Problem):
    status = HTTPStatus.CONFLICT
    code = "totp_not_offered"
    title = "There is nothing to confirm; begin the setup again"


class TotpNotEnabled(Problem):
    status = HTTPStatus.CONFLICT
    code = "totp_not_enabled"
    title = "Set up an authenticator app first"


# ---------------------------------------------------------------- what is on


async def get_factors(caller: Caller) -> Document[Factors]:
    rows = await db.enter_as_service(caller).read(queries.GET_FACTORS, user_id=caller.user_id)
    return Document(rows[0][0])


async def offer_totp(caller: Caller, *, device: Device) -> TotpSetup:
    """Make a secret, in place of one that was made before and not confirmed. It changes nothing until it is.

    Raises:
        EmailNotVerified: nobody knows yet whose address it is; they could be locked out of it by this.
    """
    secret = totp.new_secret()
    rows = await _door(caller, device).write(queries.OFFER_TOTP, user_id=caller.user_id, sealed=_seal(secret, caller))
    if not rows:
        raise sessions.EmailNotVerified
    uri = totp.uri(secret, account=rows[0][0])
    return TotpSetup(secret=totp.text(secret), uri=uri, qr_svg=totp.qr(uri))


async def enable_totp(caller: Caller, request: Confirmation, *, device: Device) -> RecoveryCodes:
    """Put the secret that was offered into use, now that a code shows where it is.

    Two round trips, because the code is verified between them. Every other session ends by the second, except those
    begun with a passkey.

    Raises:
        TotpNotOffered: there is no setup, or it was confirmed or replaced in between, or an hour has passed.
        ValidationFailed: it is not a code of the secret.
    """
    rows = await db.enter_as_service(caller).read(queries.GET_OFFER, user_id=caller.user_id)
    if not rows:
        raise TotpNotOffered
    sealed = rows[0][0]
    step, _ = _verified(sealed, request.code, caller)
    if step is None:
        raise ValidationFailed.of("code", "totp_code_wrong", "is not what the app shows now; check the device's clock")
    codes = _new_codes()
    ((is_enabled,),) = await _door(caller, device).write(
        queries.ENABLE_TOTP,
        user_id=caller.user_id,
        session_id=caller.session_id,
        sealed=sealed,
        step=step,
        codes=_digests(codes),
    )
    if not is_enabled:
        raise TotpNotOffered
    mail.soon()
    return RecoveryCodes(recovery_codes=codes)


async def disable_totp(caller: Caller, *, device: Device) -> None:
    """Sign in by the first factor alone from now on; the recovery codes go too.

    A fresh caller has just used the factor, or one that stands in for it: nothing less makes one fresh while it is on.

    Raises:
        NotFound: it is not on.
    """
    ((is_disabled,),) = await _door(caller, device).write(queries.DISABLE_TOTP, user_id=caller.user_id)
    if not is_disabled:
        raise NotFound
    mail.soon()


async def replace_recovery_codes(caller: Caller, *, device: Device) -> RecoveryCodes:
    """A new set; the codes of the old one are good no more.

    Raises:
        TotpNotEnabled: there is nothing that they could stand in for.
    """
    codes = _new_codes()
    ((is_replaced,),) = await _door(caller, device).write(
        queries.REPLACE_RECOVERY_CODES, user_id=caller.user_id, codes=_digests(codes)
    )
    if not is_replaced:
        raise TotpNotEnabled
    mail.soon()
    return RecoveryCodes(recovery_codes=codes)


# ---------------------------------------------------------------- the second step of signing in


async def finish_sign_in(request: SecondStep, *, device: Device) -> SignedIn:
    """Sign in whoever showed the first factor and now shows a second.

    A try is taken from the challenge, and a code's from the account, before anything is verified. A code or a passkey
    costs two round trips, because it is verified between them; a recovery code costs one.

    Raises:
        ChallengeInvalid: there is no such sign-in, or no longer.
        SecondFactorInvalid, PasskeyInvalid: wrong, or used before.
        RateLimited: too many wrong codes for this account, over all its sign-ins.
        EmailNotVerified, InvalidCredentials: as login has it, and only now is it so.
    """
    if not CHALLENGE.fullmatch(request.challenge):
        raise ChallengeInvalid
    challenge = sessions.digest(request.challenge)
    door = db.as_service(db.from_device(device))
    if request.code is not None:
        finished = await _finish_by_code(challenge, request.code, door)
    elif request.passkey is not None:
        finished = await _finish_by_passkey(challenge, request.passkey, door)
    else:
        assert request.recovery_code is not None
        finished = await _finish_by_recovery_code(challenge, request.recovery_code, door)
    match finished.outcome:
        case "signed_in":
            return sessions.begin(finished, request.transport or finished.transport)
        case "refused":
            mail.soon()  # if that was the last try
            raise PasskeyInvalid if request.passkey else SecondFactorInvalid
        case "unverified":
            raise sessions.EmailNotVerified
        case "disabled":
            raise sessions.InvalidCredentials


async def _finish_by_code(challenge: bytes, code: str, door: Door) -> Finish:
    buckets = _buckets("second-factor", "")  # whose they are, the challenge says
    (attempt,) = await door.write(
        queries.TRY_SECOND_FACTOR, row=Attempt, challenge=challenge, **limits.hit(buckets).params
    )
    step, resealed = _verified(attempt.sealed, code, attempt)
    (finished,) = await door.write(
        queries.SIGN_IN_WITH_TOTP,
        row=Finish,
        challenge=challenge,
        user_id=attempt.user_id,
        sealed=attempt.sealed,
        step=step,
        resealed=resealed,
        attempt=[bucket.name for bucket in buckets],
        **_terms(),
    )
    return finished


async def _finish_by_passkey(challenge: bytes, assertion: Assertion, door: Door) -> Finish:
    try:
        proof = await passkeys.examine(assertion, guards=[Guard(queries.TAKE_TRY, {"pending": challenge})])
    except PasskeyInvalid:
        await door.write(queries.REFUSE_PASSKEY, challenge=challenge)
        mail.soon()
        raise
    (finished,) = await door.write(
        queries.SIGN_IN_WITH_PASSKEY,
        row=Finish,
        challenge=challenge,
        user_id=proof.user_id,
        **proof.params(),
        **_terms(),
    )
    return finished


async def _finish_by_recovery_code(challenge: bytes, code: str, door: Door) -> Finish:
    (finished,) = await door.write(
        queries.SIGN_IN_WITH_RECOVERY_CODE, row=Finish, challenge=challenge, code=sessions.digest(code), **_terms()
    )
    return finished


def _terms() -> dict[str, Any]:
    return {"needs_verified": settings.current().require_verified_email, **sessions.lifetimes()}


# ---------------------------------------------------------------- proving it again


async def reauthenticate(caller: Caller, proof: Proof, *, device: Device) -> FreshToken:
    """An access token whose holder has just proved who they are; the session's later ones say so too.

    Failures are limited as those of a second factor are, whatever was tried: a stolen access token is no way to guess
    passwords. They are counted apart from those of signing in, so that neither can be used to block the other.

    Raises:
        SecondFactorNeeded: a password, where signing in takes more than one; it is not even looked at.
        InvalidCredentials: the password is wrong, or there is none.
        SecondFactorInvalid, PasskeyInvalid: wrong, or used before.
        RateLimited: too many failures.
    """
    buckets = _buckets("reauthentication", str(caller.user_id))
    door = _door(caller, device)
    first = door.guarded_by(limits.hit(buckets))
    whose = {"user_id": caller.user_id, "session_id": caller.session_id, "attempt": [b.name for b in buckets]}
    if proof.password is not None:
        proved = await _prove_by_password(proof.password, first, door, whose)
    elif proof.code is not None:
        proved = await _prove_by_code(proof.code, caller, first, door, whose)
    elif proof.passkey is not None:
        proved = await _prove_by_passkey(proof.passkey, caller, first, door, whose)
    else:
        assert proof.recovery_code is not None
        proved = await _prove_by_recovery_code(proof.recovery_code, door, buckets, whose)
    if proved.role is None:
        if proof.password is not None:
            raise sessions.InvalidCredentials("The password is wrong")
        raise PasskeyInvalid if proof.passkey else SecondFactorInvalid
    token, life = access_tokens.issue(
        caller.user_id, caller.session_id, role=proved.role, authenticated_at=proved.authenticated_at
    )
    return FreshToken(access_token=token, expires_in=life)


async def _prove_by_password(password: str, first: Door, door: Door, whose: dict[str, Any]) -> Fresh:
    ((stored,),) = await first.write(queries.GET_SOLE_FACTOR, user_id=whose["user_id"])
    is_right = await passwords.verify(stored, password, owner=whose["user_id"])
    (proved,) = await door.write(
        queries.REAUTHENTICATE_WITH_PASSWORD, row=Fresh, is_right=is_right, verified_hash=stored, **whose
    )
    return proved


async def _prove_by_code(code: str, caller: Caller, first: Door, door: Door, whose: dict[str, Any]) -> Fresh:
    rows = await first.write(queries.GET_SECRET, user_id=caller.user_id)
    sealed = rows[0][0] if rows else None
    step, resealed = _verified(sealed, code, caller)
    (proved,) = await door.write(
        queries.REAUTHENTICATE_WITH_TOTP, row=Fresh, sealed=sealed, step=step, resealed=resealed, **whose
    )
    return proved


async def _prove_by_passkey(
    assertion: Assertion, caller: Caller, first: Door, door: Door, whose: dict[str, Any]
) -> Fresh:
    try:
        proof = await passkeys.examine(assertion, user_id=caller.user_id, guards=first.guards)
    except PasskeyInvalid:
        await door.write(queries.REFUSE_REAUTHENTICATION, **whose)
        raise
    (proved,) = await door.write(queries.REAUTHENTICATE_WITH_PASSKEY, row=Fresh, **proof.params(), **whose)
    return proved


async def _prove_by_recovery_code(code: str, door: Door, buckets: Sequence[Bucket], whose: dict[str, Any]) -> Fresh:
    at_once = door.guarded_by(Guard(queries.LOCK_ACCOUNT, {}), limits.hit(buckets))
    (proved,) = await at_once.write(
        queries.REAUTHENTICATE_WITH_RECOVERY_CODE, row=Fresh, code=sessions.digest(code), **whose
    )
    mail.soon()
    return proved


def _buckets(policy: str, subject: str) -> tuple[Bucket, ...]:
    config = settings.current()
    return (
        Bucket(policy, subject, config.second_factor_limit_short),
        Bucket(f"{policy}-hour", subject, config.second_factor_limit_hour),
        Bucket(f"{policy}-day", subject, config.second_factor_limit_day),
    )


# ---------------------------------------------------------------- secrets and codes


def _door(caller: Caller, device: Device) -> Door:
    return db.enter_as_service(caller).guarded_by(db.from_device(device))


def _seal(secret: bytes, owner: Caller | Attempt) -> bytes:
    from shared.security import sealing  # brings cryptography, which most requests can do without

    return sealing.seal(PURPOSE, secret, bound_to=str(owner.user_id))


def _verified(sealed: bytes | None, code: str, owner: Caller | Attempt) -> tuple[int | None, bytes | None]:
    """The step that the code is of, if it is good; and the secret sealed anew, where its key is not the newest."""
    from shared.security import sealing

    if sealed is None:
        return None, None
    try:
        secret = sealing.open_sealed(PURPOSE, sealed, bound_to=str(owner.user_id))
    except sealing.SealBroken:
        # Recovery codes and passkeys go on working.
        logger.error("the secret of a second factor does not open: is its key still among SEALING_KEYS?")
        return None, None
    return totp.step_of(secret, code), _seal(secret, owner) if sealing.is_outdated(sealed) else None


def _new_codes() -> list[str]:
    return [
        "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS)) for _ in range(CODES)
    ]


def _digests(codes: list[str]) -> list[bytes]:
    return [sessions.digest(code.replace("-", "")) for code in codes]
