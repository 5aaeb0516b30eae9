"""Tokens that are nothing but random: 256 bits behind a prefix, of which the database keeps the SHA-256."""

import hashlib
import re
import secrets


class RandomTokens:
    """One kind of them. By its prefix a scanner for leaked secrets finds one."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.shape = re.compile(re.escape(prefix) + "[A-Za-z0-9_-]{43}", re.ASCII)

    def issue(self) -> str:
        """A new token."""
        return self.prefix + secrets.token_urlsafe(32)

    def digest(self, token: str) -> bytes:
        """What the database keeps of one: with 256 random bits there is nothing to guess, so no slow hash is needed."""
        return hashlib.sha256(token.encode()).digest()

    def read(self, token: str) -> bytes | None:
        """The digest of what somebody presents; None, and no question to the database, if it cannot be one of ours."""
        return self.digest(token) if self.shape.fullmatch(token) else None


one_time_tokens = RandomTokens("jto_")
"""What a link in a mail proves, once."""

feed_tokens = RandomTokens("jtf_")
"""The secrets in the addresses of calendar feeds."""

share_tokens = RandomTokens("jts_")
"""The secrets in the addresses of shares."""
