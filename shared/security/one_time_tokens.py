"""One-time tokens: what a link in a mail proves, once. 256 random bits, of which the database keeps the SHA-256."""

import hashlib
import re
import secrets

PREFIX = "jto_"
"""By which a scanner for leaked secrets finds one."""

SHAPE = re.compile(r"jto_[A-Za-z0-9_-]{43}", re.ASCII)


def issue() -> str:
    """A new token."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """What the database keeps of a token: with 256 random bits there is nothing to guess, so no slow hash is needed."""
    return hashlib.sha256(token.encode()).digest()


def read(token: str) -> bytes | None:
    """The digest of a token that somebody presents; None, and no question to the database, if it cannot be one."""
    return digest(token) if SHAPE.fullmatch(token) else None
