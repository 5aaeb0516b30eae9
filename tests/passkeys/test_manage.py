"""One's own passkeys: listed, renamed, and removed, but never the last way in."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.conftest import Client, Person
from tests.passkeys.ceremonies import PASSKEYS, new_passkey, sign_in
from tests.processes import eventually

Sql = psycopg.Connection[Any]

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def without_password(sql: Sql, person: Person) -> None:
    sql.execute("UPDATE users SET password_hash = NULL WHERE id = %s", [person.id])


def test_passkeys_are_listed_in_the_order_they_came(person: Person) -> None:
    made = [new_passkey(person, name)[1] for name in ("Laptop", "Phone", "Key")]
    assert person.get(PASSKEYS).json() == {"items": made}


def test_a_list_tells_neither_key_nor_credential(person: Person) -> None:
    new_passkey(person)
    (shown,) = person.get(PASSKEYS).json()["items"]
    assert shown.keys() == {
        "id",
        "name",
        "aaguid",
        "transports",
        "is_syncable",
        "is_backed_up",
        "created_at",
        "last_used_at",
        "cloned_at",
        "version",
    }


def test_a_passkey_is_renamed_at_the_version_that_was_read(person: Person) -> None:
    _, passkey = new_passkey(person)
    place = f"{PASSKEYS}/{passkey['id']}"
    renamed = person.patch(place, {"name": "Work laptop"}, headers={"If-Match": '"1"'})
    assert renamed.json() == {**passkey, "name": "Work laptop", "version": 2}
    stale = person.patch(place, {"name": "Laptop"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["version"]) == (412, 2)
    for body in ({"name": ""}, {"name": None}, {"sign_count": 0}, {"cloned_at": None}):
        assert person.patch(place, body).status_code == 422


def test_signing_in_does_not_move_the_version_on(client: Client, person: Person) -> None:
    authenticator, passkey = new_passkey(person)
    assert sign_in(client, authenticator).status_code == 200
    assert person.get(PASSKEYS).json()["items"][0]["version"] == passkey["version"]


def test_a_removed_passkey_is_gone_and_told_of(client: Client, person: Person, sql: Sql) -> None:
    authenticator, passkey = new_passkey(person, "Lost phone")
    place = f"{PASSKEYS}/{passkey['id']}"
    assert person.delete(place, headers={"If-Match": '"7"'}).status_code == 412
    assert person.delete(place).status_code == 204
    assert person.delete(place).status_code == 404
    assert person.get(PASSKEYS).json() == {"items": []}
    assert sign_in(client, authenticator).status_code == 401
    events = sql.execute(
        "SELECT facts->>'name' FROM audit_events WHERE event = 'passkey_removed' AND user_id = %s", [person.id]
    )
    assert events.fetchall() == [("Lost phone",)]
    told = sql.execute("SELECT facts FROM mail_outbox WHERE template = 'passkey_removed' AND user_id = %s", [person.id])
    assert told.fetchall() == [({"name": "Lost phone"},)]


def test_the_last_way_in_is_not_removed(person: Person, sql: Sql) -> None:
    _, passkey = new_passkey(person)
    without_password(sql, person)
    refused = person.delete(f"{PASSKEYS}/{passkey['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "last_way_in")
    last = "SELECT event, succeeded FROM audit_events WHERE user_id = %s ORDER BY place DESC LIMIT 1"
    assert sql.execute(last, [person.id]).fetchone() == ("passkey_removal_refused", False)
    new_passkey(person)
    assert person.delete(f"{PASSKEYS}/{passkey['id']}").status_code == 204


def test_a_passkey_with_a_copy_is_no_way_in_and_can_always_go(client: Client, person: Person, sql: Sql) -> None:
    copied, passkey = new_passkey(person)
    _, other = new_passkey(person)
    without_password(sql, person)
    assert sign_in(client, copied, count=1).status_code == 401
    assert person.delete(f"{PASSKEYS}/{other['id']}").json()["code"] == "last_way_in"
    assert person.delete(f"{PASSKEYS}/{passkey['id']}").status_code == 204


@pytest.mark.parametrize("attempt", range(5))
def test_of_the_last_two_removed_at_once_one_stays(person: Person, sql: Sql, attempt: int) -> None:
    places = [f"{PASSKEYS}/{new_passkey(person)[1]['id']}" for _ in range(2)]
    without_password(sql, person)
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda place: Client(person.url, dict(person.headers)).delete(place), places))
    assert sorted(answer.status_code for answer in answers) == [204, 409]


def test_a_sign_in_and_a_removal_at_once_wait_for_each_other_in_one_order(
    person: Person, client: Client, sql: Sql, database_url: str
) -> None:
    """Whoever holds the account's row is waited for by both: neither holds what the other needs."""
    authenticator, passkey = new_passkey(person)
    with psycopg.connect(database_url) as another, ThreadPoolExecutor(2) as threads:
        another.execute("SELECT FROM users WHERE id = %s FOR NO KEY UPDATE", [person.id])
        signing_in = threads.submit(sign_in, client, authenticator)
        removing = threads.submit(person.delete, f"{PASSKEYS}/{passkey['id']}")
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        eventually(lambda: sql.execute(waiting).fetchone() == (2,))
        assert sql.execute("SELECT id FROM passkeys WHERE id = %s FOR UPDATE NOWAIT", [passkey["id"]]).fetchall()
        another.rollback()
        assert removing.result(10).status_code == 204
        assert signing_in.result(10).status_code in (200, 401)


def test_behind_the_door_nobody_can_move_a_counter_or_mend_a_copied_key(person: Person, sql: Sql) -> None:
    new_passkey(person)
    for change in ("sign_count = 0", "cloned_at = NULL", "public_key = ''", "user_id = gen_random_uuid()"):
        with sql.transaction(force_rollback=True):
            sql.execute("SELECT set_config('app.user_id', %s, true)", [person.id])
            sql.execute("SET LOCAL ROLE tenant")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                sql.execute(f"UPDATE passkeys SET {change}".encode())


def test_the_list_is_of_ones_own(new_person: Callable[..., Person]) -> None:
    ada, bob = new_person(), new_person()
    new_passkey(ada)
    assert bob.get(PASSKEYS).json() == {"items": []}
