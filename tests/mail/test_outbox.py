"""The outbox: a message is there if and only if the change it tells of is, and the table tells nobody its secrets."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors

from shared import db, mail
from shared.db import statement
from shared.mail import Message
from tests.conftest import Person
from tests.db.conftest import caller_of
from tests.db.wire import wire_to
from tests.mail.conftest import ADA, NOTICE, TOKEN, VERIFY, Row, Sql

Outbox = Callable[[], list[Row]]
Run = Callable[..., Any]

RENAME = statement("UPDATE users SET company = %(company)s, version = version + 1")
# As a registration would: the account and its message in one statement.
REGISTER = statement(
    """
    WITH registered AS (
        INSERT INTO users (email) VALUES (%(verify_recipient)s) ON CONFLICT DO NOTHING
        RETURNING id, {posted} AS message
    )
    SELECT message FROM registered
    """,
    posted=mail.posting("id", name="verify"),
)
SPEND_CODE = statement(
    "SELECT {posted}", posted=mail.posting("%(user)s", facts="jsonb_build_object('left', %(left)s::int)")
)


def test_a_guards_messages_are_posted_with_the_statement_they_guard(person: Person, outbox: Outbox, run: Run) -> None:
    caller = caller_of(person)
    messages = Message("email_change_requested"), Message("confirm_new_email", ADA, {"token": TOKEN})
    door = db.enter(caller).guarded_by(mail.guard(*messages, user_id=caller.user_id))
    run(door.write(RENAME, company="Initech"))
    assert person.get("/api/profile").json()["company"] == "Initech"
    assert {row["template"]: row["recipient"] for row in outbox()} == {
        "email_change_requested": person.email,  # which nobody had to know
        "confirm_new_email": ADA,
    }
    assert {(row["user_id"], row["state"], row["attempts"]) for row in outbox()} == {(person.id, "queued", 0)}


def test_a_change_that_fails_leaves_no_message(person: Person, outbox: Outbox, run: Run) -> None:
    caller = caller_of(person)
    door = db.enter(caller).guarded_by(mail.guard(NOTICE, user_id=caller.user_id))
    with pytest.raises(errors.DivisionByZero):
        run(door.write(b"SELECT 1 / 0"))
    assert outbox() == []


def test_posting_costs_no_round_trip(
    person: Person, run: Run, configured: Callable[..., None], database_url: str
) -> None:
    caller = caller_of(person)
    with wire_to(database_url) as wire:
        configured(DATABASE_URL=wire.url)

        async def rename() -> int:
            await db.admit(caller)  # connects
            before = wire.round_trips
            await (
                db.enter(caller).guarded_by(mail.guard(NOTICE, user_id=caller.user_id)).write(RENAME, company="Initech")
            )
            return wire.round_trips - before

        assert run(rename()) == 1


def test_a_statement_posts_what_it_decides_to_tell(sql: Sql, outbox: Outbox, run: Run) -> None:
    email = f"{uuid4().hex}@example.com"
    message = Message("verify_email", email, {"token": TOKEN})
    try:
        (made,) = run(db.as_service().write(REGISTER, **message.params("verify")))
        (row,) = outbox()
        assert (row["id"], row["recipient"]) == (str(made[0]), email)
        assert run(db.as_service().write(REGISTER, **message.params("verify"))) == []
        assert len(outbox()) == 1, "nothing was made the second time, so there is nothing to tell"
    finally:
        sql.execute("DELETE FROM users WHERE email = %s", [email])
    assert outbox() == [], "what belongs to an account goes with it"


def test_a_statement_adds_the_facts_that_only_it_knows(person: Person, outbox: Outbox, run: Run) -> None:
    message = Message("recovery_code_used", later=("left",))
    run(db.as_service().write(SPEND_CODE, user=person.id, left=9, **message.params()))
    (row,) = outbox()
    assert (row["recipient"], row["facts"]) == (person.email, {"left": 9})


def test_the_table_holds_no_token_that_could_be_read(sql: Sql, post: Callable[..., None]) -> None:
    post(VERIFY)
    everything = sql.execute("SELECT o::text, encode(sealed, 'escape') FROM mail_outbox o").fetchall()
    assert TOKEN not in str(everything)
    assert TOKEN.encode().hex() not in str(everything)


def test_a_message_to_nobody_is_refused_and_so_is_the_change(person: Person, outbox: Outbox, run: Run) -> None:
    with pytest.raises(errors.NotNullViolation):
        run(db.as_service(mail.guard(Message("password_changed"), user_id=uuid4())).write(db.NOTHING))
    assert outbox() == []


# ---------------------------------------------------------------- who may


def test_a_caller_can_post_for_nobody_else(
    person: Person, new_person: Callable[..., Person], outbox: Outbox, run: Run
) -> None:
    caller, other = caller_of(person), caller_of(new_person())
    for whose in (other.user_id, None):
        with pytest.raises(errors.InsufficientPrivilege):
            run(db.enter(caller).guarded_by(mail.guard(NOTICE, user_id=whose)).write(db.NOTHING))
    assert outbox() == []


@pytest.mark.parametrize(
    "statement",
    [
        b"SELECT sealed, facts FROM mail_outbox",
        b"UPDATE mail_outbox SET recipient = 'eve@example.com'",
        b"DELETE FROM mail_outbox",
        b"INSERT INTO mail_outbox (user_id, recipient, template, attempts) SELECT id, email, '', 0 FROM users",
    ],
)
def test_a_caller_cannot_look_into_the_outbox_or_meddle_with_it(person: Person, run: Run, statement: bytes) -> None:
    caller = caller_of(person)
    with pytest.raises(errors.InsufficientPrivilege):
        run(db.enter(caller).guarded_by(mail.guard(NOTICE, user_id=caller.user_id)).write(statement))


@pytest.mark.parametrize(
    "change",
    ["sealed = NULL", "state = 'sent'", "state = 'dead', settled_at = now()", "settled_at = now()", "recipient = ''"],
)
def test_facts_are_kept_while_a_message_waits_and_no_longer(sql: Sql, post: Callable[..., None], change: str) -> None:
    post(NOTICE)
    with pytest.raises(psycopg.errors.CheckViolation):
        sql.execute(f"UPDATE mail_outbox SET {change}".encode())
