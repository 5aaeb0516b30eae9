"""Proving an address, and getting back into an account."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from shared.fields import Email, Password, Request, Token


class VerifyEmailRequest(Request):
    token: Token


class ForgotPasswordRequest(Request):
    email: Email


class ResetPasswordRequest(Request):
    token: Token
    password: Password


class ChangePasswordRequest(Request):
    current_password: Password
    new_password: Password


class ChangeEmailRequest(Request):
    email: Email


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose password is about to change: what a new one is compared with, and the hash of the present one."""

    user_id: UUID
    email: str
    first_name: str | None
    last_name: str | None
    company: str | None
    password_hash: str | None

    @property
    def words(self) -> tuple[str | None, ...]:
        """What everybody knows of them, and a password must not be."""
        return self.email, self.first_name, self.last_name, self.company


@dataclass(frozen=True, slots=True)
class Redemption:
    """What became of a token that was presented to prove an address."""

    outcome: Literal["verified", "changed", "taken", "invalid"]
