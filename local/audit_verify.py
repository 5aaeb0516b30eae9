"""``python3 -m local audit-verify``: look whether the audit log was touched, whether or not the app is running.

Nothing of what it finds depends on a function in the database: whoever changed the log could have changed that too.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from local import database
from local.project import DATA, Refusal

NOBODY = UUID(int=0)
"""Whose chain the events are in that concern no account."""

BITE = 2000
"""Rows that are in memory at once."""

# Chains with their events in order. What an event says is what audit_digest() makes its digest of, spelled out here.
LOG = """
SELECT c.user_id, c.forgotten, c.root, c.length, c.head, e.place, e.digest, convert_to(jsonb_strip_nulls(
           to_jsonb(e) - 'digest'
           || jsonb_build_object('created_at', (extract(epoch FROM e.created_at) * 1000000)::bigint))::text,
           'UTF8') AS said
FROM audit_chains c LEFT JOIN audit_events e USING (user_id)
ORDER BY c.user_id, e.place
"""

STRAYS = """
SELECT user_id FROM audit_events e WHERE NOT EXISTS (SELECT FROM audit_chains c WHERE c.user_id = e.user_id)
GROUP BY user_id ORDER BY user_id
"""

# How many events an account had when it was forgotten.
FORGOTTEN = """
SELECT max((facts ->> 'events')::bigint) FROM audit_events
WHERE user_id = %(nobody)s AND event = 'account_forgotten' AND facts ->> 'user_id' = %(user_id)s
"""


@dataclass(frozen=True, slots=True)
class Link:
    """What the database says of a chain, the digest it goes on from and how it ends, and one of its events, if any."""

    user_id: UUID
    forgotten: int
    root: bytes
    length: int
    head: bytes
    place: int | None
    digest: bytes
    said: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """How a chain ended at some time before."""

    user_id: UUID
    place: int
    digest: bytes

    def __str__(self) -> str:
        return f"{self.user_id} {self.place} {self.digest.hex()}"


@dataclass(slots=True)
class Findings:
    """What a walk through the log came to. The anchor stands for how all chains end."""

    chains: int = 0
    events: int = 0
    faults: int = 0
    anchor: str = ""

    def add(self, user_id: UUID, fault: str) -> None:
        self.faults += 1
        print(f"{'nobody' if user_id == NOBODY else user_id}: {fault}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m local audit-verify", description="Look whether the audit log was touched."
    )
    parser.add_argument("--data", type=Path, default=Path(DATA), help="of the embedded server (default: %(default)s)")
    parser.add_argument("--heads", type=Path, metavar="FILE", help="write down how every chain ends now")
    parser.add_argument("--against", type=Path, metavar="FILE", help="what --heads wrote: nothing of it may be missing")
    parser.add_argument(
        "--anchor", metavar="DIGEST", help="as printed before: of the file to compare with, or else of the log now"
    )
    options = parser.parse_args(arguments)
    try:
        anchored = hashlib.sha256(options.against.read_bytes()).hexdigest() if options.against else None
        with database.owner_url(options.data, create=False) as url:
            findings = verify(url, heads=options.heads, against=options.against)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    if options.anchor and options.anchor.lower() != (anchored or findings.anchor):
        print(f"not what was anchored: {options.against or 'the log'}")
        findings.faults += 1
    print(f"{findings.events} events in {findings.chains} chains; faults: {findings.faults}")
    print(f"anchor {findings.anchor}")
    return 1 if findings.faults else 0


def verify(url: str, *, heads: Path | None = None, against: Path | None = None) -> Findings:
    """Walk every chain as it is at one moment, and print the first broken place of each.

    Raises:
        Refusal: the database cannot be read or has no audit log, or what to compare with is no file of heads.
        OSError: a file cannot be read or written.
    """
    findings, anchor = Findings(), hashlib.sha256()
    try:
        with database.connect(url) as connection, ExitStack() as files:
            written = files.enter_context(heads.open("w")) if heads else None
            known = Heads(files.enter_context(against.open()) if against else ())
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):  # those are for requests
                connection.execute("SELECT set_config(%s, '0', true)", [limit])
            log = files.enter_context(connection.cursor("log", row_factory=class_row(Link)))
            log.itersize = BITE
            log.execute(LOG)
            for user_id, links in groupby(log, lambda link: link.user_id):
                for gone in known.before(user_id):
                    _look_for(connection, gone, findings)
                head = _walk(user_id, links, known.of(user_id), findings)
                anchor.update(f"{head}\n".encode())
                if written:
                    written.write(f"{head}\n")
            for gone in known.before(None):
                _look_for(connection, gone, findings)
            for (stray,) in connection.execute(STRAYS):
                findings.add(stray, "there are events, and no chain")
    except psycopg.errors.UndefinedTable:
        raise Refusal(f"Run `python3 -m local migrate` first: no audit log in {database.name(url)}") from None
    except psycopg.Error as error:
        raise Refusal(f"{str(error).strip()}\nNot verified: {database.name(url)}") from None
    findings.anchor = anchor.hexdigest()
    return findings


class Heads:
    """How chains ended, from a file in the order of their accounts, read along with the log."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._next = self._read()

    def before(self, user_id: UUID | None) -> Iterator[Head]:
        """Those before an account's, or all that are left."""
        while self._next and (user_id is None or self._next.user_id < user_id):
            yield self._next
            self._next = self._read()

    def of(self, user_id: UUID) -> Head | None:
        if self._next is None or self._next.user_id != user_id:
            return None
        found, self._next = self._next, self._read()
        return found

    def _read(self) -> Head | None:
        line = next(self._lines, None)
        if line is None:
            return None
        try:
            user_id, place, digest = line.split()
            return Head(UUID(user_id), int(place), bytes.fromhex(digest))
        except ValueError:
            raise Refusal("What to compare with is no file that --heads wrote") from None


def _walk(user_id: UUID, links: Iterable[Link], then: Head | None, findings: Findings) -> Head:
    """Go through one chain; gives how it ends."""
    fault, last, place, digest = None, None, 0, b""
    for link in links:
        if last is None:
            place, digest = link.forgotten, link.root
            fault = _other(then, place, digest)
        last = link
        if link.place is None:
            continue
        findings.events += 1
        if fault is None:
            if link.place != place + 1:
                fault = f"after place {place} comes place {link.place}"
            elif hashlib.sha256(digest + link.said).digest() != link.digest:
                fault = f"place {link.place} is not as it was written, or what came before it is not"
        place, digest = link.place, link.digest
        fault = fault or _other(then, place, digest)
    assert last is not None  # groupby makes no empty groups
    findings.chains += 1
    if fault is None and place < last.length:
        fault = f"place {place + 1} is missing, and all after it up to {last.length}"
    elif fault is None and (place, digest) != (last.length, last.head):
        fault = f"place {place} is not how the chain ends"
    elif fault is None and then and then.place > place:
        fault = f"place {then.place} was there once, and the chain ends at {place}"
    if fault:
        findings.add(user_id, fault)
    return Head(user_id, place, digest)


def _other(then: Head | None, place: int, digest: bytes) -> str | None:
    if then and then.place == place and then.digest != digest:
        return f"place {place} was another when the heads were written down"
    return None


def _look_for(connection: psycopg.Connection, gone: Head, findings: Findings) -> None:
    """A chain that there was once: its account may have been forgotten, and then that was written down."""
    row = connection.execute(FORGOTTEN, {"nobody": NOBODY, "user_id": str(gone.user_id)}).fetchone()
    if row is None or row[0] is None or row[0] < gone.place:
        findings.add(gone.user_id, f"a chain of {gone.place} events is gone, and nothing says why")


if __name__ == "__main__":
    sys.exit(main())
