"""Resources as documents: made once, changed by version, listed by key, and written as JSON by PostgreSQL itself.

The model is the only list of a resource's fields: the statements here are built from it, once, at import.
"""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, LiteralString, TypeVar
from uuid import UUID

from psycopg import sql
from psycopg.errors import DataError
from pydantic import BaseModel

from shared.db import Door, Guard, statement
from shared.errors import NotFound, Problem, StaleVersion, ValidationFailed
from shared.holdings import Holding

Model = TypeVar("Model", bound=BaseModel)

Versions = tuple[int, ...] | None
"""The versions a change may be made to (``If-Match``); None: whichever it is."""


@dataclass(frozen=True, slots=True)
class Retry:
    """An ``Idempotency-Key``, and a digest of the request it came with."""

    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Document(Generic[Model]):
    """One resource in the shape of ``Model``, as JSON: nothing is decoded only to be encoded again."""

    json: str
    id: UUID | None = None
    version: int | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[Model]):
    """Some of a list: documents in the shape of ``Model``, and the cursor that continues after them."""

    items: Sequence[str]
    next_cursor: str | None = None

    @property
    def json(self) -> str:
        return f'{{"items":[{",".join(self.items)}],"next_cursor":{json.dumps(self.next_cursor)}}}'


class Replayed(Problem):
    """Raised by the guard ``replay()``: no refusal, but the answer that the first request with this key got."""

    sqlstate = "JT200"


def columns(model: type[BaseModel], table: LiteralString, **computed: LiteralString) -> sql.Composed:
    """What ``model`` shows of a row of ``table``, as one JSON text: its columns, but for those ``computed`` in SQL."""
    names = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.SQL(computed[name]), sql.Identifier(name))
        if name in computed
        else sql.Identifier(table, name)
        for name in model.model_fields
    )
    return sql.SQL("(SELECT row_to_json(shown)::text FROM (SELECT {}) AS shown)").format(names)


# ---------------------------------------------------------------- made once

REPLAY = statement("SELECT replay(%(retry_key)s, %(retry_fingerprint)s)")


@dataclass(frozen=True, slots=True)
class Creation:
    """An INSERT, and the same that also keeps its answer for retries."""

    once: bytes
    keyed: bytes


def creation(
    table: LiteralString,
    *,
    fields: type[BaseModel],
    shown: type[BaseModel],
    more: tuple[LiteralString, ...] = (),
    besides: tuple[str, ...] = (),
    made: Mapping[str, LiteralString] | None = None,
    answer: LiteralString = "{document}",
    **computed: LiteralString,
) -> Creation:
    """Statements for ``create()``: a row of ``fields`` and ``more`` columns, answered as ``shown``.

    ``besides``: fields that are no columns. ``made``: columns that SQL makes of what is given. ``answer``: an
    expression of the ``{document}``, where a creation is answered with more than that.
    """
    made = made or {}
    names = [name for name in (*fields.model_fields, *more) if name not in besides]
    insert = sql.SQL(
        """
        INSERT INTO {table} ({names}) VALUES ({values})
        RETURNING id, version, {answer} AS document
        """
    ).format(
        table=sql.Identifier(table),
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        values=sql.SQL(", ").join(sql.SQL(made[name]) if name in made else sql.Placeholder(name) for name in names),
        answer=sql.SQL(answer).format(document=columns(shown, table, **computed)),
    )
    return _kept(insert)


def reading(table: LiteralString, *, shown: type[BaseModel], **computed: LiteralString) -> Creation:
    """Statements for ``create()`` where its ``first`` makes or changes the row: what is answered is the row ``id``."""
    return _kept(
        sql.SQL("SELECT id, version, {document} AS document FROM {table} WHERE id = %(id)s").format(
            table=sql.Identifier(table), document=columns(shown, table, **computed)
        )
    )


def _kept(answer: sql.Composed) -> Creation:
    keyed = statement(
        """
        WITH made AS ({answer}), kept AS (
            INSERT INTO idempotency_keys (key, fingerprint, answer_id, answer_version, answer)
            SELECT %(retry_key)s, %(retry_fingerprint)s, id, version, document FROM made
        )
        SELECT id, version, document FROM made
        """,
        answer=answer,
    )
    return Creation(answer.as_bytes(None), keyed)


async def create(
    door: Door, creation: Creation, values: BaseModel, *, retry: Retry | None, first: Guard | None = None, **more: Any
) -> Document[Any]:
    """Make a row, or, if a request with the same key made it already, answer as that one was answered.

    ``more`` are the values of its columns that no caller gives; ``first`` is what has to be done before, and no second
    time.

    Raises:
        IdempotencyKeyReused: the key came with another request before.
        IdempotencyInFlight: that request is still running.
    """
    params = dict(values) | more
    before = () if first is None else (first,)
    if retry is None:
        rows = await door.guarded_by(*before).write(creation.once, **params)
    else:
        key = {"retry_key": retry.key, "retry_fingerprint": retry.fingerprint}
        try:
            rows = await door.guarded_by(Guard(REPLAY, key), *before).write(creation.keyed, **params)
        except Replayed as first:
            return Document(first.facts["answer"], UUID(first.facts["id"]), first.facts["version"], replayed=True)
    new_id, version, document = rows[0]
    return Document(document, new_id, version)


# ---------------------------------------------------------------- changed by version


def change(
    table: LiteralString,
    *,
    fields: type[BaseModel],
    shown: type[BaseModel],
    row: LiteralString = "id = %(id)s",
    besides: tuple[str, ...] = (),
    made: Mapping[str, LiteralString] | None = None,
    **computed: LiteralString,
) -> bytes:
    """A statement for ``update()``: of ``fields``, those that are given change; with none given nothing does.

    ``besides``: fields that are changed in another way. ``made``: columns that SQL makes of the ``changes``.
    """
    made = made or {}
    names = [name for name in fields.model_fields if name not in besides]
    return statement(
        """
        WITH found AS (
            SELECT id, version FROM {table} WHERE {row} FOR UPDATE
        ), changed AS (
            UPDATE {table} SET
                ({names}) = (SELECT {values} FROM jsonb_populate_record(NULL::{table}, changes) AS given),
                version = {table}.version + (changes <> '{{}}')::int,
                updated_at = CASE WHEN changes <> '{{}}' THEN now() ELSE updated_at END
            FROM found, CAST(%(changes)s AS jsonb) AS changes
            WHERE {table}.id = found.id AND (%(versions)s::int[] IS NULL OR found.version = ANY(%(versions)s::int[]))
            RETURNING {table}.version, {document} AS document
        )
        SELECT found.version, changed.version, changed.document FROM found LEFT JOIN changed ON true
        """,
        table=sql.Identifier(table),
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        values=sql.SQL(", ").join(
            sql.SQL(made[name])
            if name in made
            else sql.SQL("CASE WHEN changes ? {} THEN {} ELSE {} END").format(
                name, sql.Identifier("given", name), sql.Identifier(table, name)
            )
            for name in names
        ),
        document=columns(shown, table, **computed),
        row=sql.SQL(row),
    )


async def update(
    door: Door, statement: bytes, row_id: UUID | None, changes: BaseModel, *, versions: Versions, **more: Any
) -> Document[Any]:
    """Change the fields that ``changes`` was given. There is no ``row_id`` where the statement knows the row.

    Raises:
        NotFound: the caller has no such row.
        StaleVersion: it is at another version than those expected.
    """
    rows = await door.write(
        statement,
        id=row_id,
        changes=changes.model_dump_json(exclude_unset=True),
        versions=None if versions is None else list(versions),
        **more,
    )
    if not rows:
        raise NotFound
    found, version, document = rows[0]
    if document is None:
        raise StaleVersion(version=found)
    return Document(document, row_id, version)


def removal(table: LiteralString, *, row: LiteralString = "id = %(id)s") -> bytes:
    """A statement for ``remove()``."""
    return statement(
        """
        WITH found AS (
            SELECT id, version FROM {table} WHERE {row} FOR UPDATE
        ), removed AS (
            DELETE FROM {table} USING found
            WHERE {table}.id = found.id AND (%(versions)s::int[] IS NULL OR found.version = ANY(%(versions)s::int[]))
            RETURNING {table}.id
        )
        SELECT found.version, removed.id IS NOT NULL FROM found LEFT JOIN removed ON true
        """,
        table=sql.Identifier(table),
        row=sql.SQL(row),
    )


async def remove(door: Door, statement: bytes, row_id: UUID, *, versions: Versions, **more: Any) -> None:
    """Remove a row for good. Raises as ``update()`` does."""
    rows = await door.write(statement, id=row_id, versions=None if versions is None else list(versions), **more)
    if not rows:
        raise NotFound
    found, is_removed = rows[0]
    if not is_removed:
        raise StaleVersion(version=found)


DISCARD = statement("SELECT discard(%(table)s, %(id)s, %(versions)s::int[], %(application_id)s::uuid)")


async def discard(
    door: Door, table: str, row_id: UUID, *, versions: Versions, application_id: UUID | None = None
) -> None:
    """Put a row, and all that goes with it, into the trash; it must be of ``application_id``, if one is given.

    Raises as ``update()`` does.
    """
    given = None if versions is None else list(versions)
    await door.write(DISCARD, table=table, id=row_id, versions=given, application_id=application_id)


# ---------------------------------------------------------------- read, and listed by key


async def get(door: Door, statement: bytes, /, **params: Any) -> Document[Any]:
    """The one document of a statement that returns ``version, document``.

    Raises:
        NotFound: the caller has no such row.
    """
    rows = await door.read(statement, **params)
    if not rows:
        raise NotFound
    version, document = rows[0]
    return Document(document, version=version)


@dataclass(frozen=True, slots=True)
class SortKey:
    """What a list is sorted by: an expression that is never null, and the type that a cursor's key is read back as."""

    expression: LiteralString
    kind: LiteralString
    greatest_first: bool = False
    """Also without the ``-`` that asks for it."""


def in_orders(
    sorts: Iterable[str], keys: Mapping[str, SortKey], text: LiteralString, **parts: sql.Composable
) -> dict[str, bytes]:
    """A statement for ``page()`` for each of ``sorts``.

    In ``text``, ``{key}`` is what is sorted by, ``{beyond}`` whether a row comes after the cursor, ``{order}`` what the
    rows stand in, and ``{direction}`` its way. A key by the whole name of a sort goes before the one without its ``-``.
    """
    found = {}
    for sort in sorts:
        key = keys.get(sort) or keys[sort.removeprefix("-")]
        descending = key.greatest_first or sort.startswith("-")
        expression, direction = sql.SQL(key.expression), sql.SQL("DESC" if descending else "ASC")
        beyond = sql.SQL("(%(after_id)s::uuid IS NULL OR ({}, id) {} (%(after_key)s::{}, %(after_id)s::uuid))").format(
            expression, sql.SQL("<" if descending else ">"), sql.SQL(key.kind)
        )
        order = sql.SQL("{} {}, id {}").format(expression, direction, direction)
        found[sort] = statement(text, key=expression, beyond=beyond, order=order, direction=direction, **parts)
    return found


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: the order it was in, and the last row's sort key and id."""

    sort: str
    key: str
    id: UUID

    def __str__(self) -> str:
        text = json.dumps([self.sort, self.key, str(self.id)], separators=(",", ":"))
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @staticmethod
    def read(text: str | None, *, sort: str) -> "Cursor | None":
        """The cursor a caller brings back.

        Raises:
            ValidationFailed: we did not make it, or made it for another order.
        """
        if text is None:
            return None
        try:
            was, key, row_id = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            cursor = Cursor(str(was), str(key), UUID(row_id))
        except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
            cursor = None
        if cursor is None or cursor.sort != sort or not _is_text(cursor.key):
            raise ValidationFailed.of("cursor", "cursor", "must be a next_cursor of the same list in the same order")
        return cursor


async def page(
    door: Door, statement: bytes, /, *, sort: str, cursor: str | None, limit: int, **filters: Any
) -> Page[Any]:
    """One page of a statement that returns ``document, key, id``, and where the next one starts: rows made or removed
    meanwhile are neither repeated nor skipped. The filters have been read as what they are.

    Raises:
        ValidationFailed: the cursor is not one of this list in this order.
    """
    after = Cursor.read(cursor, sort=sort)
    try:
        rows = await door.read(
            statement,
            after_key=after.key if after else None,
            after_id=after.id if after else None,
            limit=limit + 1,
            **filters,
        )
    except DataError:  # the only text of the caller's that is read as another type is the cursor's key
        raise ValidationFailed.of("cursor", "cursor", "must be a next_cursor of the same list") from None
    shown = rows[:limit]
    more = len(rows) > limit
    return Page([document for document, _, _ in shown], str(Cursor(sort, *shown[-1][1:])) if more else None)


def _is_text(text: str) -> bool:
    """Whether PostgreSQL can hold it: no NUL, no half of a surrogate pair."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


HELD = (Holding("idempotency_keys", why_not="answers given in the last day, all of which are in other tables"),)
