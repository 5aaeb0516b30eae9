"""Refresh tokens: a session's name and generation under a seal. The database keeps the generation, never the token.

    jtr_ base64url( version: 1 byte | session: 16 bytes | generation: 8 bytes | tag: 16 bytes )

The tag is HMAC-SHA256 over all before it, cut to 128 bits, with a key that is not in the database: whoever reads the
database cannot make a token, and a token that was never issued is refused without asking the database.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

from shared.security.keys import refresh_keys

PREFIX = "jtr_"
VERSION = b"\x01"
TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class RefreshToken:
    session_id: UUID
    generation: int


def issue(session_id: UUID, *, generation: int) -> str:
    """The token of this generation: always the same one, so that a lost answer can be given again."""
    body = VERSION + session_id.bytes + generation.to_bytes(8)
    return PREFIX + urlsafe_b64encode(body + _tag(refresh_keys()[0], body)).decode().rstrip("=")


def read(token: str) -> RefreshToken | None:
    """What the token stands for; None if it was never issued."""
    if not token.startswith(PREFIX):
        return None
    encoded = token.removeprefix(PREFIX)
    try:
        sealed = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (ValueError, binascii.Error):
        return None
    body, tag = sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]
    # Base64 has more than one spelling for the same bytes; only the one we write is a token of ours.
    if len(body) != 25 or body[:1] != VERSION or urlsafe_b64encode(sealed).decode().rstrip("=") != encoded:
        return None
    if not any(hmac.compare_digest(_tag(key, body), tag) for key in refresh_keys()):
        return None
    return RefreshToken(UUID(bytes=body[1:17]), int.from_bytes(body[17:]))


def _tag(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:TAG_BYTES]
