"""Providers that misbehave: nobody is let in on a bad word, and a broken answer is told from a refusal."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.identities import id_tokens, wire
from tests.conftest import ORIGIN
from tests.identities.browser import Browser, code, fragment
from tests.identities.conftest import PROVIDERS
from tests.identities.provider import CONSUMERS, Account, Claims, Key, Provider, Reply
from tests.identities.test_state import reason

Sql = psycopg.Connection[Any]
FAILED = (400, "oauth_failed")
UNAVAILABLE = (503, "provider_unavailable")


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Set when the test is over: whoever waits for it has waited long enough."""
    event = threading.Event()
    yield event
    event.set()


# ---------------------------------------------------------------- ID tokens


def _with(**header: Any) -> Callable[[Provider, Claims], str]:
    def sign(provider: Provider, claims: Claims) -> str:
        return jwt.encode(claims, provider.key.private, algorithm="RS256", headers={"kid": provider.key.id} | header)

    return sign


def unsigned(provider: Provider, claims: Claims) -> str:
    return jwt.encode(claims, "", algorithm="none", headers={"kid": provider.key.id})


def signed_with_the_public_key(provider: Provider, claims: Claims) -> str:
    """HS256, with the public key for a secret, as a library would accept that believes the header."""
    import hmac
    from base64 import urlsafe_b64encode

    pem = provider.key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "typ": "JWT", "kid": provider.key.id}
    parts = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    tag = urlsafe_b64encode(hmac.digest(pem, b".".join(parts), "sha256")).rstrip(b"=")
    return b".".join([*parts, tag]).decode()


def signed_by_somebody_else(provider: Provider, claims: Claims) -> str:
    return jwt.encode(claims, Key().private, algorithm="RS256", headers={"kid": provider.key.id})


def altered(provider: Provider, claims: Claims) -> str:
    head, _, tag = provider.sign(claims).split(".")
    body = jwt.encode(claims | {"sub": "1"}, "x" * 32, algorithm="HS256").split(".")[1]
    return f"{head}.{body}.{tag}"


FORGED: dict[str, Callable[[Provider, Claims], str]] = {
    "unsigned": unsigned,
    "HS256 with the public key": signed_with_the_public_key,
    "another key under this one's name": signed_by_somebody_else,
    "altered": altered,
    "an unknown key": _with(kid="unknown"),
    "no key's name": lambda p, c: jwt.encode(c, p.key.private, algorithm="RS256"),
    "a key that the token brings along": lambda p, c: jwt.encode(
        c, (key := Key()).private, algorithm="RS256", headers={"kid": key.id, "jwk": key.jwk("google")}
    ),
    "no JWT": lambda *_: "eyJhbGciOiJSUzI1NiJ9",
}


@pytest.mark.parametrize("name", ["google", "microsoft"])
@pytest.mark.parametrize("sign", FORGED.values(), ids=FORGED)
def test_a_forged_id_token_lets_nobody_in(
    name: str, sign: Callable[[Provider, Claims], str], browser: Browser, sql: Sql
) -> None:
    account = Account(sign=sign, edov=True)
    assert code(browser.sign_in(name, account)) == FAILED
    assert reason(sql).startswith("id_token: ")
    assert sql.execute("SELECT FROM users WHERE email = %s", [account.email]).fetchall() == []


NOW = int(time.time())
UNTRUE: list[tuple[str, Claims]] = [
    *((name, {"nonce": "another"}) for name in ("google", "microsoft")),
    *((name, {"nonce": None}) for name in ("google", "microsoft")),
    *((name, {"nonce": 7}) for name in ("google", "microsoft")),
    *((name, {"aud": "somebody-else"}) for name in ("google", "microsoft")),
    ("google", {"aud": ["jobtrail-at-google", "somebody-else"]}),
    ("google", {"aud": None}),
    ("google", {"azp": "somebody-else"}),
    *((name, {"exp": NOW - 120}) for name in ("google", "microsoft")),
    *((name, {"exp": None}) for name in ("google", "microsoft")),
    ("google", {"iat": NOW + 600}),
    ("microsoft", {"nbf": NOW + 600}),
    ("google", {"iss": "https://accounts.google.com.evil.example"}),
    ("google", {"iss": None}),
    ("google", {"sub": None}),
    ("google", {"sub": ""}),
    ("google", {"sub": "x" * 301}),
    ("google", {"sub": "a\x00b"}),
    ("microsoft", {"iss": "https://login.microsoftonline.com/common/v2.0"}),
    ("microsoft", {"iss": f"https://login.microsoftonline.com/{CONSUMERS}/v2.0"}),
    ("microsoft", {"iss": "https://evil.example/11111111-2222-3333-4444-555555555555/v2.0"}),
    ("microsoft", {"tid": "evil.example"}),
    ("microsoft", {"tid": None}),
]


@pytest.mark.parametrize(("name", "claims"), UNTRUE)
def test_an_id_token_that_was_not_meant_for_this_lets_nobody_in(name: str, claims: Claims, browser: Browser) -> None:
    assert code(browser.sign_in(name, Account(claims=claims, edov=True))) == FAILED


def test_an_id_token_of_another_sign_in_lets_nobody_in(browser: Browser) -> None:
    """Replayed: genuine in everything but the nonce."""
    seen: list[str] = []

    def keep(provider: Provider, claims: Claims) -> str:
        seen.append(provider.sign(claims))
        return seen[0]

    account = Account(sign=keep)
    assert browser.sign_in("google", account).status_code == 200
    assert code(browser.sign_in("google", account)) == FAILED


@pytest.mark.parametrize(
    ("tenant", "account", "is_let_in"),
    [
        ("organizations", Account(), True),
        ("organizations", Account(tenant=CONSUMERS), False),
        ("consumers", Account(tenant=CONSUMERS), True),
        ("consumers", Account(), False),
        ("11111111-2222-3333-4444-555555555555", Account(), True),
        ("11111111-2222-3333-4444-555555555556", Account(), False),
    ],
)
def test_only_the_tenant_that_is_set_may_sign_in(tenant: str, account: Account, is_let_in: bool) -> None:
    from dataclasses import replace

    from shared import settings
    from shared.identities.providers import Microsoft

    microsoft = Microsoft("id", "secret", None, "https://api.example.com/callback")
    issuer = f"https://login.microsoftonline.com/{account.tenant}/v2.0"
    changed = settings.current().model_copy(update={"oauth_microsoft_tenant": tenant})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "current", lambda: changed)
        assert microsoft.is_issuer({"iss": issuer, "tid": account.tenant}, {}) is is_let_in
        others_key = {"issuer": issuer.replace(account.tenant, "11111111-2222-3333-4444-000000000000")}
        assert not microsoft.is_issuer({"iss": issuer, "tid": account.tenant}, others_key)
    assert replace(microsoft, base="http://127.0.0.1:1").token_endpoint == (
        "http://127.0.0.1:1/common/oauth2/v2.0/token"
    )


# ---------------------------------------------------------------- keys


def test_a_new_key_is_looked_for_when_it_is_first_met(
    new_browser: Callable[..., Browser], oauth_provider: Provider, no_keys_read: None
) -> None:
    def read() -> int:
        return oauth_provider.asked.count("/oauth2/v3/certs")

    before = read()
    assert new_browser().sign_in("google", Account()).status_code == 200
    assert new_browser().sign_in("google", Account()).status_code == 200
    assert read() == before + 1, "kept"
    oauth_provider.rotate()
    assert new_browser().sign_in("google", Account()).status_code == 200
    assert read() == before + 2
    for _ in range(3):
        assert code(new_browser().sign_in("google", Account(sign=_with(kid="made up")))) == FAILED
    assert read() == before + 2, "whoever makes up names of keys does not make us ask for each"


def test_keys_are_read_again_when_they_are_old(
    new_browser: Callable[..., Browser],
    oauth_provider: Provider,
    no_keys_read: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert new_browser().sign_in("google", Account()).status_code == 200
    withdrawn = oauth_provider.key
    oauth_provider.rotate()
    oauth_provider.published = [oauth_provider.key]
    by_the_old = Account(sign=lambda _, c: jwt.encode(c, withdrawn.private, "RS256", headers={"kid": withdrawn.id}))
    assert new_browser().sign_in("google", by_the_old).status_code == 200
    monkeypatch.setattr(id_tokens, "KEYS_LIFE", 0.0)
    assert code(new_browser().sign_in("google", by_the_old)) == FAILED


@pytest.mark.parametrize(
    "change",
    [{"kty": "oct", "k": "AAAA"}, {"use": "enc"}, {"alg": "RS512"}, {"n": "AQAB"}, {"n": None}, {"kid": None}],
    ids=str,
)
def test_a_key_that_is_not_for_this_is_not_used(
    change: Claims, browser: Browser, oauth_provider: Provider, no_keys_read: None
) -> None:
    keys = {"keys": [oauth_provider.key.jwk("google") | change]}
    with oauth_provider.answering(keys=Reply(json.dumps(keys).encode())):
        assert code(browser.sign_in("google", Account())) == FAILED
    id_tokens.keys_at.cache_clear()


# ---------------------------------------------------------------- the wire

HTML = (("Content-Type", "text/html"),)
BROKEN: dict[str, Reply] = {
    "500": Reply(b"{}", 500),
    "502 in HTML": Reply(b"<h1>Bad gateway</h1>", 502, HTML),
    "429": Reply(b"{}", 429),
    "HTML": Reply(b"<html>Sign in</html>", 200, HTML),
    "nothing": Reply(b""),
    "cut short": Reply(b'{"access_token": "', is_cut=True),
    "not all of it": Reply(b'{"access_token": "'),
    "no object": Reply(b"[]"),
    "null": Reply(b"null"),
    "nothing in it": Reply(b"{}"),
    "no texts in it": Reply(b'{"access_token": 1, "id_token": 1}'),
    "not UTF-8": Reply(b'{"access_token": "\xff"}'),
    "nested too deep": Reply(b"[" * 100_000),
    "huge": Reply(b" " * (wire.MAX_ANSWER + 1)),
    "a redirect": Reply(b"", 302, (("Location", "https://evil.example/token"),)),
    "packed": Reply(gzip.compress(b'{"id": 7, "access_token": "x", "keys": []}'), 200, (("Content-Encoding", "gzip"),)),
}


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
def test_a_provider_that_is_broken_is_unavailable(
    name: str, reply: Reply, browser: Browser, oauth_provider: Provider, sql: Sql
) -> None:
    with oauth_provider.answering(token=reply):
        answer = browser.sign_in(name, Account())
    assert code(answer) == UNAVAILABLE
    assert answer.headers["retry-after"]
    assert answer.json()["detail"] == answer.json()["title"], "no detail leaks"
    assert reason(sql)


@pytest.mark.parametrize(
    ("what", "how"),
    # An empty list of addresses is a good answer.
    [(what, how) for what in ("user", "emails") for how in BROKEN if (what, how) != ("emails", "no object")],
)
def test_githubs_api_may_be_broken_as_well(what: str, how: str, browser: Browser, oauth_provider: Provider) -> None:
    with oauth_provider.answering(**{what: BROKEN[how]}):
        assert code(browser.sign_in("github", Account())) == UNAVAILABLE


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
def test_keys_that_cannot_be_had_let_nobody_in(
    reply: Reply, browser: Browser, oauth_provider: Provider, no_keys_read: None
) -> None:
    with oauth_provider.answering(keys=reply):
        assert code(browser.sign_in("google", Account())) == UNAVAILABLE
    assert browser.sign_in("google", Account()).status_code == 200, "and it recovers by itself"


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_that_does_not_answer_is_not_waited_for(
    name: str,
    browser: Browser,
    oauth_provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    released: threading.Event,
    sql: Sql,
) -> None:
    monkeypatch.setattr(wire, "PATIENCE", 0.1)
    with oauth_provider.answering(token=Reply(b"{}", waits_for=released)):
        assert code(browser.sign_in(name, Account())) == UNAVAILABLE
    assert "Timeout" in reason(sql)


def test_a_provider_that_answers_a_byte_at_a_time_is_not_waited_for_either(
    browser: Browser, oauth_provider: Provider, monkeypatch: pytest.MonkeyPatch, sql: Sql
) -> None:
    monkeypatch.setattr(wire, "PATIENCE", 0.2)
    with oauth_provider.answering(token=Reply(b" " * 100, drips=0.05)):
        assert code(browser.sign_in("github", Account())) == UNAVAILABLE
    assert reason(sql) == "TimeoutError"


def test_a_provider_that_is_not_there_is_unavailable(
    browser: Browser, oauth_provider: Provider, monkeypatch: pytest.MonkeyPatch, sql: Sql
) -> None:
    from shared.identities.providers import GitHub
    from tests.processes import free_port

    monkeypatch.setattr(GitHub, "token_endpoint", f"http://127.0.0.1:{free_port()}/login/oauth/access_token")
    assert code(browser.sign_in("github", Account())) == UNAVAILABLE
    assert reason(sql) == "ConnectError"


REFUSALS: dict[str, tuple[Reply, str]] = {
    "invalid_client": (Reply(b'{"error": "invalid_client"}', 401), "invalid_client"),
    "no words": (Reply(b"No.", 403, HTML), "status 403"),
    "no sense": (Reply(b'{"error": {"code": 7}}', 400), "status 400"),
    "an attack on the log": (Reply(b'{"error": "x\\nsigned_in"}', 400), "status 400"),
    "in a friendly voice": (Reply(b'{"error": "incorrect_client_credentials"}'), "incorrect_client_credentials"),
}


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(("reply", "why"), REFUSALS.values(), ids=REFUSALS)
def test_a_provider_that_says_no_is_believed(
    name: str, reply: Reply, why: str, browser: Browser, oauth_provider: Provider, sql: Sql
) -> None:
    with oauth_provider.answering(token=reply):
        answer = browser.sign_in(name, Account())
    assert code(answer) == FAILED
    assert reason(sql) == why


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_code_that_was_exchanged_before_lets_nobody_in(
    name: str, browser: Browser, oauth_provider: Provider, sql: Sql
) -> None:
    way = browser.consent(browser.start(name), Account())
    for grant in oauth_provider.grants.values():
        grant.is_spent = True
    assert code(browser.get(way)) == FAILED
    assert reason(sql) in ("invalid_grant", "bad_verification_code")


def test_a_page_is_told_that_the_provider_is_unavailable(browser: Browser, oauth_provider: Provider) -> None:
    with oauth_provider.answering(token=BROKEN["500"]):
        answer = browser.sign_in("google", Account(), return_to=f"{ORIGIN}/back")
    assert fragment(answer) == {"error": "provider_unavailable"}


def test_what_a_provider_sent_is_in_no_log(
    browser: Browser, oauth_provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    way = browser.consent(browser.start("google"), Account())
    with oauth_provider.answering(token=Reply(b'{"error": "invalid_grant", "error_description": "s3cret"}', 400)):
        assert code(browser.get(way)) == FAILED
    assert "google refused a sign-in: invalid_grant" in caplog.text
    assert "s3cret" not in caplog.text
    assert way.partition("code=")[2].partition("&")[0] not in caplog.text
