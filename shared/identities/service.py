"""Signing in with a provider, and linking one to an account."""

import hashlib
import hmac
import json
import logging
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import asdict
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import quote, urlencode, urlsplit

from shared import db, limits, mail, sessions, settings
from shared.db import Caller, Device, Guard, uuid7
from shared.documents import Document
from shared.errors import NotFound, Problem, Unavailable, ValidationFailed
from shared.identities import providers, queries
from shared.identities.models import (
    Arrival,
    Authorization,
    Begun,
    CallbackQuery,
    Decision,
    Departure,
    Identities,
    Identity,
    LinkBegun,
    Linking,
    LinkRequest,
    Person,
    StartQuery,
)
from shared.identities.providers import Exchange, Provider
from shared.identities.wire import Refused, Unreachable
from shared.limits import Bucket
from shared.sessions import Pending, SecondFactorRequired, SignedIn, SignIn, Transport

LIFE = 600
"""Seconds somebody has at the provider."""

SECRET = re.compile(r"[A-Za-z0-9_-]{43}")

logger = logging.getLogger(__name__)


class OAuthStateInvalid(Problem):
    """Begun in another browser, at another provider, more than ten minutes ago, or finished already."""

    status = HTTPStatus.BAD_REQUEST
    code = "oauth_state_invalid"
    title = "This sign-in cannot be finished here; begin again"


class OAuthDenied(Problem):
    status = HTTPStatus.BAD_REQUEST
    code = "oauth_denied"
    title = "You did not let the provider tell us who you are"


class OAuthFailed(Problem):
    """Why, the audit log says."""

    status = HTTPStatus.BAD_REQUEST
    code = "oauth_failed"
    title = "The provider did not vouch for you; begin again"


class ProviderUnavailable(Unavailable):
    code = "provider_unavailable"
    title = "The provider cannot be asked now; try again shortly"


class OAuthEmailMissing(Problem):
    status = HTTPStatus.CONFLICT
    code = "oauth_email_missing"
    title = "The provider tells no e-mail address; make an account first, then link it"


class LinkRequired(Problem):
    """Only to somebody whom the provider vouches for with this very address."""

    status = HTTPStatus.CONFLICT
    code = "link_required"
    title = "Sign in as before, or reset the password; then link the provider to your account"


class IdentityTaken(Problem):
    status = HTTPStatus.CONFLICT
    code = "identity_taken"
    title = "It is linked to another account; unlink it there first"


class ProviderLinked(Problem):
    status = HTTPStatus.CONFLICT
    code = "provider_linked"
    title = "You are somebody else at this provider already; unlink that first"


class LastWayIn(Problem):
    status = HTTPStatus.CONFLICT
    code = "last_way_in"
    title = "It is the only way into your account; set a password or add another first"


async def start(provider_name: str, query: StartQuery, *, browser: str | None, device: Device) -> Departure:
    """Send a browser to a provider to sign in.

    Raises:
        NotFound: there is no such provider here.
        ValidationFailed: ``return_to`` is not a page of ours, or wants the refresh token where it cannot come.
        RateLimited: too many from this address.
    """
    provider = _provider(provider_name)
    if query.return_to is not None and query.transport == "body":
        raise ValidationFailed.of("transport", "transport", "must be cookie with return_to")
    door = db.as_service(_hit("oauth-start", device))
    return await _depart(
        provider,
        door,
        browser=browser,
        return_to=query.return_to,
        transport=query.transport or ("cookie" if query.return_to else "body"),
        device_name=query.device_name,
    )


async def begin_linking(caller: Caller, provider_name: str, request: LinkRequest, *, browser: str | None) -> LinkBegun:
    """Send a browser to a provider to link whoever it is there to the caller's account.

    Raises:
        NotFound: there is no such provider here.
        ValidationFailed: ``return_to`` is not a page of ours.
    """
    try:
        provider = _provider(provider_name)
        departure = await _depart(
            provider, db.enter(caller), browser=browser, return_to=request.return_to, transport="body", linker=caller
        )
    except (NotFound, ValidationFailed):
        await db.admit(caller)  # a caller whose session has ended learns that first
        raise
    return LinkBegun(Authorization(authorization_url=departure.location), departure.browser)


async def _depart(
    provider: Provider,
    door: db.Door,
    *,
    browser: str | None,
    return_to: str | None,
    transport: Transport,
    device_name: str | None = None,
    linker: Caller | None = None,
) -> Departure:
    if return_to is not None and not _is_ours(return_to):
        raise ValidationFailed.of("return_to", "return_to", "must be a page of an allowed origin, without a fragment")
    if browser is None or not SECRET.fullmatch(browser):  # kept if there is one: two tabs may be on their way at once
        browser = secrets.token_urlsafe(32)
    state = secrets.token_urlsafe(32)
    facts = {
        "provider": provider.name,
        "browser": sessions.digest(browser).hex(),
        "transport": transport,
        "device_name": device_name,
        "return_to": return_to,
        "session_id": str(linker.session_id) if linker else None,
    }
    await door.write(
        queries.BEGIN,
        digest=sessions.digest(state),
        user_id=linker.user_id if linker else None,
        facts=json.dumps(facts),
        life=LIFE,
    )
    location = provider.authorization_url(
        state=state,
        challenge=_base64url(hashlib.sha256(_secret("verifier", browser, state).encode()).digest()),
        nonce=_secret("nonce", browser, state),
    )
    return Departure(location, browser)


async def finish(
    provider_name: str, query: CallbackQuery, *, browser: str | None, device: Device
) -> SignedIn | SecondFactorRequired | Identity | Arrival:
    """Take a browser back from a provider, and sign in or link whoever it vouches for.

    Two round trips: what was begun is taken before the provider is asked, so that a code is exchanged once at most.
    Whoever said where to return to is sent there, with whatever went wrong as ``#error=<code>``.

    Raises:
        NotFound: there is no such provider here.
        OAuthStateInvalid: this browser began nothing that could be finished so.
        OAuthDenied, OAuthFailed: the provider vouches for nobody.
        ProviderUnavailable: it cannot be asked.
        OAuthEmailMissing, LinkRequired, InvalidCredentials, EmailNotVerified: whoever it is may not sign in.
        IdentityTaken, ProviderLinked: the link cannot be made.
        RateLimited: too many from this address.
    """
    provider = _provider(provider_name)
    if not query.state or browser is None or not SECRET.fullmatch(browser):
        raise OAuthStateInvalid
    taken = await db.as_service(_hit("oauth-callback", device), db.from_device(device)).write(
        queries.TAKE_STATE,
        row=Begun,
        digest=sessions.digest(query.state),
        provider=provider.name,
        browser=sessions.digest(browser).hex(),
    )
    if not taken:
        raise OAuthStateInvalid
    (begun,) = taken
    door = db.as_service(db.from_device(device))
    try:
        person = await _identify(provider, query, browser=browser, begun=begun, door=door)
        done = await (_link if begun.user_id else _sign_in)(provider, person, begun=begun, door=door)
    except Problem as problem:
        if begun.return_to is None:
            raise
        return _arrival(begun.return_to, error=problem.code)
    if begun.return_to is None:
        return done
    match done:
        case SignedIn():
            return Arrival(begun.return_to, done)
        case SecondFactorRequired():
            return _arrival(begun.return_to, mfa=done.challenge, methods=",".join(done.methods))
        case Identity():
            return _arrival(begun.return_to, linked=provider.name)


async def _identify(provider: Provider, query: CallbackQuery, *, browser: str, begun: Begun, door: db.Door) -> Person:
    """Whom the provider vouches for. That it does not is written down."""

    async def refuse(problem: Problem, reason: str) -> NoReturn:
        facts = json.dumps({"provider": provider.name, "reason": reason})
        await door.write(queries.REFUSE, user_id=begun.user_id, facts=facts)
        raise problem

    if query.error == "access_denied":
        await refuse(OAuthDenied(), "access_denied")
    if query.error or not query.code:
        await refuse(OAuthFailed(), "no code")
    exchange = Exchange(
        code=query.code or "",
        verifier=_secret("verifier", browser, query.state or ""),
        nonce=_secret("nonce", browser, query.state or ""),
    )
    try:
        return await provider.identify(exchange)
    except Refused as reason:
        logger.warning("%s refused a sign-in: %s", provider.name, reason)
        await refuse(OAuthFailed(), str(reason))
    except Unreachable as reason:
        logger.warning("%s cannot be asked: %s", provider.name, reason)
        await refuse(ProviderUnavailable(), str(reason))


async def _sign_in(
    provider: Provider, person: Person, *, begun: Begun, door: db.Door
) -> SignedIn | SecondFactorRequired:
    pending = Pending.begun()
    (decided,) = await door.write(
        queries.SIGN_IN,
        row=Decision,
        provider=provider.name,
        user_id=uuid7(),
        **asdict(person),
        **pending.terms(device_name=begun.device_name, transport=begun.transport),
    )
    mail.soon()
    match decided.outcome:
        case "nameless":
            raise OAuthEmailMissing
        case "link_required":
            raise LinkRequired
    return pending.conclude(SignIn(**asdict(decided)), transport=begun.transport)


async def _link(provider: Provider, person: Person, *, begun: Begun, door: db.Door) -> Identity:
    (linking,) = await door.write(
        queries.LINK,
        row=Linking,
        provider=provider.name,
        user_id=begun.user_id,
        session_id=begun.session_id,
        subject=person.subject,
        email=person.email,
        email_verified=person.email_verified,
    )
    mail.soon()
    match linking.outcome:
        case "linked":
            return Identity.model_validate_json(linking.identity)
        case "session_ended":
            raise OAuthStateInvalid
        case "taken":
            raise IdentityTaken
        case "another":
            raise ProviderLinked


async def list_identities(caller: Caller) -> Document[Identities]:
    rows = await db.enter(caller).read(queries.LIST_IDENTITIES)
    return Document(rows[0][0])


async def unlink(caller: Caller, provider_name: str, *, device: Device) -> None:
    """Forget who the caller is at a provider, also one that is switched off by now.

    Raises:
        NotFound: nothing is linked.
        LastWayIn: there would be no way to sign in left.
    """
    door = db.enter(caller).guarded_by(db.from_device(device))
    ((outcome,),) = await door.write(queries.UNLINK, user_id=caller.user_id, provider=provider_name)
    mail.soon()
    match outcome:
        case "unknown":
            raise NotFound
        case "last_way_in":
            raise LastWayIn


def _provider(name: str) -> Provider:
    provider = providers.find(name)
    if provider is None:
        raise NotFound
    return provider


def _hit(policy: str, device: Device) -> Guard:
    """Anybody may begin and finish: what that writes is bounded."""
    return limits.hit((Bucket(policy, limits.network(device.ip), settings.current().oauth_limit_address),))


def _is_ours(page: str) -> bool:
    """Whether a browser may be sent there: an open redirect would lend our name to anybody."""
    if not (page.isascii() and page.isprintable()) or any(mark in page for mark in ' \\#"<>'):
        return False
    try:
        parts = urlsplit(page)
    except ValueError:
        return False
    return f"{parts.scheme}://{parts.netloc}" in settings.current().allowed_origins


def _arrival(return_to: str, **facts: str) -> Arrival:
    return Arrival(f"{return_to}#{urlencode(facts, safe=',', quote_via=quote)}")


def _secret(purpose: str, browser: str, state: str) -> str:
    """The verifier or the nonce of one sign-in.

    Made of what only this browser holds, so that neither the database nor whoever sees an address can tell it; and a
    code that was stolen from another browser does not fit.
    """
    return _base64url(hmac.digest(browser.encode(), f"{purpose} {state}".encode(), "sha256"))


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
