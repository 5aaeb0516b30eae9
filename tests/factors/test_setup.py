"""Turning an authenticator app on and off."""

import json
from base64 import b32decode
from collections.abc import Callable
from functools import partial
from time import time

import pytest

from shared.access import FRESH_SECONDS
from shared.security import access_tokens, sealing
from shared.security.sealing import SealBroken
from tests.conftest import PASSWORD, Client, Mail, Person
from tests.factors.authenticator import (
    INVALID,
    OK,
    STALE,
    begin,
    confirm,
    enable,
    finish,
    first_step,
    outcome,
)
from tests.factors.conftest import Clock, Owner
from tests.passkeys import ceremonies
from tests.passkeys.ceremonies import verify_address
from tests.sessions.rows import Sql, open_session
from tests.sessions.together import at_once

MFA = "/api/auth/mfa"
TOTP = f"{MFA}/totp"
NEED_FRESHNESS = [
    ("POST", TOTP, None),
    ("POST", f"{TOTP}/confirm", {"code": "123456"}),
    ("DELETE", TOTP, None),
    ("POST", f"{MFA}/recovery-codes", None),
]


@pytest.fixture
def bob(person: Person) -> Person:
    """Somebody with a verified address and no second factor."""
    verify_address(person)
    return person


def aged(person: Person, seconds: int) -> dict[str, str]:
    """An access token of the person's session, who proved who they are so many seconds ago."""
    said = access_tokens.verify(person.tokens["access_token"])
    token, _ = access_tokens.issue(
        said.user_id, said.session_id, role=said.role, authenticated_at=int(time()) - seconds
    )
    return {"Authorization": f"Bearer {token}"}


def events(sql: Sql, person: Person) -> list[tuple[str, bool]]:
    rows = sql.execute("SELECT event, succeeded FROM audit_events WHERE user_id = %s ORDER BY place", [person.id])
    return [(event, succeeded) for event, succeeded in rows]


# ---------------------------------------------------------------- what is on


def test_at_first_nothing_is_on(bob: Person) -> None:
    assert bob.get(MFA).json() == {"totp_enabled_at": None, "recovery_codes_left": 0, "passkeys": 0}


def test_what_is_on_is_told(ada: Owner) -> None:
    ceremonies.new_passkey(ada.person)
    told = ada.person.get(MFA).json()
    assert told.pop("totp_enabled_at")
    assert told == {"recovery_codes_left": 10, "passkeys": 1}


# ---------------------------------------------------------------- beginning


def test_a_setup_shows_one_secret_in_three_ways(bob: Person) -> None:
    offered = bob.post(TOTP).json()
    assert len(b32decode(offered["secret"])) == 20
    assert f"secret={offered['secret']}" in offered["uri"]
    assert bob.email.replace("@", "%40") in offered["uri"]
    assert offered["qr_svg"].startswith("<svg ")


def test_an_address_that_is_not_verified_may_set_nothing_up(person: Person, sql: Sql) -> None:
    """Or somebody registers with another's address, and locks its owner out of it for good."""
    assert outcome(person.post(TOTP)) == (403, "email_not_verified")
    assert sql.execute("SELECT count(*) FROM totp WHERE user_id = %s", [person.id]).fetchone() == (0,)


def test_an_address_that_is_verified_no_more_may_not_confirm(bob: Person, sql: Sql) -> None:
    app = begin(bob)
    sql.execute("UPDATE users SET email_verified_at = NULL WHERE id = %s", [bob.id])
    assert outcome(confirm(bob, app.code())) == (409, "totp_not_offered")


def test_a_setup_that_is_not_confirmed_changes_nothing(bob: Person, client: Client) -> None:
    app = begin(bob)
    assert bob.get(MFA).json()["totp_enabled_at"] is None
    assert "access_token" in client.post("/api/auth/login", {"email": bob.email, "password": PASSWORD}).json()
    assert outcome(bob.post("/api/auth/reauthenticate", {"code": app.code()})) == INVALID
    assert outcome(bob.post("/api/auth/reauthenticate", {"password": PASSWORD})) == OK
    assert outcome(bob.delete(TOTP)) == (404, "not_found")
    assert outcome(bob.post(f"{MFA}/recovery-codes")) == (409, "totp_not_enabled")


def test_a_setup_begun_again_replaces_the_one_before(bob: Person) -> None:
    first, second = begin(bob), begin(bob)
    assert outcome(confirm(bob, first.code())) == (422, "validation_failed")
    assert outcome(confirm(bob, second.code())) == OK


def test_a_setup_waits_for_an_hour(bob: Person, sql: Sql) -> None:
    app = begin(bob)
    sql.execute("UPDATE totp SET offered_at = now() - interval '1 hour' WHERE user_id = %s", [bob.id])
    assert outcome(confirm(bob, app.code())) == (409, "totp_not_offered")


def test_the_secret_is_sealed_and_opens_for_its_owner_only(bob: Person, sql: Sql) -> None:
    app = begin(bob)
    secret = b32decode(app.secret)
    row = sql.execute("SELECT offered, totp::text FROM totp WHERE user_id = %s", [bob.id]).fetchone()
    assert row
    sealed, shown = row
    assert secret not in sealed
    assert secret.hex() not in shown
    assert app.secret not in shown
    assert sealing.open_sealed("totp", sealed, bound_to=bob.id) == secret
    with pytest.raises(SealBroken):
        sealing.open_sealed("totp", sealed, bound_to="00000000-0000-7000-8000-000000000000")


def test_a_secret_copied_into_another_account_is_of_no_use_there(
    ada: Owner, new_owner: Callable[[], Owner], client: Client, sql: Sql, clock: Clock
) -> None:
    """Whoever can write into the table cannot make an account answer to an app of their own."""
    mallory = new_owner()
    sql.execute(
        "UPDATE totp SET sealed = (SELECT sealed FROM totp WHERE user_id = %s) WHERE user_id = %s",
        [mallory.person.id, ada.person.id],
    )
    challenge = first_step(client, ada.person)
    assert outcome(finish(client, challenge, code=mallory.app.code(1))) == INVALID
    assert outcome(finish(client, challenge, recovery_code=ada.codes[0])) == OK


# ---------------------------------------------------------------- confirming


@pytest.mark.parametrize("code", ["12345", "1234567", "abcdef", "", "١٢٣٤٥٦"])
def test_a_confirmation_needs_six_digits(bob: Person, code: str) -> None:
    begin(bob)
    refused = confirm(bob, code)
    assert outcome(refused) == (422, "validation_failed")
    assert refused.json()["errors"][0]["field"] == "code"


def test_a_code_may_be_typed_in_groups(bob: Person) -> None:
    code = begin(bob).code()
    assert outcome(confirm(bob, f" {code[:3]} {code[3:]}")) == OK


@pytest.mark.parametrize(("steps", "is_good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_is_good_one_step_early_or_late(bob: Person, steps: int, is_good: bool) -> None:
    assert (outcome(confirm(bob, begin(bob).code(steps))) == OK) == is_good


def test_of_many_confirmations_at_once_one_wins(bob: Person, sql: Sql) -> None:
    code = begin(bob).code()
    answers = at_once(*[partial(confirm, bob, code)] * 8)
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    (codes,) = (answer.json()["recovery_codes"] for answer in answers if answer.is_success)
    assert bob.get(MFA).json()["recovery_codes_left"] == len(codes) == 10
    assert [event for event, _ in events(sql, bob)].count("totp_enabled") == 1


def test_the_code_that_confirmed_does_not_sign_in_as_well(bob: Person, client: Client) -> None:
    app, _ = enable(bob)
    challenge = first_step(client, bob)
    assert outcome(finish(client, challenge, code=app.code())) == INVALID
    assert outcome(finish(client, challenge, code=app.code(1))) == OK


def test_enabling_ends_every_session_that_lacks_the_factor(bob: Person, client: Client, app_url: str) -> None:
    elsewhere = client.post("/api/auth/login", {"email": bob.email, "password": PASSWORD}).json()
    by_passkey = ceremonies.sign_in(client, ceremonies.new_passkey(bob)[0]).json()
    enable(bob)
    bearer = {"Authorization": f"Bearer {elsewhere['access_token']}"}
    assert outcome(client.get("/api/profile", headers=bearer)) == (401, "session_ended")
    refused = client.post("/api/auth/refresh", {"refresh_token": elsewhere["refresh_token"]})
    assert outcome(refused) == (401, "refresh_token_invalid")
    bearer = {"Authorization": f"Bearer {by_passkey['access_token']}"}
    assert client.get("/api/profile", headers=bearer).status_code == 200, "a passkey is two factors in one"
    assert bob.get("/api/profile").status_code == 200


def test_the_session_that_enables_has_the_factor(bob: Person, sql: Sql) -> None:
    enable(bob)
    (methods,) = sql.execute(
        "SELECT methods FROM sessions WHERE user_id = %s AND revoked_at IS NULL", [bob.id]
    ).fetchall()
    assert methods == (["password", "totp"],)


def test_enabling_and_signing_in_at_once_leave_no_session_without_the_factor(bob: Person, sql: Sql) -> None:
    app = begin(bob)
    log_in = partial(bob.post, "/api/auth/login", {"email": bob.email, "password": PASSWORD})
    at_once(partial(confirm, bob, app.code()), *[log_in] * 6)
    left = sql.execute("SELECT methods FROM sessions WHERE user_id = %s AND revoked_at IS NULL", [bob.id]).fetchall()
    assert left == [(["password", "totp"],)]


def test_an_app_is_replaced_without_a_moment_in_which_none_is_on(ada: Owner, client: Client, clock: Clock) -> None:
    challenge = first_step(client, ada.person)
    new = begin(ada.person)
    assert outcome(finish(client, challenge, code=ada.app.code(1))) == OK, "until the new one is confirmed"
    assert outcome(confirm(ada.person, new.code())) == OK
    clock.step += 5
    challenge = first_step(client, ada.person)
    assert outcome(finish(client, challenge, code=ada.app.code())) == INVALID
    assert outcome(finish(client, challenge, recovery_code=ada.codes[0])) == INVALID
    assert outcome(finish(client, challenge, code=new.code())) == OK


def test_the_owner_is_told_of_every_change(ada: Owner, mail_to: Callable[[str], list[Mail]]) -> None:
    ada.person.post(f"{MFA}/recovery-codes")
    ada.person.delete(TOTP)
    assert {mail.subject for mail in mail_to(ada.person.email)} >= {
        "Two-step sign-in is on",
        "You have new recovery codes",
        "Two-step sign-in is off",
    }


def test_every_change_is_written_down_and_no_secret_with_it(ada: Owner, sql: Sql) -> None:
    ada.person.post(f"{MFA}/recovery-codes")
    ada.person.delete(TOTP)
    written = events(sql, ada.person)
    assert [event for event in written if event[0].startswith(("totp", "recovery"))] == [
        ("totp_offered", True),
        ("totp_enabled", True),
        ("recovery_codes_replaced", True),
        ("totp_disabled", True),
    ]
    facts = sql.execute("SELECT facts FROM audit_events WHERE user_id = %s", [ada.person.id]).fetchall()
    said = json.dumps(facts)
    assert not any(secret in said for secret in (ada.app.secret, *ada.codes))


# ---------------------------------------------------------------- turning it off


def test_once_it_is_off_a_password_is_enough_again(ada: Owner, client: Client) -> None:
    assert ada.person.delete(TOTP).status_code == 204
    assert ada.person.get(MFA).json() == {"totp_enabled_at": None, "recovery_codes_left": 0, "passkeys": 0}
    credentials = {"email": ada.person.email, "password": PASSWORD}
    assert "access_token" in client.post("/api/auth/login", credentials).json()


def test_a_sign_in_half_done_when_it_goes_off_is_finished_by_nothing_of_it(ada: Owner, client: Client) -> None:
    challenge = first_step(client, ada.person)
    assert ada.person.delete(TOTP).status_code == 204
    assert outcome(finish(client, challenge, code=ada.app.code(1))) == INVALID
    assert outcome(finish(client, challenge, recovery_code=ada.codes[0])) == INVALID


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize(("method", "path", "body"), NEED_FRESHNESS)
def test_a_change_needs_somebody_who_has_just_proved_who_they_are(
    ada: Owner, method: str, path: str, body: dict[str, str] | None
) -> None:
    before = ada.person.get(MFA).json()
    refused = ada.person(method, path, body, headers=aged(ada.person, FRESH_SECONDS + 5))
    assert outcome(refused) == STALE
    assert refused.headers["www-authenticate"] == ('Bearer error="insufficient_user_authentication", max_age=600')
    assert ada.person.get(MFA, headers=aged(ada.person, FRESH_SECONDS + 5)).json() == before
    assert outcome(ada.person(method, path, body, headers=aged(ada.person, FRESH_SECONDS - 30))) != STALE


def test_a_fresh_token_of_an_ended_session_changes_nothing(ada: Owner, sql: Sql) -> None:
    ada.person.post("/api/auth/logout-all", {})
    for method, path, body in NEED_FRESHNESS:
        assert outcome(ada.person(method, path, body)) == (401, "session_ended")
    assert sql.execute("SELECT count(*) FROM totp WHERE user_id = %s", [ada.person.id]).fetchone() == (1,)


def test_nobody_elses_factor_can_be_changed(ada: Owner, bob: Person, sql: Sql) -> None:
    before = ada.person.get(MFA).json()
    bob.delete(TOTP)
    bob.post(f"{MFA}/recovery-codes")
    enable(bob)
    bob.delete(TOTP)
    assert ada.person.get(MFA).json() == before


def test_a_session_cannot_be_used_for_another_users_factor(bob: Person, sql: Sql) -> None:
    """Who can sign tokens still needs a session of the user's that is alive."""
    said = access_tokens.verify(bob.tokens["access_token"])
    mixed, _ = access_tokens.issue(
        open_session(sql).user_id, said.session_id, role="user", authenticated_at=int(time())
    )
    refused = bob.post(TOTP, headers={"Authorization": f"Bearer {mixed}"})
    assert outcome(refused) == (401, "session_ended")
