"""What the tests of files share: an app for each store."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Person
from tests.files import azurite
from tests.processes import AppProcess

CONTAINER = "files"


@dataclass(frozen=True)
class Stored:
    """An app, and a look behind it: what its store keeps."""

    name: str
    url: str
    folder: Path | None = None
    service: Any = None

    def keys(self, person: Person) -> list[str]:
        if self.folder:
            return sorted(f"{person.id}/{file.name}" for file in (self.folder / person.id).glob("*"))
        return sorted(self.service.get_container_client(CONTAINER).list_blob_names(name_starts_with=person.id))

    def put(self, upload: dict[str, Any], content: bytes) -> int:
        """Do what the answer to an announcement says; gives the status."""
        url = httpx.URL(self.url).join(upload["url"])
        return httpx.request(upload["method"], url, content=content, headers=upload["headers"]).status_code

    def tidy(self) -> None:
        httpx.post(f"{self.url}/_local/timers/remove_files", timeout=30).raise_for_status()


@pytest.fixture(scope="session")
def blob_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with azurite.running(tmp_path_factory.mktemp("azurite")) as url:
        yield url


@pytest.fixture(scope="module")
def in_a_folder(app_url: str) -> Stored:
    return Stored("folder", app_url, folder=Path(os.environ["FILE_DIRECTORY"]))


@pytest.fixture(scope="session")
def in_blobs(
    environment: dict[str, str], blob_account: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stored]:
    from azure.storage.blob import BlobServiceClient

    told = azurite.connection_string(blob_account)
    service = BlobServiceClient.from_connection_string(told)
    service.create_container(CONTAINER)
    settings = environment | {"FILE_STORE": "azure", "FILE_CONNECTION_STRING": told}
    process = AppProcess(settings, tmp_path_factory.mktemp("blobs") / "app.log")
    yield Stored("azure", process.url, service=service)
    process.stop()


@pytest.fixture(params=["folder", "azure"])
def stored(request: pytest.FixtureRequest) -> Stored:
    name = "in_a_folder" if request.param == "folder" else "in_blobs"
    found: Stored = request.getfixturevalue(name)
    return found


@pytest.fixture
def ada(stored: Stored, new_person: Callable[..., Person]) -> Person:
    """Somebody who uses the app of each store in turn."""
    return new_person(stored.url)
