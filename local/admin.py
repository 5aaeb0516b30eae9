"""``python3 -m local admin EMAIL``: make an account an administrator, whether or not the app is running."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg

from local import database
from local.project import DATA, Refusal

PROMOTE = """
UPDATE users
SET role = 'admin', updated_at = now(), version = version + 1
WHERE email = lower(%(email)s)
RETURNING email
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m local admin", description="Make an account an administrator.")
    parser.add_argument("email")
    parser.add_argument("--data", type=Path, default=Path(DATA), help="of the embedded server (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        with database.owner_url(options.data, create=False) as url:
            promoted = promote(url, email=options.email)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    print(f"{promoted} is an administrator now.")
    return 0


def promote(url: str, *, email: str) -> str:
    """Make the account with this address an administrator; returns the address as it is stored.

    Raises:
        Refusal: there is no such account, or the database has no accounts yet.
    """
    with database.connect(url) as connection:
        try:
            row = connection.execute(PROMOTE, {"email": email.strip()}).fetchone()
        except psycopg.errors.UndefinedTable:
            raise Refusal(f"Run `python3 -m local migrate` first: no tables in {database.name(url)}") from None
        except psycopg.Error as error:
            raise Refusal(f"{str(error).strip()}\nNot changed: {database.name(url)}") from None
    if row is None:
        raise Refusal(f"No account has the address {email} in {database.name(url)}")
    return str(row[0])


if __name__ == "__main__":
    sys.exit(main())
