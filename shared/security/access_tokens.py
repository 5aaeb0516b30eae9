"""Access tokens: JWTs of the profile RFC 9068 describes, good for minutes."""

import json
import os
import random
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache
from time import time
from typing import Any
from uuid import UUID

from shared import settings
from shared.errors import InvalidToken
from shared.security.keys import keyring

LEEWAY = 5
"""Seconds by which another machine's clock may be off."""

JITTER = 0.05
"""The greatest share of its life a token is shortened by, at random, so that a browser's tabs do not refresh as one."""

REQUIRED = ("iss", "aud", "sub", "sid", "role", "iat", "exp", "jti")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a token says once its signature is proved. Times are in seconds since 1970."""

    user_id: UUID
    session_id: UUID
    role: str
    expires_at: int
    authenticated_at: int


def issue(user_id: UUID, session_id: UUID, *, role: str, authenticated_at: int) -> tuple[str, int]:
    """A new token and its life in seconds; ``authenticated_at`` is when its holder last proved who they are."""
    config, key = settings.current(), keyring().signing
    now = int(time())
    life = config.access_token_seconds - int(random.random() * JITTER * config.access_token_seconds)
    claims = {
        "iss": config.jwt_issuer,
        "aud": config.jwt_audience,
        "sub": str(user_id),
        "sid": str(session_id),
        "role": role,
        "iat": now,
        "exp": now + life,
        "auth_time": authenticated_at,
        "jti": os.urandom(16).hex(),
    }
    message = _header(key.algorithm, key.id) + b"." + _base64url(json.dumps(claims, separators=(",", ":")).encode())
    return (message + b"." + _base64url(key.sign(message))).decode(), life


@lru_cache(maxsize=4)
def _header(algorithm: str, key_id: str) -> bytes:
    return _base64url(json.dumps({"alg": algorithm, "kid": key_id, "typ": "at+jwt"}).encode())


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def verify(token: str) -> AccessToken:
    """What the token says. The database is not asked.

    Raises:
        InvalidToken: it is not a token of ours, or no longer.
    """
    proved = _prove(token)
    if proved.expires_at <= time() - LEEWAY:
        raise InvalidToken
    return proved


# A token is presented hundreds of times in its life, and its signature stays as good as it was: only its expiry is new
# each time. Forgeries raise, so they are never remembered.
@lru_cache(maxsize=4096)
def _prove(token: str) -> AccessToken:
    import jwt  # not at start: who signs in or refreshes needs no verification, and this brings cryptography
    from jwt.utils import base64url_decode

    config = settings.current()
    try:
        signature = token.rpartition(".")[2]
        if _base64url(base64url_decode(signature)).decode() != signature:
            raise InvalidToken  # a second spelling of the same signature
        header = jwt.get_unverified_header(token)
        key = keyring().find(header.get("kid"), header.get("alg"))
        if key is None or str(header.get("typ", "")).lower() not in ("at+jwt", "application/at+jwt"):
            raise InvalidToken
        claims: dict[str, Any] = jwt.decode(
            token,
            key.verifying,
            algorithms=[key.algorithm],
            audience=config.jwt_audience,
            issuer=config.jwt_issuer,
            leeway=LEEWAY,
            options={"require": list(REQUIRED), "enforce_minimum_key_length": True},
        )
        return AccessToken(
            user_id=UUID(claims["sub"]),
            session_id=UUID(claims["sid"]),
            role=str(claims["role"]),
            expires_at=int(claims["exp"]),
            authenticated_at=int(claims.get("auth_time", 0)),
        )
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
        raise InvalidToken from None
