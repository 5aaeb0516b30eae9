"""The life of sessions as a machine: whatever is done to them, and in whatever order, the invariants hold.

Beside the app runs a model of it in a few lines of Python. After every step each session's row, the fate of its access
tokens and its alarms must be what the model says. Time passes by moving every time in the rows back by as much.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from shared.security.refresh_tokens import PREFIX, TAG_BYTES
from tests.conftest import Client
from tests.sessions.conftest import LONG_GRACE
from tests.sessions.rows import ABSOLUTE, IDLE, OpenSession, Sql, add_user, disable, open_session

GRACE = timedelta(seconds=60)
MOMENTS = st.sampled_from([GRACE, timedelta(minutes=5), timedelta(days=1), timedelta(days=12), IDLE])
STEPS = st.sampled_from([0, 0, 0, 0, -1, -1, -1, -2, -3, +1, +(2**40)])
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
        self.known: list[Session] = []

    def teardown(self) -> None:
        self.sql.execute("DELETE FROM users WHERE id = ANY(%s)", [self.users])

    def is_alive(self, session: Session) -> bool:
        return not (session.is_revoked or session.has_expired or session.real.user_id in self.disabled)

    def of(self, user_id: UUID) -> list[Session]:
        return [session for session in self.known if session.real.user_id == user_id]

    # ---------------------------------------------------------------- what can happen

    @rule(target=sessions, person=people)
    def sign_in(self, person: int) -> Any:
        if len(self.known) == 5:
            return multiple()
        real = open_session(self.sql, self.users[person])
        session = Session(real, real.bearer, real.row(self.sql).absolute_expires_at)
        self.known.append(session)
        return session

    @rule(session=sessions, step=STEPS)
    def refresh(self, session: Session, step: int) -> None:
        """With the current token, one before it, or a newer one that only the key's holder could have made."""
        presented = max(1, session.generation + step)
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

    @rule(session=sessions, is_by_bearer=st.booleans(), step=st.sampled_from([0, -1, -2]))
    def log_out(self, session: Session, is_by_bearer: bool, step: int) -> None:
        token = session.real.refresh_token(max(1, session.generation + step))
        if is_by_bearer:
            answer = self.app.post("/api/auth/logout", {}, headers=session.bearer)
        else:
            answer = self.app.post("/api/auth/logout", {"refresh_token": token})
        assert answer.status_code == 204
        session.is_revoked = True

    @rule(session=sessions, doomed=sessions)
    def revoke(self, session: Session, doomed: Session) -> Any:
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
        ended = [
            one
            for one in self.of(session.real.user_id)
            if self.is_alive(one) and not (except_current and one is session)
        ]
        assert answer.json() == {"revoked": len(ended)}
        for one in ended:
            one.is_revoked = True

    @rule(person=people)
    def disable_or_enable(self, person: int) -> None:
        user_id = self.users[person]
        if user_id in self.disabled:
            self.sql.execute("UPDATE users SET disabled_at = NULL WHERE id = %s", [user_id])
        else:
            disable(self.sql, user_id)
        self.disabled ^= {user_id}

    @rule(by=MOMENTS)
    def pass_time(self, by: timedelta) -> None:
        for session in self.known:
            session.real.age(self.sql, by)
            session.age += by
            session.since_rotation += by
            session.absolute_expires_at -= by

    # ---------------------------------------------------------------- what always holds

    @invariant()
    def each_row_is_as_the_model_has_it(self) -> None:
        for session in self.known:
            row = session.real.row(self.sql)
            assert row.generation == session.generation
            assert (row.revoked_reason is not None) == session.is_revoked
            assert row.absolute_expires_at == session.absolute_expires_at, "the absolute expiry moved"
            assert row.idle_expires_at == min(row.rotated_at + IDLE, row.absolute_expires_at)

    @invariant()
    def an_access_token_is_good_exactly_as_long_as_its_session_is_alive(self) -> None:
        for session in self.known:
            answer = self.app.get("/api/auth/status", headers=session.bearer)
            assert outcome(answer) == (OK if self.is_alive(session) else GONE)

    @invariant()
    def every_reuse_and_every_forgery_is_written_down_and_nothing_else(self) -> None:
        for session in self.known:
            assert [event for event, _, _ in session.real.alarms(self.sql)] == session.alarms


def sealed(token: str) -> bytes:
    """The bytes that a refresh token spells."""
    return urlsafe_b64decode(token.removeprefix(PREFIX) + "=")


def outcome(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.usefixtures("environment")
def test_whatever_happens_to_sessions_the_invariants_hold(start_app: Callable[..., str], sql: Sql) -> None:
    Life.app, Life.sql = Client(start_app(**LONG_GRACE), checked=False), sql
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    Life.app.close()
