"""What the tests of leaving share: somebody with a bit of everything, and what the database holds of them."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.conftest import Person
from tests.db import walk

Sql = psycopg.Connection[Any]


def tables(sql: Sql) -> list[str]:
    """Every table with a column that says whose its rows are, and that of the people themselves."""
    found = sql.execute(
        """
        SELECT c.relname FROM pg_class c
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND (c.relname = 'users' OR EXISTS (
            SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'user_id' AND NOT a.attisdropped))
        """
    )
    names = [name for (name,) in found]
    assert len(names) > 8, "the walk must find the tables, or it proves nothing"
    return names


def rows_of(sql: Sql, user_id: str) -> dict[str, int]:
    """How many rows each table holds of somebody; tables without one are left out."""
    counts = {}
    for table in tables(sql):
        owner = Identifier("id" if table == "users" else "user_id")
        question = SQL("SELECT count(*) FROM {} WHERE {} = %s").format(Identifier(table), owner)
        counts[table] = sql.execute(question, [user_id]).fetchone()[0]  # type: ignore[index]
    return {table: count for table, count in counts.items() if count}


def unpack(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def rows(files: dict[str, bytes], table: str) -> Any:
    return json.loads(files[f"{table}.json"])


@pytest.fixture
def ada(new_person: Callable[..., Person], sql: Sql) -> Person:
    """Somebody who has used what there is, and has a row in every table."""
    ada = new_person(first_name="Ada", company="Contoso")
    for number in range(3):
        ada.create_application(company=f"Company {number}", notes='Sa\u00f1a \U0001f600, "quoted"\nand two lines')
    walk.furnish(ada, sql)
    ada.bear(ada.post("/api/auth/login", {"email": ada.email, "password": ada.password}).json())
    assert rows_of(sql, ada.id).keys() == set(tables(sql))
    return ada
