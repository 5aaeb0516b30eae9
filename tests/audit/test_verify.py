"""Whoever touches the log cannot do so unnoticed; what is forgotten lawfully is no fault."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors

from tests.audit.conftest import Verifier

Sql = psycopg.Connection[Any]
Account = Callable[..., UUID]


def touch(log: Sql, *statements: str, **params: Any) -> None:
    """Change the log as its owner can who first takes the guards away."""
    for table in ("audit_events", "audit_chains"):
        log.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
    for statement in statements:
        log.execute(statement.encode(), params)
    for table in ("audit_events", "audit_chains"):
        log.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())


def faults(said: list[str], user_id: UUID) -> list[str]:
    return [line.partition(": ")[2] for line in said if line.startswith(str(user_id))]


def test_an_untouched_log_is_sound(log: Sql, account: Account, verify: Verifier) -> None:
    account(5)
    account(1)
    log.execute("SELECT audit('tested', NULL)")
    status, said = verify()
    assert status == 0
    assert said[0] == "7 events in 3 chains; faults: 0"


def test_an_empty_log_is_sound(verify: Verifier) -> None:
    assert verify()[0] == 0


DELETE = "DELETE FROM audit_events WHERE user_id = %(who)s AND place = "
TOUCHES: dict[str, tuple[tuple[str, ...], str]] = {
    "an edited fact": (
        ("UPDATE audit_events SET facts = '{\"number\": 9}' WHERE user_id = %(who)s AND place = 3",),
        "place 3 is not as it was written",
    ),
    "another address": (
        ("UPDATE audit_events SET ip = '192.0.2.1' WHERE user_id = %(who)s AND place = 2",),
        "place 2 is not as it was written",
    ),
    "a failure made a success": (
        ("UPDATE audit_events SET succeeded = NOT succeeded WHERE user_id = %(who)s AND place = 1",),
        "place 1 is not as it was written",
    ),
    "another time, by a microsecond": (
        ("UPDATE audit_events SET created_at = created_at + interval '1 us' WHERE user_id = %(who)s AND place = 5",),
        "place 5 is not as it was written",
    ),
    "an edited event with its digest made anew": (
        (
            "UPDATE audit_events SET event = 'edited' WHERE user_id = %(who)s AND place = 2",
            """UPDATE audit_events e SET digest = audit_digest((SELECT digest FROM audit_events p
               WHERE p.user_id = e.user_id AND p.place = 1), e) WHERE user_id = %(who)s AND place = 2""",
        ),
        "place 3 is not as it was written, or what came before it is not",
    ),
    "the first one removed": ((DELETE + "1",), "after place 0 comes place 2"),
    "one in the middle removed": ((DELETE + "3",), "after place 2 comes place 4"),
    "the last one removed": ((DELETE + "5",), "place 5 is missing"),
    "all removed": (("DELETE FROM audit_events WHERE user_id = %(who)s",), "place 1 is missing"),
    "one removed, and those after it moved up": (
        (
            DELETE + "3",
            "UPDATE audit_events SET place = place - 1 WHERE user_id = %(who)s AND place = 4",
            "UPDATE audit_events SET place = place - 1 WHERE user_id = %(who)s AND place = 5",
            "UPDATE audit_chains SET length = 4 WHERE user_id = %(who)s",
        ),
        "place 3 is not as it was written",
    ),
    "two in each other's place": (
        (
            "UPDATE audit_events SET place = 99 WHERE user_id = %(who)s AND place = 2",
            "UPDATE audit_events SET place = 2 WHERE user_id = %(who)s AND place = 3",
            "UPDATE audit_events SET place = 3 WHERE user_id = %(who)s AND place = 99",
        ),
        "place 2 is not as it was written",
    ),
    "one put in at the end": (
        (
            """INSERT INTO audit_events (user_id, place, event, succeeded, facts, created_at, digest)
               VALUES (%(who)s, 6, 'invented', true, '{}', now(), 'digest')""",
        ),
        "place 6 is not as it was written",
    ),
    "one put in at the end, with a good digest": (
        (
            """INSERT INTO audit_events (user_id, place, event, succeeded, facts, created_at, digest)
               VALUES (%(who)s, 6, 'invented', true, '{}', now(), 'digest')""",
            """UPDATE audit_events e SET digest = audit_digest((SELECT digest FROM audit_events p
               WHERE p.user_id = e.user_id AND p.place = 5), e) WHERE user_id = %(who)s AND place = 6""",
        ),
        "place 6 is not how the chain ends",
    ),
    "one put in before the first": (
        (
            """INSERT INTO audit_events (user_id, place, event, succeeded, facts, created_at, digest)
               VALUES (%(who)s, 0, 'invented', true, '{}', now(), 'digest')""",
        ),
        "after place 0 comes place 0",
    ),
    "another head": (("UPDATE audit_chains SET head = 'head' WHERE user_id = %(who)s",), "place 5 is not how"),
    "a chain said to be longer": (
        ("UPDATE audit_chains SET length = 7 WHERE user_id = %(who)s",),
        "place 6 is missing",
    ),
    "a chain said to be shorter": (
        ("UPDATE audit_chains SET length = 4 WHERE user_id = %(who)s",),
        "place 5 is not how the chain ends",
    ),
    "a chain said to have been forgotten in part": (
        (DELETE + "1", "UPDATE audit_chains SET forgotten = 1 WHERE user_id = %(who)s"),
        "place 2 is not as it was written, or what came before it is not",
    ),
    "a chain removed and its events kept": (
        ("DELETE FROM audit_chains WHERE user_id = %(who)s",),
        "there are events, and no chain",
    ),
    "an event given to somebody else": (
        ("UPDATE audit_events SET user_id = %(other)s WHERE user_id = %(who)s AND place = 5",),
        "place 5 is missing",
    ),
}


@pytest.mark.parametrize("what", TOUCHES)
def test_shows(what: str, log: Sql, account: Account, verify: Verifier) -> None:
    untouched, touched = account(), account()
    statements, fault = TOUCHES[what]
    touch(log, *statements, who=touched, other=uuid4())
    status, said = verify()
    assert status == 1
    (found,) = faults(said, touched)
    assert found.startswith(fault)
    assert faults(said, untouched) == []


def test_only_the_first_broken_place_of_each_chain_is_told(log: Sql, account: Account, verify: Verifier) -> None:
    first, second = account(), account()
    touch(log, "UPDATE audit_events SET facts = '{}' WHERE place IN (2, 4)")
    status, said = verify()
    assert status == 1
    assert len(said) == 4  # two faults, the sum and the anchor
    assert faults(said, first) == faults(said, second) != []


def test_a_function_that_lies_convinces_nobody(log: Sql, account: Account, verify: Verifier) -> None:
    who = account()
    touch(log, "UPDATE audit_events SET facts = '{}' WHERE user_id = %(who)s AND place = 3", who=who)
    log.execute(
        """
        CREATE OR REPLACE FUNCTION audit_digest(previous bytea, said audit_events) RETURNS bytea
        LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN said.digest; END $$
        """
    )
    assert verify()[0] == 1


# ---------------------------------------------------------------- what was written down elsewhere


REWRITE = """
DO $$
DECLARE e audit_events; previous bytea := '';
BEGIN
    FOR e IN SELECT * FROM audit_events WHERE user_id = current_setting('test.who')::uuid ORDER BY place LOOP
        previous := audit_digest(previous, e);
        UPDATE audit_events SET digest = previous WHERE id = e.id;
    END LOOP;
    UPDATE audit_chains SET head = previous WHERE user_id = current_setting('test.who')::uuid;
END $$
"""


def rewrite(log: Sql, who: UUID) -> None:
    """Change an event, and make all digests after it anew, as whoever has the whole database can."""
    touch(log, "UPDATE audit_events SET facts = '{}' WHERE user_id = %(who)s AND place = 2", who=who)
    log.execute("SELECT set_config('test.who', %s, false)", [str(who)])
    touch(log, REWRITE)


def test_a_chain_made_anew_shows_only_against_what_was_kept_elsewhere(
    log: Sql, account: Account, verify: Verifier, tmp_path: Path
) -> None:
    account()
    who = account()
    heads = tmp_path / "heads"
    status, said = verify("--heads", heads)
    anchor = said[-1].removeprefix("anchor ")
    assert (status, anchor) == (0, hashlib.sha256(heads.read_bytes()).hexdigest())
    assert verify("--anchor", anchor)[0] == 0
    rewrite(log, who)
    assert verify()[0] == 0, "by itself it looks sound: that is why there are anchors"
    assert verify("--anchor", anchor)[0] == 1
    status, said = verify("--against", heads)
    assert (status, faults(said, who)) == (1, ["place 5 was another when the heads were written down"])


def test_what_happens_later_does_not_contradict_what_was_kept(
    log: Sql, account: Account, verify: Verifier, tmp_path: Path
) -> None:
    who, heads = account(), tmp_path / "heads"
    anchor = verify("--heads", heads)[1][-1].removeprefix("anchor ")
    log.execute("SELECT audit('tested', %s), audit('tested', NULL)", [who])
    account()
    assert verify("--against", heads, "--anchor", anchor)[0] == 0
    assert verify("--anchor", anchor)[0] == 1, "an anchor by itself is of the log as it was"


def test_a_file_of_heads_that_was_changed_itself_shows(
    log: Sql, account: Account, verify: Verifier, tmp_path: Path
) -> None:
    who, heads = account(), tmp_path / "heads"
    anchor = verify("--heads", heads)[1][-1].removeprefix("anchor ")
    rewrite(log, who)
    verify("--heads", heads)
    assert verify("--against", heads)[0] == 0
    assert verify("--against", heads, "--anchor", anchor)[0] == 1


def test_a_chain_cut_short_shows(log: Sql, account: Account, verify: Verifier, tmp_path: Path) -> None:
    who, heads = account(), tmp_path / "heads"
    verify("--heads", heads)
    touch(
        log,
        DELETE + "5",
        """UPDATE audit_chains c SET length = 4, head = (SELECT digest FROM audit_events e
           WHERE e.user_id = c.user_id AND place = 4) WHERE user_id = %(who)s""",
        who=who,
    )
    assert verify()[0] == 0
    status, said = verify("--against", heads)
    assert (status, faults(said, who)) == (1, ["place 5 was there once, and the chain ends at 4"])


def test_a_chain_removed_without_a_trace_shows(log: Sql, account: Account, verify: Verifier, tmp_path: Path) -> None:
    gone, heads = [account(), account(), account()], tmp_path / "heads"
    verify("--heads", heads)
    for who in gone:
        touch(log, "DELETE FROM audit_events WHERE user_id = %(who)s", who=who)
        touch(log, "DELETE FROM audit_chains WHERE user_id = %(who)s", who=who)
    assert verify()[0] == 0
    status, said = verify("--against", heads)
    assert status == 1
    assert [len(faults(said, who)) for who in gone] == [1, 1, 1]


def test_what_is_no_file_of_heads_is_refused(verify: Verifier, tmp_path: Path) -> None:
    (tmp_path / "heads").write_text("something else\n")
    assert verify("--against", tmp_path / "heads") == (1, [])
    assert verify("--against", tmp_path / "nothing") == (1, [])


def test_a_database_without_a_log_is_refused(
    verify: Verifier, log: Sql, monkeypatch: pytest.MonkeyPatch, log_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", log_url.replace("/log_", "/nothing_"))
    assert verify() == (1, [])


# ---------------------------------------------------------------- forgetting


def age(log: Sql, who: UUID, *, places: int, days: int) -> None:
    """Let the first events of a chain be old. Their digests do not matter to what forgets them."""
    touch(
        log,
        """UPDATE audit_events SET created_at = created_at - make_interval(days => %(days)s)
           WHERE user_id = %(who)s AND place <= %(places)s""",
        who=who,
        places=places,
        days=days,
    )


def places(log: Sql, who: UUID) -> list[int]:
    rows = log.execute("SELECT place FROM audit_events WHERE user_id = %s ORDER BY place", [who])
    return [place for (place,) in rows]


def test_old_events_are_forgotten_from_the_front_and_the_rest_still_holds(
    log: Sql, account: Account, verify: Verifier, tmp_path: Path
) -> None:
    some, all_of_it, none = account(), account(), account()
    heads = tmp_path / "heads"
    verify("--heads", heads)
    age(log, some, places=3, days=731)
    age(log, all_of_it, places=5, days=731)
    age(log, none, places=5, days=729)
    touch(
        log, "UPDATE audit_events SET created_at = created_at + interval '729 days' WHERE user_id = %(who)s", who=none
    )
    assert log.execute("SELECT audit_forget_expired(730, 1000)").fetchone() == (8,)
    assert (places(log, some), places(log, all_of_it), places(log, none)) == ([4, 5], [], [1, 2, 3, 4, 5])
    assert verify("--against", heads)[0] == 0
    for who in (some, all_of_it):
        log.execute("SELECT audit('tested', %s)", [who])
    assert (places(log, some), places(log, all_of_it)) == ([4, 5, 6], [6])
    assert verify("--against", heads)[0] == 0
    told = log.execute("SELECT facts FROM audit_events WHERE event = 'events_forgotten'").fetchall()
    assert told == [({"events": 8, "days": 730},)]


def test_what_is_forgotten_comes_in_bites(log: Sql, account: Account, verify: Verifier) -> None:
    who = account(10)
    age(log, who, places=7, days=731)
    bites = [log.execute("SELECT audit_forget_expired(730, 3)").fetchone() for _ in range(4)]
    assert bites == [(3,), (3,), (1,), (0,)]
    assert places(log, who) == [8, 9, 10]
    assert verify()[0] == 0


def test_a_chain_being_written_is_left_for_the_next_time(log: Sql, log_url: str, account: Account) -> None:
    busy, idle = account(), account()
    age(log, busy, places=5, days=731)
    age(log, idle, places=5, days=731)
    with psycopg.connect(log_url) as writer:
        writer.execute("SELECT audit('tested', %s)", [busy])
        assert log.execute("SELECT audit_forget_expired(730, 1000)").fetchone() == (5,)
        writer.commit()
    assert log.execute("SELECT audit_forget_expired(730, 1000)").fetchone() == (5,)
    assert (places(log, busy), places(log, idle)) == ([6], [])


def test_an_account_is_forgotten_but_for_one_event_without_a_name(
    log: Sql, account: Account, verify: Verifier, tmp_path: Path
) -> None:
    who, other = account(), account()
    verify("--heads", tmp_path / "heads")
    for _ in range(2):
        log.execute("SELECT audit_forget(%s)", [who])
    assert (places(log, who), places(log, other)) == ([], [1, 2, 3, 4, 5])
    assert log.execute("SELECT FROM audit_chains WHERE user_id = %s", [who]).fetchall() == []
    tombstones = log.execute("SELECT user_id, facts - 'head' FROM audit_events WHERE event = 'account_forgotten'")
    assert tombstones.fetchall() == [(UUID(int=0), {"user_id": str(who), "events": 5})]
    assert verify("--against", tmp_path / "heads")[0] == 0


def test_nobodys_chain_cannot_be_forgotten(log: Sql) -> None:
    log.execute("SELECT audit('tested', NULL)")
    log.execute("SELECT audit_forget(%s)", [UUID(int=0)])
    assert places(log, UUID(int=0)) == [1]


def test_an_account_forgotten_while_something_happens_to_it_keeps_that(
    log: Sql, log_url: str, account: Account, verify: Verifier
) -> None:
    who = account()
    with psycopg.connect(log_url) as forgetting:
        forgetting.execute("SELECT audit_forget(%s)", [who])
        happening = threading.Thread(target=log.execute, args=("SELECT audit('tested', %s)", [who]))
        happening.start()
        happening.join(0.1)
        assert happening.is_alive(), "it waits for the chain"
        forgetting.commit()
        happening.join(10)
    assert places(log, who) == [1]
    assert verify()[0] == 0


# ---------------------------------------------------------------- append only


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET facts = '{}'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "DELETE FROM audit_chains",
        "TRUNCATE audit_chains",
    ],
)
def test_even_the_owner_has_to_take_the_guards_away_first(statement: str, log: Sql, account: Account) -> None:
    account()
    with pytest.raises(errors.IntegrityConstraintViolation, match="stays written"):
        log.execute(statement.encode())


def test_forgetting_one_account_allows_nothing_about_another(log: Sql, account: Account) -> None:
    who, other = account(), account()
    with log.transaction(force_rollback=True):
        log.execute("SELECT set_config('app.forgetting', %s, true)", [str(who)])
        with pytest.raises(errors.IntegrityConstraintViolation), log.transaction():
            log.execute("DELETE FROM audit_events WHERE user_id = %s", [other])


def test_events_of_one_account_written_at_once_make_one_chain(log_url: str, log: Sql, verify: Verifier) -> None:
    who, together = uuid4(), threading.Barrier(8)

    def write() -> None:
        with psycopg.connect(log_url, autocommit=True) as connection:
            together.wait(10)
            for _ in range(25):
                connection.execute("SELECT audit('tested', %s)", [who])

    writers = [threading.Thread(target=write) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert places(log, who) == list(range(1, 201))
    times = log.execute("SELECT created_at FROM audit_events WHERE user_id = %s ORDER BY place", [who]).fetchall()
    assert times == sorted(times)
    assert verify()[0] == 0


def test_what_is_null_in_an_events_facts_is_not_kept(log: Sql, verify: Verifier) -> None:
    who = uuid4()
    log.execute("""SELECT audit('tested', %s, '{"there": 1, "not": null}')""", [who])
    assert log.execute("SELECT facts FROM audit_events WHERE user_id = %s", [who]).fetchone() == ({"there": 1},)
    assert verify()[0] == 0


def test_the_log_can_be_verified_while_it_is_written(log_url: str, account: Account, verify: Verifier) -> None:
    who, done = account(), threading.Event()

    def write() -> None:
        with psycopg.connect(log_url, autocommit=True) as connection:
            while not done.is_set():
                connection.execute("SELECT audit('tested', %s), audit('tested', NULL)", [who])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert [verify()[0] for _ in range(5)] == [0] * 5
    finally:
        done.set()
        writer.join(10)
