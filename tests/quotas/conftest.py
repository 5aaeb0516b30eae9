"""Metrics of the tests' own, processes that may be killed, and people in several places."""

from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg
import pytest
from psycopg import sql as composed

from tests.conftest import Person
from tests.processes import AppProcess

NewMetric = Callable[..., str]
NewProcess = Callable[[], AppProcess]
SamePerson = Callable[..., Person]


@pytest.fixture
def new_metric(sql: psycopg.Connection[Any]) -> Iterator[NewMetric]:
    """Makes metrics with limits, for everybody or for one role; afterwards nothing is left of them."""
    made: list[str] = []

    def make(limit: int | None, *, window: str = "lifetime", roles: tuple[str, ...] = ("user", "admin")) -> str:
        metric = f"test_{token_hex(6)}"
        made.append(metric)
        for role in roles:
            sql.execute("INSERT INTO quota_limits VALUES (%s, %s, %s, %s)", [metric, role, limit, window])
        return metric

    yield make
    for table in ("quota_entries", "quota_usage", "quota_limits"):
        statement = composed.SQL("DELETE FROM {} WHERE metric = ANY(%s)").format(composed.Identifier(table))
        sql.execute(statement, [made])


@pytest.fixture
def new_process(environment: dict[str, str], tmp_path: Path) -> Iterator[NewProcess]:
    """Starts the app in processes that may be killed."""
    started: list[AppProcess] = []

    def start() -> AppProcess:
        process = AppProcess(environment, tmp_path / f"app-{len(started)}.log")
        started.append(process)
        return process

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def same_person(app_url: str) -> Iterator[SamePerson]:
    """The same person once more: with connections of their own, at another process perhaps."""
    made: list[Person] = []

    def make(person: Person, url: str = app_url) -> Person:
        again = Person(url, email=person.email)
        made.append(again)
        again.bear(person.tokens)
        return again

    yield make
    for person in made:
        person.close()
