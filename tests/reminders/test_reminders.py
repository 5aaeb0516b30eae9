"""Reminders: each once, one message a person, and nothing asked of a database that sleeps."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from shared import due
from tests.conftest import Person
from tests.db.wire import Wire, wire_to

Sql = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def nobody_else(sql: Sql) -> None:
    """Whoever other tests left behind wants no reminders."""
    sql.execute("UPDATE users SET reminders = false")


@pytest.fixture
def somebody(new_person: Callable[..., Person], sql: Sql) -> Callable[[], Person]:
    """Makes people whose address is proved, and who have had their mail."""

    def make() -> Person:
        person = new_person()
        sql.execute("UPDATE users SET email_verified_at = now() WHERE id = %s", [person.id])
        sql.execute("DELETE FROM mail_outbox")
        return person

    return make


@pytest.fixture
def ada(somebody: Callable[[], Person]) -> Person:
    return somebody()


@pytest.fixture
def fire(app_url: str) -> Callable[[], None]:
    """Fires the timer, of a process that has forgotten when it looked."""

    def fire() -> None:
        due.begin_look()
        answer = httpx.post(f"{app_url}/_local/timers/send_reminders", timeout=60)
        assert (answer.status_code, answer.json()) == (200, None)

    return fire


def told(sql: Sql, person: Person) -> list[list[str]]:
    """The lines of each reminder, the oldest first."""
    return [
        lines
        for (lines,) in sql.execute(
            """SELECT facts -> 'things' FROM mail_outbox WHERE template = 'reminders' AND user_id = %s
               ORDER BY created_at, id""",
            [person.id],
        )
    ]


def ago(**much: float) -> str:
    return (datetime.now(UTC) - timedelta(**much)).isoformat()


def task(person: Person, title: str, due_at: str, **fields: Any) -> dict[str, Any]:
    answer = person.post("/api/tasks", {"title": title, "due_at": due_at, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def interview(person: Person, starts_at: str, **fields: Any) -> str:
    place = f"/api/applications/{person.create_application()['id']}/interviews"
    answer = person.post(place, {"kind": "video", "starts_at": starts_at, **fields})
    assert answer.status_code == 201, answer.text
    return f"{place}/{answer.json()['id']}"


# ---------------------------------------------------------------- what, when, how often


def test_a_task_is_told_of_once_when_it_is_due(ada: Person, sql: Sql, fire: Callable[[], None]) -> None:
    ada.patch("/api/profile", {"time_zone": "Asia/Tokyo"})
    task(ada, "Call them", "2030-01-07T09:00:00Z")
    sql.execute("UPDATE tasks SET due_at = now() - interval '1 minute' WHERE user_id = %s", [ada.id])
    fire()
    fire()
    ((line,),) = told(sql, ada)
    when = sql.execute(
        "SELECT to_char(due_at AT TIME ZONE 'Asia/Tokyo', 'FMDD FMMonth YYYY, HH24:MI') FROM tasks WHERE user_id = %s",
        [ada.id],
    ).fetchone()
    assert when
    assert line == f"{when[0]}: Call them"


def test_what_is_due_together_is_one_message_of_ten_lines_and_a_count(
    ada: Person, sql: Sql, fire: Callable[[], None]
) -> None:
    for number in range(13):
        task(ada, f"task {number:02}", ago(minutes=60 - number))
    fire()
    (lines,) = told(sql, ada)
    assert [line.rpartition(": ")[2] for line in lines[:10]] == [f"task {number:02}" for number in range(10)]
    assert lines[10:] == ["And 3 more."]


def test_a_changed_day_is_told_of_again_and_a_changed_title_is_not(
    ada: Person, sql: Sql, fire: Callable[[], None]
) -> None:
    made = task(ada, "Call them", ago(hours=2))
    fire()
    ada.patch(f"/api/tasks/{made['id']}", {"title": "Call them now"})
    fire()
    assert len(told(sql, ada)) == 1
    ada.patch(f"/api/tasks/{made['id']}", {"due_at": ago(hours=1)})
    fire()
    assert len(told(sql, ada)) == 2


def test_what_is_done_or_long_past_or_to_come_is_not_told_of(ada: Person, sql: Sql, fire: Callable[[], None]) -> None:
    task(ada, "done", ago(hours=1), done=True)
    task(ada, "old", ago(hours=48.1))
    task(ada, "to come", ago(hours=-1))
    ada.create_application(status="applied", applied_on="2020-01-07")
    fire()
    assert told(sql, ada) == []
    task(ada, "not so old", ago(hours=47.9))
    fire()
    assert [line.rpartition(": ")[2] for (line,) in told(sql, ada)] == ["not so old"]


def test_an_interview_is_told_of_a_day_and_an_hour_before(ada: Person, sql: Sql) -> None:
    interview(ada, ago(hours=-72), title="With the team")
    due_then = sql.execute(
        """SELECT happens_at - remind_at, what FROM reminders_between(now(), now() + interval '4 days')
           WHERE user_id = %s ORDER BY remind_at""",
        [ada.id],
    ).fetchall()
    what = "With the team (Engineer, Contoso)"
    assert due_then == [(timedelta(hours=24), what), (timedelta(hours=1), what)]


def test_an_interview_an_hour_ahead_is_one_line_and_a_cancelled_one_none(
    ada: Person, sql: Sql, fire: Callable[[], None]
) -> None:
    interview(ada, ago(hours=-0.5))
    interview(ada, ago(hours=-0.5), outcome="cancelled")
    fire()
    ((line,),) = told(sql, ada)
    assert line.endswith(": Interview (Engineer, Contoso)")
    fire()
    assert len(told(sql, ada)) == 1


def test_a_follow_up_is_told_of_when_it_comes(ada: Person, sql: Sql, fire: Callable[[], None]) -> None:
    place = f"/api/applications/{ada.create_application(status='applied')['id']}"
    fire()
    assert told(sql, ada) == []
    ada.patch(place, {"follow_up_at": ago(minutes=1)})
    fire()
    ((line,),) = told(sql, ada)
    assert line.endswith(": Follow up: Engineer, Contoso")


# ---------------------------------------------------------------- to whom


@pytest.mark.parametrize(
    "state",
    [
        "reminders = false",
        "email_verified_at = NULL",
        "disabled_at = now()",
        "deletion_due_at = now() + interval '7 d'",
    ],
)
def test_who_does_not_want_it_or_cannot_be_meant_gets_none(
    ada: Person, sql: Sql, fire: Callable[[], None], state: str
) -> None:
    task(ada, "Call them", ago(hours=1))
    sql.execute(f"UPDATE users SET {state} WHERE id = %s", [ada.id])
    fire()
    assert told(sql, ada) == []


def test_reminders_are_turned_off_and_on_in_the_profile(ada: Person, sql: Sql, fire: Callable[[], None]) -> None:
    assert ada.patch("/api/profile", {"reminders": False}).json()["reminders"] is False
    task(ada, "Call them", ago(hours=1))
    fire()
    assert told(sql, ada) == []
    ada.patch("/api/profile", {"reminders": True})
    fire()
    assert len(told(sql, ada)) == 1


def test_everybody_gets_their_own_and_a_zone_that_postgresql_does_not_know_is_utc(
    somebody: Callable[[], Person], sql: Sql, fire: Callable[[], None]
) -> None:
    people = [somebody() for _ in range(3)]
    for number, person in enumerate(people):
        task(person, str(number), ago(hours=1))
    sql.execute("UPDATE users SET time_zone = 'Mars/Olympus' WHERE id = %s", [people[0].id])
    fire()
    assert [[line.rpartition(": ")[2] for (line,) in told(sql, person)] for person in people] == [["0"], ["1"], ["2"]]
    assert " UTC: 0" in told(sql, people[0])[0][0]


def test_the_message_says_what_is_due(ada: Person, mail_to: Callable[[str], list[Any]], fire: Any) -> None:
    task(ada, "Call <b>them</b>", ago(hours=1))
    fire()
    message = mail_to(ada.email)[0]
    assert message.subject == "What is due"
    assert ": Call <b>them</b>" in message.text
    assert ": Call &lt;b&gt;them&lt;/b&gt;</p>" in message.html


# ---------------------------------------------------------------- once, however many ask


def test_many_at_once_send_each_reminder_once(
    somebody: Callable[[], Person], sql: Sql, database_url: str, environment: dict[str, str]
) -> None:
    people = [somebody() for _ in range(12)]
    for person in people:
        task(person, "Call them", ago(hours=1))

    def run(_: int) -> int:
        with psycopg.connect(database_url, autocommit=True) as connection:
            reminded = 0
            for _ in range(8):
                row = connection.execute("SELECT reminded FROM send_reminders(3)").fetchone()
                assert row
                reminded += row[0]
            return reminded

    with ThreadPoolExecutor(6) as pool:
        counts = list(pool.map(run, range(6)))
    assert sum(counts) == len(people)
    assert [len(told(sql, person)) for person in people] == [1] * len(people)


def test_a_message_that_cannot_be_posted_leaves_nothing_sent(ada: Person, sql: Sql) -> None:
    task(ada, "Call them", ago(hours=1))
    with sql.transaction(force_rollback=True):
        sql.execute("ALTER TABLE mail_outbox ADD CONSTRAINT broken CHECK (template <> 'reminders')")
        with pytest.raises(psycopg.errors.CheckViolation), sql.transaction():
            sql.execute("SELECT send_reminders(10)")
        assert sql.execute("SELECT FROM reminders_sent WHERE user_id = %s", [ada.id]).fetchall() == []
    assert told(sql, ada) == []
    sql.execute("SELECT send_reminders(10)")
    assert len(told(sql, ada)) == 1


# ---------------------------------------------------------------- while the database sleeps


@pytest.fixture
def wire(database_url: str) -> Iterator[Wire]:
    with wire_to(database_url) as wire:
        yield wire


def test_a_timer_asks_nothing_when_nothing_is_due_that_day(
    ada: Person, sql: Sql, wire: Wire, start_app: Callable[..., str]
) -> None:
    url = start_app(DATABASE_URL=wire.url)

    def cost() -> int:
        before = wire.round_trips
        assert httpx.post(f"{url}/_local/timers/send_reminders", timeout=30).status_code == 200
        return wire.round_trips - before

    assert [cost() for _ in range(4)] == [1, 0, 0, 0]
    here = Person(url, dict(ada.headers))
    task(here, "far away", (datetime.now(UTC) + timedelta(days=3)).isoformat())
    assert cost() == 0, "what is due another day is no reason"
    task(here, "now", ago(seconds=1))
    assert [cost(), cost()] == [1, 0], "what was written by way of this process is known to it"
    assert [len(lines) for lines in told(sql, ada)] == [1]
    here.close()


def test_a_process_looks_when_something_is_due_that_day_and_else_hourly() -> None:
    noon = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    quarters = [noon + timedelta(minutes=15 * n) for n in range(1, 9)]

    def looks(*, next_at: datetime | None) -> list[bool]:
        due.begin_look()
        assert due.is_time_to_look(noon), "one that has never looked"
        due.end_look(noon, next_at)
        return [due.is_time_to_look(quarter) for quarter in quarters]

    hourly = [False, False, False, True, True, True, True, True]
    assert looks(next_at=None) == hourly
    assert looks(next_at=noon + timedelta(days=1)) == hourly
    assert looks(next_at=noon + timedelta(hours=11)) == [True] * 8
    due.begin_look()
    due.note(noon + timedelta(hours=5))  # while the look was under way
    due.end_look(noon, None)
    assert due.is_time_to_look(quarters[0])
    due.begin_look()


def test_a_look_that_failed_is_made_again(ada: Person, sql: Sql, wire: Wire, start_app: Callable[..., str]) -> None:
    url = start_app(DATABASE_URL=wire.url)
    timer = f"{url}/_local/timers/send_reminders"
    task(ada, "Call them", ago(hours=1))
    assert httpx.get(f"{url}/health/ready").status_code == 200  # there is a connection now
    wire.break_at_the_next_answer()
    assert httpx.post(timer, timeout=30).status_code == 500
    assert httpx.post(timer, timeout=30).status_code == 200
    assert len(told(sql, ada)) == 1, "posted by the look whose answer was lost, or by the one after it, and not by both"
