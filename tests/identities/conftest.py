"""What the tests of identities share: browsers, and the same person here and at a provider."""

from collections.abc import Callable, Iterator

import pytest

from shared.identities import id_tokens
from tests.conftest import Client
from tests.identities.browser import Browser
from tests.identities.provider import Provider

PROVIDERS = ("google", "github", "microsoft")


@pytest.fixture
def new_browser(app_url: str, oauth_provider: Provider) -> Iterator[Callable[..., Browser]]:
    """Makes browsers, each at an address of its own."""
    made: list[Client] = []

    def make(url: str = app_url) -> Browser:
        made.append(Client(url))
        return Browser(made[-1], oauth_provider)

    yield make
    for client in made:
        client.close()


@pytest.fixture
def browser(new_browser: Callable[..., Browser]) -> Browser:
    return new_browser()


@pytest.fixture
def no_keys_read() -> None:
    """As in a process that has asked no provider yet."""
    id_tokens.keys_at.cache_clear()
