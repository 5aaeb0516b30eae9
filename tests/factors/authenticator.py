"""An authenticator app, and people who have one."""

from base64 import b32decode
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pyotp

from shared.security import totp
from tests.conftest import Client, Person

Sql = psycopg.Connection[Any]


@dataclass
class Authenticator:
    """Somebody else's implementation of RFC 6238, which knows the secret and the time."""

    secret: str
    step: int

    def code(self, later: int = 0) -> str:
        """The code of the step it is at, or of one so many steps later."""
        return pyotp.TOTP(self.secret).generate_otp(self.step + later)

    def next_code(self) -> str:
        """The code of the step after, as if 30 seconds had gone by on this device: within the tolerance once."""
        self.step += 1
        return self.code()


def verify_address(sql: Sql, person: Person) -> None:
    sql.execute("UPDATE users SET email_verified_at = now() WHERE id = %s", [person.id])


def begin(person: Person) -> Authenticator:
    """Put an offered secret into an app."""
    offered = person.post("/api/auth/mfa/totp")
    assert offered.status_code == 200, offered.text
    secret = offered.json()["secret"]
    assert len(b32decode(secret)) == 20
    return Authenticator(secret, totp.present_step())


def confirm(person: Person, code: str) -> httpx.Response:
    return person.post("/api/auth/mfa/totp/confirm", {"code": code})


def enable(person: Person, sql: Sql) -> tuple[Authenticator, list[str]]:
    """Set an authenticator app up; gives it, and the recovery codes.

    It is confirmed by the code of the step before, so that the present one is still to be used.
    """
    verify_address(sql, person)
    app = begin(person)
    confirmed = confirm(person, app.code(-1))
    assert confirmed.status_code == 200, confirmed.text
    return app, confirmed.json()["recovery_codes"]


def challenge(client: Client, person: Person, **fields: Any) -> str:
    """The first step of signing in."""
    answer = client.post("/api/auth/login", {"email": person.email, "password": person.password, **fields})
    assert answer.status_code == 200, answer.text
    assert answer.json()["mfa_required"] is True, answer.text
    return str(answer.json()["challenge"])


def finish(client: Client, challenge: str, **proof: Any) -> httpx.Response:
    """The second."""
    return client.post("/api/auth/login/mfa", {"challenge": challenge, **proof})


def refused(answer: httpx.Response) -> tuple[int, str]:
    """How it was refused."""
    return answer.status_code, str(answer.json()["code"])


INVALID = (401, "second_factor_invalid")
OVER = (401, "challenge_invalid")
