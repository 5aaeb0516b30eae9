"""Proving an address by mail, and what that opens; docs/recovery.md has the rules and their reasons."""

from http import HTTPStatus

from shared import db, limits, mail, settings
from shared.db import Caller, Device
from shared.errors import Problem
from shared.fields import Accepted
from shared.limits import Bucket
from shared.recovery import queries
from shared.recovery.models import (
    ChangeEmailRequest,
    ChangePasswordRequest,
    ForgotPasswordRequest,
    Owner,
    Redemption,
    ResetPasswordRequest,
    VerifyEmailRequest,
)
from shared.security import device_cookies, password_quality, passwords
from shared.security.random_tokens import one_time_tokens
from shared.sessions import EmailTaken, InvalidCredentials


class TokenInvalid(Problem):
    """Unknown, spent, expired, for something else or about another address: nobody is told which."""

    status = HTTPStatus.BAD_REQUEST
    code = "token_invalid"
    title = "This link is no longer good; ask for a new one"


async def verify_email(request: VerifyEmailRequest, *, device: Device) -> None:
    """Spend a token that proves an address: the account's own, or the one it is to have from now on.

    Raises:
        TokenInvalid: it proves nothing.
        EmailTaken: the new address has become somebody else's since it was asked for.
        RateLimited: too many tokens from this address.
    """
    (redemption,) = await db.as_service(_redemption_limit(device), db.from_device(device)).write(
        queries.VERIFY_EMAIL, row=Redemption, token_digest=_digest(request.token)
    )
    match redemption.outcome:
        case "invalid":  # the refusal is committed with the statement: it is in the audit log
            raise TokenInvalid
        case "taken":  # likewise, and the token is spent
            raise EmailTaken
        case "verified":
            pass
        case "changed":
            mail.soon()


async def resend_verification(caller: Caller, *, device: Device) -> Accepted:
    """Send the caller another link. Two round trips: what is sealed for an address must know the address.

    Raises:
        RateLimited: this account was sent too many.
    """
    unverified = await db.enter(caller).read(queries.GET_UNVERIFIED_EMAIL)
    if unverified:
        ((email,),) = unverified
        token = one_time_tokens.issue()
        bucket = Bucket("verification-account", str(caller.user_id), settings.current().verification_limit_account)
        await (
            db.enter_as_service(caller)
            .guarded_by(limits.hit([bucket]), db.from_device(device))
            .write(
                queries.REQUEST_VERIFICATION,
                user_id=caller.user_id,
                email=email,
                token_digest=one_time_tokens.digest(token),
                mail_sealed=_sealed("verify_email", email, token),
            )
        )
        mail.soon()
    return Accepted()


async def forgot_password(request: ForgotPasswordRequest, *, device: Device) -> Accepted:
    """Send a link that sets a new password, if there is an account; if there is none, say so to the address alone.

    The same rows are written whatever is found, so that neither the answer nor the time it takes tells.

    Raises:
        RateLimited: too many for this address of an account, whether it is one or not, or from this network address.
    """
    token = one_time_tokens.issue()
    await db.as_service(limits.hit(_reset_buckets(request.email, device)), db.from_device(device)).write(
        queries.REQUEST_PASSWORD_RESET,
        email=request.email,
        account=limits.digest("account", request.email).hex(),
        token_digest=one_time_tokens.digest(token),
        mail_sealed=_sealed("reset_password", request.email, token),
    )
    mail.soon()
    return Accepted()


async def reset_password(request: ResetPasswordRequest, *, device: Device) -> None:
    """Set a new password by a token from a mail. It signs nobody in, and leaves a second factor as it is.

    Two round trips: a password is hashed only for a token that is good, and a token is spent only by a password that
    is. Whether it is still good the second one decides.

    Raises:
        TokenInvalid: the token opens nothing.
        ValidationFailed: the password is not one to accept; the token is still good.
        RateLimited: too many tokens from this address.
    """
    digest, door = _digest(request.token), db.as_service(db.from_device(device))
    found = await door.guarded_by(_redemption_limit(device)).write(
        queries.FIND_OWNER_OF_TOKEN, row=Owner, token_digest=digest
    )
    if not found:
        raise TokenInvalid
    (owner,) = found
    await password_quality.check(request.password, about=owner.words)
    new_hash = await passwords.hash_password(request.password, owner=owner.user_id)
    ((is_reset,),) = await door.write(queries.RESET_PASSWORD, token_digest=digest, new_hash=new_hash)
    if not is_reset:
        raise TokenInvalid
    mail.soon()


async def change_password(caller: Caller, request: ChangePasswordRequest, *, device: Device) -> None:
    """Change the password and end every other session. Two round trips, because the present one is verified between.

    As at login, an attempt is counted before it is known to be bad, and taken back when it was good.

    Raises:
        InvalidCredentials: that is not the present password, or there is none: a reset sets a first one.
        ValidationFailed: the new password is not one to accept.
        RateLimited: too many attempts for this account.
    """
    bucket = Bucket("password-account", str(caller.user_id), settings.current().login_limit_account)
    door = db.enter_as_service(caller).guarded_by(db.from_device(device))
    (owner,) = await door.guarded_by(limits.hit([bucket])).write(queries.FIND_OWNER, row=Owner, user_id=caller.user_id)
    stored = owner.password_hash
    if not await passwords.verify(stored, request.current_password, owner=caller.user_id):
        await door.write(queries.REFUSE_PASSWORD_CHANGE, user_id=caller.user_id)
        raise InvalidCredentials
    await password_quality.check(request.new_password, field="new_password", about=owner.words)
    ((is_changed,),) = await door.write(
        queries.CHANGE_PASSWORD,
        user_id=caller.user_id,
        verified_hash=stored,
        new_hash=await passwords.hash_password(request.new_password, owner=caller.user_id),
        attempt=[bucket.name],
    )
    if not is_changed:
        raise InvalidCredentials
    mail.soon()


async def change_email(caller: Caller, request: ChangeEmailRequest, *, device: Device) -> Accepted:
    """Send a link to the address that the caller wants to have, and tell the present one of it.

    An address that is taken is told so itself, and the caller nothing.

    Raises:
        RateLimited: this account asked for too many.
    """
    bucket = Bucket("change-email-account", str(caller.user_id), settings.current().change_email_limit_account)
    token = one_time_tokens.issue()
    await (
        db.enter_as_service(caller)
        .guarded_by(limits.hit([bucket]), db.from_device(device))
        .write(
            queries.REQUEST_EMAIL_CHANGE,
            user_id=caller.user_id,
            email=request.email,
            token_digest=one_time_tokens.digest(token),
            mail_sealed=_sealed("confirm_new_email", request.email, token),
        )
    )
    mail.soon()
    return Accepted()


def _sealed(template: str, recipient: str, token: str) -> bytes:
    return mail.Message(template, recipient, {"token": token}).sealed()


def _reset_buckets(email: str, device: Device) -> tuple[Bucket, ...]:
    """Where a reset that is asked for counts; for a browser that has signed in to the account, as at login: somebody
    else's asking does not keep the owner from it."""
    config = settings.current()
    by_address = Bucket("reset-address", limits.network(device.ip), config.reset_limit_address)
    if known := device_cookies.read(device.cookie, email):
        return by_address, Bucket("reset-device", f"{known} {email}", config.reset_limit_account)
    return by_address, Bucket("reset-account", email, config.reset_limit_account)


def _digest(token: str) -> bytes:
    digest = one_time_tokens.read(token)
    if digest is None:
        raise TokenInvalid
    return digest


def _redemption_limit(device: Device) -> db.Guard:
    limit = settings.current().redemption_limit_address
    return limits.hit([Bucket("redemption-address", limits.network(device.ip), limit)])
