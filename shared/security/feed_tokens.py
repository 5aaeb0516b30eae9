"""The secrets in the addresses of calendar feeds. 256 random bits, of which the database keeps the SHA-256."""

import hashlib
import re
import secrets

PREFIX = "jtf_"
"""By which a scanner for leaked secrets finds one."""

SHAPE = re.compile(r"jtf_[A-Za-z0-9_-]{43}", re.ASCII)


def issue() -> str:
    """A new secret."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """What the database keeps: with 256 random bits there is nothing to guess, so no slow hash is needed."""
    return hashlib.sha256(token.encode()).digest()


def read(token: str) -> bytes | None:
    """The digest of what somebody presents; None, and no question to the database, if it cannot be one of ours."""
    return digest(token) if SHAPE.fullmatch(token) else None
