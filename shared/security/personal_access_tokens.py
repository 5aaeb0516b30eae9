"""Personal access tokens as texts: ``jtp_``, 30 random characters, and a checksum of what stands before it.

The checksum keeps no secret. With it a scanner tells a token that leaked into a repository from what only looks like
one, and we tell a mistyped one without asking the database. All that is known of a genuine one is its SHA-256.
"""

import hashlib
import re
import secrets
import string
import zlib

from shared.errors import InvalidToken

PREFIX = "jtp_"
PATTERN = re.compile(r"jtp_[0-9A-Za-z]{36}")
"""What a scanner looks for."""

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM = 30
"""Characters, of which each has almost 6 bits: 178 in all."""

CHECKSUM = 6
"""Characters, enough for the 32 bits of a CRC."""


def issue() -> str:
    """A new token."""
    message = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM))
    return message + _checksum(message)


def digest(token: str) -> bytes:
    """What the database knows a token by. The database is not asked.

    Raises:
        InvalidToken: it is none of ours, or was changed on its way.
    """
    if not PATTERN.fullmatch(token) or _checksum(token[:-CHECKSUM]) != token[-CHECKSUM:]:
        raise InvalidToken
    return hashlib.sha256(token.encode()).digest()


def _checksum(message: str) -> str:
    rest, digits = zlib.crc32(message.encode()), ""
    for _ in range(CHECKSUM):
        rest, digit = divmod(rest, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
