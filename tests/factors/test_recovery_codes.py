"""Recovery codes: what is left when the phone is not."""

import re
from collections.abc import Callable
from functools import partial

import pytest

from shared.factors.models import ALPHABET
from tests.conftest import Client, Mail
from tests.factors.authenticator import INVALID, OK, OVER, finish, first_step, outcome
from tests.factors.conftest import Owner
from tests.sessions.rows import Sql
from tests.sessions.together import at_once

MFA = "/api/auth/mfa"


def left(owner: Owner) -> int:
    return int(owner.person.get(MFA).json()["recovery_codes_left"])


def renewed(owner: Owner) -> list[str]:
    answer = owner.person.post(f"{MFA}/recovery-codes")
    assert answer.status_code == 200, answer.text
    codes: list[str] = answer.json()["recovery_codes"]
    return codes


def test_there_are_ten_of_120_bits_each_made_for_reading(ada: Owner) -> None:
    assert len(set(ada.codes)) == 10
    assert (len(ALPHABET), len(set(ALPHABET))) == (32, 32)
    for code in ada.codes:
        assert re.fullmatch(rf"[{ALPHABET}]{{4}}(-[{ALPHABET}]{{4}}){{5}}", code), "24 characters of 5 bits"
    assert not set("ILOU") & set("".join(ada.codes))


def test_a_code_signs_in_in_place_of_the_app(ada: Owner, client: Client, sql: Sql) -> None:
    assert outcome(finish(client, first_step(client, ada.person), recovery_code=ada.codes[0])) == OK
    newest = sql.execute(
        "SELECT methods FROM sessions WHERE user_id = %s ORDER BY created_at DESC LIMIT 1", [ada.person.id]
    )
    assert newest.fetchone() == (["password", "recovery_code"],)


def test_each_is_good_once(ada: Owner, client: Client) -> None:
    for n, code in enumerate(ada.codes):
        assert outcome(finish(client, first_step(client, ada.person), recovery_code=code)) == OK
        assert left(ada) == 9 - n
    for code in (ada.codes[0], ada.codes[9]):
        assert outcome(finish(client, first_step(client, ada.person), recovery_code=code)) == INVALID


@pytest.mark.parametrize(
    "typed",
    [
        lambda code: code.lower(),
        lambda code: code.replace("-", ""),
        lambda code: code.replace("-", " ") + "\n",
        lambda code: code.replace("0", "O").replace("1", "I"),
        lambda code: code.replace("0", "o").replace("1", "l"),
        lambda code: code.replace("-", " \N{EN DASH} "),
    ],
    ids=["lower case", "no hyphens", "spaces", "O and I", "o and l", "dashes"],
)
def test_it_may_be_typed_as_it_was_read(ada: Owner, client: Client, typed: Callable[[str], str]) -> None:
    assert outcome(finish(client, first_step(client, ada.person), recovery_code=typed(ada.codes[0]))) == OK


def test_a_part_of_one_is_none(ada: Owner, client: Client) -> None:
    challenge = first_step(client, ada.person)
    code = ada.codes[0]
    for wrong in (code[:-1], code[:4], code + "0", "-"):
        assert outcome(finish(client, challenge, recovery_code=wrong)) == INVALID
    assert outcome(finish(client, challenge, recovery_code=code)) == OK


def test_of_requests_at_once_with_one_code_one_wins(ada: Owner, client: Client, sql: Sql) -> None:
    challenges = [first_step(client, ada.person) for _ in range(8)]
    answers = at_once(*[partial(finish, client, challenge, recovery_code=ada.codes[0]) for challenge in challenges])
    assert sorted(map(outcome, answers)) == [OK] + [INVALID] * 7
    assert left(ada) == 9


def test_of_different_codes_at_once_on_one_challenge_one_wins_and_no_other_is_spent(ada: Owner, client: Client) -> None:
    challenge = first_step(client, ada.person)
    answers = at_once(*[partial(finish, client, challenge, recovery_code=code) for code in ada.codes[:4]])
    assert sorted(map(outcome, answers)) == [OK] + [OVER] * 3
    assert left(ada) == 9


def test_a_code_and_a_recovery_code_at_once_on_one_challenge_make_one_session(
    ada: Owner, client: Client, sql: Sql
) -> None:
    challenge = first_step(client, ada.person)
    answers = at_once(
        partial(finish, client, challenge, recovery_code=ada.codes[0]),
        partial(finish, client, challenge, code=ada.app.code(1)),
    )
    assert sorted(map(outcome, answers)) == [OK, OVER]
    count = sql.execute("SELECT count(*) FROM sessions WHERE user_id = %s", [ada.person.id]).fetchone()
    assert count == (2,)


def test_a_new_set_is_another_and_the_old_one_is_good_no_more(ada: Owner, client: Client) -> None:
    new = renewed(ada)
    assert (len(new), set(new) & set(ada.codes)) == (10, set())
    assert outcome(finish(client, first_step(client, ada.person), recovery_code=ada.codes[0])) == INVALID
    assert outcome(finish(client, first_step(client, ada.person), recovery_code=new[0])) == OK


def test_the_database_holds_digests_only(ada: Owner, sql: Sql) -> None:
    row = sql.execute("SELECT totp::text, recovery_codes FROM totp WHERE user_id = %s", [ada.person.id]).fetchone()
    assert row
    shown, digests = row
    assert [len(digest) for digest in digests] == [32] * 10
    for code in ada.codes:
        plain = code.replace("-", "")
        assert plain not in shown
        assert plain.encode().hex() not in shown


def test_its_use_is_told_to_the_owner_with_how_many_are_left(
    ada: Owner, client: Client, mail_to: Callable[[str], list[Mail]], sql: Sql
) -> None:
    finish(client, first_step(client, ada.person), recovery_code=ada.codes[0])
    ada.person.post("/api/auth/reauthenticate", {"recovery_code": ada.codes[1]})
    told = [mail for mail in mail_to(ada.person.email) if mail.subject == "A recovery code was used"]
    assert [re.findall(r"Codes left: (\d+)", mail.text) for mail in told] in ([["8"], ["9"]], [["9"], ["8"]])
    written = sql.execute(
        "SELECT facts FROM audit_events WHERE user_id = %s AND event = 'recovery_code_used' ORDER BY place",
        [ada.person.id],
    )
    assert written.fetchall() == [({"left": 9},), ({"left": 8},)]


def test_a_wrong_one_is_written_down_and_told_to_nobody(
    ada: Owner, client: Client, mail_to: Callable[[str], list[Mail]], sql: Sql
) -> None:
    finish(client, first_step(client, ada.person), recovery_code="0" * 24)
    written = sql.execute(
        "SELECT facts, succeeded FROM audit_events WHERE user_id = %s AND event = 'second_factor_refused'",
        [ada.person.id],
    )
    assert written.fetchall() == [({"method": "recovery_code"}, False)]
    assert "A recovery code was used" not in {mail.subject for mail in mail_to(ada.person.email)}


def test_with_the_phone_gone_a_code_is_the_way_to_a_new_one(ada: Owner, client: Client) -> None:
    """Whoever signed in with one may turn the app off, or set up another."""
    tokens = finish(client, first_step(client, ada.person), recovery_code=ada.codes[0]).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert client.delete(f"{MFA}/totp", headers=bearer).status_code == 204
