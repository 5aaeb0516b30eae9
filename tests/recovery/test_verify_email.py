"""Verifying an address: by whoever reads its mail, and by nobody else."""

import secrets
from collections.abc import Callable

import httpx
import pytest

from shared.security.random_tokens import one_time_tokens
from tests.conftest import APP_URL, PASSWORD, Client, Mail, Person
from tests.recovery.conftest import Sql, Work, active, events, new_email, posted, sent

VERIFY, RESEND = "/api/auth/verify-email", "/api/auth/verify-email/resend"


def is_verified(person: Person) -> bool:
    return bool(person.get("/api/profile").json()["email_verified"])


def test_the_link_that_a_registration_sends_verifies_the_address(
    client: Client, person: Person, mail_to: Callable[[str], list[Mail]]
) -> None:
    (mail,) = mail_to(person.email)
    assert mail.links[0].startswith(f"{APP_URL}/verify-email#token=jto_")
    assert not is_verified(person)
    assert client.post(VERIFY, {"token": mail.token}).status_code == 204
    assert is_verified(person)


def test_a_verification_shows_in_the_profiles_version_and_in_the_log(client: Client, person: Person, sql: Sql) -> None:
    before = person.get("/api/profile")
    client.post(VERIFY, {"token": sent(sql, person.id, "verify_email", person.email)})
    after = person.get("/api/profile", headers={"If-None-Match": before.headers["etag"]})
    assert (after.status_code, after.json()["version"]) == (200, before.json()["version"] + 1)
    assert events(sql, person.id)[-1] == ("email_verified", True)


def test_verifying_signs_nobody_in_and_ends_no_session(client: Client, person: Person, sql: Sql) -> None:
    answer = client.post(VERIFY, {"token": sent(sql, person.id, "verify_email", person.email)})
    assert (answer.content, answer.headers.get("set-cookie")) == (b"", None)
    assert person.get("/api/auth/status").status_code == 200


def test_one_verification_spends_the_other_links_that_verify_and_no_other(
    client: Client, person: Person, sql: Sql
) -> None:
    links = [sent(sql, person.id, "verify_email", person.email) for _ in range(2)]
    reset = sent(sql, person.id, "reset_password", person.email)
    assert [client.post(VERIFY, {"token": token}).status_code for token in links] == [204, 400]
    answer = client.post("/api/auth/reset-password", {"token": reset, "password": "seven slow green glaciers"})
    assert answer.status_code == 204


@pytest.mark.parametrize(
    "spelling",
    ["Ada.{}@Example.COM", "\u00c9mile{}@example.com", "e\u0301mile{}@example.com", "ada{}@xn--bcher-kva.example.com"],
    ids=["capitals", "accented capital", "decomposed accent", "punycode domain"],
)
def test_an_address_is_verified_however_it_is_spelled(
    client: Client, sql: Sql, mail_to: Callable[[str], list[Mail]], spelling: str
) -> None:
    email = spelling.format(secrets.token_hex(8))
    user = client.post("/api/auth/register", {"email": email, "password": PASSWORD}).json()["user"]
    ((digest,),) = sql.execute("SELECT digest FROM one_time_tokens WHERE user_id = %s", [user["id"]]).fetchall()
    tokens = [link.partition("#token=")[2] for mail in mail_to("") for link in mail.links]
    (token,) = [token for token in tokens if one_time_tokens.digest(token) == digest]
    assert client.post(VERIFY, {"token": token}).status_code == 204
    assert sql.execute("SELECT email_verified FROM users WHERE id = %s", [user["id"]]).fetchone() == (True,)


# ---------------------------------------------------------------- sent again


def test_a_link_can_be_sent_again(client: Client, person: Person, mail_to: Callable[[str], list[Mail]]) -> None:
    answer = person.post(RESEND)
    assert (answer.status_code, answer.content) == (202, b"")
    again, first = mail_to(person.email)
    assert again.token != first.token
    assert client.post(VERIFY, {"token": again.token}).status_code == 204
    assert is_verified(person)


def test_who_is_verified_is_sent_nothing_and_told_the_same(person: Person, sql: Sql) -> None:
    active(person, sql)
    answer = person.post(RESEND)
    assert (answer.status_code, answer.content) == (202, b"")
    assert posted(sql, person.email) == ["verify_email"]


def test_an_account_may_ask_three_times_in_six_hours(person: Person, sql: Sql) -> None:
    answers = [person.post(RESEND) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert (answers[-1].json()["policy"], answers[-1].json()["window"]) == ("verification-account", 6 * 3600)
    assert posted(sql, person.email) == ["verify_email"] * 4


def test_a_session_that_has_ended_has_nothing_sent(person: Person, sql: Sql, work: Work) -> None:
    person.post("/api/auth/logout-all", {})

    def ask() -> httpx.Response:
        answer = person.post(RESEND)
        assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")
        return answer

    assert work.of(ask) == (0, 1)
    assert posted(sql, person.email) == ["verify_email"]


def test_nothing_is_sent_for_an_address_that_changed_since_it_was_read(person: Person, sql: Sql) -> None:
    """The second round trip of sending again names the address; here it comes when the account has another."""
    old = new_email()
    sql.execute("SELECT request_verification(%s, %s, %s, '')", [person.id, old, secrets.token_bytes(32)])
    assert posted(sql, old) == []
    assert posted(sql, person.email) == ["verify_email"]
