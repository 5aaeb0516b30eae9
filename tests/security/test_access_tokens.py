"""Access tokens: what is in them, how long they last, and with which keys they are signed and verified."""

import hashlib
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from shared.security import access_tokens, keys
from shared.settings import SettingsError
from tests.conftest import SECRET, Client
from tests.security.forge import base64url, bearer, new_pem
from tests.sessions.rows import Sql, open_session

USER, SESSION = UUID(int=1 << 120), UUID(int=1 << 119)
issue = partial(access_tokens.issue, USER, SESSION, role="user", authenticated_at=1_700_000_000)
ALGORITHMS = ("ES256", "EdDSA")


def header_of(token: str) -> dict[str, Any]:
    return jwt.get_unverified_header(token)


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


# ---------------------------------------------------------------- what is in them


def test_a_token_has_the_claims_of_rfc_9068_and_no_others(environment: dict[str, str]) -> None:
    token, life = issue()
    claims = claims_of(token)
    assert claims.keys() == {*access_tokens.REQUIRED, "auth_time"}
    assert claims["auth_time"] == 1_700_000_000
    assert (claims["iss"], claims["aud"], claims["role"]) == ("jobtrail", "jobtrail", "user")
    assert (claims["sub"], claims["sid"]) == (str(USER), str(SESSION))
    assert claims["exp"] - claims["iat"] == life
    assert header_of(token)["typ"] == "at+jwt"


def test_no_two_tokens_are_the_same(environment: dict[str, str]) -> None:
    tokens = [issue()[0] for _ in range(50)]
    assert len({claims_of(token)["jti"] for token in tokens}) == 50


def test_tokens_last_a_little_differently_so_that_tabs_do_not_refresh_as_one(environment: dict[str, str]) -> None:
    lives = {issue()[1] for _ in range(200)}
    assert 855 <= min(lives) < max(lives) <= 900
    assert len(lives) > 10


def test_issuer_audience_and_life_are_as_they_are_set(configure: Callable[..., None]) -> None:
    configure(JWT_ISSUER="https://api.example.com", JWT_AUDIENCE="console", ACCESS_TOKEN_SECONDS="60")
    token, life = issue()
    claims = claims_of(token)
    assert (claims["iss"], claims["aud"]) == ("https://api.example.com", "console")
    assert 57 <= life <= 60
    assert access_tokens.verify(token).user_id == USER


# ---------------------------------------------------------------- the keys they are signed with


def test_without_private_keys_the_secret_signs(environment: dict[str, str]) -> None:
    token, _ = issue()
    assert header_of(token)["alg"] == "HS256"
    options: Any = {"require": list(access_tokens.REQUIRED)}
    assert jwt.decode(token, SECRET, algorithms=["HS256"], audience="jobtrail", issuer="jobtrail", options=options)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_public_keys_are_published_whole_and_private_ones_not_at_all(
    client: Client, configure: Callable[..., None], algorithm: str
) -> None:
    configure(JWT_PRIVATE_KEYS=new_pem(algorithm))
    answer = client.get("/.well-known/jwks.json")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=600")
    (key,) = answer.json()["keys"]
    kind = {"kty": "EC", "crv": "P-256"} if algorithm == "ES256" else {"kty": "OKP", "crv": "Ed25519"}
    point = ("x", "y") if algorithm == "ES256" else ("x",)
    assert key.keys() == {"kty", "crv", "kid", "alg", "use", *point}
    assert key == key | kind | {"alg": algorithm, "use": "sig"}
    required = {name: key[name] for name in ("crv", "kty", *point)}  # RFC 7638: in the order of the alphabet
    text = json.dumps(required, separators=(",", ":"), sort_keys=True)
    assert key["kid"] == base64url(hashlib.sha256(text.encode()).digest())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("line_break", ["\n", "\\n", "\r\n"], ids=["line breaks", "written out", "CRLF"])
def test_published_keys_verify_what_another_service_is_shown(
    client: Client, sql: Sql, configure: Callable[..., None], algorithm: str, line_break: str
) -> None:
    """Just as README.md has it: PyJWT's client fetches the keys and picks the one that the token names."""
    configure(JWT_PRIVATE_KEYS=new_pem(algorithm).replace("\n", line_break))
    session = open_session(sql)
    token = client.post("/api/auth/refresh", {"refresh_token": session.refresh_token()}).json()["access_token"]
    assert header_of(token)["alg"] == algorithm
    key = jwt.PyJWKClient(f"{client.url}/.well-known/jwks.json").get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, algorithms=[algorithm], audience="jobtrail", issuer="jobtrail")
    assert (claims["sub"], claims["sid"]) == (str(session.user_id), str(session.id))
    assert client.get("/api/auth/status", headers=bearer(token)).status_code == 200


def test_the_first_key_signs_and_all_are_published_and_verify(configure: Callable[..., None]) -> None:
    pems = [new_pem("EdDSA"), new_pem("ES256"), new_pem("ES256")]
    tokens = []
    for pem in pems:
        configure(JWT_PRIVATE_KEYS=pem)
        tokens.append(issue()[0])
    configure(JWT_PRIVATE_KEYS="\n".join(pems))
    signed, _ = issue()
    published = [key["kid"] for key in keys.keyring().jwks["keys"]]
    assert published == [header_of(token)["kid"] for token in tokens]
    assert header_of(signed)["kid"] == published[0]
    for token in (*tokens, signed):
        assert access_tokens.verify(token).session_id == SESSION


def test_an_administrator_reads_which_keys_there_are(client: Client, sql: Sql, configure: Callable[..., None]) -> None:
    pems = new_pem("ES256") + new_pem("EdDSA")
    configure(JWT_PRIVATE_KEYS=pems)
    answer = client.get("/api/auth/jwt-info", headers=open_session(sql, role="admin").bearer)
    info = answer.json()
    assert [key["algorithm"] for key in info["keys"]] == ["ES256", "EdDSA", "HS256"]
    assert (info["algorithm"], info["key_id"]) == ("ES256", info["keys"][0]["key_id"])
    assert not shows(answer.text, pems)


# ---------------------------------------------------------------- keys that will not do

Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | rsa.RSAPrivateKey


def pem(key: Private | x25519.X25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem() -> str:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def encrypted_pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()


def broken_pem() -> str:
    lines = new_pem("ES256").splitlines()
    return "\n".join([lines[0], lines[1][:-8], *lines[2:]])


BAD_KEYS: dict[str, Callable[[], str]] = {
    "a word": lambda: "hunter2-is-no-key",
    "a secret": lambda: "0123456789abcdef0123456789abcdef",
    "nothing within": lambda: "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
    "a beginning": lambda: "-----BEGIN PRIVATE KEY-----",
    "no end": lambda: new_pem("ES256").partition("-----END")[0],
    "cut": broken_pem,
    "public": public_pem,
    "encrypted": encrypted_pem,
    "RSA": lambda: pem(rsa.generate_private_key(65537, 2048)),
    "P-384": lambda: pem(ec.generate_private_key(ec.SECP384R1())),
    "secp256k1": lambda: pem(ec.generate_private_key(ec.SECP256K1())),
    "Ed448": lambda: pem(ed448.Ed448PrivateKey.generate()),
    "X25519": lambda: pem(x25519.X25519PrivateKey.generate()),
    "one good, one bad": lambda: new_pem("ES256") + pem(ec.generate_private_key(ec.SECP384R1())),
    "one good, one cut": lambda: new_pem("ES256") + broken_pem(),
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_private_key_that_will_not_do_is_named_and_not_shown(configure: Callable[..., None], name: str) -> None:
    value = BAD_KEYS[name]()
    configure(JWT_PRIVATE_KEYS=value)
    with pytest.raises(SettingsError, match=r"^JWT_PRIVATE_KEYS: ") as refused:
        keys.keyring()
    assert not shows(str(refused.value), value)


@pytest.mark.parametrize("setting", ["JWT_SECRET", "JWT_SECRET_PREVIOUS", "JWT_PRIVATE_KEYS"])
def test_an_app_with_a_key_that_will_not_do_does_not_start_and_says_why(
    start_app: Callable[..., str], setting: str
) -> None:
    value = "kP3vX9Lq7-Zt5wN8-Rb2mD6-Hf4jY1"  # 31 bytes, and no key
    with pytest.raises(RuntimeError, match=rf"SettingsError: {setting}: must be ") as refused:
        start_app(**{setting: value})
    assert not shows(str(refused.value), value)


def test_a_secret_of_32_bytes_is_counted_in_bytes(configure: Callable[..., None]) -> None:
    configure(JWT_SECRET="\u00e9" * 16)
    assert access_tokens.verify(issue()[0]).user_id == USER
    configure(JWT_SECRET="\u00e9" * 15 + "e")
    with pytest.raises(SettingsError, match=r"^JWT_SECRET: must be at least 32 bytes"):
        keys.keyring()


def shows(message: str, value: str) -> bool:
    """Whether a message gives a stretch of a value away; the words of the format itself are no secret."""
    secret = re.sub(r"-----(BEGIN|END)[A-Z ]*-----", "", value)
    return any(secret[start : start + 8] in message for start in range(len(secret) - 8))
