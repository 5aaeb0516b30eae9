"""Passwords: argon2id, off the event loop, and the same work whether or not there is an account."""

import asyncio
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared import settings
from shared.errors import Overloaded

HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""19 MiB, two passes, one lane: OWASP's Password Storage cheat sheet, second of its five equal settings."""

NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$qPE5okbIqBePiUVKnETK5A$nembToy3pDGY6Frbp0nExndvxMzSj8vP6ZQv0lKdktU"
"""Verified against when there is no account: the hash of 256 random bits that nobody kept, at the same cost."""

MAX_LENGTH = 128
"""Code points; NIST SP 800-63B-4 asks for at least 64."""

QUEUE = 64
"""Hashes that may wait for each one being computed: about a second of work. More would only time out later."""

Result = TypeVar("Result")


async def hash_password(password: str) -> str:
    """The PHC string to store."""
    return await _compute(lambda: HASHER.hash(_normal(password)))


async def verify(stored: str | None, password: str) -> bool:
    """Whether the password is the one behind ``stored``. Without ``stored`` the answer is no, after the same work."""

    def check() -> bool:
        try:
            return HASHER.verify(stored or NOBODY, _normal(password))
        except (VerificationError, InvalidHashError):
            return False

    return await _compute(check) and stored is not None


def is_outdated(stored: str) -> bool:
    """Whether it was hashed with other parameters than new passwords are."""
    return HASHER.check_needs_rehash(stored)


def length(password: str) -> int:
    """Its code points, however a keyboard composed them."""
    return len(_normal(password))


def _normal(password: str) -> str:
    """NFC (NIST SP 800-63B-4, section 3.1.1.2): one password, however the keyboard composed it."""
    return unicodedata.normalize("NFC", password)


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
