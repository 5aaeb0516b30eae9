"""Audit logs of their own, so that a test may break one; and what the verifier says of them."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from local import audit_verify, postgres
from shared import migrations

Sql = psycopg.Connection[Any]


@pytest.fixture
def log_url(postgres_server: postgres.Server, database_url: str) -> Iterator[str]:
    """A migrated database that nobody else uses."""
    name = f"log_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server.url, autocommit=True) as owner:
        owner.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        url = postgres_server.url.replace("/jobtrail?", f"/{name}?")
        migrations.upgrade(url)
        yield url
        owner.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture
def log(log_url: str) -> Iterator[Sql]:
    """The log as its owner reaches it."""
    with psycopg.connect(log_url, autocommit=True) as connection:
        yield connection


class Verifier:
    """``audit-verify``, as somebody runs it."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> tuple[int, list[str]]:
        """The exit status, and the lines that were printed."""
        status = audit_verify.main([str(argument) for argument in arguments])
        return status, self._capsys.readouterr().out.splitlines()


@pytest.fixture
def verify(log_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verifier:
    monkeypatch.setenv("DATABASE_URL", log_url)
    monkeypatch.delenv("DATABASE_URL_DIRECT", raising=False)
    return Verifier(capsys)


@pytest.fixture
def account(log: Sql) -> Callable[..., uuid.UUID]:
    """Makes accounts to whom a number of things happened."""

    def make(events: int = 5) -> uuid.UUID:
        user_id = uuid.uuid4()
        for number in range(events):
            log.execute("SELECT audit('tested', %s, jsonb_build_object('number', %s::int))", [user_id, number + 1])
        return user_id

    return make
