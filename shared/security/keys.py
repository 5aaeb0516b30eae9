"""The keys that sign and verify access tokens, and the one that seals refresh tokens."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared import settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Key:
    """A key and the one algorithm it is for: a token's header never chooses."""

    algorithm: str
    id: str
    signing: Any
    verifying: Any
    public_jwk: dict[str, str] | None = None

    def sign(self, message: bytes) -> bytes:
        """The JWS signature of ``message``. PyJWT's encode() would examine the key anew for every token."""
        if self.algorithm == "HS256":
            return hmac.digest(self.signing, message, "sha256")
        import jwt  # brings cryptography, a fifth of the whole start, which HS256 can do without

        signature: bytes = jwt.get_algorithm_by_name(self.algorithm).sign(message, self.signing)
        return signature

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the key's id: enough to compare two instances, useless to anyone else."""
        return hashlib.sha256(self.id.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Keyring:
    """Several keys verify; the first one signs."""

    keys: tuple[Key, ...]

    @property
    def signing(self) -> Key:
        return self.keys[0]

    def find(self, key_id: object, algorithm: object) -> Key | None:
        """The key a token's header names; without a name, the first key of its algorithm."""
        for key in self.keys:
            if (key_id is None or key.id == key_id) and key.algorithm == algorithm:
                return key
        return None

    @property
    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JWK Set (RFC 7517). A shared secret has no public half and is not in it."""
        return {"keys": [key.public_jwk for key in self.keys if key.public_jwk]}


@lru_cache(maxsize=1)
def keyring() -> Keyring:
    """The keyring of this process.

    Raises:
        SettingsError: JWT_PRIVATE_KEYS holds something that is not a P-256 or Ed25519 private key.
    """
    config = settings.current()
    private = config.jwt_private_keys.get_secret_value() if config.jwt_private_keys else ""
    return Keyring(tuple(map(_asymmetric, _load_pem(private))) + tuple(map(_symmetric, secrets())))


@lru_cache(maxsize=1)
def refresh_keys() -> tuple[bytes, ...]:
    """Keys for refresh token tags, newest first: derived, so that no token of one kind can pass for the other."""
    return tuple(_derive(secret, b"jobtrail refresh token v1") for secret in secrets())


@lru_cache(maxsize=1)
def device_keys() -> tuple[bytes, ...]:
    """Keys for the tags of device cookies, newest first."""
    return tuple(_derive(secret, b"jobtrail device cookie v1") for secret in secrets())


@lru_cache(maxsize=1)
def upload_keys() -> tuple[bytes, ...]:
    """Keys for the addresses at which our own store takes a file, newest first."""
    return tuple(_derive(secret, b"jobtrail upload v1") for secret in secrets())


def bucket_key() -> bytes:
    """The key under which addresses and accounts are digested before they become rate limit buckets."""
    return _derive(secrets()[0], b"jobtrail rate limit bucket v1")


def secrets() -> list[bytes]:
    """JWT_SECRET and the one before it, newest first."""
    config = settings.current()
    both = (config.jwt_secret, config.jwt_secret_previous)
    return [secret.get_secret_value().encode() for secret in both if secret]


def secret_id(secret: bytes) -> str:
    """A name for a secret, which tells nothing of it."""
    return _derive(secret, b"jobtrail key id v1").hex()[:16]


def _derive(secret: bytes, purpose: bytes) -> bytes:
    """One block of HKDF-Expand (RFC 5869) with a secret that is uniformly random already."""
    return hmac.digest(secret, purpose + b"\x01", "sha256")


def _symmetric(secret: bytes) -> Key:
    return Key("HS256", secret_id(secret), secret, secret)


def _asymmetric(private: "PrivateKey") -> Key:
    import jwt

    public = private.public_key()
    name = "ES256" if hasattr(private, "curve") else "EdDSA"
    jwk: dict[str, str] = jwt.get_algorithm_by_name(name).to_jwk(public, as_dict=True)
    required = {name: jwk[name] for name in ("crv", "kty", "x", "y") if name in jwk}
    thumbprint = hashlib.sha256(
        json.dumps(required, sort_keys=True, separators=(",", ":")).encode()
    ).digest()  # RFC 7638
    key_id = urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
    return Key(name, key_id, private, public, required | {"kid": key_id, "alg": name, "use": "sig"})


def _load_pem(text: str) -> "list[PrivateKey]":
    if not text.strip():
        return []
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    end = "-----END"
    keys: list[PrivateKey] = []
    for block in text.replace("\\n", "\n").split("-----BEGIN")[1:]:
        try:
            key = load_pem_private_key(f"-----BEGIN{block}".encode(), password=None)
        except (ValueError, TypeError):
            key = None
        if end in block and (
            isinstance(key, ed25519.Ed25519PrivateKey)
            or (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1))
        ):
            keys.append(key)
        else:
            raise settings.SettingsError("JWT_PRIVATE_KEYS: must be PEM private keys on P-256 or Ed25519")
    if not keys:
        raise settings.SettingsError("JWT_PRIVATE_KEYS: must be PEM private keys on P-256 or Ed25519")
    return keys
