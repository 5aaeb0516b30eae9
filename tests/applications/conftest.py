"""A person for tests that do not mind the rows of other tests, and a process for those that kill one."""

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from tests.conftest import PASSWORD, Person
from tests.processes import AppProcess


@pytest.fixture(scope="module")
def writer(app_url: str) -> Iterator[Person]:
    """Somebody who writes down many applications."""
    writer = Person(app_url, email=f"{token_hex(8)}@example.com")
    writer.bear(writer.post("/api/auth/register", {"email": writer.email, "password": PASSWORD}).json())
    yield writer
    writer.close()


@pytest.fixture
def process(environment: dict[str, str], tmp_path: Path) -> Iterator[AppProcess]:
    """The app in a process that may be killed."""
    process = AppProcess(environment, tmp_path / "app.log")
    yield process
    process.stop()
