"""What the tests of sessions share besides: two processes that serve the same database."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.processes import AppProcess

LONG_GRACE = {"REFRESH_GRACE_SECONDS": "60"}
"""As long as it may be: no machine is so slow that the window closes by itself while a test is in it."""


@pytest.fixture(scope="session")
def two_processes(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The URLs of two processes of the app, as two instances of it would run."""
    logs = tmp_path_factory.mktemp("processes")
    with ExitStack() as stack:
        urls = []
        for name in ("one", "two"):
            process = AppProcess(environment | LONG_GRACE, logs / f"{name}.log")
            stack.callback(process.stop)
            urls.append(process.url)
        yield urls[0], urls[1]
