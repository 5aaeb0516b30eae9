"""What the tests of recovery share: tokens as mail brings them, what was posted to whom, and what work was done."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
from argon2 import PasswordHasher

from shared import connections
from shared.security import passwords
from shared.security.random_tokens import one_time_tokens
from tests.conftest import Client, Person

Sql = psycopg.Connection[Any]

NEW_PASSWORD = "seven slow green glaciers"


def new_email(local_part: str = "") -> str:
    return f"{local_part}{secrets.token_hex(8)}@example.com"


def sent(sql: Sql, user_id: str | None, purpose: str, email: str, *, lives: str = "1 hour") -> str:
    """A token as mail to that address would bring it."""
    token = one_time_tokens.issue()
    sql.execute(
        """
        INSERT INTO one_time_tokens (digest, user_id, purpose, email, expires_at)
        VALUES (%s, %s, %s, %s, now() + %s::interval)
        """,
        [one_time_tokens.digest(token), user_id, purpose, email, lives],
    )
    return token


def posted(sql: Sql, email: str) -> list[str]:
    """What mail there ever was for an address, in the order of its posting."""
    rows = sql.execute("SELECT template FROM mail_outbox WHERE recipient = %s ORDER BY created_at, id", [email])
    return [template for (template,) in rows]


def events(sql: Sql, user_id: str) -> list[tuple[str, bool]]:
    """The audit events of an account, and whether each was a success."""
    rows = sql.execute("SELECT event, succeeded FROM audit_events WHERE user_id = %s ORDER BY place", [user_id])
    return [(event, succeeded) for event, succeeded in rows]


def log_in(client: Client, email: str, password: str) -> httpx.Response:
    return client.post("/api/auth/login", {"email": email, "password": password})


def shown(answer: httpx.Response) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Everything of an answer that could tell one from another."""
    body = answer.json() if answer.content else {}
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
    return answer.status_code, body | {"request_id": ""}, headers


@dataclass
class Work:
    """What the app did meanwhile."""

    hashes: int = 0
    round_trips: int = 0

    def of(self, call: Callable[[], httpx.Response]) -> tuple[int, int]:
        """The hashes and the round trips that one call took."""
        before = self.hashes, self.round_trips
        call()
        return self.hashes - before[0], self.round_trips - before[1]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Counts the app's work as it does it."""
    counted = Work()
    hasher, exchange = passwords.HASHER, connections.Connection.exchange

    class CountingHasher(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Any:  # noqa: A002 - as it is called there
            counted.hashes += 1
            return super().verify(hash, password)

        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            counted.hashes += 1
            return super().hash(password, salt=salt)

    async def counting_exchange(self: connections.Connection, *args: Any) -> Any:
        counted.round_trips += 1
        return await exchange(self, *args)

    monkeypatch.setattr(passwords, "HASHER", CountingHasher(hasher.time_cost, hasher.memory_cost, hasher.parallelism))
    monkeypatch.setattr(connections.Connection, "exchange", counting_exchange)
    return counted


# Accounts of every kind: each makes one out of a person's.


def active(person: Person, sql: Sql) -> str:
    sql.execute("UPDATE users SET email_verified_at = now() WHERE id = %s", [person.id])
    return person.email


def unverified(person: Person, sql: Sql) -> str:
    return person.email


def disabled(person: Person, sql: Sql) -> str:
    sql.execute("UPDATE users SET disabled_at = now() WHERE id = %s", [person.id])
    return person.email


def without_password(person: Person, sql: Sql) -> str:
    sql.execute("UPDATE users SET password_hash = NULL WHERE id = %s", [person.id])
    return person.email


def nobodys(person: Person, sql: Sql) -> str:
    return new_email()


KINDS = [active, unverified, disabled, without_password, nobodys]

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
