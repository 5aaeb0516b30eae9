"""An authenticator and its browser in software, which can misbehave in every way there is."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.conftest import ORIGIN, PASSKEY_RP_ID

Json = dict[str, Any]

USER_PRESENT, USER_VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, ATTESTED, EXTENDED = 1, 4, 8, 16, 64, 128
GOOD = USER_PRESENT | USER_VERIFIED
SYNCED = GOOD | BACKUP_ELIGIBLE | BACKED_UP


@dataclass
class Authenticator:
    """One key on one device. What it does is right, unless it is told to do otherwise, once."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    flags: int = GOOD
    counts: bool = True
    count: int = 0
    user_handle: bytes = b""

    def create(self, options: Json, **otherwise: Any) -> Json:
        """``navigator.credentials.create()``, as JSON."""
        self.user_handle = unbase64url(options["user"]["id"])
        flags = otherwise.get("flags", self.flags) | ATTESTED
        attested = (
            bytes(16)
            + len(self.credential_id).to_bytes(2, "big")
            + self.credential_id
            + otherwise.get("public_key", self.public_key())
        )
        data = self._data(flags, otherwise) + attested + otherwise.get("leftover", b"")
        statement = {"fmt": otherwise.get("fmt", "none"), "attStmt": otherwise.get("statement", {}), "authData": data}
        attestation = otherwise.get("attestation", cbor2.dumps(statement))
        return {
            "id": base64url(self.credential_id),
            "rawId": base64url(self.credential_id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": base64url(_client_data("webauthn.create", options, otherwise)),
                "attestationObject": base64url(attestation),
                "authenticatorData": base64url(data),
                "publicKeyAlgorithm": -7,
                "transports": ["internal"],
            },
        }

    def get(self, options: Json, **otherwise: Any) -> Json:
        """``navigator.credentials.get()``, as JSON."""
        data = self._data(otherwise.get("flags", self.flags), otherwise) + otherwise.get("leftover", b"")
        client_data = _client_data("webauthn.get", options, otherwise)
        key = otherwise.get("key", self.key)
        signature = key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        handle = otherwise.get("user_handle", self.user_handle)
        return {
            "id": base64url(self.credential_id),
            "rawId": base64url(self.credential_id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": base64url(client_data),
                "authenticatorData": base64url(data),
                "signature": base64url(otherwise.get("signature", signature)),
                "userHandle": None if handle is None else base64url(handle),
            },
        }

    def public_key(self) -> bytes:
        """The public key in COSE."""
        point = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})

    def _data(self, flags: int, otherwise: Json) -> bytes:
        if self.counts:
            self.count += 1
        rp_id = otherwise.get("rp_id", PASSKEY_RP_ID)
        count = otherwise.get("count", self.count)
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + int(count).to_bytes(4, "big")


def _client_data(kind: str, options: Json, otherwise: Json) -> bytes:
    said = {
        "type": otherwise.get("type", kind),
        "challenge": otherwise.get("challenge", options["challenge"]),
        "origin": otherwise.get("origin", ORIGIN),
        "crossOrigin": False,
        **otherwise.get("client_data", {}),
    }
    return json.dumps(said).encode()


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def unbase64url(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
