"""Rate limits: who shares a bucket, and what the table tells."""

import secrets
from typing import Any

import psycopg
import pytest

from shared import limits
from shared.limits import Bucket
from shared.settings import Limit


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        (None, "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_one_caller_is_an_ipv4_address_or_64_bits_of_ipv6(address: str | None, network: str) -> None:
    assert limits.network(address) == network


def test_a_bucket_does_not_tell_whose_it_is(environment: dict[str, str]) -> None:
    name = Bucket("login-account", "ada@example.com", Limit(hits=10, seconds=300)).name
    assert name == Bucket("login-account", "ada@example.com", Limit(hits=3, seconds=60)).name
    assert name != Bucket("login-address", "ada@example.com", Limit(hits=10, seconds=300)).name
    assert b"ada" not in name


class Counter:
    """The guard itself, asked through SQL as the app asks it."""

    def __init__(self, sql: psycopg.Connection[Any], caps: list[int], seconds: int = 300) -> None:
        self._sql = sql
        self.buckets = [secrets.token_bytes(16) for _ in caps]
        self._caps, self._seconds = caps, seconds

    def hit(self) -> bool:
        names = [f"bucket-{number}" for number in range(len(self._caps))]
        windows = [self._seconds] * len(self._caps)
        try:
            self._sql.execute(
                "SELECT hit_limits(%s::bytea[], %s::text[], %s::int[], %s::int[])",
                (self.buckets, names, self._caps, windows),
            )
        except psycopg.DatabaseError as refusal:
            if refusal.sqlstate == "JT429":
                return False
            raise
        return True

    def hits(self) -> list[int]:
        rows = self._sql.execute("SELECT bucket, hits FROM rate_limits WHERE bucket = ANY(%s)", (self.buckets,))
        counted = dict(rows.fetchall())
        return [counted.get(bucket, 0) for bucket in self.buckets]


def test_the_attempt_after_the_last_is_refused(sql: psycopg.Connection[Any]) -> None:
    counter = Counter(sql, [3])
    assert [counter.hit() for _ in range(5)] == [True, True, True, False, False]


def test_an_attempt_that_one_bucket_refuses_fills_no_other(sql: psycopg.Connection[Any]) -> None:
    counter = Counter(sql, [100, 2, 100])
    for _ in range(10):
        counter.hit()
    assert counter.hits() == [2, 2, 2]


def test_a_window_that_is_over_begins_anew(sql: psycopg.Connection[Any]) -> None:
    counter = Counter(sql, [1])
    assert (counter.hit(), counter.hit()) == (True, False)
    sql.execute("UPDATE rate_limits SET reset_at = now() WHERE bucket = ANY(%s)", (counter.buckets,))
    assert (counter.hit(), counter.hit()) == (True, False)


def test_an_attempt_taken_back_leaves_room_for_another(sql: psycopg.Connection[Any]) -> None:
    counter = Counter(sql, [1, 1])
    assert counter.hit()
    sql.execute("SELECT refund_limits(%s)", (counter.buckets,))
    assert counter.hits() == [0, 0]
    assert counter.hit()
