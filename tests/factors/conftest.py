"""What the tests of second factors share: a clock that stands still, and somebody with an authenticator app."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from shared.security import totp
from tests.conftest import Client, Person
from tests.factors.authenticator import Authenticator, enable


@dataclass
class Clock:
    """The step that everybody in this process is at; other processes have the real one, where it began."""

    step: int


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(totp.present_step())
    monkeypatch.setattr(totp, "present_step", lambda: clock.step)
    return clock


@dataclass(frozen=True)
class Owner:
    """Somebody with a second factor, signed in."""

    person: Person
    app: Authenticator
    codes: list[str]


@pytest.fixture
def new_owner(new_person: Callable[..., Person]) -> Callable[[], Owner]:
    def make() -> Owner:
        person = new_person()
        return Owner(person, *enable(person))

    return make


@pytest.fixture
def ada(new_owner: Callable[[], Owner]) -> Owner:
    return new_owner()


@pytest.fixture
def new_client(app_url: str) -> Callable[[], Client]:
    """Makes browsers that know nobody, each at an address of its own."""
    return lambda: Client(app_url)
