"""Sealing: secrets that the database keeps and cannot read, such as a second factor's.

    version: 1 byte | length of the key's id: 1 byte | key id | nonce: 12 bytes | ciphertext and tag

AES-256-GCM (NIST SP 800-38D) with a random nonce, under a key that HKDF (RFC 5869) derives for each purpose: what is
sealed for one purpose does not open as another. All that stands before the ciphertext, and whatever a value is bound
to, is authenticated with it: a sealed value that was copied to another owner's row does not open there.
"""

import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from shared import settings
from shared.security.keys import secret_id, secrets

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = 1
NONCE_BYTES = 12
"""Random, so that two in 2**32 messages under one key coincide with a probability below 2**-32: SP 800-38D, 8.3."""


class SealBroken(Exception):
    """It cannot be opened: altered, sealed for another purpose or owner, or under a key that is no longer set."""


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A secret that seals, and the id by which what it sealed names it."""

    id: str
    secret: bytes = field(repr=False)

    def seal(self, purpose: str, plaintext: bytes, *, bound_to: str) -> bytes:
        """Nonce, ciphertext and tag."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + _cipher(self.secret, purpose).encrypt(nonce, plaintext, self._facts(bound_to))

    def open(self, purpose: str, box: bytes, *, bound_to: str) -> bytes:
        """What ``seal`` was given.

        Raises:
            SealBroken: it does not open with this key, for this purpose and owner.
        """
        from cryptography.exceptions import InvalidTag

        try:
            nonce, ciphertext = box[:NONCE_BYTES], box[NONCE_BYTES:]
            return _cipher(self.secret, purpose).decrypt(nonce, ciphertext, self._facts(bound_to))
        except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce or a tag
            raise SealBroken from None

    @property
    def header(self) -> bytes:
        name = self.id.encode()
        return bytes([VERSION, len(name)]) + name

    def _facts(self, bound_to: str) -> bytes:
        return self.header + bound_to.encode()  # one reading only: the header says how long it is


def seal(purpose: str, plaintext: bytes, *, bound_to: str = "") -> bytes:
    """Seal a secret for one purpose, and for one owner if ``bound_to`` names one (a row's id, say)."""
    key = sealing_keys()[0]
    return key.header + key.seal(purpose, plaintext, bound_to=bound_to)


def open_sealed(purpose: str, sealed: bytes, *, bound_to: str = "") -> bytes:
    """What was sealed, given the same purpose and the same owner.

    Raises:
        SealBroken: it was altered, or sealed for another purpose or owner, or its key is no longer set.
    """
    for key in sealing_keys():
        if sealed.startswith(key.header):
            return key.open(purpose, sealed.removeprefix(key.header), bound_to=bound_to)
    raise SealBroken


def is_outdated(sealed: bytes) -> bool:
    """Whether it is under another key than what is sealed now: open it, and seal it again."""
    return not sealed.startswith(sealing_keys()[0].header)


@lru_cache(maxsize=1)
def sealing_keys() -> tuple[SealingKey, ...]:
    """The keys of this process: the first seals, all open.

    Those derived from JWT_SECRET stay among them when SEALING_KEYS is set, or setting it would lose what is sealed.
    """
    configured = settings.current().sealing_keys
    # No id that can be configured begins with a tilde.
    derived = (SealingKey("~" + secret_id(secret), secret) for secret in secrets())
    return (*(SealingKey(key.id, key.secret.get_secret_value()) for key in configured), *derived)


# Deriving the key costs as much as using it.
@lru_cache(maxsize=64)
def _cipher(secret: bytes, purpose: str) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = f"jobtrail sealing v1 {purpose}".encode()
    return AESGCM(HKDF(SHA256(), length=32, salt=None, info=info).derive(secret))
