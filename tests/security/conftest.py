"""What the tests of tokens and passwords share: apps without a database, and this process with other settings."""

from collections.abc import Callable, Iterator

import pytest

from shared import settings
from shared.security import access_tokens, keys, passwords, sealing
from tests.conftest import Client
from tests.processes import AppProcess, free_port
from tests.security.forge import new_pem


@pytest.fixture(scope="session")
def es256_key() -> str:
    return new_pem("ES256")


@pytest.fixture(scope="session")
def start_without_database(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Client]]:
    """Starts an app whose database is out of reach: what it answers with a 401, it answers by itself."""
    processes: list[AppProcess] = []
    clients: list[Client] = []

    def start(**settings: str) -> Client:
        nowhere = {"DATABASE_URL": f"postgresql://nobody@127.0.0.1:{free_port()}/none"}
        log = tmp_path_factory.mktemp("offline") / "app.log"
        processes.append(AppProcess(environment | nowhere | settings, log))
        clients.append(Client(processes[-1].url))
        return clients[-1]

    yield start
    for client in clients:
        client.close()
    for process in processes:
        process.stop()


@pytest.fixture(scope="session")
def offline(start_without_database: Callable[..., Client]) -> Client:
    """An app that signs with HS256."""
    return start_without_database()


@pytest.fixture(scope="session")
def offline_es256(start_without_database: Callable[..., Client], es256_key: str) -> Client:
    """An app that signs with ES256."""
    return start_without_database(JWT_PRIVATE_KEYS=es256_key)


CACHES = (
    settings.current,
    keys.keyring,
    keys.refresh_keys,
    keys.device_keys,
    keys.upload_keys,
    sealing.sealing_keys,
    access_tokens._prove,
    access_tokens._header,
    passwords._bench,
    passwords._peppers,
    passwords._nobodys_seal,
)
"""All that is read from the settings once."""


@pytest.fixture
def configure(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Gives this process other settings, as a restart would; afterwards it has its own again."""

    def forget() -> None:
        for cache in CACHES:
            cache.cache_clear()

    def set_all(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        forget()

    yield set_all
    monkeypatch.undo()
    forget()
