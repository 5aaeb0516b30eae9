"""Forged access tokens: each is a 401 at an app that has no database, so none of them costs so much as a question."""

import hashlib
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from shared.security import access_tokens, keys, refresh_tokens
from tests.conftest import SECRET, Client, Person
from tests.security.forge import GENUINE, Sign, base64url, bearer, claims, header, hs256, new_pem, token, unsigned
from tests.sessions.rows import Sql, open_session

USER, SESSION = UUID(int=1 << 120), UUID(int=1 << 119)
issue = partial(access_tokens.issue, USER, SESSION, role="user", authenticated_at=1_700_000_000)
NONES = ("none", "None", "NONE", "nOnE")


def signed(**changes: Any) -> str:
    """A token that is good but for what is changed in its claims, with the signature of the real key."""
    return token(header(), claims(USER, SESSION, **changes))


def headed(sign: Sign = GENUINE, **changes: Any) -> str:
    """A token that is good but for what is changed in its header, and perhaps for its signature."""
    return token(header(**changes), claims(USER, SESSION), sign)


def parts(text: str) -> tuple[str, str, str]:
    head, body, signature = text.split(".")
    return head, body, signature


def reclaimed(**changes: Any) -> str:
    """A good token whose claims were changed under its signature."""
    head, body, signature = parts(signed())
    changed = json.loads(urlsafe_b64decode(body + "==")) | changes
    return f"{head}.{base64url(json.dumps(changed).encode())}.{signature}"


def reheaded(**changes: Any) -> str:
    """A good token whose header was changed under its signature."""
    _, body, signature = parts(signed())
    return f"{base64url(json.dumps(header(**changes)).encode())}.{body}.{signature}"


def resigned(change: Callable[[bytes], bytes]) -> str:
    """A good token whose signature was changed."""
    head, body, signature = parts(signed())
    return f"{head}.{body}.{base64url(change(urlsafe_b64decode(signature + '=')))}"


def respelt(change: Callable[[str], str]) -> str:
    """A good token with the same signature in other letters."""
    while True:  # until it has the letters that can be written in another way
        head, body, signature = parts(signed())
        if "-" in signature and "_" in signature:
            return f"{head}.{body}.{change(signature)}"


def last_letter_moved(signature: str) -> str:
    """The last letter of 43 has two bits that mean nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]


def self_signed(**changes: Any) -> str:
    """A token with a key of its own, which it brings along."""
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": base64url(numbers.x.to_bytes(32)), "y": base64url(numbers.y.to_bytes(32))}

    def sign(message: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    return headed(sign, alg="ES256", jwk=jwk, **changes)


def flip(position: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


FORGERIES: dict[str, Callable[[], str | bytes]] = {
    # out of time
    "expired": lambda: signed(exp=int(time.time()) - access_tokens.LEEWAY),
    "expired long ago": lambda: signed(exp=1),
    "issued tomorrow": lambda: signed(iat=int(time.time()) + 86_400),
    "not yet good": lambda: signed(nbf=int(time.time()) + 3_600),
    # tampered with
    "another role": lambda: reclaimed(role="admin"),
    "another user": lambda: reclaimed(sub=str(uuid4())),
    "another session": lambda: reclaimed(sid=str(uuid4())),
    "a longer life": lambda: reclaimed(exp=int(time.time()) + 10**6),
    "another header": lambda: reheaded(kid="x"),
    "first bit of the signature": lambda: resigned(flip(0)),
    "middle bit of the signature": lambda: resigned(flip(16)),
    "last bit of the signature": lambda: resigned(flip(31)),
    "signature cut": lambda: resigned(lambda data: data[:-1]),
    "signature prolonged": lambda: resigned(lambda data: data + b"\0"),
    "signature of zeros": lambda: resigned(lambda data: bytes(len(data))),
    "signature missing": lambda: signed().rpartition(".")[0],
    "signature empty": lambda: signed().rpartition(".")[0] + ".",
    # another algorithm
    **{f"alg {name}": partial(headed, unsigned, alg=name) for name in NONES},
    **{f"alg {name}, still signed": partial(reheaded, alg=name) for name in NONES},
    **{f"alg {name}, properly signed": partial(headed, alg=name) for name in (*NONES, "HS384", "hs256", "")},
    "alg missing": lambda: headed(alg=None),
    "alg a number": lambda: headed(alg=256),
    "alg a list": lambda: headed(alg=["HS256"]),
    "alg of another kind of key": lambda: headed(alg="ES256"),
    # another kind of token
    "typ JWT": lambda: headed(typ="JWT"),
    "typ missing": lambda: headed(typ=None),
    "typ a list": lambda: headed(typ=["at+jwt"]),
    "typ of a logout token": lambda: headed(typ="logout+jwt"),
    "a refresh token": lambda: refresh_tokens.issue(SESSION, generation=1),
    "five parts": lambda: signed() + ".x.y",
    "JSON serialization": lambda: json.dumps(
        dict(zip(("protected", "payload", "signature"), parts(signed()), strict=True))
    ),
    # another key
    "unknown kid": lambda: headed(kid="another"),
    "kid of a file": lambda: headed(kid="../../../../dev/null"),
    "kid empty": lambda: headed(kid=""),
    "kid a number": lambda: headed(kid=1),
    "key brought along": self_signed,
    "key brought along under our kid": lambda: self_signed(kid=keys.keyring().signing.id),
    "key at an address": lambda: headed(alg="ES256", jku="https://evil.example/jwks.json", kid="evil"),
    "shared key brought along": lambda: headed(hs256(b"e" * 32), jwk={"kty": "oct", "k": base64url(b"e" * 32)}),
    "no key": lambda: headed(hs256(b"")),
    "another secret": lambda: headed(hs256(SECRET.swapcase().encode())),
    "digest of the secret": lambda: headed(hs256(hashlib.sha256(SECRET.encode()).digest())),
    "the key of refresh tokens": lambda: headed(hs256(keys.refresh_keys()[0])),
    # for somebody else, or by somebody else
    "another audience": lambda: signed(aud="another"),
    "other audiences": lambda: signed(aud=["a", "b"]),
    "audience empty": lambda: signed(aud=""),
    "another issuer": lambda: signed(iss="another"),
    "issuer almost": lambda: signed(iss="jobtrail/"),
    # incomplete, or of the wrong kind
    **{f"without {name}": partial(signed, **{name: None}) for name in access_tokens.REQUIRED},
    **{
        f"{name} {value!r}": partial(signed, **{name: value})
        for name in ("sub", "sid")
        for value in ("me", "", 1, ["x"], {"x": 1}, True, str(USER)[:-1])
    },
    "exp a word": lambda: signed(exp="tomorrow"),
    "exp a list": lambda: signed(exp=[int(time.time()) + 600]),
    "claims a list": lambda: token(header(), [1]),  # type: ignore[arg-type]
    "header a list": lambda: token([1], claims(USER, SESSION)),  # type: ignore[arg-type]
    # the same signature in other letters
    "last letter moved": lambda: respelt(last_letter_moved),
    "padded": lambda: respelt(lambda signature: signature + "="),
    "letters of plain base64": lambda: respelt(lambda signature: signature.replace("-", "+").replace("_", "/")),
    "letters that mean nothing": lambda: respelt(lambda signature: signature[:9] + "!*" + signature[9:]),
    "blank within": lambda: respelt(lambda signature: signature[:9] + " " + signature[9:]),
    # nothing like a token
    "dots": lambda: "..",
    "letters": lambda: "abc",
    "huge": lambda: "A" * 60_000,
    "huge claims": lambda: f"{parts(signed())[0]}.{'A' * 60_000}.{parts(signed())[2]}",
    "nested deep": lambda: f"{base64url(b'[' * 20_000)}.e30.AAAA",
    "nested deep in claims": lambda: f"{parts(signed())[0]}.{base64url(b'[' * 20_000)}.AAAA",
    "not ASCII": lambda: signed().encode()[:-1] + "\u00e9".encode("latin-1"),
    "UTF-8": lambda: "\u6f22\u5b57.\u6f22.\u5b57".encode(),
    "all bytes": lambda: bytes(range(128, 256)),
}


def assert_invalid_token(refused: httpx.Response) -> None:
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert refused.json().keys() == {"type", "title", "status", "code", "detail", "request_id"}  # and not why


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_access_token_is_refused_without_asking_the_database(offline: Client, name: str) -> None:
    assert_invalid_token(offline.get("/api/profile", headers=bearer(FORGERIES[name]())))


@pytest.mark.parametrize(
    "make",
    [
        signed,
        lambda: issue()[0],
        lambda: headed(typ="application/at+jwt"),
        lambda: headed(kid=keys.keyring().signing.id),
        lambda: signed(aud=["another", "jobtrail"]),
    ],
    ids=["by hand", "issued", "typ in full", "our kid", "for us too"],
)
def test_a_genuine_access_token_is_not_refused_before_the_database_is_asked(
    offline: Client, make: Callable[[], str]
) -> None:
    """The other half of the test above: what is refused there is refused for what is wrong with it."""
    answer = offline.get("/api/profile", headers=bearer(make()))
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")


@pytest.mark.parametrize("path", ["/api/auth/jwt-info", "/api/auth/status", "/api/applications"])
def test_a_forged_administrator_is_refused_as_a_forgery(offline: Client, path: str) -> None:
    assert_invalid_token(offline.get(path, headers=bearer(reclaimed(role="admin"))))


# ---------------------------------------------------------------- where the public key is known to everybody


def forgeries_with_a_public_key(pem: str) -> dict[str, str]:
    """What somebody can make who has read /.well-known/jwks.json."""
    private = load_pem_private_key(pem.encode(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    public = private.public_key()
    spki = PublicFormat.SubjectPublicKeyInfo
    secrets = {
        "PEM": public.public_bytes(Encoding.PEM, spki),
        "PEM without the last line break": public.public_bytes(Encoding.PEM, spki).strip(),
        "DER": public.public_bytes(Encoding.DER, spki),
        "point": public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        "x": public.public_numbers().x.to_bytes(32),
    }
    made = {}
    for name, secret in secrets.items():
        for kid in (None, _key_id(public)):
            made[f"HS256 with the {name}, kid {kid}"] = headed(hs256(secret), kid=kid)
    for algorithm, length in {"ES256": 64, "EdDSA": 64, "RS256": 256}.items():
        made[f"{algorithm} signature of zeros"] = headed(zeros(length), alg=algorithm, kid=_key_id(public))
    made["signature in DER"] = headed(partial(_sign_in_der, private), alg="ES256", kid=_key_id(public))
    made["another key of the same curve"] = self_signed(kid=_key_id(public))
    made["the secret's signature under the key's name"] = headed(alg="HS256", kid=_key_id(public))
    made["the key's algorithm under the secret's name"] = headed(alg="ES256", kid=keys.keyring().signing.id)
    return made


def zeros(length: int) -> Sign:
    return lambda _: bytes(length)


def _sign_in_der(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    return key.sign(message, ec.ECDSA(SHA256()))


def _key_id(public: ec.EllipticCurvePublicKey) -> str:
    """The thumbprint of RFC 7638."""
    numbers = public.public_numbers()
    x, y = (base64url(number.to_bytes(32)) for number in (numbers.x, numbers.y))
    return base64url(hashlib.sha256(f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'.encode()).digest())


def test_a_public_key_forges_nothing(offline_es256: Client, es256_key: str) -> None:
    forged = forgeries_with_a_public_key(es256_key)
    assert len(forged) > 15
    for name, text in forged.items():
        refused = offline_es256.get("/api/profile", headers=bearer(text))
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token"), name


def test_the_key_that_a_public_key_belongs_to_signs(
    offline_es256: Client, es256_key: str, configure: Callable[..., None]
) -> None:
    """The other half of the test above."""
    configure(JWT_PRIVATE_KEYS=es256_key)
    issued, _ = issue()
    assert offline_es256.get("/api/profile", headers=bearer(issued)).status_code == 503


def test_a_token_that_names_no_key_is_verified_with_the_one_of_its_algorithm(offline_es256: Client) -> None:
    """There the secret comes second."""
    assert offline_es256.get("/api/profile", headers=bearer(headed())).status_code == 503


def test_a_key_that_was_not_configured_signs_nothing(
    offline_es256: Client, offline: Client, configure: Callable[..., None]
) -> None:
    for algorithm in ("ES256", "EdDSA"):
        configure(JWT_PRIVATE_KEYS=new_pem(algorithm))
        issued, _ = issue()
        for app in (offline, offline_es256):
            assert_invalid_token(app.get("/api/profile", headers=bearer(issued)))


# ---------------------------------------------------------------- signed by us, and still not let in


def test_a_session_is_good_for_its_own_user_only(client: Client, sql: Sql) -> None:
    """Even with a signature of ours: the door asks whose session it is."""
    mine, yours = open_session(sql), open_session(sql)
    for user_id, session_id in (
        (mine.user_id, yours.id),
        (yours.user_id, mine.id),
        (mine.user_id, uuid4()),
        (uuid4(), mine.id),
        (mine.id, mine.user_id),
    ):
        refused = client.get("/api/profile", headers=bearer(token(header(), claims(user_id, session_id))))
        assert (refused.status_code, refused.json()["code"]) == (401, "session_ended")
        assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert client.get("/api/profile", headers=bearer(token(header(), claims(mine.user_id, mine.id)))).status_code == 200


def test_a_token_that_was_good_is_refused_once_it_has_expired(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proved signature is remembered, its expiry is not: it is asked anew each time, to the second."""
    end = access_tokens.verify(person.tokens["access_token"]).expires_at + access_tokens.LEEWAY
    assert person.get("/api/profile").status_code == 200
    monkeypatch.setattr(access_tokens, "time", lambda: end - 0.001)
    assert person.get("/api/profile").status_code == 200
    monkeypatch.setattr(access_tokens, "time", lambda: end)
    assert_invalid_token(person.get("/api/profile"))


def test_an_access_token_is_no_refresh_token(person: Person) -> None:
    refused = person.post("/api/auth/refresh", {"refresh_token": person.tokens["access_token"]})
    assert (refused.status_code, refused.json()["code"]) == (401, "refresh_token_invalid")


def test_a_refresh_token_is_no_access_token(person: Person) -> None:
    assert_invalid_token(person.get("/api/profile", headers=bearer(person.refresh_token)))


@pytest.mark.parametrize("place", ["?access_token=", "?token="])
def test_a_token_in_the_address_is_not_looked_at(person: Person, place: str) -> None:
    """Addresses are logged."""
    path = f"/api/profile{place}{person.tokens['access_token']}"
    refused = httpx.get(person.url + path)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
