"""Whether a new password is one to accept: what anybody would try first is refused, and nothing else is asked of it.

NIST SP 800-63B-4, section 3.1.1.2, and OWASP ASVS 5.0, section 6.2: long enough; not on a list of the commonest, with
the words of this app (6.2.4, 6.2.11); not the account's own names; not known from a breach (6.2.12). No rules about
which characters it is made of.
"""

import asyncio
import gzip
import hashlib
import logging
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from shared import settings
from shared.errors import ValidationFailed
from shared.security import passwords

if TYPE_CHECKING:
    import ssl
    from types import ModuleType

logger = logging.getLogger(__name__)

COMMON = Path(__file__).with_name("common_passwords.txt.gz")
"""80,000 passwords, English words and names, sorted; where they come from is in common_passwords.license.txt."""

CONTEXT = (
    "jobtrail",
    "application",
    "applications",
    "interview",
    "recruiter",
    "recruiting",
    "resume",
    "career",
    "jobhunt",
)
"""What this app would make somebody think of."""

DECORATION = 4
"""Characters around a common word that do not make it another: a year, ``123!``, one digit and a few marks."""

ROWS = (
    "1234567890",
    *("qwertyuiop", "asdfghjkl", "zxcvbnm"),  # QWERTY
    *("qwertzuiopü", "asdfghjklöä", "yxcvbnm"),  # QWERTZ
    *("azertyuiop", "qsdfghjklm", "wxcvbn"),  # AZERTY
    *("йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю"),
)
"""Rows of keyboards, by which fingers run along."""

LEET = tuple(str.maketrans("@4380$57!1", f"aaebosst{one}{one}") for one in "il")
"""Signs that stand for letters; a one may be an I or an L."""

LEAST_DISTANCE, MOST_COMMON_SHARE = 5, 0.5
"""Ory Kratos' figures: a password and an identifier that are fewer edits apart, or that have a longer piece in common
(as a share of the password), are too much alike."""

TIMEOUT = 1.0
"""Seconds for the whole exchange with BREACHED_PASSWORDS_URL."""

MAX_RANGE = 512 * 1024
"""Bytes of an answer to believe. A padded one has about 1,000 lines of 40 bytes."""

LINE = re.compile(r"([0-9A-F]{35})(?::([0-9][0-9,.' ]*))?", re.ASCII | re.IGNORECASE)


async def check(password: str, *, field: str = "password", about: Iterable[str | None] = ()) -> None:
    """Refuse a new password that would be found soon.

    Args:
        password: as it was typed.
        field: what the request calls it.
        about: what is known of the account: its address, names, company.

    Raises:
        ValidationFailed: ``password_length``, ``password_common``, ``password_like_account`` or ``password_breached``.
    """
    password = passwords.normal(password)
    least = settings.current().password_min_length
    if not least <= len(password) <= passwords.MAX_LENGTH:
        message = f"must have {least} to {passwords.MAX_LENGTH} characters"
        raise ValidationFailed.of(field, "password_length", message)
    if is_common(password) or is_monotonous(password, least=least):
        raise ValidationFailed.of(
            field, "password_common", "is among the first that anybody would try; be less obvious"
        )
    if is_like(password, about):
        raise ValidationFailed.of(field, "password_like_account", "must not be made of your own address or names")
    if await is_breached(password):
        raise ValidationFailed.of(
            field, "password_breached", "is known from a data breach elsewhere; choose another one"
        )


# ---------------------------------------------------------------- common


def is_common(password: str) -> bool:
    """Whether it is on the list, in any case, with signs for letters or with a little around it.

    Those are the first rules of every program that guesses (hashcat's best64, for one): each multiplies the list by a
    few dozen, and a password that is found so is as good as on it.
    """
    return any(core in CONTEXT or _is_listed(core) for core in _cores(_folded(password)))


def _cores(text: str) -> Iterator[str]:
    """The text, and what is left of it without decoration and with letters for signs."""
    yield text
    letters = [at for at, character in enumerate(text) if character.isalpha()]
    if not letters:  # or else every date would be common
        return
    front, back = letters[0], len(text) - letters[-1] - 1
    for before in range(min(front, DECORATION) + 1):
        for after in range(min(back, DECORATION - before) + 1):
            core = text[before : len(text) - after]
            yield from {core, *(core.translate(signs) for signs in LEET)}


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold())


# One string and a search by halves: a set would take ten times the memory.
def _is_listed(word: str) -> bool:
    lines, line = _listed(), word.encode() + b"\n"
    return lines.startswith(line, bisect_left(range(len(lines)), line, key=lambda at: _line(lines, at)))


def _line(lines: bytes, at: int) -> bytes:
    return lines[lines.rfind(b"\n", 0, at) + 1 : lines.index(b"\n", at) + 1]


@lru_cache(maxsize=1)
def _listed() -> bytes:
    return gzip.decompress(COMMON.read_bytes())


# ---------------------------------------------------------------- monotonous


def is_monotonous(password: str, *, least: int) -> bool:
    """Whether it only repeats something shorter than a password must be, or consists of little but runs.

    Repeating adds nothing to guess. A run (``aaaa``, ``4567``, ``lkjh``) counts as one character, and of the ``least``
    characters half must be left.
    """
    text = _folded(password)
    units = range(1, min(least - 1, len(text) // 2) + 1)
    return any(text.startswith(text[size:]) for size in units) or 2 * _without_runs(text) < least


def _without_runs(text: str) -> int:
    """How many characters there are when every run of three or more is one."""
    count = start = 0
    while start < len(text):
        end, directions = start + 1, None
        while end < len(text):
            steps = _directions(text[end - 1], text[end])
            directions = steps if directions is None else directions & steps
            if not directions:
                break
            end += 1
        start = end if end - start >= 3 else start + 1
        count += 1
    return count


def _directions(one: str, other: str) -> set[tuple[str, int]]:
    """Ways to get from one character to the other in one step."""
    found = {(row, step) for row in ROWS for step, pair in ((1, one + other), (-1, other + one)) if pair in row}
    distance = ord(other) - ord(one)
    return found | {("code points", distance)} if abs(distance) <= 1 else found


# ---------------------------------------------------------------- like the account


def is_like(password: str, about: Iterable[str | None]) -> bool:
    """Whether it is made of what is known of the account: much like one of those terms, or mostly of several.

    A short name is in many a good password, so nothing is refused for holding one: more than half of the password must
    be made of such terms, and fewer than half of it edited.
    """
    text = _plain(password)
    terms = {term for known in about if known for term in _terms(_plain(known))}
    half = int(len(text) * MOST_COMMON_SHARE) + 1
    pieces = {text[start : start + half] for start in range(len(text) - half + 1)}
    most_edits = min(LEAST_DISTANCE - 1, (len(text) - 1) // 2)
    return (
        _covered(text, terms) >= half
        or any(piece in term for term in terms for piece in pieces)
        or any(_is_within(text, term, most_edits) for term in terms)
    )


def _plain(text: str) -> str:
    """In one case and without accents: ``Émile`` and ``emile`` are one name."""
    decomposed = unicodedata.normalize("NFD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _terms(known: str) -> Iterator[str]:
    """The whole, its words, and its words in one. Of an address, the last part of the domain is nobody's name."""
    local_part, at, domain = known.rpartition("@")
    for part in (local_part, domain.rpartition(".")[0]) if at else (known,):
        words = re.findall(r"[^\W_]+", part)
        yield from (term for term in (part, "".join(words), *words) if len(term) >= 3)
    if at:
        yield known


def _covered(text: str, terms: set[str]) -> int:
    """How many of its characters belong to one of the terms."""
    covered: set[int] = set()
    for term in terms:
        at = text.find(term)
        while at >= 0:
            covered.update(range(at, at + len(term)))
            at = text.find(term, at + 1)
    return len(covered)


def _is_within(one: str, other: str, edits: int) -> bool:
    """Whether one becomes the other by so many edits (Levenshtein). Unlike texts are given up after a few lines."""
    if abs(len(one) - len(other)) > edits:
        return False
    row = list(range(len(other) + 1))
    for line, character in enumerate(one, start=1):
        diagonal, row[0] = row[0], line
        for column, another in enumerate(other, start=1):
            changed = diagonal + (character != another)
            diagonal, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, changed)
        if min(row) > edits:
            return False
    return row[-1] <= edits


# ---------------------------------------------------------------- breached


async def is_breached(password: str) -> bool:
    """Whether BREACHED_PASSWORDS_URL knows it, which learns no more than the first 20 bits of its SHA-1.

    When there is no sound answer within a second, the password passes: nobody's account may depend on that service.
    """
    base = settings.current().breached_passwords_url
    if base is None:
        return False
    httpx = _httpx()
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()  # the protocol's choice
    prefix, suffix = digest[:5], digest[5:]
    try:
        async with asyncio.timeout(TIMEOUT):
            answer = await _get(f"{base.rstrip('/')}/{prefix}")
        return suffix in _suffixes(answer)
    except (httpx.HTTPError, TimeoutError, OSError, ValueError) as error:
        # Its kind only: an error of httpx may name the address, and so the prefix.
        logger.warning("a password was not looked up among breached ones: %s", type(error).__name__)
        return False


async def _get(url: str) -> bytes:
    # Padded, so that the length of an answer does not tell which range it is. Not compressed, so that the bound on what
    # is read is one on what it takes.
    headers = {"Add-Padding": "true", "Accept-Encoding": "identity", "User-Agent": "jobtrail"}
    async with (
        _httpx().AsyncClient(verify=_tls(), trust_env=False, timeout=TIMEOUT) as client,
        client.stream("GET", url, headers=headers) as response,
    ):
        if response.status_code != HTTPStatus.OK:  # a redirect would carry the prefix elsewhere
            raise ValueError("not a range")
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > MAX_RANGE:
                raise ValueError("longer than any range")
        return bytes(body)


def _suffixes(answer: bytes) -> set[str]:
    """The suffixes in a range, without its padding, whose count is 0."""
    found = set()
    for line in answer.decode("ascii").splitlines():
        parsed = LINE.fullmatch(line.strip())
        if parsed is None:  # cut short, or no range at all
            raise ValueError("not a line of a range")
        suffix, count = parsed.groups()
        if count is None or count.strip("0,.' "):
            found.add(suffix.upper())
    return found


def _httpx() -> "ModuleType":
    import httpx  # not at start: only a new password needs it

    for talkative in ("httpx", "httpcore"):  # about every address called, and so the prefix
        logging.getLogger(talkative).setLevel(logging.WARNING)
    return httpx


@lru_cache(maxsize=1)
def _tls() -> "ssl.SSLContext":
    context: ssl.SSLContext = _httpx().create_ssl_context()  # reads every root certificate: once will do
    return context
