"""Where the content of files is kept: in a folder, or in Azure Blob Storage. What a store keeps never changes.

Each content has a key, ``<user id>/<file id>``, which we choose: nothing that a caller says becomes a path.
"""

import asyncio
import hmac
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import UUID

from shared import settings
from shared.errors import Problem, Unavailable
from shared.security.keys import upload_keys

Answer = TypeVar("Answer")

KEY = re.compile(r"([0-9a-f-]{36})/([0-9a-f-]{36})")


class FilesUnavailable(Unavailable):
    code = "files_unavailable"
    title = "Files are out of reach; try again shortly"


class Missing(Exception):
    """Nothing is kept under that key."""


class Taken(Exception):
    """Something is kept under that key, and stays."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where bytes may be put, once, and what the request must say."""

    url: str
    headers: dict[str, str]


class Store(Protocol):
    """Every method raises FilesUnavailable where the store cannot be asked."""

    async def put(self, key: str, content: bytes) -> None:
        """Keep it. Raises Taken."""

    async def size(self, key: str) -> int | None:
        """How many bytes there are; None if there is nothing."""

    async def read(self, key: str, *, limit: int) -> bytes:
        """The bytes, or the first ``limit`` of them. Raises Missing."""

    async def delete(self, key: str) -> None:
        """Keep it no longer; that there is nothing is as good."""

    def keys(self, prefix: str = "", *, before: datetime | None = None) -> AsyncIterator[list[str]]:
        """All keys that begin so, some at a time; with ``before`` those that were put earlier than that."""

    async def upload_address(self, key: str, *, size: int, until: datetime) -> Address: ...

    async def download_address(self, key: str, *, media_type: str, disposition: str) -> str | None:
        """Where the content can be had for some minutes; None where only we can give it."""

    async def scan_result(self, key: str) -> str | None:
        """What Defender for Storage wrote down about it, if it did."""


def key_of(user_id: UUID, file_id: UUID) -> str:
    return f"{user_id}/{file_id}"


@lru_cache(maxsize=1)
def store() -> Store:
    """The store that FILE_STORE names."""
    if settings.current().file_store == "azure":
        from shared.files.azure_blobs import AzureBlobs  # brings a quarter of a second of imports

        return AzureBlobs()
    return Folder(Path(settings.current().file_directory))


# ---------------------------------------------------------------- folder


class Folder:
    """For one machine. The address for uploads is ours: ``PUT /api/files/{file_id}/content``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, key: str, content: bytes) -> None:
        await self._run(self._put, key, content)

    async def size(self, key: str) -> int | None:
        try:
            return await self._run(lambda: (self._root / key).stat().st_size)
        except Missing:
            return None

    async def read(self, key: str, *, limit: int) -> bytes:
        def read() -> bytes:
            with (self._root / key).open("rb") as file:
                return file.read(limit)

        return await self._run(read)

    async def delete(self, key: str) -> None:
        with suppress(Missing):
            await self._run((self._root / key).unlink)

    async def keys(self, prefix: str = "", *, before: datetime | None = None) -> AsyncIterator[list[str]]:
        found = await self._run(lambda: list(self._walk(prefix, before)))
        for start in range(0, len(found), 1000):
            yield found[start : start + 1000]

    async def upload_address(self, key: str, *, size: int, until: datetime) -> Address:
        user_id, file_id = key.split("/")
        told = f"{user_id}.{size}.{int(until.timestamp())}"
        token = f"{told}.{_tag(upload_keys()[0], told, file_id)}"
        return Address(f"/api/files/{file_id}/content?token={token}", {"Content-Type": "application/octet-stream"})

    async def download_address(self, key: str, *, media_type: str, disposition: str) -> str | None:  # noqa: ARG002
        return None

    async def scan_result(self, key: str) -> str | None:  # noqa: ARG002 - nobody scans a folder
        return None

    def _put(self, key: str, content: bytes) -> None:
        """Whole or not at all, and never over what is there."""
        place = self._root / key
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = place.with_name(f"{place.name}.{os.urandom(6).hex()}.new")
        try:
            with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(content)
            os.link(unfinished, place)
        except FileExistsError:
            raise Taken from None
        finally:
            unfinished.unlink(missing_ok=True)

    def _walk(self, prefix: str, before: datetime | None) -> Iterator[str]:
        """What was being written when a process died counts as kept, so that it is found and removed."""
        for file in self._root.glob("*/*"):
            key = file.relative_to(self._root).as_posix()
            with suppress(FileNotFoundError):
                if key.startswith(prefix) and (before is None or file.stat().st_mtime < before.timestamp()):
                    yield key

    async def _run(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        try:
            return await asyncio.to_thread(work, *arguments)
        except (FileNotFoundError, NotADirectoryError):
            raise Missing from None
        except OSError as error:
            raise FilesUnavailable from error


class UploadRefused(Problem):
    """An address for uploads that is none, is over, or was used."""

    status = HTTPStatus.FORBIDDEN
    code = "upload_refused"
    title = "The address is not good for this upload, or not any more"


def granted(file_id: UUID, token: str, *, size: int) -> str:
    """The key that our own address for uploads is good for.

    Raises:
        UploadRefused: we did not make it, it is over, or it is for another number of bytes.
    """
    told, _, tag = token.rpartition(".")
    if not any(hmac.compare_digest(_tag(key, told, str(file_id)).encode(), tag.encode()) for key in upload_keys()):
        raise UploadRefused
    user_id, announced, until = told.split(".")
    if int(until) < time.time() or int(announced) != size:
        raise UploadRefused
    return f"{user_id}/{file_id}"


def _tag(key: bytes, told: str, file_id: str) -> str:
    return hmac.digest(key, f"{told}.{file_id}".encode(), "sha256").hex()[:32]
