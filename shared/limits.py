"""Rate limits, counted in PostgreSQL, so that every process of every instance counts together."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from shared.db import Guard, statement
from shared.security.keys import bucket_key
from shared.settings import Limit

HIT = statement("SELECT hit_limits(%(buckets)s, %(policies)s, %(caps)s, %(windows)s)")


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is limited (``policy``, as the caller reads it), for whom, and how much."""

    policy: str
    subject: str
    limit: Limit

    @property
    def name(self) -> bytes:
        return digest(self.policy, self.subject)


def digest(kind: str, subject: str) -> bytes:
    """What stands for an address or account where its name must not: it tells nobody who it was."""
    return hmac.digest(bucket_key(), f"{kind}\0{subject}".encode(), "sha256")[:16]


def hit(buckets: Sequence[Bucket]) -> Guard:
    """Count an attempt in each bucket. If one is full, none counts and RateLimited is raised.

    Give the buckets in the same order everywhere: they are locked in that order. Where only failures are limited, the
    statement that finds the attempt good takes it back: ``refund_limits()``.
    """
    return Guard(
        HIT,
        {
            "buckets": [bucket.name for bucket in buckets],
            "policies": [bucket.policy for bucket in buckets],
            "caps": [bucket.limit.hits for bucket in buckets],
            "windows": [bucket.limit.seconds for bucket in buckets],
        },
    )


def network(address: str | None) -> str:
    """What one caller controls: an IPv4 address, or the 64 bits of an IPv6 network."""
    try:
        ip = ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(IPv6Address(int(ip) >> 64 << 64)) + "/64"
    return str(ip)
