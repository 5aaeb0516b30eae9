"""``python3 -m local migrate``: bring the database to the newest schema; with ``--down``, take it out again."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from local import database
from local.project import DATA, Refusal
from shared import migrations


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m local migrate", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(DATA), help="of the embedded server (default: %(default)s)")
    parser.add_argument("--down", action="store_true", help="remove every object of ours, and the data in them")
    options = parser.parse_args(arguments)
    try:
        with database.owner_url(options.data, create=not options.down) as url:
            migrate(url, down=options.down)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    print("The schema is gone." if options.down else "The schema is up to date.", flush=True)
    return 0


def migrate(url: str, *, down: bool) -> None:
    """Migrate the database at ``url``.

    Raises:
        Refusal: it cannot be reached or a migration failed; the message ends with the database's name.
    """
    database.connect(url).close()  # says what is wrong in fewer words than the libraries above it
    try:
        if down:
            migrations.downgrade(url)
        else:
            migrations.upgrade(url)
    except Exception as error:  # Alembic's errors, SQLAlchemy's and psycopg's have no nearer kin
        reason = "\n".join(f"{type(error).__name__}: {error}".splitlines()[:4])
        raise Refusal(f"{reason}\nThe database could not be migrated: {database.name(url)}") from error


if __name__ == "__main__":
    sys.exit(main())
