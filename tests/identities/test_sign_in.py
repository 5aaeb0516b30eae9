"""Signing in with a provider: who is let in, as whom, and how the browser gets back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest

from tests.conftest import ORIGIN, Client, Person
from tests.identities.browser import COOKIE, REFRESH, Browser, code, fragment
from tests.identities.conftest import PROVIDERS
from tests.identities.provider import CONSUMERS, Account, Provider

Sql = psycopg.Connection[Any]
PAGE = f"{ORIGIN}/signed-in?next=/jobs"


def verify(sql: Sql, person: Person) -> None:
    sql.execute("UPDATE users SET email_verified_at = now() WHERE id = %s", [person.id])


def events(sql: Sql, user_id: str) -> list[str]:
    rows = sql.execute("SELECT event FROM audit_events WHERE user_id = %s ORDER BY place", [user_id])
    return [event for (event,) in rows]


def links(sql: Sql, user_id: str) -> list[tuple[str, str]]:
    return sql.execute("SELECT provider, subject FROM identities WHERE user_id = %s ORDER BY 1", [user_id]).fetchall()


def mails(sql: Sql, email: str) -> list[tuple[str, Any]]:
    return sql.execute(
        "SELECT template, facts->>'provider' FROM mail_outbox WHERE recipient = %s ORDER BY id", [email]
    ).fetchall()


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_new_person_gets_an_account_and_is_known_the_next_time(
    name: str, new_browser: Callable[..., Browser], sql: Sql
) -> None:
    account = Account(edov=True)
    answer = new_browser().sign_in(name, account)
    assert answer.status_code == 200, answer.text
    user = answer.json()["user"]
    assert (user["email"], user["email_verified"]) == (account.email, True)
    assert events(sql, user["id"]) == ["registered", "signed_in"]
    account.email = "other@example.com"
    again = new_browser().sign_in(name, account)
    assert again.json()["user"]["id"] == user["id"], "the subject decides, not the address"
    assert again.json()["user"]["email"] == user["email"]
    assert mails(sql, user["email"]) == []


def test_what_google_says_of_a_name_is_taken_over(browser: Browser) -> None:
    user = browser.sign_in("google", Account()).json()["user"]
    assert (user["first_name"], user["last_name"]) == ("Ada", "Lovelace")


def test_a_name_that_is_none_is_left_out(browser: Browser) -> None:
    account = Account(claims={"given_name": "x" * 201, "family_name": {"not": "a text"}})
    user = browser.sign_in("google", account).json()["user"]
    assert (user["first_name"], user["last_name"]) == (None, None)


def test_the_tokens_are_good_and_say_by_what_they_were_got(browser: Browser, sql: Sql) -> None:
    tokens = browser.sign_in("github", Account(), device_name="phone").json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert browser.get("/api/profile", headers=bearer).status_code == 200
    renewed = browser.post("/api/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    assert renewed.status_code == 200
    session = sql.execute(
        "SELECT methods, device_name FROM sessions WHERE user_id = %s", [tokens["user"]["id"]]
    ).fetchone()
    assert session == (["oauth"], "phone")


def test_with_the_cookie_the_refresh_token_is_not_in_the_json(browser: Browser) -> None:
    answer = browser.sign_in("github", Account(), transport="cookie")
    assert "refresh_token" not in answer.json()
    renewed = browser.post("/api/auth/refresh", {}, headers={"Origin": ORIGIN})
    assert renewed.status_code == 200


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_page_gets_the_browser_back_with_the_refresh_cookie_and_no_token_in_the_address(
    name: str, browser: Browser
) -> None:
    answer = browser.sign_in(name, Account(), return_to=PAGE)
    assert (answer.status_code, answer.headers["location"], answer.content) == (302, PAGE, b"")
    (line,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith(REFRESH)]
    assert line.partition("; ")[2].partition("; ")[2] == "Path=/; Secure; HttpOnly; SameSite=Lax"
    assert browser.post("/api/auth/refresh", {}, headers={"Origin": ORIGIN}).status_code == 200


def test_the_browser_is_bound_by_a_cookie_no_script_and_no_other_host_can_touch(browser: Browser) -> None:
    departure = browser.start("google")
    (line,) = departure.headers.get_list("set-cookie")
    name, _, rest = line.partition("=")
    assert name == COOKIE
    assert rest.partition("; ")[2] == "Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert departure.headers["cache-control"] == "no-store"


def test_two_tabs_may_be_on_their_way_at_once(browser: Browser) -> None:
    one, two = browser.start("google"), browser.start("github")
    for departure in (one, two):
        assert browser.get(browser.consent(departure, Account())).status_code == 200


def test_the_address_a_provider_returns_to_is_ours_whatever_the_host_header_says(browser: Browser) -> None:
    answer = browser.get("/api/auth/oauth/github/start", headers={"Host": "evil.example", "X-Forwarded-Host": "evil"})
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked["redirect_uri"] == ["https://api.example.com/api/auth/oauth/github/callback"]


def test_no_secret_of_ours_is_in_the_address(browser: Browser, sql: Sql) -> None:
    location = browser.start("google").headers["location"]
    asked = parse_qs(urlsplit(location).query)
    kept = sql.execute("SELECT facts::text FROM challenges WHERE kind = 'oauth'").fetchall()
    secrets_ = [browser.cookies[COOKIE], asked["state"][0], asked["nonce"][0]]
    assert all(secret not in facts for (facts,) in kept for secret in secrets_)
    assert browser.cookies[COOKIE] not in location


@pytest.mark.parametrize("name", ["gitlab", "GOOGLE", "%00", "x" * 200])
def test_an_unknown_provider_is_not_there(name: str, client: Client, person: Person) -> None:
    assert code(client.get(f"/api/auth/oauth/{name}/start")) == (404, "not_found")
    assert code(client.get(f"/api/auth/oauth/{name}/callback?code=a&state=b")) == (404, "not_found")
    assert code(person.post(f"/api/auth/identities/{name}/link", {})) == (404, "not_found")
    assert code(person.delete(f"/api/auth/identities/{name}")) == (404, "not_found")


def test_a_provider_that_is_switched_off_is_not_there(start_app: Callable[..., str]) -> None:
    off = Client(start_app(OAUTH_GITHUB_CLIENT_ID="", OAUTH_GITHUB_CLIENT_SECRET=""))
    assert code(off.get("/api/auth/oauth/github/start")) == (404, "not_found")
    assert code(off.get("/api/auth/oauth/github/callback?code=a&state=b")) == (404, "not_found")
    assert off.get("/api/auth/oauth/google/start").status_code == 302
    off.close()


# ---------------------------------------------------------------- whose account


@pytest.mark.parametrize("name", PROVIDERS)
def test_where_both_addresses_are_verified_the_account_is_linked(
    name: str, browser: Browser, person: Person, sql: Sql
) -> None:
    verify(sql, person)
    account = Account(email=person.email, edov="1")
    answer = browser.sign_in(name, account)
    assert answer.json()["user"]["id"] == person.id
    assert [provider for provider, _ in links(sql, person.id)] == [name]
    assert events(sql, person.id)[-2:] == ["signed_in", "identity_linked"]
    title = {"google": "Google", "github": "GitHub", "microsoft": "Microsoft"}[name]
    assert mails(sql, person.email)[-1:] == [("identity_linked", title)]


def test_an_address_in_capitals_is_the_same_address(browser: Browser, person: Person, sql: Sql) -> None:
    verify(sql, person)
    assert browser.sign_in("google", Account(email=person.email.upper())).json()["user"]["id"] == person.id


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_account_that_somebody_made_in_anothers_name_is_not_the_others(
    name: str, browser: Browser, person: Person, sql: Sql
) -> None:
    """Pre-hijacking: the attacker registers the victim's address with a password, and waits for the victim."""
    answer = browser.sign_in(name, Account(email=person.email, edov=True))
    assert code(answer) == (409, "link_required")
    assert links(sql, person.id) == []
    assert events(sql, person.id)[-1] == "sign_in_refused"


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("google", {"is_verified": False}),
        ("google", {"claims": {"email_verified": "true"}}),
        ("google", {"claims": {"email_verified": None}}),
        ("github", {"is_verified": False}),
        ("microsoft", {}),
        ("microsoft", {"edov": False}),
        ("microsoft", {"edov": "0"}),
        ("microsoft", {"tenant": CONSUMERS}),
        ("microsoft", {"claims": {"email_verified": True}}),
    ],
)
def test_an_address_the_provider_does_not_vouch_for_opens_no_account(
    name: str, account: dict[str, Any], browser: Browser, person: Person, sql: Sql
) -> None:
    """Among them nOAuth: the administrator of any tenant writes the victim's address into an account of theirs."""
    verify(sql, person)
    answer = browser.sign_in(name, Account(email=person.email, **account))
    assert code(answer) == (409, "link_required")
    assert links(sql, person.id) == []


def test_an_unverified_address_of_a_new_person_stays_unverified(browser: Browser) -> None:
    user = browser.sign_in("microsoft", Account()).json()["user"]
    assert user["email_verified"] is False


def test_a_second_identity_of_one_provider_does_not_come_in_by_the_address(
    new_browser: Callable[..., Browser], person: Person, sql: Sql
) -> None:
    verify(sql, person)
    assert new_browser().sign_in("google", Account(email=person.email)).status_code == 200
    assert code(new_browser().sign_in("google", Account(email=person.email))) == (409, "link_required")
    assert len(links(sql, person.id)) == 1


@pytest.mark.parametrize("is_private", [True, False])
def test_github_gives_the_primary_address_also_if_it_is_private(browser: Browser, is_private: bool) -> None:
    account = Account(is_private=is_private)
    assert browser.sign_in("github", account).json()["user"]["email"] == account.email


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("google", {"email": None}),
        ("google", {"email": "no address"}),
        ("google", {"claims": {"email": ["a@example.com"]}}),
        ("github", {"email": None}),
        ("github", {"may_read_emails": False}),
        ("microsoft", {"email": None}),
    ],
)
def test_a_new_person_without_an_address_is_told_so(name: str, account: dict[str, Any], browser: Browser) -> None:
    assert code(browser.sign_in(name, Account(**account))) == (409, "oauth_email_missing")


def test_a_known_person_needs_no_address(new_browser: Callable[..., Browser]) -> None:
    account = Account()
    first = new_browser().sign_in("github", account).json()["user"]
    account.may_read_emails = False
    assert new_browser().sign_in("github", account).json()["user"]["id"] == first["id"]


def test_the_same_subject_at_two_providers_or_tenants_is_two_people(new_browser: Callable[..., Browser]) -> None:
    people = [
        new_browser().sign_in("google", Account(subject="77")),
        new_browser().sign_in("github", Account(subject="77")),
        new_browser().sign_in("microsoft", Account(subject="77")),
        new_browser().sign_in("microsoft", Account(subject="77", tenant=CONSUMERS)),
    ]
    assert len({answer.json()["user"]["id"] for answer in people}) == 4


def test_who_comes_back_twice_at_once_gets_one_account(new_browser: Callable[..., Browser], sql: Sql) -> None:
    account = Account()
    browsers = [new_browser() for _ in range(6)]
    ways = [browser.consent(browser.start("google"), account) for browser in browsers]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda pair: pair[0].get(pair[1]), zip(browsers, ways, strict=True)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.json()["user"]["id"] for answer in answers}) == 1
    assert len(links(sql, answers[0].json()["user"]["id"])) == 1


def test_two_who_come_with_one_address_at_once_make_one_account(new_browser: Callable[..., Browser], sql: Sql) -> None:
    email = str(Account().email)
    browsers = [(new_browser(), name) for name in PROVIDERS]
    ways = [(b, b.consent(b.start(name), Account(email=email, edov=True))) for b, name in browsers]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda pair: pair[0].get(pair[1]), ways))
    assert [answer.status_code for answer in answers] == [200] * 3
    (user_id,) = {answer.json()["user"]["id"] for answer in answers}
    assert len(links(sql, user_id)) == 3


# ---------------------------------------------------------------- what holds for every way of signing in


def test_a_second_factor_is_asked_for(browser: Browser, sql: Sql) -> None:
    account = Account()
    user = browser.sign_in("google", account).json()["user"]
    sql.execute("UPDATE users SET second_factor_at = now() WHERE id = %s", [user["id"]])
    answer = browser.sign_in("google", account, device_name="phone")
    assert answer.json()["mfa_required"] is True
    assert "access_token" not in answer.json()
    begun = sql.execute(
        "SELECT facts->>'methods', facts->>'device_name' FROM challenges WHERE kind = 'sign_in' AND user_id = %s",
        [user["id"]],
    ).fetchall()
    assert begun == [('["oauth"]', "phone")]


def test_a_page_is_told_of_the_second_factor_where_no_server_sees_it(browser: Browser, sql: Sql) -> None:
    account = Account()
    user = browser.sign_in("google", account).json()["user"]
    sql.execute("UPDATE users SET second_factor_at = now() WHERE id = %s", [user["id"]])
    sql.execute(
        "INSERT INTO totp (user_id, sealed, enabled_at, recovery_codes) VALUES (%s, '', now(), '{\"\"}')", [user["id"]]
    )
    answer = browser.sign_in("google", account, return_to=PAGE)
    told = fragment(answer)
    assert told["mfa"].startswith("jtc_")
    assert told["methods"] == "totp,recovery_code"
    assert answer.headers["location"].startswith(f"{PAGE}#mfa=")
    assert not [line for line in answer.headers.get_list("set-cookie") if line.startswith(REFRESH)]


def test_a_disabled_account_is_refused_as_a_wrong_password_is(browser: Browser, person: Person, sql: Sql) -> None:
    account = Account()
    user = browser.sign_in("google", account).json()["user"]
    sql.execute("UPDATE users SET disabled_at = now() WHERE id = %s", [user["id"]])
    refused = browser.sign_in("google", account)
    wrong = person.post("/api/auth/login", {"email": person.email, "password": "wrong wrong wrong"})
    assert {**refused.json(), "request_id": ""} == {**wrong.json(), "request_id": ""}
    assert refused.status_code == wrong.status_code == 401
    assert fragment(browser.sign_in("google", account, return_to=PAGE)) == {"error": "invalid_credentials"}


def test_a_disabled_account_is_not_linked_either(browser: Browser, person: Person, sql: Sql) -> None:
    verify(sql, person)
    sql.execute("UPDATE users SET disabled_at = now() WHERE id = %s", [person.id])
    assert code(browser.sign_in("google", Account(email=person.email))) == (401, "invalid_credentials")
    assert links(sql, person.id) == []


def test_where_addresses_must_be_verified_the_providers_word_decides(
    start_app: Callable[..., str], oauth_provider: Provider
) -> None:
    strict = Client(start_app(REQUIRE_VERIFIED_EMAIL="true"))
    assert code(Browser(strict, oauth_provider).sign_in("github", Account(is_verified=False))) == (
        403,
        "email_not_verified",
    )
    assert Browser(strict, oauth_provider).sign_in("github", Account()).status_code == 200
    strict.close()


# ---------------------------------------------------------------- where to go afterwards


@pytest.mark.parametrize(
    "page",
    [
        "https://evil.example/",
        "//app.example.com/",
        "/signed-in",
        "javascript:alert(1)",
        f"{ORIGIN}.evil.example/",
        f"{ORIGIN}@evil.example/",
        f"{ORIGIN}:443/",
        "http://app.example.com/",
        "https://APP.example.com/",
        f"{ORIGIN}\\@evil.example/",
        f"{ORIGIN}/\\evil.example",
        "https://app.exam\nple.com/",
        "https://app.example.com\r\nSet-Cookie: a=b",
        "https://app.example.com/a b",
        f"{ORIGIN}/#error=none",
        "https://[app.example.com",
        "https://app.example.com\x00/",
        "https://аpp.example.com/",  # noqa: RUF001 - its first letter is Cyrillic
        "",
    ],
)
def test_a_page_that_is_not_ours_is_refused_before_anybody_goes_anywhere(
    page: str, browser: Browser, person: Person
) -> None:
    assert code(browser.start("github", return_to=page)) == (422, "validation_failed")
    assert code(person.post("/api/auth/identities/github/link", {"return_to": page})) == (422, "validation_failed")
    assert browser.cookies == {}


def test_a_token_cannot_be_asked_for_where_only_an_address_could_carry_it(browser: Browser) -> None:
    assert code(browser.start("github", return_to=PAGE, transport="body")) == (422, "validation_failed")


def test_who_begins_too_often_has_to_wait(start_app: Callable[..., str], oauth_provider: Provider) -> None:
    limited = Browser(Client(start_app(OAUTH_LIMIT_ADDRESS="2/300")), oauth_provider)
    assert [limited.start("github").status_code for _ in range(3)] == [302, 302, 429]
    answers: list[httpx.Response] = [
        limited.get("/api/auth/oauth/github/callback", params={"code": "a", "state": "b"}) for _ in range(3)
    ]
    assert [code(answer) for answer in answers] == [(400, "oauth_state_invalid")] * 2 + [(429, "rate_limited")]
    limited.client.close()
