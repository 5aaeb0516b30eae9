"""The database that a command is about, and how to name it to a person."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from local import postgres
from local.project import Refusal, local_settings


@contextmanager
def owner_url(data: Path, *, create: bool) -> Iterator[str]:
    """The database's URL for its owner: ``DATABASE_URL_DIRECT``, ``DATABASE_URL``, or the embedded server's.

    Raises:
        Refusal: neither is set, and there is no embedded server in ``data`` and none may be created.
    """
    settings = local_settings()
    for name, value in settings.values.items():
        os.environ.setdefault(name, value)
    # The direct URL alone does not say which database the app uses: without DATABASE_URL, the embedded one.
    if url := os.environ.get("DATABASE_URL"):
        yield os.environ.get("DATABASE_URL_DIRECT") or url
        return
    if not create and not (data / "postgres").exists():
        raise Refusal(f"Run `python3 -m local start` first: there is no database in {data}")
    with postgres.running(data) as url:
        yield url


def connect(url: str) -> psycopg.Connection:
    """Connect to the database at ``url``, which may be a pooled endpoint.

    Raises:
        Refusal: it cannot be reached; the message names it, without its password.
    """
    try:
        return psycopg.connect(url, connect_timeout=10, prepare_threshold=None)
    except psycopg.ProgrammingError:  # its text would repeat the URL
        raise Refusal("DATABASE_URL is not a PostgreSQL URL: postgresql://user:password@host/database") from None
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        raise Refusal(f"{reason}\nThe database cannot be reached: {name(url)}") from None


def name(url: str) -> str:
    """The database at ``url`` in words, without the password."""
    parts = conninfo_to_dict(url)
    host = str(parts.get("host", "localhost"))
    where = host if host.startswith("/") else f"{host}:{parts.get('port', 5432)}"  # a socket's directory, or a server
    return f"{parts.get('dbname', '')} at {where}"
