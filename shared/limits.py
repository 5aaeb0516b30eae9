"""Rate limits, counted in PostgreSQL, so that every process of every instance counts together."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from shared.db import Guard, statement
from shared.security.keys import bucket_key
from shared.settings import Limit

HIT = statement("SELECT hit_limits(%(buckets)s, %(policies)s, %(caps)s, %(windows)s)")
REFUND = statement("SELECT refund_limits(%(refunded)s)")


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is limited (``policy``, as the caller reads it), for whom, and how much."""

    policy: str
    subject: str
    limit: Limit

    @property
    def name(self) -> bytes:
        """A keyed digest: the table must not tell who tried."""
        return hmac.digest(bucket_key(), f"{self.policy}\0{self.subject}".encode(), "sha256")[:16]


def hit(buckets: Sequence[Bucket]) -> Guard:
    """Count an attempt in each bucket. If one is full, none counts and RateLimited is raised.

    Give the buckets in the same order everywhere: they are locked in that order.
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


def refund(buckets: Sequence[Bucket]) -> Guard:
    """Take an attempt back that turned out to be good: only failures are limited."""
    return Guard(REFUND, {"refunded": [bucket.name for bucket in buckets]})


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
