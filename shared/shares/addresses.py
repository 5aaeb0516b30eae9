"""A share's secret: ``jts_`` and 43 characters of Base64 (256 bits). The database has its SHA-256 only."""

import hashlib
import re
import secrets

from shared.errors import NotFound

PREFIX = "jts_"
SHAPE = re.compile(r"jts_[A-Za-z0-9_-]{43}", re.ASCII)


def issue() -> str:
    """A new token."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """What the database knows a token by. The database is not asked.

    Raises:
        NotFound: it is none of ours.
    """
    if not SHAPE.fullmatch(token):
        raise NotFound
    return hashlib.sha256(token.encode()).digest()
