"""Identifiers that the app makes are of the same kind as the database's own."""

import time
from typing import Any
from uuid import RFC_4122

import psycopg

from shared.db import uuid7

Sql = psycopg.Connection[Any]


def test_it_is_a_uuid_of_version_7_with_the_time_in_front() -> None:
    before = time.time_ns() // 1_000_000
    made = [uuid7() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert {(one.version, one.variant) for one in made} == {(7, RFC_4122)}
    assert all(before <= one.int >> 80 <= after for one in made)
    assert len(set(made)) == 1000


def test_every_bit_that_is_not_fixed_is_random() -> None:
    bits = [uuid7().int & ~(0xF << 76 | 0x3 << 62) & (1 << 80) - 1 for _ in range(200)]
    ever, always = 0, (1 << 80) - 1
    for each in bits:
        ever, always = ever | each, always & each
    assert (ever.bit_count(), always) == (74, 0)


def test_the_app_and_the_database_make_ids_of_one_kind(sql: Sql) -> None:
    first = uuid7()
    row = sql.execute("SELECT uuid7()").fetchone()
    assert row
    assert (row[0].version, row[0].variant) == (first.version, first.variant)
    assert abs((row[0].int >> 80) - (first.int >> 80)) < 60_000
