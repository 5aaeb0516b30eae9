"""A forgotten password: asking tells nothing, and the link sets a new one, which ends everything the old one opened."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from shared.security.random_tokens import one_time_tokens
from shared.sessions import digest
from tests.conftest import APP_URL, PASSWORD, Client, Mail, Person
from tests.recovery.conftest import (
    KINDS,
    NEW_PASSWORD,
    Sql,
    Work,
    disabled,
    events,
    every_kind,
    log_in,
    new_email,
    posted,
    sent,
    shown,
    without_password,
)
from tests.sessions.together import at_once

FORGOT, RESET = "/api/auth/forgot-password", "/api/auth/reset-password"


def ask(client: Client, email: str) -> Any:
    return client.post(FORGOT, {"email": email})


def reset(client: Client, token: str, password: str = NEW_PASSWORD) -> Any:
    return client.post(RESET, {"token": token, "password": password})


# ---------------------------------------------------------------- asking


def test_the_link_in_the_mail_sets_a_new_password(
    client: Client, person: Person, mail_to: Callable[[str], list[Mail]]
) -> None:
    assert ask(client, person.email).status_code == 202
    mail = mail_to(person.email)[0]
    assert mail.links[0].startswith(f"{APP_URL}/reset-password#token=jto_")
    assert reset(client, mail.token).status_code == 204
    assert log_in(client, person.email, PASSWORD).status_code == 401
    assert log_in(client, person.email, NEW_PASSWORD).status_code == 200


def test_every_account_and_none_are_answered_alike(new_person: Callable[..., Person], sql: Sql) -> None:
    answers = []
    for kind in KINDS:
        person = new_person()
        answers.append(shown(ask(person, kind(person, sql))))
    assert [status for status, _, _ in answers] == [202] * len(KINDS)
    assert all(answer == answers[0] for answer in answers)


@every_kind
def test_asking_takes_one_round_trip_and_no_hash_whoever_is_asked_for(
    client: Client, person: Person, sql: Sql, work: Work, kind: Callable[[Person, Sql], str]
) -> None:
    email = kind(person, sql)
    assert work.of(lambda: ask(client, email)) == (0, 1)


@every_kind
def test_asking_writes_the_same_rows_whoever_is_asked_for(
    client: Client, person: Person, sql: Sql, kind: Callable[[Person, Sql], str]
) -> None:
    """One token, one message, one event: what is the same work takes the same time."""
    email = kind(person, sql)
    before = posted(sql, email)
    count = "SELECT count(*) FROM audit_events WHERE event = 'password_reset_requested' AND created_at > %s"
    ((began,),) = sql.execute("SELECT clock_timestamp()").fetchall()
    ask(client, email)
    tokens = sql.execute(
        "SELECT count(*) FROM one_time_tokens WHERE email = %s AND purpose = 'reset_password'", [email]
    ).fetchone()
    assert (tokens, len(posted(sql, email)) - len(before)) == ((1,), 1)
    assert sql.execute(count, [began]).fetchone() == (1,)


@pytest.mark.parametrize(
    ("kind", "told"),
    list(
        zip(
            KINDS, ["reset_password", "reset_password", "account_disabled", "reset_password", "no_account"], strict=True
        )
    ),
    ids=[kind.__name__ for kind in KINDS],
)
def test_only_the_address_itself_is_told_how_it_stands(
    client: Client, person: Person, sql: Sql, kind: Callable[[Person, Sql], str], told: str
) -> None:
    email = kind(person, sql)
    ask(client, email)
    assert posted(sql, email)[-1] == told


@pytest.mark.parametrize("kind", [KINDS[2], KINDS[4]], ids=["disabled", "nobodys"])
def test_mail_to_where_nothing_can_be_reset_holds_no_token(
    client: Client,
    person: Person,
    sql: Sql,
    mail_to: Callable[[str], list[Mail]],
    kind: Callable[[Person, Sql], str],
) -> None:
    email = kind(person, sql)
    ask(client, email)
    assert "jto_" not in mail_to(email)[0].text


@pytest.mark.parametrize(
    "spelling", [str.upper, str.title, lambda email: f"  {email} "], ids=["upper", "title", "blanks"]
)
def test_an_address_is_found_however_it_is_typed(
    client: Client, person: Person, sql: Sql, spelling: Callable[[str], str]
) -> None:
    ask(client, spelling(person.email))
    assert posted(sql, person.email)[-1] == "reset_password"


def test_an_address_is_found_however_its_accents_are_composed(client: Client, sql: Sql) -> None:
    rest = new_email()
    client.post("/api/auth/register", {"email": f"\u00c9mile{rest}", "password": PASSWORD})
    ask(client, f"e\u0301mile{rest}")
    assert posted(sql, f"\u00e9mile{rest}") == ["verify_email", "reset_password"]


# ---------------------------------------------------------------- limits


@every_kind
def test_five_a_day_are_sent_to_an_address_whoever_it_is(
    client: Client, new_person: Callable[..., Person], sql: Sql, kind: Callable[[Person, Sql], str]
) -> None:
    email = kind(new_person(), sql)
    strangers = [Client(client.url) for _ in range(6)]
    answers = [ask(stranger, email) for stranger in strangers]
    assert [answer.status_code for answer in answers] == [202] * 5 + [429]
    assert (answers[-1].json()["policy"], answers[-1].json()["window"]) == ("reset-account", 24 * 3600)
    for stranger in strangers:
        stranger.close()


def test_a_network_may_ask_for_thirty_in_five_minutes(client: Client) -> None:
    answers = [ask(client, new_email()) for _ in range(31)]
    assert [answer.status_code for answer in answers] == [202] * 30 + [429]
    assert answers[-1].json()["policy"] == "reset-address"


def test_strangers_who_ask_do_not_keep_the_owner_from_asking(client: Client, person: Person, sql: Sql) -> None:
    """The browser that has signed in to the account has a limit of its own."""
    cookie = log_in(person, person.email, PASSWORD).headers["set-cookie"].partition(";")[0]
    assert [ask(client, person.email).status_code for _ in range(6)] == [202] * 5 + [429]
    before = len(posted(sql, person.email))
    answers = [person.post(FORGOT, {"email": person.email}, headers={"Cookie": cookie}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [202] * 5 + [429]
    assert answers[-1].json()["policy"] == "reset-device"
    assert len(posted(sql, person.email)) == before + 5


def test_an_attempt_that_is_refused_sends_nothing(client: Client, person: Person, sql: Sql) -> None:
    for _ in range(7):
        ask(client, person.email)
    assert posted(sql, person.email).count("reset_password") == 5


# ---------------------------------------------------------------- resetting


def test_a_reset_ends_every_session_at_once(client: Client, person: Person, sql: Sql) -> None:
    other = log_in(client, person.email, PASSWORD).json()
    assert reset(client, sent(sql, person.id, "reset_password", person.email)).status_code == 204
    assert person.get("/api/profile").json()["code"] == "session_ended"
    for token in (person.refresh_token, other["refresh_token"]):
        assert client.post("/api/auth/refresh", {"refresh_token": token}).status_code == 401
    reasons = sql.execute("SELECT DISTINCT revoked_reason FROM sessions WHERE user_id = %s", [person.id]).fetchall()
    assert reasons == [("password_reset",)]


def test_a_reset_ends_every_personal_access_token(client: Client, person: Person, sql: Sql) -> None:
    made = person.post("/api/tokens", {"name": "A script", "scopes": ["profile:read"]})
    assert made.status_code == 201, made.text
    bearer = {"Authorization": f"Bearer {made.json()['token']}"}
    assert client.get("/api/profile", headers=bearer).status_code == 200
    assert reset(client, sent(sql, person.id, "reset_password", person.email)).status_code == 204
    assert client.get("/api/profile", headers=bearer).status_code == 401


def test_a_reset_signs_nobody_in(client: Client, person: Person, sql: Sql) -> None:
    answer = reset(client, sent(sql, person.id, "reset_password", person.email))
    assert (answer.content, answer.headers.get("set-cookie")) == (b"", None)
    alive = sql.execute("SELECT count(*) FROM sessions WHERE user_id = %s AND revoked_at IS NULL", [person.id])
    assert alive.fetchone() == (0,)


def test_a_reset_spends_every_other_token_of_the_account(client: Client, person: Person, sql: Sql) -> None:
    others = {
        "/api/auth/verify-email": [
            sent(sql, person.id, "verify_email", person.email),
            sent(sql, person.id, "change_email", new_email()),
        ],
        RESET: [sent(sql, person.id, "reset_password", person.email)],
    }
    assert reset(client, sent(sql, person.id, "reset_password", person.email)).status_code == 204
    for path, tokens in others.items():
        for token in tokens:
            body = {"token": token} | ({"password": "nine quick brown otters"} if path == RESET else {})
            assert client.post(path, body).json()["code"] == "token_invalid"


def test_a_reset_leaves_other_peoples_tokens_and_sessions_alone(
    client: Client, new_person: Callable[..., Person], sql: Sql
) -> None:
    ada, bob = new_person(), new_person()
    bobs = sent(sql, bob.id, "reset_password", bob.email)
    assert reset(client, sent(sql, ada.id, "reset_password", ada.email)).status_code == 204
    assert bob.get("/api/profile").status_code == 200
    assert reset(client, bobs).status_code == 204


def test_the_owner_is_told_by_mail(client: Client, person: Person, sql: Sql) -> None:
    reset(client, sent(sql, person.id, "reset_password", person.email))
    assert posted(sql, person.email)[-1] == "password_changed"
    assert events(sql, person.id)[-1] == ("password_reset", True)


def test_who_reset_by_mail_has_proved_the_address(client: Client, person: Person, sql: Sql) -> None:
    reset(client, sent(sql, person.id, "reset_password", person.email))
    assert log_in(client, person.email, NEW_PASSWORD).json()["user"]["email_verified"] is True


def test_a_proof_shows_in_the_profiles_version_and_a_password_does_not(
    client: Client, person: Person, sql: Sql
) -> None:
    versions = []
    for password in (NEW_PASSWORD, "nine quick brown otters"):
        reset(client, sent(sql, person.id, "reset_password", person.email), password)
        versions.append(sql.execute("SELECT version FROM users WHERE id = %s", [person.id]).fetchone())
    assert versions == [(2,), (2,)]


def test_the_first_proof_and_the_new_password_are_one_change(client: Client, person: Person, sql: Sql) -> None:
    """By which a feature's trigger knows that what it keeps may be somebody else's."""
    sql.execute(
        """
        CREATE TABLE seen (id uuid);
        CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO seen VALUES (NEW.id); RETURN NULL; END';
        CREATE TRIGGER users_seen AFTER UPDATE ON users FOR EACH ROW
            WHEN (OLD.email_verified_at IS NULL AND NEW.email_verified_at IS NOT NULL
                  AND NEW.password_hash IS DISTINCT FROM OLD.password_hash)
            EXECUTE FUNCTION see()
        """
    )
    try:
        reset(client, sent(sql, person.id, "reset_password", person.email))
        assert [str(row) for (row,) in sql.execute("SELECT id FROM seen").fetchall()] == [person.id]
    finally:
        sql.execute("DROP TRIGGER users_seen ON users; DROP FUNCTION see(); DROP TABLE seen")


def test_a_reset_sets_a_first_password_where_there_was_none(client: Client, person: Person, sql: Sql) -> None:
    without_password(person, sql)
    assert reset(client, sent(sql, person.id, "reset_password", person.email)).status_code == 204
    assert log_in(client, person.email, NEW_PASSWORD).status_code == 200


def test_a_reset_neither_passes_nor_removes_the_second_factor(client: Client, person: Person, sql: Sql) -> None:
    sql.execute("UPDATE users SET second_factor_at = now() WHERE id = %s", [person.id])
    ((before,),) = sql.execute("SELECT second_factor_at FROM users WHERE id = %s", [person.id]).fetchall()
    assert reset(client, sent(sql, person.id, "reset_password", person.email)).status_code == 204
    answer = log_in(client, person.email, NEW_PASSWORD)
    assert (answer.status_code, answer.json().get("mfa_required")) == (200, True)
    assert "access_token" not in answer.json()
    assert sql.execute("SELECT second_factor_at FROM users WHERE id = %s", [person.id]).fetchone() == (before,)


def test_a_sign_in_half_done_with_the_old_password_is_over(client: Client, person: Person, sql: Sql) -> None:
    sql.execute("UPDATE users SET second_factor_at = now() WHERE id = %s", [person.id])
    challenge = log_in(client, person.email, PASSWORD).json()["challenge"]
    left = "SELECT count(*) FROM challenges WHERE digest = %s"
    assert sql.execute(left, [digest(challenge)]).fetchone() == (1,)
    reset(client, sent(sql, person.id, "reset_password", person.email))
    assert sql.execute(left, [digest(challenge)]).fetchone() == (0,)


def test_whoever_registered_an_address_first_loses_it_to_who_reads_its_mail(
    client: Client, person: Person, mail_to: Callable[[str], list[Mail]]
) -> None:
    """The person registered somebody else's address, asked for a change of it, and waits for the owner to come."""
    mine = new_email()
    assert person.post("/api/auth/change-email", {"email": mine}).status_code == 202
    (waiting,) = mail_to(mine)
    ask(client, person.email)
    assert reset(client, mail_to(person.email)[0].token).status_code == 204
    assert person.get("/api/profile").status_code == 401
    assert client.post("/api/auth/verify-email", {"token": waiting.token}).status_code == 400
    assert log_in(client, person.email, person.password).status_code == 401
    assert log_in(client, person.email, NEW_PASSWORD).json()["user"]["email"] == person.email


def test_a_disabled_account_stays_disabled(client: Client, person: Person, sql: Sql) -> None:
    token = sent(sql, person.id, "reset_password", person.email)
    disabled(person, sql)
    assert reset(client, token).json()["code"] == "token_invalid"
    assert log_in(client, person.email, NEW_PASSWORD).status_code == 401


@pytest.mark.parametrize("weak", ["short", "password123456", "{email}"])
def test_a_password_that_will_not_do_is_refused_and_the_token_stays_good(
    client: Client, person: Person, sql: Sql, weak: str
) -> None:
    token = sent(sql, person.id, "reset_password", person.email)
    refused = reset(client, token, weak.format(email=person.email))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "password")
    assert reset(client, token).status_code == 204


def test_a_reset_takes_one_hash_and_two_round_trips(client: Client, person: Person, sql: Sql, work: Work) -> None:
    token = sent(sql, person.id, "reset_password", person.email)
    assert work.of(lambda: reset(client, token)) == (1, 2)
    assert work.of(lambda: reset(client, token)) == (0, 1)
    assert work.of(lambda: reset(client, one_time_tokens.issue())) == (0, 1)


def test_two_links_used_at_once_set_one_password(client: Client, person: Person, sql: Sql) -> None:
    passwords = [NEW_PASSWORD, "nine quick brown otters"]
    tokens = [sent(sql, person.id, "reset_password", person.email) for _ in passwords]
    answers = at_once(*(partial(reset, client, *pair) for pair in zip(tokens, passwords, strict=True)))
    assert sorted(answer.status_code for answer in answers) == [204, 400]
    winner = passwords[[answer.status_code for answer in answers].index(204)]
    assert log_in(client, person.email, winner).status_code == 200


def test_no_session_that_is_being_opened_outlives_a_reset(client: Client, person: Person, sql: Sql) -> None:
    """Sign-ins with the old password at the very moment of the reset: each is refused, or ended by it."""
    token = sent(sql, person.id, "reset_password", person.email)
    at_once(partial(reset, client, token), *[partial(log_in, client, person.email, PASSWORD)] * 8)
    alive = sql.execute("SELECT count(*) FROM sessions WHERE user_id = %s AND revoked_at IS NULL", [person.id])
    assert alive.fetchone() == (0,)
