"""What people do with passkeys, over HTTP."""

import os
from typing import Any

import httpx
import psycopg

from tests.conftest import Client, Person
from tests.passkeys.authenticator import Authenticator, base64url

REGISTER, LOGIN = "/api/auth/passkeys/register", "/api/auth/passkeys/login"
PASSKEYS = "/api/auth/passkeys"

Json = dict[str, Any]


def verify_address(person: Person) -> None:
    """See to it that the person has proved their address, as who adds a passkey must have."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as sql:
        sql.execute(
            "UPDATE users SET email_verified_at = now() WHERE email = %s AND email_verified_at IS NULL", [person.email]
        )


def creation_options(person: Person) -> Json:
    verify_address(person)
    answer = person.post(f"{REGISTER}/options")
    assert answer.status_code == 200, answer.text
    options: Json = answer.json()
    return options


def request_options(somebody: Client, **body: Any) -> Json:
    """Options for a sign-in; a person's own when ``somebody`` has an access token."""
    answer = somebody.post(f"{LOGIN}/options", body)
    assert answer.status_code == 200, answer.text
    options: Json = answer.json()
    return options


def registration(person: Person) -> Json:
    """A body that registers a new passkey. Who cannot have options gets one that answers made-up ones."""
    verify_address(person)
    answer = person.post(f"{REGISTER}/options")
    options = {"challenge": base64url(bytes(32)), "user": {"id": base64url(bytes(16))}}
    return {"credential": Authenticator().create(answer.json() if answer.status_code == 200 else options)}


def new_passkey(person: Person, name: str = "Laptop", **kind: Any) -> tuple[Authenticator, Json]:
    """A passkey of the person's, and how the app shows it."""
    authenticator = Authenticator(**kind)
    credential = authenticator.create(creation_options(person))
    answer = person.post(REGISTER, {"credential": credential, "name": name})
    assert answer.status_code == 201, answer.text
    return authenticator, answer.json()


def sign_in(somebody: Client, authenticator: Authenticator, **otherwise: Any) -> httpx.Response:
    """Sign in with a passkey; ``otherwise`` as ``Authenticator.get`` has it."""
    options = request_options(Client(somebody.url, {"X-Forwarded-For": somebody.headers["X-Forwarded-For"]}))
    return somebody.post(LOGIN, {"credential": authenticator.get(options, **otherwise)})


def assertion(person: Person) -> Json:
    """A body that signs the person in with a passkey that they have from now on."""
    authenticator, _ = new_passkey(person)
    return {"credential": authenticator.get(request_options(Client(person.url)))}
