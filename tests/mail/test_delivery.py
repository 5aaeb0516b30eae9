"""Delivery: at least once, by one process at a time, with patience, and not for ever."""

import asyncio
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared import db, mail, settings
from shared.mail import Delivery, Message, service
from shared.mail.service import LAST_DELAY, MAX_ATTEMPTS
from tests.conftest import Mail
from tests.mail.conftest import ADA, NOTICE, TOKEN, VERIFY, Row, Server, Sql, due_now
from tests.processes import eventually

Post = Callable[..., None]
Deliver = Callable[[], Delivery]
Outbox = Callable[[], list[Row]]


def delay(sql: Sql) -> float:
    """Seconds until the one message is due."""
    (row,) = sql.execute("SELECT extract(epoch FROM due_at - now())::float FROM mail_outbox").fetchall()
    return float(row[0])


def test_what_is_sent_is_wiped_and_sent_no_more(
    new_server: Callable[..., Server], post: Post, deliver: Deliver, outbox: Outbox
) -> None:
    server = new_server()
    post(VERIFY)
    assert deliver() == Delivery(sent=1, postponed=0, dead=0, retry_in=None)
    (row,) = outbox()
    assert (row["state"], row["sealed"], row["facts"], row["last_error"], row["attempts"]) == (
        "sent",
        None,
        {},
        None,
        1,
    )
    assert row["settled_at"]
    assert deliver().sent == 0
    (message,) = server.taken
    assert message["To"] == ADA
    assert message["Message-ID"] == f"<{row['id']}@jobtrail.example>"
    assert f"#token={TOKEN}" in message.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_mail_goes_into_a_directory_unless_it_is_set_to_go_further(
    post: Post, mail_to: Callable[[str], list[Mail]], outbox: Outbox
) -> None:
    post(Message("reset_password", "grace@example.com", {"token": TOKEN}))
    (found,) = mail_to("grace@example.com")
    assert (found.subject, found.token) == ("Reset your password", TOKEN)
    directory = Path(settings.current().mail_directory)
    assert (directory / f"{outbox()[0]['id']}.eml").stat().st_mode & 0o777 == 0o600
    assert [file for file in directory.iterdir() if file.suffix != ".eml"] == []


def test_links_do_not_follow_the_host_header(post: Post, app_url: str, mail_to: Callable[[str], list[Mail]]) -> None:
    post(Message("reset_password", "lovelace@example.com", {"token": TOKEN}))
    fired = httpx.post(
        f"{app_url}/_local/timers/deliver_mail",
        headers={"Host": "localhost", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"},
    )
    assert fired.status_code == 200
    (found,) = mail_to("lovelace@example.com")
    assert found.links == [f"https://app.example.com/reset-password#token={TOKEN}"]


def test_more_than_one_batch_is_sent_in_one_run(
    new_server: Callable[..., Server], post: Post, deliver: Deliver
) -> None:
    server = new_server()
    post(*[Message("password_changed", f"ada{n}@example.com") for n in range(20)])
    assert deliver().sent == 20
    assert len(server.taken) == 20


# ---------------------------------------------------------------- patience


def test_each_wait_is_longer_until_the_message_is_given_up(
    new_server: Callable[..., Server], post: Post, deliver: Deliver, sql: Sql, outbox: Outbox
) -> None:
    server = new_server(answers=["451 4.7.1 Greylisted; ada@example.com try later"] * MAX_ATTEMPTS)
    post(NOTICE)
    waits = []
    for _ in range(MAX_ATTEMPTS - 1):
        assert deliver().postponed == 1
        waits.append(delay(sql))
        assert deliver() == Delivery(0, 0, 0, None), "it is not due"
        due_now(sql)
    assert 59 < waits[0] < 76
    assert all(earlier < later for earlier, later in pairwise(waits[:-1]))
    assert waits[-1] <= LAST_DELAY
    assert sum(waits) > 8 * 3600, "a server may be away for a night"
    assert deliver() == Delivery(sent=0, postponed=0, dead=1, retry_in=None)
    (row,) = outbox()
    assert (row["state"], row["sealed"], row["last_error"]) == ("dead", None, "smtp 451")
    assert server.taken == []


def test_a_greylisted_message_arrives_at_the_second_attempt(
    new_server: Callable[..., Server], post: Post, deliver: Deliver, sql: Sql
) -> None:
    server = new_server(answers=["451 4.7.1 Greylisted"])
    post(NOTICE)
    delivery = deliver()
    assert (delivery.postponed, server.taken) == (1, [])
    assert delivery.retry_in is not None
    assert 60 <= delivery.retry_in <= 75
    due_now(sql)
    assert deliver().sent == 1
    assert len(server.taken) == 1


@pytest.mark.parametrize(("age", "state"), [("59 minutes", "sent"), ("60 minutes", "dead")])
def test_a_message_whose_link_has_expired_is_not_sent(
    new_server: Callable[..., Server], post: Post, deliver: Deliver, sql: Sql, outbox: Outbox, age: str, state: str
) -> None:
    server = new_server()
    post(VERIFY)
    sql.execute("UPDATE mail_outbox SET created_at = now() - %s::interval", [age])
    deliver()
    assert outbox()[0]["state"] == state
    assert len(server.taken) == (state == "sent")


def test_one_refused_message_does_not_hold_up_the_others(
    new_server: Callable[..., Server], post: Post, deliver: Deliver
) -> None:
    server = new_server(refused={ADA: "550 5.1.1 no such user"})
    post(*[Message("password_changed", address) for address in ("a@example.com", ADA, "b@example.com")])
    assert deliver() == Delivery(sent=2, postponed=0, dead=1, retry_in=None)
    assert sorted(message["To"] for message in server.taken) == ["a@example.com", "b@example.com"]


def test_a_message_that_cannot_be_opened_is_given_up(
    new_server: Callable[..., Server], post: Post, deliver: Deliver, sql: Sql, outbox: Outbox
) -> None:
    server = new_server()
    post(VERIFY)
    sql.execute("UPDATE mail_outbox SET recipient = 'eve@example.com'")  # by somebody who can write into the table
    assert deliver().dead == 1
    assert outbox()[0]["last_error"] == "the seal does not open"
    assert server.taken == []


def test_a_message_of_a_newer_version_is_left_for_it(post: Post, deliver: Deliver, sql: Sql, outbox: Outbox) -> None:
    post(NOTICE)
    sql.execute("UPDATE mail_outbox SET template = 'happy_birthday'")
    assert deliver().postponed == 1
    assert outbox()[0]["last_error"] == "unknown template"


def test_a_message_with_facts_that_are_none_is_given_up(post: Post, deliver: Deliver, sql: Sql) -> None:
    post(NOTICE)
    sql.execute("UPDATE mail_outbox SET template = 'recovery_code_used', facts = '{\"left\": \"many\"}'")
    assert deliver().dead == 1


# ---------------------------------------------------------------- crashes and crowds


def test_a_crash_between_sending_and_recording_sends_again_once_the_lease_is_over(
    new_server: Callable[..., Server],
    post: Post,
    deliver: Deliver,
    sql: Sql,
    outbox: Outbox,
    begin_delivery: Callable[[], subprocess.Popen[str]],
) -> None:
    crashing: list[subprocess.Popen[str]] = []
    server = new_server(on_message=lambda: crashing[0].send_signal(signal.SIGKILL), pause=0.2)
    post(VERIFY)
    crashing.append(begin_delivery())
    assert crashing[0].wait(20) == -signal.SIGKILL
    assert [(row["state"], row["attempts"]) for row in outbox()] == [("queued", 1)]
    assert deliver().sent == 0, "the lease stands: whoever holds it may only be slow"
    due_now(sql)
    server.on_message = lambda: None
    assert deliver().sent == 1
    first, second = server.taken
    assert first["Message-ID"] == second["Message-ID"], "a mailbox can tell that it is the same"


def test_a_message_that_ends_whoever_sends_it_is_given_up_at_last(
    new_server: Callable[..., Server], post: Post, deliver: Deliver, sql: Sql, outbox: Outbox
) -> None:
    server = new_server()
    post(NOTICE)
    sql.execute("UPDATE mail_outbox SET attempts = %s", [MAX_ATTEMPTS])  # each of which ended without a word
    assert deliver().dead == 1
    assert (outbox()[0]["last_error"], server.taken) == ("too many attempts", [])


def test_whoever_lost_its_lease_has_no_say_any_more(
    new_server: Callable[..., Server], post: Post, deliver: Deliver, sql: Sql, outbox: Outbox, database_url: str
) -> None:
    def another_takes_over() -> None:
        sql.execute("UPDATE mail_outbox SET attempts = attempts + 1")

    new_server(on_message=another_takes_over)
    post(NOTICE)
    deliver()
    (row,) = outbox()
    assert (row["state"], row["attempts"]) == ("queued", 2)


def test_deliverers_at_once_send_each_message_once(
    new_server: Callable[..., Server], post: Post, outbox: Outbox, begin_delivery: Callable[[], subprocess.Popen[str]]
) -> None:
    server = new_server(pause=0.01)
    post(*[Message("password_changed", f"ada{n}@example.com") for n in range(60)])
    deliverers = [begin_delivery() for _ in range(3)]
    assert [deliverer.wait(30) for deliverer in deliverers] == [0, 0, 0]
    assert Counter(str(message["To"]) for message in server.taken) == Counter(f"ada{n}@example.com" for n in range(60))
    assert {(row["state"], row["attempts"]) for row in outbox()} == {("sent", 1)}


# ---------------------------------------------------------------- at once


def test_what_was_posted_goes_out_at_once_and_the_calls_are_one_task(
    new_server: Callable[..., Server], run: Callable[..., Any], configured: Callable[..., None], post: Post
) -> None:

    server = new_server()
    configured(MAIL_AT_ONCE="true")
    post(NOTICE)

    async def request() -> int:
        for _ in range(10):
            mail.soon()
        tasks = [task for task in asyncio.all_tasks() if task.get_name() == "mail.soon"]
        await asyncio.gather(*tasks)
        return len(tasks)

    assert run(request()) == 1
    assert len(server.taken) == 1


def test_what_is_posted_while_a_delivery_runs_goes_out_too(
    new_server: Callable[..., Server], run: Callable[..., Any], configured: Callable[..., None], post: Post
) -> None:

    server = new_server(pause=0.1)
    configured(MAIL_AT_ONCE="true")
    post(NOTICE)

    async def requests() -> None:
        mail.soon()
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "mail.soon"]
        await asyncio.sleep(0.1)
        await db.as_service(mail.guard(Message("password_changed", "b@example.com"), user_id=None)).write(db.NOTHING)
        mail.soon()
        await task

    run(requests())
    assert sorted(message["To"] for message in server.taken) == [ADA, "b@example.com"]


def test_what_fails_for_now_is_tried_again_by_the_same_process_and_holds_nobody_up(
    new_server: Callable[..., Server],
    run: Callable[..., Any],
    configured: Callable[..., None],
    post: Post,
    outbox: Outbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    monkeypatch.setattr(service, "FIRST_DELAY", 1.0)
    server = new_server(answers=["451 4.7.1 Greylisted"])
    configured(MAIL_AT_ONCE="true")
    post(NOTICE)

    async def requests() -> list[str]:
        mail.soon()
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "mail.soon"]
        await asyncio.to_thread(eventually, lambda: outbox()[0]["last_error"] is not None)
        await db.as_service(mail.guard(Message("password_changed", "b@example.com"), user_id=None)).write(db.NOTHING)
        mail.soon()
        await task
        return [str(message["To"]) for message in server.taken]

    assert run(requests()) == ["b@example.com", ADA]


def test_what_fails_for_long_is_left_to_the_timer(
    new_server: Callable[..., Server],
    run: Callable[..., Any],
    configured: Callable[..., None],
    post: Post,
    outbox: Outbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    monkeypatch.setattr(service, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(service, "FACTOR", 1.0)
    new_server(answers=["451 4.7.1 Greylisted"] * 99)
    configured(MAIL_AT_ONCE="true")
    post(NOTICE)

    async def request() -> None:
        mail.soon()
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "mail.soon"))

    run(request())
    assert (outbox()[0]["state"], outbox()[0]["attempts"]) == ("queued", 1 + service.RETRIES)


def test_with_nothing_sent_at_once_soon_does_nothing(run: Callable[..., Any], post: Post, outbox: Outbox) -> None:

    post(NOTICE)

    async def request() -> int:
        mail.soon()
        return len(asyncio.all_tasks())

    assert run(request()) == 1
    assert outbox()[0]["attempts"] == 0


def test_a_delivery_that_fails_at_once_is_logged_and_troubles_nobody(
    run: Callable[..., Any], configured: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:

    configured(MAIL_AT_ONCE="true", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")

    async def request() -> None:
        mail.soon()
        tasks = [task for task in asyncio.all_tasks() if task.get_name() == "mail.soon"]
        await asyncio.wait(tasks)

    run(request())
    assert "mail was not delivered at once; the timer goes on: DatabaseUnavailable" in caplog.text


def test_the_timer_of_a_process_of_its_own_sends_what_is_due(
    start_app: Callable[..., str], post: Post, new_server: Callable[..., Server], outbox: Outbox
) -> None:
    server = new_server()
    post(NOTICE)
    url = start_app(**{name: os.environ[name] for name in ("MAIL_SENDER", "MAIL_FROM", "SMTP_URL")})
    fired = httpx.post(f"{url}/_local/timers/deliver_mail")
    assert (fired.status_code, fired.json()) == (200, None)
    assert len(server.taken) == 1
    assert outbox()[0]["state"] == "sent"
