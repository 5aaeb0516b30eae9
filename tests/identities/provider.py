"""Google, GitHub and Microsoft on this machine: one server that speaks as each of them does, or misbehaves as asked.

What it answers has the shape of what they document: the parameters they demand, the fields they send, and how each
says no. It has been held against their documentation only, never against themselves.
"""

import hashlib
import json
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
TENANT = "11111111-2222-3333-4444-555555555555"
CALLBACK = "https://api.example.com"

CLIENTS = {
    name: (f"jobtrail-at-{name}", f"the secret of jobtrail at {name}") for name in ("google", "github", "microsoft")
}

AUTHORIZE = {
    "/o/oauth2/v2/auth": "google",
    "/login/oauth/authorize": "github",
    "/common/oauth2/v2.0/authorize": "microsoft",
}
TOKEN = {"/token": "google", "/login/oauth/access_token": "github", "/common/oauth2/v2.0/token": "microsoft"}
KEYS = {"/oauth2/v3/certs": "google", "/common/discovery/v2.0/keys": "microsoft"}

Claims = dict[str, Any]
Sign = Callable[["Provider", Claims], str]


@dataclass
class Account:
    """Somebody with an account at a provider. ``claims`` go over what an ID token would say; None leaves one out."""

    email: str | None = field(default_factory=lambda: f"{secrets.token_hex(8)}@example.com")
    is_verified: bool = True
    subject: str = field(default_factory=lambda: str(secrets.randbelow(10**12) + 1))
    tenant: str = TENANT
    edov: Any = None
    claims: Claims = field(default_factory=dict)
    sign: Sign | None = None
    is_private: bool = False
    may_read_emails: bool = True


@dataclass(frozen=True)
class Reply:
    """What is answered in place of the truth."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    is_cut: bool = False
    waits_for: threading.Event | None = None
    drips: float = 0


@dataclass
class Grant:
    provider: str
    account: Account
    asked: dict[str, str]
    is_spent: bool = False


class Key:
    def __init__(self) -> None:
        self.id = secrets.token_hex(8)
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwk(self, provider: str) -> Claims:
        public: Claims = jwt.get_algorithm_by_name("RS256").to_jwk(self.private.public_key(), as_dict=True)
        public = {name: public[name] for name in ("kty", "n", "e")} | {"kid": self.id, "use": "sig"}
        if provider == "microsoft":
            return public | {"x5t": self.id, "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"}
        return public | {"alg": "RS256"}


class Provider:
    """The server, on a thread of its own; ``url`` stands in for every host of the three."""

    _running: ClassVar[list["Provider"]] = []

    def __init__(self) -> None:
        self.key = Key()
        self.published = [self.key]
        self.grants: dict[str, Grant] = {}
        self.tokens: dict[str, Account] = {}
        self.asked: list[str] = []
        """The paths that were asked for."""
        self._replies: dict[str, Reply] = {}
        self._running.append(self)
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                provider._answer(self, b"")

            def do_POST(self) -> None:
                provider._answer(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def settings(self) -> dict[str, str]:
        """What switches all three on, here."""
        found = {"OAUTH_CALLBACK_BASE_URL": CALLBACK}
        for name, (client_id, secret) in CLIENTS.items():
            prefix = f"OAUTH_{name.upper()}"
            found |= {f"{prefix}_CLIENT_ID": client_id, f"{prefix}_CLIENT_SECRET": secret}
            found[f"{prefix}_BASE_URL"] = self.url
        return found

    @classmethod
    def at(cls, url: str) -> "Provider":
        """The one of this process that serves this address."""
        return next(provider for provider in cls._running if url.startswith(provider.url))

    def stop(self) -> None:
        self._running.remove(self)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # ------------------------------------------------------------ what tests ask of it

    @contextmanager
    def answering(self, **replies: Reply) -> Iterator[None]:
        """Misbehave at ``token``, ``keys``, ``user`` or ``emails``."""
        self._replies = replies
        try:
            yield
        finally:
            self._replies = {}

    def rotate(self) -> None:
        """Sign with a new key, and publish it beside the old one."""
        self.key = Key()
        self.published = [self.key, *self.published[:1]]

    def authorize(self, url: str, account: Account) -> str:
        """Let the one who follows this address sign in as ``account``, and consent: gives where the browser is sent."""
        parts = urlsplit(url)
        asked = dict(parse_qsl(parts.query, strict_parsing=True))
        name = AUTHORIZE[parts.path]
        assert asked["client_id"] == CLIENTS[name][0]
        assert asked["redirect_uri"] == f"{CALLBACK}/api/auth/oauth/{name}/callback"
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        assert len(asked["code_challenge"]) == 43
        assert len(asked["state"]) >= 22
        assert ("nonce" in asked, "openid" in asked["scope"]) == ((name != "github"),) * 2
        code = secrets.token_urlsafe(32)
        self.grants[code] = Grant(name, account, asked)
        extra = {
            "google": {"scope": "openid email", "authuser": "0", "prompt": "none", "hd": "example.com"},
            "github": {},
            "microsoft": {"session_state": secrets.token_hex(8)},
        }[name]
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']} | extra)}"

    def claims_of(self, grant: Grant) -> Claims:
        """What an ID token says, before the account's own claims go over it."""
        now, account, client_id = int(time.time()), grant.account, CLIENTS[grant.provider][0]
        claims = {
            "aud": client_id,
            "iat": now,
            "exp": now + 3600,
            "nonce": grant.asked["nonce"],
            "name": "Ada Lovelace",
        }
        if grant.provider == "google":
            claims |= {"iss": "https://accounts.google.com", "azp": client_id, "sub": account.subject}
            claims |= {"email": account.email, "email_verified": account.is_verified, "at_hash": "x"}
            claims |= {"given_name": "Ada", "family_name": "Lovelace"}
        else:
            claims |= {"iss": f"https://login.microsoftonline.com/{account.tenant}/v2.0", "tid": account.tenant}
            claims |= {"sub": f"pairwise-{account.subject}", "oid": account.subject, "ver": "2.0", "nbf": now}
            claims |= {"email": account.email, "preferred_username": account.email, "xms_edov": account.edov}
        claims |= account.claims
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims: Claims) -> str:
        return jwt.encode(claims, self.key.private, algorithm="RS256", headers={"kid": self.key.id})

    # ------------------------------------------------------------ the wire

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        parts = urlsplit(handler.path)
        self.asked.append(parts.path)
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if parts.path in TOKEN:
            reply = self._replies.get("token") or self._exchange(TOKEN[parts.path], form)
        elif parts.path in KEYS:
            keys = {"keys": [key.jwk(KEYS[parts.path]) for key in self.published]}
            reply = self._replies.get("keys") or _json(keys)
        elif parts.path in ("/user", "/user/emails"):
            what = "user" if parts.path == "/user" else "emails"
            token = handler.headers.get("Authorization", "").removeprefix("Bearer ")
            reply = self._replies.get(what) or self._github(what, token)
        else:
            reply = _json({"message": "Not Found"}, 404)
        _send(handler, reply)

    def _exchange(self, name: str, form: dict[str, str]) -> Reply:
        grant = self.grants.get(form["code"])
        if (form["client_id"], form["client_secret"]) != CLIENTS[name]:
            return _refusal(name, "invalid_client", "incorrect_client_credentials")
        if grant is None or grant.provider != name or grant.is_spent or form["grant_type"] != "authorization_code":
            return _refusal(name, "invalid_grant", "bad_verification_code")
        digest = urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if digest != grant.asked["code_challenge"] or form["redirect_uri"] != grant.asked["redirect_uri"]:
            return _refusal(name, "invalid_grant", "bad_verification_code")
        grant.is_spent = True
        token = secrets.token_urlsafe(24)
        self.tokens[token] = grant.account
        if name == "github":
            return _json({"access_token": token, "scope": "user:email", "token_type": "bearer"})
        claims = self.claims_of(grant)
        signed = grant.account.sign(self, claims) if grant.account.sign else self.sign(claims)
        answer = {"access_token": token, "expires_in": 3599, "token_type": "Bearer", "id_token": signed}
        return _json(answer | {"scope": "openid email profile"})

    def _github(self, what: str, token: str) -> Reply:
        account = self.tokens.get(token)
        if account is None:
            return _json({"message": "Bad credentials", "status": "401"}, 401)
        if what == "user":
            shown = None if account.is_private else account.email
            return _json({"login": f"ada-{account.subject}", "id": int(account.subject), "name": "Ada", "email": shown})
        if not account.may_read_emails:
            return _json({"message": "Not Found", "status": "404"}, 404)
        hidden = {"email": f"{account.subject}+ada@users.noreply.github.com", "primary": False, "verified": True}
        primary = {"email": account.email, "primary": True, "verified": account.is_verified, "visibility": None}
        return _json([hidden | {"visibility": None}, *([primary] if account.email else [])])


def _refusal(name: str, error: str, githubs: str) -> Reply:
    """Each says no in a way of its own: GitHub with status 200."""
    if name == "github":
        return _json(
            {"error": githubs, "error_description": "The code passed is incorrect or expired.", "error_uri": ""}
        )
    if name == "google":
        return _json({"error": error, "error_description": "Bad Request"}, 400)
    return _json({"error": error, "error_description": "AADSTS70008: ...", "error_codes": [70008]}, 400)


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(value).encode(), status)


def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    if reply.waits_for:
        reply.waits_for.wait(10)
    try:
        handler.send_response(reply.status)
        for name, value in reply.headers:
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(reply.body) + reply.is_cut))
        handler.end_headers()
        if reply.drips:
            for byte in reply.body:
                handler.wfile.write(bytes([byte]))
                time.sleep(reply.drips)
        else:
            handler.wfile.write(reply.body)
        if reply.is_cut:
            handler.close_connection = True
    except OSError:
        handler.close_connection = True  # whoever asked has gone away
