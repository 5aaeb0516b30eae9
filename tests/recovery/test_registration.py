"""Registration, where addresses must be verified: nobody is told whether an address is taken, but by mail to it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from shared import settings
from tests.conftest import PASSWORD, Client, Mail, Person
from tests.recovery.conftest import NEW_PASSWORD, Sql, Work, events, every_kind, log_in, new_email, posted, shown
from tests.sessions.together import at_once


def register(client: Client, email: str, **fields: Any) -> Any:
    return client.post("/api/auth/register", {"email": email, "password": NEW_PASSWORD, **fields})


@pytest.fixture
def verified_only(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process asks for verified addresses, until the test is over."""
    monkeypatch.setenv("REQUIRE_VERIFIED_EMAIL", "true")
    settings.current.cache_clear()
    yield
    monkeypatch.undo()
    settings.current.cache_clear()


# ---------------------------------------------------------------- as a rule


def test_a_registration_posts_its_link_in_its_own_statement(client: Client, sql: Sql, work: Work) -> None:
    email = new_email()
    assert work.of(lambda: register(client, email)) == (1, 1)
    assert posted(sql, email) == ["verify_email"]


def test_a_registration_of_a_taken_address_posts_nothing_and_is_written_down(
    client: Client, person: Person, sql: Sql
) -> None:
    assert register(client, person.email).json()["code"] == "email_taken"
    assert posted(sql, person.email) == ["verify_email"]
    assert events(sql, person.id)[-1] == ("registration_refused", False)


def test_registrations_are_limited_by_network_whether_or_not_an_address_is_taken(
    start_app: Callable[..., str], person: Person
) -> None:
    url = start_app(REGISTER_LIMIT_ADDRESS="2/300")
    for taken in (False, True):
        stranger = Client(url)
        answers = [register(stranger, person.email if taken else new_email()) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [409 if taken else 201] * 2 + [429]
        assert answers[-1].json()["policy"] == "register-address"
        stranger.close()


# ---------------------------------------------------------------- where addresses must be verified


@every_kind
@pytest.mark.parametrize("transport", ["body", "cookie"])
def test_new_and_taken_addresses_are_answered_alike_at_the_same_cost(
    client: Client,
    person: Person,
    sql: Sql,
    work: Work,
    verified_only: None,
    kind: Callable[[Person, Sql], str],
    transport: str,
) -> None:
    email = kind(person, sql)
    before = len(posted(sql, email))
    new = register(client, new_email(), transport=transport)
    assert (new.status_code, new.content, new.headers.get("set-cookie")) == (202, b"", None)
    assert shown(register(client, email, transport=transport)) == shown(new)
    assert len(posted(sql, email)) == before + 1
    assert work.of(lambda: register(client, email)) == (1, 1)


def test_a_new_address_signs_in_once_it_is_verified(
    client: Client, verified_only: None, mail_to: Callable[[str], list[Mail]]
) -> None:
    email = new_email()
    register(client, email)
    assert log_in(client, email, NEW_PASSWORD).json()["code"] == "email_not_verified"
    (mail,) = mail_to(email)
    assert client.post("/api/auth/verify-email", {"token": mail.token}).status_code == 204
    assert log_in(client, email, NEW_PASSWORD).status_code == 200


def test_a_new_account_has_no_session(client: Client, sql: Sql, verified_only: None) -> None:
    email = new_email()
    register(client, email)
    opened = sql.execute("SELECT count(*) FROM sessions s JOIN users u ON u.id = user_id WHERE email = %s", [email])
    assert opened.fetchone() == (0,)


def test_a_taken_address_is_told_once_in_six_hours_and_sent_no_token(
    client: Client, person: Person, sql: Sql, verified_only: None, mail_to: Callable[[str], list[Mail]]
) -> None:
    """Nor could one verify the account: whoever made it may not be who reads the mail, and knows its password."""
    for spelling in (person.email, person.email.upper()):
        assert register(client, spelling).status_code == 202
    assert posted(sql, person.email) == ["verify_email", "account_exists"]
    assert "jto_" not in mail_to(person.email)[0].text
    sql.execute(
        "UPDATE mail_outbox SET created_at = created_at - interval '7 hours' WHERE recipient = %s", [person.email]
    )
    register(client, person.email)
    assert posted(sql, person.email).count("account_exists") == 2


def test_a_registration_of_a_taken_address_changes_nothing_of_the_account(
    client: Client, person: Person, sql: Sql, verified_only: None
) -> None:
    register(client, person.email, first_name="Mallory")
    assert person.get("/api/profile").json()["first_name"] is None
    sql.execute("UPDATE users SET email_verified_at = now() WHERE id = %s", [person.id])
    assert log_in(client, person.email, NEW_PASSWORD).status_code == 401
    assert log_in(client, person.email, PASSWORD).status_code == 200


def test_a_password_that_will_not_do_is_refused_alike(client: Client, person: Person, verified_only: None) -> None:
    answers = [shown(register(client, email, password="short")) for email in (new_email(), person.email)]
    assert answers[0] == answers[1]
    assert answers[0][0] == 422


def test_who_lost_the_link_gets_in_by_a_reset(
    client: Client, verified_only: None, mail_to: Callable[[str], list[Mail]]
) -> None:
    """There is no session to ask for another link with; a reset proves the address as well."""
    email = new_email()
    register(client, email)
    client.post("/api/auth/forgot-password", {"email": email})
    body = {"token": mail_to(email)[0].token, "password": "nine quick brown otters"}
    assert client.post("/api/auth/reset-password", body).status_code == 204
    assert log_in(client, email, "nine quick brown otters").status_code == 200


def test_registrations_of_one_address_at_once_make_one_account_and_are_answered_alike(
    client: Client, sql: Sql, verified_only: None
) -> None:
    email = new_email()
    answers = at_once(*[partial(register, client, email)] * 4)
    assert [answer.status_code for answer in answers] == [202] * 4
    assert sql.execute("SELECT count(*) FROM users WHERE email = %s", [email]).fetchone() == (1,)
    assert posted(sql, email).count("verify_email") == 1
