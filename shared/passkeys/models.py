"""Passkeys, and what browsers send and want to have of them: the JSON of WebAuthn 3, sections 5.1.8 to 5.1.10."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from shared.fields import NO_NUL, Changes, Moment, Name, Request, Response
from shared.sessions import Transport

ALGORITHMS = (-8, -7, -257)
"""EdDSA, ES256 and RS256, in the order we like them (COSE's numbers): between them every authenticator has one."""

CREDENTIAL_ID_BYTES = 1023
"""The longest credential id (WebAuthn 3, section 7.1, step 25)."""

TIMEOUT = 300_000
"""Milliseconds somebody has to find their authenticator: as long as a challenge is good."""


class _FromBrowser(BaseModel):
    """Made by the browser itself: members that a newer one adds are left alone, as WebIDL's dictionaries have it."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, defer_build=True, alias_generator=to_camel)


class _ForBrowser(Response):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True)


def _whole(text: str) -> str:
    if len(text) % 4 == 1:  # six bits more than so many bytes
        raise PydanticCustomError("base64url", "must be base64url")
    return text


Base64Url = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$"), AfterValidator(_whole)]
CredentialId = Annotated[Base64Url, Field(max_length=4 * CREDENTIAL_ID_BYTES // 3)]
ClientData = Annotated[Base64Url, Field(max_length=8192, alias="clientDataJSON")]
AuthenticatorTransport = Annotated[str, StringConstraints(pattern=r"^[a-z-]+$", max_length=32)]
"""How an authenticator is reached, such as `usb` or `internal`: kept for the browser, and as the browser says it."""

Challenge = Annotated[str, StringConstraints(min_length=1, max_length=128), NO_NUL]

# ---------------------------------------------------------------- from the browser


class AttestationResponse(_FromBrowser):
    client_data_json: ClientData
    attestation_object: Annotated[Base64Url, Field(max_length=65_536)]
    transports: Annotated[list[AuthenticatorTransport], Field(max_length=16)] = []


class Attestation(_FromBrowser):
    """A new passkey: `credential.toJSON()` after `navigator.credentials.create()`."""

    id: CredentialId
    raw_id: CredentialId
    type: Literal["public-key"]
    response: AttestationResponse


class AssertionResponse(_FromBrowser):
    client_data_json: ClientData
    authenticator_data: Annotated[Base64Url, Field(max_length=8192)]
    signature: Annotated[Base64Url, Field(max_length=8192)]
    user_handle: Annotated[Base64Url, Field(max_length=86)] | None = None


class Assertion(_FromBrowser):
    """A proof by passkey: `credential.toJSON()` after `navigator.credentials.get()`."""

    id: CredentialId
    raw_id: CredentialId
    type: Literal["public-key"]
    response: AssertionResponse


# ---------------------------------------------------------------- for the browser


class CredentialDescriptor(_ForBrowser):
    type: Literal["public-key"] = "public-key"
    id: str
    transports: list[str]


class RelyingPartyEntity(_ForBrowser):
    id: str
    name: str


class UserEntity(_ForBrowser):
    """Whom the authenticator shows the passkey as belonging to; ``id`` tells nothing of them (section 14.6.1)."""

    id: str
    name: str
    display_name: str


class CredentialParameters(_ForBrowser):
    type: Literal["public-key"] = "public-key"
    alg: int


class AuthenticatorSelection(_ForBrowser):
    """A passkey is found without a user name, and knows its owner: by a finger, a face, a PIN."""

    resident_key: Literal["required"] = "required"
    require_resident_key: Literal[True] = True
    user_verification: Literal["required"] = "required"


def _accepted() -> list[CredentialParameters]:
    return [CredentialParameters(alg=alg) for alg in ALGORITHMS]


class CreationOptions(_ForBrowser):
    """For `PublicKeyCredential.parseCreationOptionsFromJSON()`."""

    rp: RelyingPartyEntity
    user: UserEntity
    challenge: str
    pub_key_cred_params: list[CredentialParameters] = Field(default_factory=_accepted)
    timeout: int = TIMEOUT
    exclude_credentials: list[CredentialDescriptor]
    authenticator_selection: AuthenticatorSelection = Field(default_factory=AuthenticatorSelection)
    attestation: Literal["none"] = "none"


class RequestOptions(_ForBrowser):
    """For `PublicKeyCredential.parseRequestOptionsFromJSON()`; `allowCredentials` is empty for whichever there is."""

    challenge: str
    timeout: int = TIMEOUT
    rp_id: str
    allow_credentials: list[CredentialDescriptor]
    user_verification: Literal["required"] = "required"


# ---------------------------------------------------------------- requests and responses


class PasskeyRegistration(Request):
    credential: Attestation
    name: Name = "Passkey"


class PasskeyChanges(Changes):
    """What to change; what is left out stays."""

    name: Name = ""


class SignInOptionsRequest(Request):
    """Without a challenge, and without an access token, for whoever has a passkey."""

    challenge: Annotated[
        Challenge | None, Field(description="Of a sign-in that wants a second factor. It goes before a token.")
    ] = None


class PasskeyLogin(Request):
    credential: Assertion
    transport: Transport = "body"
    device_name: Name | None = None


class Passkey(Response):
    """A key of the caller's that signs them in."""

    id: UUID
    name: str
    aaguid: Annotated[UUID, Field(description="The authenticator's model, by its own word; zero: it does not say.")]
    transports: list[str]
    is_syncable: Annotated[bool, Field(description="Whether it may exist on several of its owner's devices.")]
    is_backed_up: bool
    created_at: Moment
    last_used_at: Moment | None
    cloned_at: Annotated[
        Moment | None, Field(description="Since when it is refused, because somebody has a copy. Remove it.")
    ]
    version: int


class Passkeys(Response):
    items: list[Passkey]


# ---------------------------------------------------------------- rows


@dataclass(frozen=True, slots=True)
class Begun:
    """Whom a passkey is to be registered for, and what they have."""

    user_id: UUID
    email: str
    email_verified: bool
    full_name: str
    passkeys: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Added:
    outcome: Literal["added", "expired", "registered", "too_many"]
    version: int | None
    document: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """What an assertion is verified with."""

    passkey_id: UUID
    user_id: UUID
    public_key: bytes
    is_syncable: bool
    was_expected: bool
    """Whether the challenge was for this user, and not for whoever comes."""


@dataclass(frozen=True, slots=True)
class Proof:
    """An assertion whose signature is good. It proves something once ``use_passkey()`` has written it down."""

    passkey_id: UUID
    user_id: UUID
    sign_count: int
    is_backed_up: bool

    def params(self) -> Mapping[str, Any]:
        """Parameters for ``use_passkey(%(passkey_id)s, %(passkey_sign_count)s, %(passkey_is_backed_up)s)``.

        Call it once: in a WHERE it would run for every row.
        """
        return {
            "passkey_id": self.passkey_id,
            "passkey_sign_count": self.sign_count,
            "passkey_is_backed_up": self.is_backed_up,
        }
