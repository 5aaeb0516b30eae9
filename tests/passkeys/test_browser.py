"""Passkeys in a real browser: what it makes of our options, and we of its credentials. Without Chromium, it fails."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import PASSWORD
from tests.passkeys import chromium, page
from tests.passkeys.chromium import BrowserError, Page
from tests.processes import free_port


@pytest.fixture
def open_page(start_app: Callable[..., str], tmp_path: Path) -> Iterator[Callable[[], Page]]:
    """Opens the front end's page, each time as in a browser of its own that nobody has used."""
    port = free_port()
    api = start_app(APP_URL=f"http://localhost:{port}", PASSKEY_RP_ID="localhost")
    with chromium.started(tmp_path / "profile") as browser, page.served(port, api) as url:
        yield lambda: browser.open(url)


def test_somebody_registers_a_passkey_signs_out_and_signs_in_with_nothing_else(open_page: Callable[[], Page]) -> None:
    page = open_page()
    page.add_authenticator()
    email = f"{secrets.token_hex(8)}@example.com"
    user = page.run(f"signUp({email!r}, {PASSWORD!r})")
    passkey = page.run("addPasskey('Laptop')")
    assert (passkey["name"], passkey["transports"]) == ("Laptop", ["internal"])
    page.run("signOut()")
    with pytest.raises(BrowserError, match="401 unauthorized"):
        page.run("call('GET', '/api/auth/sessions')")

    assert page.run("signIn()") == user
    (session,) = page.run("call('GET', '/api/auth/sessions')")["items"]
    assert session["current"] is True
    assert "Chrome" in session["user_agent"]
    (used,) = page.run("call('GET', '/api/auth/passkeys')")["items"]
    assert used["last_used_at"] > passkey["created_at"]
    assert page.run("signIn()") == user, "its counter has grown"


def test_an_authenticator_that_has_the_passkey_makes_no_second_one(open_page: Callable[[], Page]) -> None:
    page = open_page()
    page.add_authenticator()
    page.run(f"signUp('{secrets.token_hex(8)}@example.com', {PASSWORD!r})")
    page.run("addPasskey('Laptop')")
    with pytest.raises(BrowserError, match="InvalidStateError"):
        page.run("addPasskey('Laptop again')")
    assert len(page.run("call('GET', '/api/auth/passkeys')")["items"]) == 1


def test_the_wrong_finger_neither_registers_nor_signs_in(open_page: Callable[[], Page]) -> None:
    page = open_page()
    authenticator = page.add_authenticator(verifies=False)
    page.run(f"signUp('{secrets.token_hex(8)}@example.com', {PASSWORD!r})")
    with pytest.raises(BrowserError, match="NotAllowedError"):
        page.run("addPasskey('Laptop')")
    page.command("WebAuthn.setUserVerified", authenticatorId=authenticator, isUserVerified=True)
    page.run("addPasskey('Laptop')")
    page.command("WebAuthn.setUserVerified", authenticatorId=authenticator, isUserVerified=False)
    with pytest.raises(BrowserError, match="NotAllowedError"):
        page.run("signIn()")


def test_a_copied_key_is_found_out(open_page: Callable[[], Page]) -> None:
    page = open_page()
    authenticator = page.add_authenticator()
    page.run(f"signUp('{secrets.token_hex(8)}@example.com', {PASSWORD!r})")
    page.run("addPasskey('Laptop')")
    (copy,) = page.command("WebAuthn.getCredentials", authenticatorId=authenticator)["credentials"]
    page.run("signIn()")
    page.command("WebAuthn.clearCredentials", authenticatorId=authenticator)
    page.command("WebAuthn.addCredential", authenticatorId=authenticator, credential=copy)
    with pytest.raises(BrowserError, match="401 passkey_invalid"):
        page.run("signIn()")
