"""Changing a password: the present one is proved, and whatever else it opened is over."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from shared.security import access_tokens
from tests.conftest import PASSWORD, Client, Person
from tests.recovery.conftest import (
    NEW_PASSWORD,
    Sql,
    Work,
    events,
    log_in,
    new_email,
    posted,
    sent,
    without_password,
)
from tests.sessions.together import at_once

CHANGE = "/api/auth/change-password"
WRONG = "a password that is wrong"


def change(person: Person, current: str = PASSWORD, new: str = NEW_PASSWORD) -> Any:
    return person.post(CHANGE, {"current_password": current, "new_password": new})


def test_after_a_change_the_new_password_signs_in_and_the_old_one_does_not(client: Client, person: Person) -> None:
    assert change(person).status_code == 204
    assert log_in(client, person.email, PASSWORD).status_code == 401
    assert log_in(client, person.email, NEW_PASSWORD).status_code == 200


def test_every_other_session_ends_and_the_present_one_stays(client: Client, person: Person) -> None:
    other = log_in(client, person.email, PASSWORD).json()
    assert change(person).status_code == 204
    bearer = {"Authorization": f"Bearer {other['access_token']}"}
    assert client.get("/api/profile", headers=bearer).json()["code"] == "session_ended"
    assert client.post("/api/auth/refresh", {"refresh_token": other["refresh_token"]}).status_code == 401
    assert person.get("/api/profile").status_code == 200
    assert person.post("/api/auth/refresh", {"refresh_token": person.refresh_token}).status_code == 200


def test_every_token_of_the_account_is_spent(client: Client, person: Person, sql: Sql) -> None:
    tokens = [
        ("/api/auth/verify-email", sent(sql, person.id, "verify_email", person.email)),
        ("/api/auth/verify-email", sent(sql, person.id, "change_email", new_email())),
        ("/api/auth/reset-password", sent(sql, person.id, "reset_password", person.email)),
    ]
    assert change(person).status_code == 204
    for path, token in tokens:
        body = {"token": token} | ({"password": "nine quick brown otters"} if "reset" in path else {})
        assert client.post(path, body).json()["code"] == "token_invalid"


def test_a_sign_in_half_done_is_over(client: Client, person: Person, sql: Sql) -> None:
    sql.execute("UPDATE users SET second_factor_at = now() WHERE id = %s", [person.id])
    assert log_in(client, person.email, PASSWORD).json()["mfa_required"] is True
    assert change(person).status_code == 204
    assert sql.execute("SELECT count(*) FROM challenges WHERE user_id = %s", [person.id]).fetchone() == (0,)


def test_the_owner_is_told_by_mail_and_it_is_written_down(person: Person, sql: Sql) -> None:
    change(person)
    assert posted(sql, person.email)[-1] == "password_changed"
    assert events(sql, person.id)[-1] == ("password_changed", True)


def test_a_wrong_password_changes_nothing_and_is_written_down(client: Client, person: Person, sql: Sql) -> None:
    other = log_in(client, person.email, PASSWORD).json()
    refused = change(person, WRONG)
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_credentials")
    assert log_in(client, person.email, PASSWORD).status_code == 200
    assert client.post("/api/auth/refresh", {"refresh_token": other["refresh_token"]}).status_code == 200
    assert ("password_change_refused", False) in events(sql, person.id)
    assert "password_changed" not in posted(sql, person.email)


def test_who_has_no_password_cannot_change_it_and_costs_as_much(person: Person, sql: Sql, work: Work) -> None:
    with_one = work.of(lambda: change(person, WRONG))
    without_password(person, sql)
    assert change(person).json()["code"] == "invalid_credentials"
    assert work.of(lambda: change(person)) == with_one == (1, 2)


def test_a_change_takes_two_round_trips_and_two_hashes(person: Person, work: Work) -> None:
    assert work.of(lambda: change(person)) == (2, 2)


def test_a_proof_older_than_ten_minutes_is_not_enough(person: Person) -> None:
    session = UUID(person.get("/api/auth/sessions").json()["items"][0]["id"])
    stale, _ = access_tokens.issue(UUID(person.id), session, role="user", authenticated_at=int(time.time()) - 601)
    person.headers["Authorization"] = f"Bearer {stale}"
    refused = change(person)
    assert (refused.status_code, refused.json()["code"]) == (401, "reauthentication_required")


def test_a_session_that_has_ended_changes_nothing(client: Client, person: Person, work: Work) -> None:
    person.post("/api/auth/logout-all", {})
    assert change(person).json()["code"] == "session_ended"
    assert work.of(lambda: change(person)) == (0, 1)
    assert log_in(client, person.email, PASSWORD).status_code == 200


@pytest.mark.parametrize("weak", ["short", "password123456", "{email}"])
def test_a_new_password_that_will_not_do_is_refused_by_its_name(client: Client, person: Person, weak: str) -> None:
    refused = change(person, new=weak.format(email=person.email))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "new_password")
    assert log_in(client, person.email, PASSWORD).status_code == 200


def test_guessing_the_present_password_is_limited_as_at_login(person: Person, work: Work) -> None:
    answers = [change(person, WRONG) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert answers[-1].json()["policy"] == "password-account"
    assert work.of(lambda: change(person)) == (0, 1)


def test_a_good_change_takes_its_attempt_back(person: Person) -> None:
    for _ in range(9):
        change(person, WRONG)
    assert change(person).status_code == 204
    assert [change(person, WRONG).status_code for _ in range(2)] == [401, 429]


def test_of_changes_at_once_one_succeeds(client: Client, person: Person) -> None:
    passwords = [NEW_PASSWORD, "nine quick brown otters", "four tall silver birches"]
    answers = at_once(*(partial(change, person, PASSWORD, new) for new in passwords))
    assert sorted(answer.status_code for answer in answers) == [204, 401, 401]
    winner = passwords[[answer.status_code for answer in answers].index(204)]
    assert log_in(client, person.email, winner).status_code == 200


def test_a_change_is_nobody_elses(client: Client, new_person: Callable[..., Person]) -> None:
    ada, bob = new_person(), new_person()
    assert change(ada).status_code == 204
    assert log_in(client, bob.email, PASSWORD).status_code == 200
    assert bob.get("/api/profile").status_code == 200
