"""Registering passkeys, and proving by them who somebody is: WebAuthn 3, sections 7.1 and 7.2.

The library does the cryptography, and is imported when somebody sends a credential: it brings much along. What it does
not look at is looked at here: who the challenge was for, the user handle, frames of other sites; and in SQL: that a
challenge is good once, and that a counter grows.
"""

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from shared import accounts, db, documents, limits, mail, sessions, settings
from shared.db import Caller, Device, Guard
from shared.documents import Document, Versions
from shared.errors import NotFound, Problem, StaleVersion, Unauthorized
from shared.limits import Bucket
from shared.passkeys import queries
from shared.passkeys.models import (
    ALGORITHMS,
    CREDENTIAL_ID_BYTES,
    Added,
    Assertion,
    Attestation,
    Begun,
    CreationOptions,
    CredentialDescriptor,
    Known,
    Passkey,
    PasskeyChanges,
    PasskeyLogin,
    PasskeyRegistration,
    Passkeys,
    Proof,
    RelyingPartyEntity,
    RequestOptions,
    SignInOptionsRequest,
    UserEntity,
)
from shared.sessions import SignedIn, SignIn

if TYPE_CHECKING:
    from webauthn.registration.verify_registration_response import VerifiedRegistration

Verified = TypeVar("Verified")

MAX_PASSKEYS = 25
"""Passkeys an account may have: more than anybody has devices, and a list that needs no pages."""

STANDARD_PORTS = {"https": 443, "http": 80}
"""Ports that browsers leave out of an origin (RFC 6454, section 6.2)."""

NOBODYS_KEY = bytes.fromhex(
    "a5010203262001"
    "2158206b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "2258204fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
"""P-256's own base point, as COSE: an unknown credential is verified against it, so that it takes as long. Anybody can
sign with its private key, which is 1: what is verified with it is refused all the same."""


class PasskeyInvalid(Unauthorized):
    """Unknown, removed, copied, or not what was asked for: nobody is told which."""

    code = "passkey_invalid"
    title = "The passkey was not accepted; begin again"


class PasskeyRefused(Problem):
    """The new credential is not what was asked for, or came too late."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "passkey_refused"
    title = "The passkey could not be registered; begin again"


class PasskeyRegistered(Problem):
    status = HTTPStatus.CONFLICT
    code = "passkey_registered"
    title = "This passkey is registered already"


class TooManyPasskeys(Problem):
    """Carries ``limit``."""

    status = HTTPStatus.CONFLICT
    code = "too_many_passkeys"
    title = "There is no room for another passkey; remove one first"


class ChallengeInvalid(Unauthorized):
    code = "challenge_invalid"
    sqlstate = "JTC01"
    title = "This sign-in is over; begin again"


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Whom passkeys are for, and which pages may use them: as the settings say, and never the request."""

    id: str
    origins: list[str]

    @staticmethod
    def current() -> "RelyingParty":
        config = settings.current()
        page = urlsplit(config.app_url)
        host = page.hostname or ""
        port = f":{page.port}" if page.port and page.port != STANDARD_PORTS[page.scheme] else ""
        if host in ("127.0.0.1", "::1"):  # passkeys belong to domains, and an address is none
            host = "localhost"
        origins = dict.fromkeys([f"{page.scheme}://{host}{port}", *config.allowed_origins])
        return RelyingParty(config.passkey_rp_id or host, list(origins))


# ---------------------------------------------------------------- one's own passkeys


async def begin_registration(caller: Caller) -> CreationOptions:
    """What a browser needs to make a passkey for the caller, within five minutes.

    Raises:
        EmailNotVerified: the account may have been made by anybody, until its address is verified.
    """
    challenge = secrets.token_urlsafe(32)
    (begun,) = await db.enter(caller).write(queries.BEGIN_REGISTRATION, row=Begun, digest=sessions.digest(challenge))
    if not begun.email_verified:
        raise sessions.EmailNotVerified
    return CreationOptions(
        rp=RelyingPartyEntity(id=RelyingParty.current().id, name=settings.current().passkey_rp_name),
        user=UserEntity(
            id=_base64url(begun.user_id.bytes), name=begun.email, display_name=begun.full_name or begun.email
        ),
        challenge=challenge,
        exclude_credentials=_descriptors(begun.passkeys),
    )


async def register(caller: Caller, request: PasskeyRegistration, *, device: Device) -> Document[Passkey]:
    """Add a passkey to the caller's account.

    What the credential says of its challenge is believed while it is verified, and then spent by the statement that
    adds it: one round trip.

    Raises:
        PasskeyRefused: it is not a good answer to the options, or they are spent or older than five minutes.
        PasskeyRegistered: it is registered, with this account or another.
        TooManyPasskeys: the account has MAX_PASSKEYS.
    """
    door = db.enter(caller).guarded_by(db.from_device(device))
    challenge = _challenge(request.credential)
    made = _verify_attestation(request.credential, challenge=challenge)
    if made is None:
        await door.write(queries.REFUSE_REGISTRATION, digest=sessions.digest(challenge))
        raise PasskeyRefused
    (added,) = await door.write(
        queries.ADD_PASSKEY,
        row=Added,
        digest=sessions.digest(challenge),
        credential_id=made.credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        name=request.name,
        transports=request.credential.response.transports,
        aaguid=UUID(made.aaguid),
        is_syncable=made.credential_device_type == "multi_device",
        is_backed_up=made.credential_backed_up,
        cap=MAX_PASSKEYS,
    )
    match added.outcome:
        case "added":
            mail.soon()
            assert added.document is not None
            return Document(added.document, version=added.version)
        case "registered":
            raise PasskeyRegistered
        case "too_many":
            raise TooManyPasskeys(limit=MAX_PASSKEYS)
        case "expired":
            raise PasskeyRefused


async def list_passkeys(caller: Caller) -> Document[Passkeys]:
    return await documents.get(db.enter(caller), queries.LIST_PASSKEYS)


async def rename(caller: Caller, passkey_id: UUID, changes: PasskeyChanges, *, versions: Versions) -> Document[Passkey]:
    return await documents.update(db.enter(caller), queries.RENAME_PASSKEY, passkey_id, changes, versions=versions)


async def remove(caller: Caller, passkey_id: UUID, *, versions: Versions, device: Device) -> None:
    """Take one of the caller's passkeys away.

    Raises:
        NotFound: the caller has no such passkey.
        StaleVersion: it is at another version than those expected.
        LastWayIn: without it nobody could sign in to the account.
    """
    ((outcome, present),) = (
        await db.enter(caller)
        .guarded_by(db.from_device(device))
        .write(queries.REMOVE_PASSKEY, passkey_id=passkey_id, versions=None if versions is None else list(versions))
    )
    match outcome:
        case "unknown":
            raise NotFound
        case "stale":
            raise StaleVersion(version=present)
        case "last":
            raise accounts.LastWayIn
        case _:
            mail.soon()


# ---------------------------------------------------------------- signing in


async def begin_sign_in(request: SignInOptionsRequest, *, caller: Caller | None, device: Device) -> RequestOptions:
    """What a browser needs to prove by passkey who sits at it, within five minutes.

    For anybody: whichever passkey they have, so that nothing is told about accounts. For a pending sign-in, or a caller
    who is to prove anew who they are: one of that account's, and good for that account only.

    Raises:
        ChallengeInvalid: the pending sign-in is over.
        RateLimited: too many were begun from this address.
    """
    challenge = secrets.token_urlsafe(32)
    bucket = Bucket("passkey-begin-address", limits.network(device.ip), settings.current().passkey_begin_limit_address)
    allowed: list[dict[str, Any]] = []
    params = {"digest": sessions.digest(challenge)}
    if request.challenge is not None:
        rows = await db.as_service(limits.hit([bucket])).write(
            queries.BEGIN_SECOND_FACTOR, pending=sessions.digest(request.challenge), **params
        )
        if not rows:
            raise ChallengeInvalid
        ((allowed,),) = rows
    elif caller is not None:
        ((allowed,),) = await db.enter(caller).write(queries.BEGIN_CALLERS_PROOF, **params)
    else:
        await db.as_service(limits.hit([bucket])).write(queries.BEGIN_SIGN_IN, **params)
    return RequestOptions(challenge=challenge, rp_id=RelyingParty.current().id, allow_credentials=_descriptors(allowed))


async def login(request: PasskeyLogin, *, device: Device) -> SignedIn:
    """Sign somebody in, without password or address. Two round trips, because the key is needed in between.

    Raises:
        PasskeyInvalid: the assertion proves nothing, or its account is disabled.
        EmailNotVerified: it is good, but REQUIRE_VERIFIED_EMAIL is set and the address is not verified.
        RateLimited: too many failures from this address.
    """
    bucket = Bucket("passkey-address", limits.network(device.ip), settings.current().passkey_limit_address)
    known, proof = await _examine(
        request.credential, kinds=["passkey_sign_in", "passkey_proof"], user_id=None, guards=[limits.hit([bucket])]
    )
    door = db.as_service(db.from_device(device))
    if proof is None:
        await door.write(queries.REFUSE_SIGN_IN, user_id=known and known.user_id)
        raise PasskeyInvalid
    pending = sessions.Pending.begun()
    (signed_in,) = await door.write(
        queries.SIGN_IN_WITH_PASSKEY,
        row=SignIn,
        attempt=[bucket.name],
        **proof.params(),
        **pending.terms(device_name=request.device_name, transport=request.transport),
    )
    if signed_in.outcome in ("disabled", "changed"):
        mail.soon()  # if there is a copy, its owner is told
        raise PasskeyInvalid
    decided = pending.conclude(signed_in, transport=request.transport)
    assert isinstance(decided, SignedIn), "a passkey is two factors in one"
    return decided


# ---------------------------------------------------------------- a second factor, or proving it anew


async def examine(assertion: Assertion, *, user_id: UUID | None = None, guards: Sequence[Guard] = ()) -> Proof:
    """Spend the challenge of options that were made for one user, and verify that user's signature: one round trip.

    The proof counts when a statement has called ``use_passkey()``, which gives the owner's id or NULL; it runs as the
    service, not as a tenant. Where it is not known yet whose turn it is, compare ``proof.user_id`` there.

    Args:
        user_id: whose passkey it must be, where that is known.
        guards: what is to run first, in the same round trip.

    Raises:
        PasskeyInvalid: the assertion proves nothing.
    """
    _, proof = await _examine(assertion, kinds=["passkey_proof"], user_id=user_id, guards=guards)
    if proof is None:
        raise PasskeyInvalid
    return proof


# ---------------------------------------------------------------- credentials


async def _examine(
    assertion: Assertion,
    *,
    kinds: list[Literal["passkey_sign_in", "passkey_proof"]],
    user_id: UUID | None,
    guards: Sequence[Guard],
) -> tuple[Known | None, Proof | None]:
    challenge = _challenge(assertion)
    found = await db.as_service(*guards).write(
        queries.TAKE_CHALLENGE,
        row=Known,
        digest=sessions.digest(challenge),
        kinds=kinds,
        credential_id=_bytes(assertion.raw_id),
        expected_user_id=user_id,
    )
    known = found[0] if found else None
    return known, _verify_assertion(assertion, known, challenge=challenge)


def _verify_assertion(assertion: Assertion, known: Known | None, *, challenge: str) -> Proof | None:
    from webauthn import verify_authentication_response

    party = RelyingParty.current()
    # The library would compare the counter before it has looked at the signature: an alarm anybody could raise. It is
    # given 0, which any counter passes, and use_passkey() compares.
    verified = _unless_refused(
        lambda: verify_authentication_response(
            credential=assertion.model_dump(by_alias=True),
            expected_challenge=_bytes(challenge),
            expected_rp_id=party.id,
            expected_origin=party.origins,
            credential_public_key=known.public_key if known else NOBODYS_KEY,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    )
    if known is None or verified is None or _is_framed(assertion):
        return None
    handle = assertion.response.user_handle
    if handle is None and not known.was_expected:  # section 7.2, step 6: it says whose passkey it is
        return None
    if handle is not None and _bytes(handle) != known.user_id.bytes:
        return None
    if (verified.credential_device_type == "multi_device") != known.is_syncable:  # section 7.2, step 19
        return None
    return Proof(known.passkey_id, known.user_id, verified.new_sign_count, verified.credential_backed_up)


def _verify_attestation(attestation: Attestation, *, challenge: str) -> "VerifiedRegistration | None":
    from webauthn import verify_registration_response
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography
    from webauthn.helpers.cose import COSEAlgorithmIdentifier

    party = RelyingParty.current()

    def verify() -> "VerifiedRegistration":
        made = verify_registration_response(
            credential=attestation.model_dump(by_alias=True),
            expected_challenge=_bytes(challenge),
            expected_rp_id=party.id,
            expected_origin=party.origins,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(number) for number in ALGORITHMS],
        )
        # Without attestation nothing is signed yet: see that it is a key at all.
        decoded_public_key_to_cryptography(decode_credential_public_key(made.credential_public_key))
        return made

    made = _unless_refused(verify)
    if made is None or len(made.credential_id) > CREDENTIAL_ID_BYTES or _is_framed(attestation):
        return None
    return made


def _unless_refused(verify: Callable[[], Verified]) -> Verified | None:
    """What ``verify`` returns, or None if it refuses: in the library's words, or by stumbling over what it reads."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        return verify()
    except (WebAuthnException, UnsupportedAlgorithm, ArithmeticError, AttributeError, LookupError, TypeError):
        return None
    except (ValueError, RecursionError):
        return None


def _client_data(credential: Attestation | Assertion) -> dict[str, Any]:
    """What the browser says of the ceremony; nothing where that cannot be read."""
    try:
        said = json.loads(_bytes(credential.response.client_data_json))
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _challenge(credential: Attestation | Assertion) -> str:
    """The challenge a credential says it answers; if it says none, one that nobody was given."""
    challenge = _client_data(credential).get("challenge")
    return challenge if isinstance(challenge, str) and challenge.isascii() else ""


def _is_framed(credential: Attestation | Assertion) -> bool:
    """Whether the page stood in one of another site, where people cannot see whose it is: we have no such pages."""
    said = _client_data(credential)
    return bool(said.get("crossOrigin")) or "topOrigin" in said


def _descriptors(passkeys: list[dict[str, Any]]) -> list[CredentialDescriptor]:
    return [CredentialDescriptor(**passkey) for passkey in passkeys]


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
