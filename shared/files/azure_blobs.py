"""Azure Blob Storage, by Microsoft's client. Proven against Azurite; never tried against the real service.

The client is synchronous, and used in threads: its asynchronous half would need aiohttp besides.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from shared import settings
from shared.files.stores import Address, FilesUnavailable, Missing, Taken
from shared.security import managed_identity
from shared.security.managed_identity import NoIdentity

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

Answer = TypeVar("Answer")

RESOURCE = "https://storage.azure.com/"
TIMEOUT = 10
"""Seconds that the service may be silent."""

DOWNLOAD_MINUTES = 5
"""How long an address to download from is good: a browser follows it at once."""

KEY_HOURS = 2
"""For how long a user delegation key is asked; it is replaced after half of that. Azure gives up to seven days."""

SCAN_RESULT = "Malware Scanning scan result"
"""The index tag that Defender for Storage writes (learn.microsoft.com, "Scan results")."""


class AzureBlobs:
    """A container. Whoever was given an address may create one blob, or read one; never list, change or delete."""

    def __init__(self) -> None:
        from azure.storage.blob import BlobServiceClient

        config = settings.current()
        self._alone = threading.Lock()
        self._delegation: tuple[Any, float] | None = None
        # Once more after a second: by itself the client would wait for 15 and then for 18, and somebody with it.
        retries = {"retry_total": 1, "initial_backoff": 0, "increment_base": 1, "random_jitter_range": 0}
        options: dict[str, Any] = {"connection_timeout": TIMEOUT, "read_timeout": TIMEOUT, **retries}
        if config.file_connection_string:
            told = config.file_connection_string.get_secret_value()
            self._service = BlobServiceClient.from_connection_string(told, **options)
            self._account_key: str | None = self._service.credential.account_key
        else:
            self._service = BlobServiceClient(str(config.file_account_url), credential=ManagedIdentity(), **options)
            self._account_key = None
        self._container = self._service.get_container_client(config.file_container)

    async def put(self, key: str, content: bytes) -> None:
        await self._run(lambda: self._container.upload_blob(key, content, overwrite=False))

    async def size(self, key: str) -> int | None:
        try:
            return await self._run(lambda: int(self._container.get_blob_client(key).get_blob_properties().size))
        except Missing:
            return None

    async def read(self, key: str, *, limit: int) -> bytes:
        def read() -> bytes:
            stream = self._container.download_blob(key, offset=0, length=limit)
            return b"".join(stream.chunks())

        return await self._run(read)

    async def delete(self, key: str) -> None:
        try:
            await self._run(lambda: self._container.delete_blob(key, delete_snapshots="include"))
        except Missing:
            return

    async def keys(self, prefix: str = "", *, before: datetime | None = None) -> AsyncIterator[list[str]]:
        pages = self._container.list_blobs(name_starts_with=prefix or None, results_per_page=1000).by_page()
        while True:
            page = await self._run(lambda: [(blob.name, blob.last_modified) for blob in next(pages, ())])
            if not page:
                return
            yield [name for name, put_at in page if before is None or put_at < before]

    async def upload_address(self, key: str, *, size: int, until: datetime) -> Address:  # noqa: ARG002
        # An address cannot say how many bytes: what came is measured before anything is believed of it.
        url = await self._run(lambda: self._signed(key, until, create=True))
        return Address(url, {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"})

    async def download_address(self, key: str, *, media_type: str, disposition: str) -> str | None:
        until = datetime.now(UTC) + timedelta(minutes=DOWNLOAD_MINUTES)
        return await self._run(
            lambda: self._signed(
                key,
                until,
                read=True,
                content_type=media_type,
                content_disposition=disposition,
                cache_control="no-store",
            )
        )

    async def scan_result(self, key: str) -> str | None:
        tags = await self._run(lambda: self._container.get_blob_client(key).get_blob_tags())
        return tags.get(SCAN_RESULT)

    def _signed(self, key: str, until: datetime, *, create: bool = False, read: bool = False, **told: Any) -> str:
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        blob = self._container.get_blob_client(key)
        is_encrypted = self._service.url.startswith("https://")
        signature = generate_blob_sas(
            account_name=str(self._service.account_name),
            container_name=self._container.container_name,
            blob_name=key,
            account_key=self._account_key,
            user_delegation_key=None if self._account_key else self._delegation_key(),
            permission=BlobSasPermissions(create=create, read=read),
            expiry=until,
            protocol="https" if is_encrypted else None,
            **told,
        )
        return f"{blob.url}?{signature}"

    def _delegation_key(self) -> Any:
        with self._alone:
            if self._delegation is None or self._delegation[1] < time.time():
                now = datetime.now(UTC)
                # From a little earlier on: clocks differ.
                key = self._service.get_user_delegation_key(
                    now - timedelta(minutes=5), now + timedelta(hours=KEY_HOURS)
                )
                self._delegation = key, time.time() + KEY_HOURS * 1800
            return self._delegation[0]

    async def _run(self, work: Callable[[], Answer]) -> Answer:
        from azure.core import exceptions

        try:
            return await asyncio.to_thread(work)
        except exceptions.ResourceNotFoundError as error:
            if (
                getattr(error, "error_code", None) == "ContainerNotFound"
            ):  # a setting to mend, and not that the file is gone
                raise FilesUnavailable from error
            raise Missing from None
        except exceptions.ResourceExistsError:
            raise Taken from None
        except (exceptions.AzureError, NoIdentity) as error:
            raise FilesUnavailable from error


class ManagedIdentity:
    """The app's own identity, as the client asks for one."""

    def get_token(self, *scopes: str, **options: Any) -> "AccessToken":  # noqa: ARG002 - what the client calls it with
        import httpx
        from azure.core.credentials import AccessToken

        question = managed_identity.ask_for(RESOURCE)
        try:
            answer = httpx.get(question.url, params=question.params, headers=question.headers, timeout=TIMEOUT)
            answer.raise_for_status()
            token, ends_at = managed_identity.read(answer.json())
            return AccessToken(token, int(ends_at))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise NoIdentity("the platform gives no token") from error
