"""Whom passkeys belong to, and which pages may use them: settings alone say so."""

from collections.abc import Iterator

import pytest

from shared import settings
from shared.passkeys.service import RelyingParty


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> Iterator[pytest.MonkeyPatch]:
    for name in ("APP_URL", "ALLOWED_ORIGINS", "PASSKEY_RP_ID"):
        monkeypatch.delenv(name)
    settings.current.cache_clear()
    yield monkeypatch
    settings.current.cache_clear()


def test_on_ones_own_machine_they_belong_to_localhost(setting: pytest.MonkeyPatch) -> None:
    assert RelyingParty.current() == RelyingParty("localhost", ["http://localhost:7071"])


def test_they_belong_to_the_front_end_and_its_pages_may_use_them(setting: pytest.MonkeyPatch) -> None:
    setting.setenv("APP_URL", "https://App.example.com:8443/jobs")
    assert RelyingParty.current() == RelyingParty("app.example.com", ["https://app.example.com:8443"])


def test_they_can_belong_to_a_domain_above_it_for_all_its_front_ends(setting: pytest.MonkeyPatch) -> None:
    setting.setenv("APP_URL", "https://app.example.com")
    setting.setenv("ALLOWED_ORIGINS", "https://app.example.com,https://beta.example.com")
    setting.setenv("PASSKEY_RP_ID", "example.com")
    assert RelyingParty.current() == RelyingParty(
        "example.com", ["https://app.example.com", "https://beta.example.com"]
    )


def test_a_standard_port_is_no_part_of_an_origin(setting: pytest.MonkeyPatch) -> None:
    setting.setenv("APP_URL", "https://app.example.com:443")
    assert RelyingParty.current().origins == ["https://app.example.com"]
