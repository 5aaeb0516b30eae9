"""Races: what many at once make of one session, over two processes. Each row is decided in a line, by its lock."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from itertools import cycle, islice

import httpx
import pytest

from tests.conftest import Client
from tests.sessions.rows import OpenSession, Sql, add_user, open_session
from tests.sessions.together import at_once

CROWD = 32
ROUNDS = 5
GRACE = timedelta(seconds=60)  # as two_processes has it


@pytest.fixture
def clients(two_processes: tuple[str, str]) -> Iterator[list[Client]]:
    """One at each process."""
    both = [Client(url) for url in two_processes]
    yield both
    for client in both:
        client.close()


def refresh(client: Client, session: OpenSession, generation: int) -> httpx.Response:
    return client.post("/api/auth/refresh", {"refresh_token": session.refresh_token(generation)})


def log_out(client: Client, session: OpenSession) -> httpx.Response:
    return client.post("/api/auth/logout", {"refresh_token": session.refresh_token()})


def log_out_all(client: Client, session: OpenSession) -> httpx.Response:
    return client.post("/api/auth/logout-all", {}, headers=session.bearer)


def everywhere(
    clients: list[Client], work: Callable[..., httpx.Response], *args: object, times: int = CROWD
) -> list[Callable[[], httpx.Response]]:
    """The same request so many times, by turns at each process."""
    return [partial(work, client, *args) for client in islice(cycle(clients), times)]


def codes(answers: list[httpx.Response]) -> set[str]:
    return {"ok" if answer.is_success else answer.json()["code"] for answer in answers}


def assert_is_over(clients: list[Client], sql: Sql, session: OpenSession, bearer: dict[str, str]) -> None:
    """Nothing that was ever issued for the session, or could be, is good for anything."""
    row = session.row(sql)
    assert row.revoked_reason
    for client in clients:
        assert client.get("/api/auth/status", headers=bearer).json()["code"] == "session_ended"
        for generation in range(1, row.generation + 2):
            assert refresh(client, session, generation).json()["code"] == "refresh_token_invalid"
    assert session.row(sql) == row


@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_one_token_presented_by_32_at_once_rotates_once_and_signs_nobody_out(
    clients: list[Client], sql: Sql, attempt: int
) -> None:
    session = open_session(sql)
    answers = at_once(*everywhere(clients, refresh, session, 1))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["refresh_token"] for answer in answers} == {session.refresh_token(2)}
    assert (session.row(sql).generation, session.row(sql).revoked_reason) == (2, None)
    assert session.alarms(sql) == []
    for answer in answers[:4]:
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert clients[0].get("/api/auth/status", headers=bearer).status_code == 200
    assert refresh(clients[1], session, 2).status_code == 200


def test_tabs_that_go_on_refreshing_together_stay_signed_in(clients: list[Client], sql: Sql) -> None:
    session = open_session(sql)
    for generation in range(1, 6):
        answers = at_once(*everywhere(clients, refresh, session, generation, times=8))
        assert {answer.json().get("refresh_token") for answer in answers} == {session.refresh_token(generation + 1)}
    assert session.row(sql).generation == 6


@pytest.mark.parametrize("end", [log_out, log_out_all])
@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_a_session_refreshed_and_ended_at_once_is_ended(
    clients: list[Client], sql: Sql, end: Callable[[Client, OpenSession], httpx.Response], attempt: int
) -> None:
    session = open_session(sql)
    bearer = session.bearer
    refreshes = everywhere(clients, refresh, session, 1, times=6)
    *answers, ended = at_once(*refreshes, partial(end, clients[attempt % 2], session))
    assert ended.is_success
    assert codes(answers) <= {"ok", "refresh_token_invalid"}
    for answer in answers:  # who was faster than the end has nothing of it
        if answer.is_success:
            newest = {"Authorization": f"Bearer {answer.json()['access_token']}"}
            assert clients[0].get("/api/auth/status", headers=newest).json()["code"] == "session_ended"
    assert_is_over(clients, sql, session, bearer)
    assert session.alarms(sql) == []


def test_everybody_ending_everything_at_once_ends_each_session_once(clients: list[Client], sql: Sql) -> None:
    user_id = add_user(sql)
    sessions = [open_session(sql, user_id) for _ in range(6)]
    answers = at_once(*(partial(log_out_all, client, session) for session in sessions for client in clients))
    ended = sum(answer.json()["revoked"] for answer in answers if answer.is_success)
    assert ended == len(sessions)
    assert codes(answers) <= {"ok", "session_ended"}
    assert {session.row(sql).revoked_reason for session in sessions} == {"logout_all"}


@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_two_generations_at_once_rotate_once_at_most_and_reuse_is_for_ever(
    clients: list[Client], sql: Sql, attempt: int
) -> None:
    """The current token and the one before it, within the window: it depends on who is first, but on nothing else."""
    session = open_session(sql)
    bearer = session.bearer
    assert refresh(clients[0], session, 1).status_code == 200
    previous, current = (
        everywhere(clients, refresh, session, 1, times=6),
        everywhere(clients, refresh, session, 2, times=6),
    )
    answers = at_once(*previous, *current)
    row = session.row(sql)
    assert row.generation <= 3
    issued = {answer.json()["refresh_token"] for answer in answers if answer.is_success}
    assert issued <= {session.refresh_token(2), session.refresh_token(3)}
    reused = [answer for answer in answers if not answer.is_success and answer.json()["code"] == "refresh_token_reused"]
    assert len(reused) == len(session.alarms(sql)) <= 1
    if reused:
        assert_is_over(clients, sql, session, bearer)
    else:
        assert codes(answers) == {"ok"}


@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_a_spent_token_and_the_current_one_at_once_end_the_session(
    clients: list[Client], sql: Sql, attempt: int
) -> None:
    """After the window there is no order in which it survives."""
    session = open_session(sql)
    bearer = session.bearer
    assert refresh(clients[0], session, 1).status_code == 200
    session.age(sql, GRACE)
    spent, current = (
        everywhere(clients, refresh, session, 1, times=6),
        everywhere(clients, refresh, session, 2, times=6),
    )
    answers = at_once(*spent, *current)
    assert codes(answers[:6]) == {"refresh_token_reused", "refresh_token_invalid"}
    assert codes(answers[6:]) <= {"ok", "refresh_token_invalid"}
    assert [event for event, _, _ in session.alarms(sql)] == ["refresh_token_reused"]
    assert session.row(sql).revoked_reason == "refresh_token_reused"
    assert session.row(sql).generation <= 3
    assert_is_over(clients, sql, session, bearer)


def test_a_spent_token_presented_by_32_at_once_raises_one_alarm(clients: list[Client], sql: Sql) -> None:
    session = open_session(sql)
    refresh(clients[0], session, 1)
    session.age(sql, GRACE)
    answers = at_once(*everywhere(clients, refresh, session, 1))
    assert sorted(answer.json()["code"] for answer in answers) == sorted(
        ["refresh_token_reused"] + ["refresh_token_invalid"] * (CROWD - 1)
    )
    assert [event for event, _, _ in session.alarms(sql)] == ["refresh_token_reused"]


def test_many_sessions_at_once_do_not_get_in_each_others_way(clients: list[Client], sql: Sql) -> None:
    user_id = add_user(sql)
    sessions = [open_session(sql, user_id) for _ in range(CROWD)]
    work = [partial(refresh, client, session, 1) for client, session in zip(cycle(clients), sessions, strict=False)]
    answers = at_once(*work)
    assert [answer.json()["refresh_token"] for answer in answers] == [session.refresh_token(2) for session in sessions]
