"""Device cookies: what a browser keeps after a good sign-in, so that somebody else's failures do not lock it out.

    base64url( version: 1 byte | device: 16 random bytes | day it was made, since 1970: 4 bytes | tag: 16 bytes )

The tag is HMAC-SHA256 over all before it and the account's address, cut to 128 bits. The cookie signs nobody in: it
only says that somebody once did, here. The idea is OWASP's ("Slow Down Online Guessing Attacks with Device Cookies").
"""

import binascii
import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from time import time

from shared.security.keys import device_keys

VERSION = b"\x01"
TAG_BYTES = 16
DAYS = 180
"""How long a browser is remembered after its last sign-in."""

DAY = 86_400


def issue(email: str) -> str:
    """A cookie for the browser that has just signed in to this account."""
    body = VERSION + os.urandom(16) + int(time() // DAY).to_bytes(4)
    return urlsafe_b64encode(body + _tag(device_keys()[0], body, email)).decode().rstrip("=")


def read(cookie: str | None, email: str) -> str | None:
    """The name of the device that holds this cookie of this account; None if it is no such cookie, or too old."""
    if not cookie or len(cookie) > 100:
        return None
    try:
        sealed = urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
    except (ValueError, binascii.Error):
        return None
    body, tag = sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]
    if len(body) != 21 or body[:1] != VERSION:
        return None
    if not any(hmac.compare_digest(_tag(key, body, email), tag) for key in device_keys()):
        return None
    if int.from_bytes(body[17:]) + DAYS < time() // DAY:
        return None
    return body[1:17].hex()


def _tag(key: bytes, body: bytes, email: str) -> bytes:
    return hmac.digest(key, body + email.lower().encode(), "sha256")[:TAG_BYTES]
