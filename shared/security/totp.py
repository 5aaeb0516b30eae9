"""Time-based one-time passwords (RFC 6238) as every authenticator app makes them: SHA-1, six digits, 30 seconds."""

import hmac
from base64 import b32encode
from io import BytesIO
from secrets import token_bytes
from time import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyotp import TOTP

ISSUER = "Jobtrail"
STEP_SECONDS = 30
TOLERANCE = 1
"""Steps by which the other clock may be off, either way: RFC 6238, section 5.2, recommends one at most."""

SECRET_BYTES = 20
"""160 bits, as RFC 4226, section 4, recommends."""


def new_secret() -> bytes:
    return token_bytes(SECRET_BYTES)


def present_step() -> int:
    """The number of the present step: the one place that reads the clock."""
    return int(time()) // STEP_SECONDS


def step_of(secret: bytes, code: str) -> int | None:
    """The step whose code it is, among those that are good now; None if it is of none of them.

    The newest, should two have the same code, so that none at or before it is good afterwards.
    """
    totp, now = _totp(secret), present_step()
    good = [
        step
        for step in range(now - TOLERANCE, now + TOLERANCE + 1)
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode())
    ]
    return max(good, default=None)


def text(secret: bytes) -> str:
    """The secret as people type it who cannot scan it: Base32."""
    return b32encode(secret).decode()


def uri(secret: bytes, *, account: str) -> str:
    """What an authenticator app reads from a QR code."""
    return _totp(secret).provisioning_uri(name=account, issuer_name=ISSUER)


def qr(uri: str) -> str:
    """A QR code, as an SVG document that can stand in a page or in a file."""
    import segno

    image = BytesIO()
    segno.make_qr(uri, error="m").save(image, kind="svg", xmldecl=False, scale=4, light="#fff")
    return image.getvalue().decode().strip()


def _totp(secret: bytes) -> "TOTP":
    import pyotp  # not at start: only second factors need it

    return pyotp.TOTP(text(secret), interval=STEP_SECONDS)
