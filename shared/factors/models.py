"""Second factors, and what proves who somebody is."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from shared.fields import NO_NUL, Moment, Password, Request, Response
from shared.passkeys import Assertion
from shared.sessions import Opened, Transport


def _six_digits(text: str) -> str:
    code = text.replace(" ", "").replace("-", "")
    if not (len(code) == 6 and code.isascii() and code.isdecimal()):
        raise PydanticCustomError("totp_code", "must be the six digits that the authenticator app shows")
    return code


TotpCode = Annotated[
    str,
    StringConstraints(max_length=20),
    AfterValidator(_six_digits),
    Field(json_schema_extra={"pattern": "^[ -]*([0-9][ -]*){6}$"}),
]
"""What an authenticator app shows, however it is grouped."""

# Digits and letters without I, L, O and U: Crockford's Base32, made for reading aloud and typing.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MISREAD = str.maketrans("OIL", "011")


def _as_made(text: str) -> str:
    return "".join(c for c in text.upper() if c.isalnum()).translate(MISREAD)


RecoveryCode = Annotated[str, StringConstraints(min_length=1, max_length=100), NO_NUL, AfterValidator(_as_made)]
"""A recovery code, however it is typed: case, spaces and hyphens do not matter, nor O for 0 and I or L for 1."""


class _OneProof(Request):
    """A body with exactly one way of proving who it comes from."""

    ways: ClassVar[tuple[str, ...]]

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(getattr(self, way) is not None for way in self.ways) != 1:
            raise PydanticCustomError("one_proof", "must have exactly one of {ways}", {"ways": ", ".join(self.ways)})
        return self


class SecondStep(_OneProof):
    """The challenge that login answered, and one of the factors it named."""

    ways = ("code", "recovery_code", "passkey")

    challenge: Annotated[str, StringConstraints(min_length=1, max_length=128), NO_NUL]
    code: TotpCode | None = None
    recovery_code: RecoveryCode | None = None
    passkey: Annotated[
        Assertion | None, Field(description="Answers `POST /api/auth/passkeys/login/options` with this challenge.")
    ] = None
    transport: Annotated[Transport | None, Field(description="As login said, unless given.")] = None


class Proof(_OneProof):
    """One thing that only the account's owner has. A password is enough only where there is no second factor."""

    ways = ("password", "code", "recovery_code", "passkey")

    password: Password | None = None
    code: TotpCode | None = None
    recovery_code: RecoveryCode | None = None
    passkey: Annotated[
        Assertion | None, Field(description="Answers `POST /api/auth/passkeys/login/options` with the access token.")
    ] = None


class Confirmation(Request):
    code: TotpCode


class Factors(Response):
    """What signing in takes besides the password."""

    totp_enabled_at: Annotated[Moment | None, Field(description="Since when it takes an authenticator app's code.")]
    recovery_codes_left: int
    passkeys: Annotated[int, Field(description="Each of them signs in by itself, or stands in for the code.")]


class TotpSetup(Response):
    """A secret to put into an authenticator app: shown once, in use once confirmed, and gone after an hour if not."""

    secret: Annotated[str, Field(description="160 bits in Base32, to be typed where nothing can be scanned.")]
    uri: Annotated[str, Field(description="`otpauth://`: what the QR code says.")]
    qr_svg: Annotated[str, Field(description="The QR code, an SVG document.")]


class RecoveryCodes(Response):
    """Each signs in once, in place of the authenticator app. Shown once: nobody can read them again."""

    recovery_codes: list[str]


class FreshToken(Response):
    """An access token of the same session, with an ``auth_time`` of now."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - RFC 6749's name of the kind, not a secret
    expires_in: Annotated[int, Field(description="Seconds the access token is good for.")]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Whose sign-in it is, and the secret that the code must be of."""

    user_id: UUID
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class Finish(Opened):
    """What became of a sign-in's second step."""

    outcome: Literal["signed_in", "refused", "unverified", "disabled"]
    transport: Transport


@dataclass(frozen=True, slots=True)
class Fresh:
    """A session whose holder has just proved who they are; no role where they have not."""

    role: str | None
    authenticated_at: int
