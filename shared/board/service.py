"""Looking at the board, and putting cards where they belong."""

import json
from uuid import UUID

from psycopg.errors import DataError

from shared import db
from shared.applications import Application
from shared.board import queries
from shared.board.models import Board, BoardQuery, Place
from shared.db import AnyCaller, Guard
from shared.documents import Cursor, Document, Versions
from shared.errors import ValidationFailed

SORT = "board"


async def get_board(caller: AnyCaller, query: BoardQuery) -> Document[Board]:
    """Every column's first cards, or the next ones of one column.

    Raises:
        ValidationFailed: the cursor is not one of a column.
    """
    after = Cursor.read(query.cursor, sort=SORT)
    try:
        rows = await db.enter(caller).read(
            queries.GET_BOARD,
            stage_id=query.stage_id,
            after_key=after.key if after else None,
            after_id=after.id if after else None,
            limit=query.limit + 1,
        )
    except DataError:  # the only text of the caller's that is read as another type is the cursor's key
        raise ValidationFailed.of("cursor", "cursor", "must be a next_cursor of the same column") from None
    columns = (
        f'{{"stage":{stage},"count":{count},"items":[{",".join((cards or [])[: query.limit])}],'
        f'"next_cursor":{json.dumps(_next(ranks or [], ids or [], query.limit))}}}'
        for stage, count, cards, ranks, ids in rows
    )
    return Document(f'{{"columns":[{",".join(columns)}]}}')


def _next(ranks: list[str], ids: list[str], limit: int) -> str | None:
    return str(Cursor(SORT, ranks[limit - 1], UUID(ids[limit - 1]))) if len(ids) > limit else None


async def place_application(
    caller: AnyCaller, application_id: UUID, place: Place, *, versions: Versions
) -> Document[Application]:
    """Put a card into its place; in another stage, by a move. Its order is no part of the application's version.

    Raises:
        NotFound: the caller has no such application.
        StaleVersion: it is at another version than those expected.
        ValidationFailed: no such stage in use.
    """
    placing = Guard(
        queries.PLACE_APPLICATION,
        {
            "place_application_id": application_id,
            "place_versions": None if versions is None else list(versions),
            "place_stage_id": place.stage_id,
            "place_status": place.status,
            "place_neighbour": place.after or place.before,
            "place_goes_after": "before" not in place.model_fields_set,
        },
    )
    rows = await db.enter(caller).guarded_by(placing).write(queries.GET_PLACED, id=application_id)
    version, document = rows[0]
    return Document(document, version=version)
