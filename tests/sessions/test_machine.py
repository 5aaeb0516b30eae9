"""The life of sessions as a machine: whatever is done to them, and in whatever order, the invariants hold.

Beside the app runs a model of it in a few lines of Python. After every step each session's row, the fate of its access
tokens and its alarms must be what the model says. Time passes by moving every time in the rows back by as much; the
app's expiries are set short, so that they are met often.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from shared.security.refresh_tokens import PREFIX, TAG_BYTES
from tests.conftest import Client
from tests.sessions.rows import OpenSession, Sql, add_user, disable, open_session, pass_time

GRACE, IDLE, ABSOLUTE = timedelta(seconds=60), timedelta(days=2), timedelta(days=3)
SETTINGS = {"REFRESH_GRACE_SECONDS": "60", "SESSION_IDLE_DAYS": "2", "SESSION_ABSOLUTE_DAYS": "3"}
MOST_SESSIONS = 6
PAUSES = st.sampled_from([timedelta(), timedelta(), GRACE, IDLE - timedelta(hours=12), IDLE])
OK, GONE, NOT_FOUND = (200, ""), (401, "session_ended"), (404, "not_found")


@dataclass
class Session:
    """What the model knows of a session."""

    real: OpenSession
    bearer: dict[str, str]
    absolute_expires_at: datetime
    generation: int = 1
    is_revoked: bool = False
    since_rotation: timedelta = timedelta()
    age: timedelta = timedelta()
    alarms: list[str] = field(default_factory=list)

    @property
    def has_expired(self) -> bool:
        return self.since_rotation >= IDLE or self.age >= ABSOLUTE

    def refresh(self, presented: int, *, is_disabled: bool) -> tuple[int, str]:
        """What must come of it. The order of the questions is part of the contract."""
        if self.is_revoked or is_disabled:
            return 401, "refresh_token_invalid"
        if self.has_expired:
            return 401, "session_expired"
        if presented > self.generation:
            self.alarms.append("refresh_token_forged")
            return 401, "refresh_token_invalid"
        if presented < self.generation - 1 or (presented < self.generation and self.since_rotation >= GRACE):
            self.alarms.append("refresh_token_reused")
            self.is_revoked = True
            return 401, "refresh_token_reused"
        if presented == self.generation:
            self.generation += 1
            self.since_rotation = timedelta()
        return OK


class Life(RuleBasedStateMachine):
    """Two people, their sessions, and everything that can happen to these."""

    app: ClassVar[Client]
    sql: ClassVar[Sql]

    sessions: Bundle[Session] = Bundle("sessions")
    people = st.integers(0, 1)

    def __init__(self) -> None:
        super().__init__()
        self.users = [add_user(self.sql), add_user(self.sql)]
        self.disabled: set[UUID] = set()
        self.known: dict[UUID, Session] = {}

    def teardown(self) -> None:
        self.sql.execute("DELETE FROM users WHERE id = ANY(%s)", [self.users])

    def is_alive(self, session: Session) -> bool:
        return not (session.is_revoked or session.has_expired or session.real.user_id in self.disabled)

    def pass_time(self, by: timedelta) -> None:
        pass_time(self.sql, by, list(self.known))
        for session in self.known.values():
            session.age += by
            session.since_rotation += by
            session.absolute_expires_at -= by

    # ---------------------------------------------------------------- what can happen

    @rule(target=sessions, person=people)
    def sign_in(self, person: int) -> Any:
        if len(self.known) == MOST_SESSIONS:
            return multiple()
        real = open_session(self.sql, self.users[person], idle=IDLE, absolute=ABSOLUTE)
        session = Session(real, real.bearer, real.row(self.sql).absolute_expires_at)
        self.known[real.id] = session
        return session

    @rule(session=sessions, after=PAUSES)
    def refresh_with_the_current_token(self, session: Session, after: timedelta) -> None:
        self._refresh(session, session.generation, after)

    @rule(session=sessions, after=PAUSES)
    def refresh_with_the_token_before(self, session: Session, after: timedelta) -> None:
        self._refresh(session, max(1, session.generation - 1), after)

    @rule(session=sessions, after=PAUSES, step=st.sampled_from([-3, -2, +1, +(2**40)]))
    def refresh_with_an_older_or_a_newer_token(self, session: Session, after: timedelta, step: int) -> None:
        """A newer one could only have been made by somebody with the key."""
        self._refresh(session, max(1, session.generation + step), after)

    def _refresh(self, session: Session, presented: int, after: timedelta) -> None:
        self.pass_time(after)
        expected = session.refresh(presented, is_disabled=session.real.user_id in self.disabled)
        answer = self.app.post("/api/auth/refresh", {"refresh_token": session.real.refresh_token(presented)})
        assert outcome(answer) == expected
        if expected == OK:  # rotated and replayed: the one successor, whichever it is for
            assert answer.json()["refresh_token"] == session.real.refresh_token(session.generation)

    @rule(session=sessions, other=sessions)
    def refresh_with_the_seal_of_another_token(self, session: Session, other: Session) -> None:
        body = sealed(session.real.refresh_token(session.generation))[:-TAG_BYTES]
        tag = sealed(other.real.refresh_token(other.generation + 1))[-TAG_BYTES:]
        mixed = PREFIX + urlsafe_b64encode(body + tag).decode().rstrip("=")
        assert outcome(self.app.post("/api/auth/refresh", {"refresh_token": mixed})) == (401, "refresh_token_invalid")

    @rule(session=sessions, by=st.sampled_from(["bearer", "current token", "spent token"]))
    def log_out(self, session: Session, by: Literal["bearer", "current token", "spent token"]) -> None:
        if by == "bearer":
            answer = self.app.post("/api/auth/logout", {}, headers=session.bearer)
        else:
            generation = session.generation if by == "current token" else 1
            answer = self.app.post("/api/auth/logout", {"refresh_token": session.real.refresh_token(generation)})
        assert answer.status_code == 204
        session.is_revoked = True

    @rule(session=sessions, doomed=sessions)
    def revoke_from(self, session: Session, doomed: Session) -> None:
        answer = self.app.delete(f"/api/auth/sessions/{doomed.real.id}", headers=session.bearer)
        if not self.is_alive(session):
            assert outcome(answer) == GONE
        elif doomed.real.user_id != session.real.user_id or not self.is_alive(doomed):
            assert outcome(answer) == NOT_FOUND
        else:
            assert answer.status_code == 204
            doomed.is_revoked = True

    @rule(session=sessions, except_current=st.booleans())
    def log_out_all(self, session: Session, except_current: bool) -> None:
        answer = self.app.post("/api/auth/logout-all", {"except_current": except_current}, headers=session.bearer)
        if not self.is_alive(session):
            assert outcome(answer) == GONE
            return
        theirs = [one for one in self.known.values() if one.real.user_id == session.real.user_id]
        ended = [one for one in theirs if self.is_alive(one) and not (except_current and one is session)]
        assert answer.json() == {"revoked": len(ended)}
        for one in ended:
            one.is_revoked = True

    @rule(person=people, chance=st.integers(0, 3))
    def disable_or_enable(self, person: int, chance: int) -> None:
        """Seldom, for nothing happens to whoever is disabled; and not for long."""
        user_id = self.users[person]
        if user_id in self.disabled:
            self.sql.execute("UPDATE users SET disabled_at = NULL WHERE id = %s", [user_id])
            self.disabled.remove(user_id)
        elif chance == 0:
            disable(self.sql, user_id)
            self.disabled.add(user_id)

    # ---------------------------------------------------------------- what always holds

    @invariant()
    def each_row_is_as_the_model_has_it(self) -> None:
        rows = self.sql.execute(
            """
            SELECT id, generation, revoked_at IS NOT NULL, absolute_expires_at,
                   idle_expires_at = least(rotated_at + %s, absolute_expires_at)
            FROM sessions WHERE user_id = ANY(%s)
            """,
            [IDLE, self.users],
        ).fetchall()
        assert {row[0]: row[1:] for row in rows} == {
            session_id: (session.generation, session.is_revoked, session.absolute_expires_at, True)
            for session_id, session in self.known.items()
        }

    @invariant()
    def an_access_token_is_good_exactly_as_long_as_its_session_is_alive(self) -> None:
        for session in self.known.values():
            answer = self.app.get("/api/auth/status", headers=session.bearer)
            assert outcome(answer) == (OK if self.is_alive(session) else GONE)

    @invariant()
    def every_reuse_and_every_forgery_is_written_down_and_nothing_else(self) -> None:
        written: dict[UUID, list[str]] = {session_id: [] for session_id in self.known}
        for session_id, event in self.sql.execute(
            """
            SELECT session_id, event FROM audit_events
            WHERE user_id = ANY(%s) AND event LIKE 'refresh_token_%%' ORDER BY created_at, id
            """,
            [self.users],
        ):
            written[session_id].append(event)
        assert written == {session_id: session.alarms for session_id, session in self.known.items()}


def sealed(token: str) -> bytes:
    """The bytes that a refresh token spells."""
    return urlsafe_b64decode(token.removeprefix(PREFIX) + "=")


def outcome(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.usefixtures("environment")
def test_whatever_happens_to_sessions_the_invariants_hold(start_app: Callable[..., str], sql: Sql) -> None:
    Life.app, Life.sql = Client(start_app(**SETTINGS), checked=False), sql
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    Life.app.close()
