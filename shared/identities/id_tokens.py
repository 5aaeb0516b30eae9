"""ID tokens (OpenID Connect Core 1.0, section 3.1.3.7): who signs them is looked up, and all they say is checked."""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Any

from shared.identities import wire
from shared.identities.wire import Refused, Unreachable

if TYPE_CHECKING:
    import httpx

LEEWAY = 30
"""Seconds by which a provider's clock may be off."""

KEYS_LIFE = 3600.0
"""Seconds a key set is used for: a key that a provider withdraws is believed no longer than that."""

SECOND_LOOK = 60.0
"""Seconds between two looks for a key that the set did not have: anybody can make up the name of a key."""

Claims = dict[str, Any]
Key = Mapping[str, Any]


@dataclass
class KeySet:
    """A provider's public keys (RFC 7517), read when they are needed and kept for a while."""

    url: str
    _keys: dict[str, Key] = field(default_factory=dict)
    _read_at: float | None = None
    _second_look_at: float | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def find(self, client: "httpx.AsyncClient", key_id: str) -> Key | None:
        """The key of that name; looked for once more if a new one may have come since.

        Raises:
            Refused, Unreachable: the keys cannot be had.
        """
        async with self._turn:  # whoever waits here finds what the first one read
            if _is_past(self._read_at, KEYS_LIFE):
                await self._read(client)
            elif key_id not in self._keys and _is_past(self._second_look_at, SECOND_LOOK):
                self._second_look_at = monotonic()
                await self._read(client)
            return self._keys.get(key_id)

    async def _read(self, client: "httpx.AsyncClient") -> None:
        answer = await wire.ask(client, self.url)
        keys = answer.get("keys") if isinstance(answer, dict) else None
        if not isinstance(keys, list):
            raise Unreachable("no keys")
        self._keys = {
            key["kid"]: key
            for key in keys
            if isinstance(key, dict)
            and isinstance(key.get("kid"), str)
            and (key.get("kty"), key.get("use", "sig"), key.get("alg", "RS256")) == ("RSA", "sig", "RS256")
        }
        self._read_at = monotonic()


@lru_cache(maxsize=8)
def keys_at(url: str) -> KeySet:
    """The key set of this process for one address."""
    return KeySet(url)


async def verify(
    token: object,
    *,
    client: "httpx.AsyncClient",
    keys: KeySet,
    client_id: str,
    nonce: str,
    is_issuer: Callable[[Claims, Key], bool],
) -> Claims:
    """What an ID token says, if it is signed by its provider, meant for us, and made for this sign-in.

    Raises:
        Refused: it is not; the message says in what.
        Unreachable: the provider's keys cannot be had.
    """
    import jwt  # not at start: it brings cryptography

    if not isinstance(token, str):
        raise Unreachable("no id_token")
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
    except jwt.InvalidTokenError:
        raise Refused("id_token: no JWT") from None
    key = await keys.find(client, key_id) if isinstance(key_id, str) else None
    if key is None:
        raise Refused("id_token: unknown key")
    try:
        claims: Claims = jwt.decode(
            token,
            jwt.PyJWK(dict(key), algorithm="RS256").key,
            algorithms=["RS256"],  # ours to say: never the header's
            audience=client_id,
            leeway=LEEWAY,
            options={
                "require": ["iss", "aud", "sub", "exp", "iat"],
                "strict_aud": True,
                "enforce_minimum_key_length": True,
            },
        )
    except jwt.PyJWTError as error:
        raise Refused(f"id_token: {type(error).__name__}") from None
    said = claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise Refused("id_token: nonce")
    if claims.get("azp", client_id) != client_id:
        raise Refused("id_token: azp")
    if not is_issuer(claims, key):
        raise Refused("id_token: iss")
    return claims


def _is_past(then: float | None, seconds: float) -> bool:
    return then is None or monotonic() - then > seconds
