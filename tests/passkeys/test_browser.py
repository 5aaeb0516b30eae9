"""Passkeys in a real browser: what it makes of our options, and we of its credentials. Without Chromium, it fails."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
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


def sign_up(page: Page, sql: psycopg.Connection[Any]) -> str:
    """Make an account in the page, with an address that is proved; gives the account's id."""
    user = page.run(f"signUp('{secrets.token_hex(8)}@example.com', {PASSWORD!r})")
    sql.execute("UPDATE users SET email_verified_at = now() WHERE id = %s", [user["id"]])
    return str(user["id"])


def test_somebody_registers_a_passkey_signs_out_and_signs_in_with_nothing_else(
    open_page: Callable[[], Page], sql: psycopg.Connection[Any]
) -> None:
    page = open_page()
    page.add_authenticator()
    user_id = sign_up(page, sql)
    passkey = page.run("addPasskey('Laptop')")
    assert (passkey["name"], passkey["transports"]) == ("Laptop", ["internal"])
    page.run("signOut()")
    with pytest.raises(BrowserError, match="401 unauthorized"):
        page.run("call('GET', '/api/auth/sessions')")

    assert page.run("signIn()")["id"] == user_id
    (session,) = page.run("call('GET', '/api/auth/sessions')")["items"]
    assert session["current"] is True
    assert "Chrome" in session["user_agent"]
    (used,) = page.run("call('GET', '/api/auth/passkeys')")["items"]
    assert used["last_used_at"] > passkey["created_at"]
    assert page.run("signIn()")["id"] == user_id, "its counter has grown"


def test_an_authenticator_that_has_the_passkey_makes_no_second_one(
    open_page: Callable[[], Page], sql: psycopg.Connection[Any]
) -> None:
    page = open_page()
    page.add_authenticator()
    sign_up(page, sql)
    page.run("addPasskey('Laptop')")
    with pytest.raises(BrowserError, match="InvalidStateError"):
        page.run("addPasskey('Laptop again')")
    assert len(page.run("call('GET', '/api/auth/passkeys')")["items"]) == 1


def test_the_wrong_finger_neither_registers_nor_signs_in(
    open_page: Callable[[], Page], sql: psycopg.Connection[Any]
) -> None:
    page = open_page()
    authenticator = page.add_authenticator(verifies=False)
    sign_up(page, sql)
    with pytest.raises(BrowserError, match="NotAllowedError"):
        page.run("addPasskey('Laptop')")
    page.command("WebAuthn.setUserVerified", authenticatorId=authenticator, isUserVerified=True)
    page.run("addPasskey('Laptop')")
    page.command("WebAuthn.setUserVerified", authenticatorId=authenticator, isUserVerified=False)
    with pytest.raises(BrowserError, match="NotAllowedError"):
        page.run("signIn()")


def test_a_copied_key_is_found_out(open_page: Callable[[], Page], sql: psycopg.Connection[Any]) -> None:
    page = open_page()
    authenticator = page.add_authenticator()
    sign_up(page, sql)
    page.run("addPasskey('Laptop')")
    (copy,) = page.command("WebAuthn.getCredentials", authenticatorId=authenticator)["credentials"]
    page.run("signIn()")
    page.command("WebAuthn.clearCredentials", authenticatorId=authenticator)
    page.command("WebAuthn.addCredential", authenticatorId=authenticator, credential=copy)
    with pytest.raises(BrowserError, match="401 passkey_invalid"):
        page.run("signIn()")
