"""Sessions as rows: put straight into the database, so that no password has to be hashed, and aged at a word."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import time
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from shared.security import access_tokens, refresh_tokens

Sql = psycopg.Connection[Any]

IDLE, ABSOLUTE = timedelta(days=30), timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Row:
    """What the database says about a session."""

    generation: int
    revoked_reason: str | None
    rotated_at: datetime
    idle_expires_at: datetime
    absolute_expires_at: datetime


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that was opened for a test, and the tokens that stand for it."""

    user_id: UUID
    id: UUID
    role: str

    def refresh_token(self, generation: int = 1) -> str:
        return refresh_tokens.issue(self.id, generation=generation)

    @property
    def bearer(self) -> dict[str, str]:
        """A new access token, as a header."""
        token, _ = access_tokens.issue(self.user_id, self.id, role=self.role, authenticated_at=int(time()))
        return {"Authorization": f"Bearer {token}"}

    def row(self, sql: Sql) -> Row:
        cursor = sql.cursor(row_factory=class_row(Row)).execute(
            """
            SELECT generation, revoked_reason, rotated_at, idle_expires_at, absolute_expires_at
            FROM sessions WHERE id = %s
            """,
            [self.id],
        )
        found = cursor.fetchone()
        assert found, "the session's row is gone"
        return found

    def age(self, sql: Sql, by: timedelta) -> None:
        """Let time pass for this session."""
        pass_time(sql, by, [self.id])

    def alarms(self, sql: Sql) -> list[tuple[Any, ...]]:
        """The alarms this session has raised: each one's name, user and facts."""
        return sql.execute(
            """
            SELECT event, user_id, facts FROM audit_events
            WHERE session_id = %s AND event LIKE 'refresh_token_%%' ORDER BY place
            """,
            [self.id],
        ).fetchall()


def add_user(sql: Sql, *, role: str = "user") -> UUID:
    """An account that nobody can log in to, for it has no password."""
    return _id(
        sql.execute(
            "INSERT INTO users (email, role) VALUES (%s, %s) RETURNING id",
            [f"{secrets.token_hex(8)}@example.com", role],
        )
    )


def open_session(
    sql: Sql,
    user_id: UUID | None = None,
    *,
    role: str = "user",
    idle: timedelta = IDLE,
    absolute: timedelta = ABSOLUTE,
) -> OpenSession:
    """A session as login opens it; of a new account, unless one is given."""
    user_id = user_id or add_user(sql, role=role)
    opened = sql.execute(
        """
        INSERT INTO sessions (user_id, idle_expires_at, absolute_expires_at)
        VALUES (%s, now() + %s, now() + %s) RETURNING id
        """,
        [user_id, idle, absolute],
    )
    return OpenSession(user_id, _id(opened), role)


def pass_time(sql: Sql, by: timedelta, sessions: list[UUID]) -> None:
    """Move every time of these sessions back by as much."""
    sql.execute(
        """
        UPDATE sessions SET created_at = created_at - %(by)s, rotated_at = rotated_at - %(by)s,
            idle_expires_at = idle_expires_at - %(by)s, absolute_expires_at = absolute_expires_at - %(by)s,
            refreshes_reset_at = refreshes_reset_at - %(by)s
        WHERE id = ANY(%(sessions)s)
        """,
        {"by": by, "sessions": sessions},
    )


def disable(sql: Sql, user_id: UUID | str) -> None:
    sql.execute("UPDATE users SET disabled_at = now() WHERE id = %s", [user_id])


def _id(cursor: psycopg.Cursor[Any]) -> UUID:
    found = cursor.fetchone()
    assert found
    new: UUID = found[0]
    return new
