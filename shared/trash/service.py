"""What somebody deleted, until it goes for good."""

from http import HTTPStatus
from uuid import UUID

from shared import db, documents
from shared.db import AnyCaller
from shared.documents import Document, Page
from shared.errors import NotFound, Problem
from shared.trash import queries
from shared.trash.models import Restored, TrashItem, TrashQuery


class ParentGone(Problem):
    """Carries ``trash_id``: what to restore first, with which it belongs; null if that has gone for good."""

    status = HTTPStatus.CONFLICT
    code = "parent_gone"
    title = "What it belonged to is no longer there"
    sqlstate = "JTW09"


class AlreadyExists(Problem):
    """Another of the same name was made meanwhile. Rename or delete that one, and restore again."""

    status = HTTPStatus.CONFLICT
    code = "already_exists"
    title = "Another has taken its place; rename or delete that one first"
    sqlstate = "JTX09"


async def list_trash(caller: AnyCaller, query: TrashQuery) -> Page[TrashItem]:
    return await documents.page(
        db.enter(caller),
        queries.LIST_TRASH,
        sort="-deleted_at",
        cursor=query.cursor,
        limit=query.limit,
        table=queries.TABLES[query.kind] if query.kind else None,
    )


async def restore_trash(caller: AnyCaller, trash_id: UUID) -> Document[Restored]:
    """Put it back as it was, with everything that went with it.

    Raises:
        NotFound: the caller has no such thing in the trash.
        ParentGone: it belongs to something that is not there.
        AlreadyExists: another took its place.
    """
    rows = await db.enter(caller).write(queries.RESTORE_TRASH, id=trash_id)
    return Document(rows[0][0])


async def delete_trash(caller: AnyCaller, trash_id: UUID) -> None:
    """Have it gone for good, now. Raises NotFound."""
    if not await db.enter(caller).write(queries.DELETE_TRASH, id=trash_id):
        raise NotFound


async def empty_trash(caller: AnyCaller) -> None:
    """Have all of it gone for good, now."""
    await db.enter(caller).write(queries.DELETE_TRASH, id=None)
