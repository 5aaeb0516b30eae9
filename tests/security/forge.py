"""Tokens made by hand, as somebody would who knows the format, and sometimes a key."""

import hmac
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.conftest import SECRET

Sign = Callable[[bytes], bytes]


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def hs256(key: bytes) -> Sign:
    return partial(hmac.digest, key, digest="sha256")


GENUINE = hs256(SECRET.encode())


def unsigned(_: bytes) -> bytes:
    return b""


def header(**changes: Any) -> dict[str, Any]:
    """A good header, changed; None takes a field out."""
    return _without_nones({"alg": "HS256", "typ": "at+jwt"} | changes)


def claims(user_id: UUID, session_id: UUID, **changes: Any) -> dict[str, Any]:
    """Good claims, changed; None takes one out."""
    now = int(time.time())
    good = {
        "iss": "jobtrail",
        "aud": "jobtrail",
        "sub": str(user_id),
        "sid": str(session_id),
        "role": "user",
        "iat": now,
        "exp": now + 600,
        "jti": secrets.token_hex(16),
    }
    return _without_nones(good | changes)


def token(header: dict[str, Any], claims: dict[str, Any], sign: Sign = GENUINE) -> str:
    message = f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(claims).encode())}"
    return f"{message}.{base64url(sign(message.encode()))}"


def bearer(token: str | bytes) -> dict[str, Any]:
    """The header that presents a token; httpx takes bytes for what is not ASCII."""
    return {"Authorization": b"Bearer " + (token if isinstance(token, bytes) else token.encode())}


def new_pem(algorithm: str) -> str:
    """A new private key, as it stands in JWT_PRIVATE_KEYS."""
    key = ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _without_nones(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
