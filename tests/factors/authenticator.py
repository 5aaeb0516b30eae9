"""An authenticator app, and what people do with it, over HTTP."""

from dataclasses import dataclass
from typing import Any

import httpx
import pyotp

from shared.security import totp
from tests.conftest import Client, Person
from tests.passkeys.ceremonies import verify_address

INVALID = (401, "second_factor_invalid")
OVER = (401, "challenge_invalid")
LIMITED = (429, "rate_limited")
STALE = (401, "reauthentication_required")


@dataclass(frozen=True)
class Authenticator:
    """Somebody else's implementation of RFC 6238, which knows the secret and has the same clock."""

    secret: str

    def code(self, steps: int = 0) -> str:
        """What it shows now, or so many steps of 30 seconds later."""
        return pyotp.TOTP(self.secret).generate_otp(totp.present_step() + steps)

    def wrong_code(self) -> str:
        """Six digits that are good neither now nor soon."""
        good = {self.code(steps) for steps in range(-2, 4)}
        return next(code for code in (f"{n:06}" for n in range(7)) if code not in good)


def begin(person: Person) -> Authenticator:
    """Put the secret that is offered into an app."""
    offered = person.post("/api/auth/mfa/totp")
    assert offered.status_code == 200, offered.text
    return Authenticator(offered.json()["secret"])


def confirm(person: Person, code: str) -> httpx.Response:
    return person.post("/api/auth/mfa/totp/confirm", {"code": code})


def enable(person: Person) -> tuple[Authenticator, list[str]]:
    """Set an app up; gives it, and the recovery codes. What it shows now is spent: the next is ``code(1)``."""
    verify_address(person)
    app = begin(person)
    confirmed = confirm(person, app.code())
    assert confirmed.status_code == 200, confirmed.text
    return app, confirmed.json()["recovery_codes"]


def first_step(client: Client, person: Person, **fields: Any) -> str:
    """The challenge that a good password gets where there is a second factor."""
    answer = client.post("/api/auth/login", {"email": person.email, "password": person.password, **fields})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["challenge"])


def finish(client: Client, challenge: str, **proof: Any) -> httpx.Response:
    return client.post("/api/auth/login/mfa", {"challenge": challenge, **proof})


def outcome(answer: httpx.Response) -> tuple[int, str]:
    """The status, and the code of the problem."""
    return answer.status_code, str(answer.json()["code"]) if answer.is_error else "ok"


OK = (200, "ok")


# ---------------------------------------------------------------- for the walk


def confirmation(person: Person) -> dict[str, Any]:
    """A body that turns the app on; of nobody, one that has the form."""
    if not person.tokens:
        return {"code": "000000"}
    verify_address(person)
    return {"code": begin(person).code()}


def second_step(person: Person) -> dict[str, Any]:
    """A body that finishes a sign-in of the person's."""
    app, _ = enable(person)
    return {"challenge": first_step(person, person), "code": app.code(1)}
