"""Passwords: argon2id, off the event loop, and the same work whether or not there is an account.

What is stored is the PHC string that argon2 makes or, with a pepper, that string sealed:

    $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH
    $sealed$v=1$KEY-ID$BASE64 of nonce, ciphertext and tag (see sealing.py)

A pepper is a key that is not in the database, so that a stolen database gives nothing to guess passwords against. It
seals and is not mixed in, so that it can be changed: a hash under another key is sealed anew when its owner signs in.
The seal is bound to the account, so that a hash which was copied into another row lets nobody in there. Both forms, and
seals under several keys, live side by side.
"""

import asyncio
import binascii
import logging
import os
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared import settings
from shared.errors import Overloaded
from shared.security.sealing import SealBroken, SealingKey
from shared.settings import NamedKey

logger = logging.getLogger(__name__)

HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""19 MiB, two passes, one lane: OWASP's Password Storage cheat sheet, second of its five equal settings."""

NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$qPE5okbIqBePiUVKnETK5A$nembToy3pDGY6Frbp0nExndvxMzSj8vP6ZQv0lKdktU"
"""Verified against when there is no account: the hash of 256 random bits that nobody kept, at the same cost."""

NOBODYS_ID = UUID(int=0)

SEALED = "$sealed$v=1$"
PURPOSE = "password hash"

MAX_LENGTH = 128
"""Code points; NIST SP 800-63B-4 asks for at least 64."""

QUEUE = 64
"""Hashes that may wait for each one being computed: about a second of work. More would only time out later."""

Result = TypeVar("Result")


async def hash_password(password: str, *, owner: UUID) -> str:
    """What to store for this account, and no other."""
    return await _compute(lambda: _seal(HASHER.hash(normal(password)), owner, _peppers().seals))


async def verify(stored: str | None, password: str, *, owner: UUID | None) -> bool:
    """Whether the password is the one behind ``stored``, which was made for ``owner``.

    Without ``stored`` the answer is no, after the same work.
    """

    def check() -> bool:
        phc = _open(stored, owner)
        try:
            return HASHER.verify(phc or NOBODY, normal(password)) and phc is not None
        except (VerificationError, InvalidHashError):
            return False

    return await _compute(check)


def is_outdated(stored: str, *, owner: UUID) -> bool:
    """Whether a new hash of the same password would be kept in another way: with other parameters, under another key,
    with a pepper where this has none, or without one where this has one that has been given up.
    """
    key = _peppers().seals
    if _key_id(stored) != (key.id if key else None):
        return True
    phc = _open(stored, owner)
    return phc is None or HASHER.check_needs_rehash(phc)


def normal(password: str) -> str:
    """NFC (NIST SP 800-63B-4, section 3.1.1.2): one password, however the keyboard composed it."""
    return unicodedata.normalize("NFC", password)


# ---------------------------------------------------------------- the pepper


@dataclass(frozen=True, slots=True)
class _Peppers:
    """The key that seals new hashes, if there is one, and all those that open old ones."""

    seals: SealingKey | None
    opens: dict[str, SealingKey]


@lru_cache(maxsize=1)
def _peppers() -> _Peppers:
    config = settings.current()
    present, previous = map(_sealing_keys, (config.password_pepper_keys, config.password_pepper_keys_previous))
    return _Peppers(present[0] if present else None, {key.id: key for key in (*present, *previous)})


def _sealing_keys(keys: tuple[NamedKey, ...]) -> list[SealingKey]:
    return [SealingKey(key.id, key.secret.get_secret_value()) for key in keys]


def _seal(phc: str, owner: UUID, key: SealingKey | None) -> str:
    if key is None:
        return phc
    box = key.seal(PURPOSE, phc.encode(), bound_to=str(owner))
    return f"{SEALED}{key.id}${b64encode(box).decode()}"


def _key_id(stored: str) -> str | None:
    return stored.removeprefix(SEALED).partition("$")[0] if stored.startswith(SEALED) else None


def _open(stored: str | None, owner: UUID | None) -> str | None:
    """The PHC string behind ``stored``; None if there is none. Opens one seal in any case, while there are keys."""
    if stored is None or not stored.startswith(SEALED):
        if _peppers().opens:
            _unseal(_nobodys_seal(), NOBODYS_ID)
        return stored
    try:
        return _unseal(stored, owner)
    except SealBroken:
        # Nobody signs in to this account until it is mended, so it must not pass for a wrong password in silence.
        logger.error("a password hash under key %r cannot be opened", _key_id(stored))
        return None


def _unseal(stored: str, owner: UUID | None) -> str:
    key_id, _, encoded = stored.removeprefix(SEALED).partition("$")
    key = _peppers().opens.get(key_id)
    try:
        box = b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise SealBroken from None
    if key is None or b64encode(box).decode() != encoded:  # Base64 has more than one spelling for the same bytes
        raise SealBroken
    return key.open(PURPOSE, box, bound_to=str(owner)).decode()


@lru_cache(maxsize=1)
def _nobodys_seal() -> str:
    return _seal(NOBODY, NOBODYS_ID, next(iter(_peppers().opens.values())))


# ---------------------------------------------------------------- off the event loop


class _Bench:
    """The threads that hash, and how many hashes are on their way to them."""

    def __init__(self) -> None:
        self.seats = settings.current().password_hash_workers or os.cpu_count() or 1
        self.threads = ThreadPoolExecutor(self.seats, thread_name_prefix="argon2")
        self.waiting = 0


@lru_cache(maxsize=1)
def _bench() -> _Bench:
    return _Bench()


async def _compute(work: Callable[[], Result]) -> Result:
    bench = _bench()
    if bench.waiting >= bench.seats * QUEUE:
        raise Overloaded
    bench.waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(bench.threads, work)
    finally:
        bench.waiting -= 1
