"""Finding what was written down twice, and making one of it."""

from uuid import UUID

from shared import applications, db, documents
from shared.applications import Application
from shared.db import AnyCaller, Guard
from shared.documents import Document, Page, Versions
from shared.duplicates import queries
from shared.duplicates.models import DuplicateQuery, Merge, PossibleDuplicate


async def list_duplicates(caller: AnyCaller, query: DuplicateQuery) -> Page[PossibleDuplicate]:
    """What is like the one that is asked for; or, asked for none, everything that is there twice."""
    if query.url is None and query.company is None:
        return await documents.page(
            db.enter(caller), queries.LIST_TWICE, sort="twice", cursor=query.cursor, limit=query.limit
        )
    return await documents.page(db.enter(caller), queries.LIST_LIKE_ONE, sort="like", **dict(query))


async def merge_applications(
    caller: AnyCaller, application_id: UUID, merge: Merge, *, versions: Versions
) -> Document[Application]:
    """Make one of two: everything that hangs on the duplicate hangs on the one that stays, and so does its history.

    Raises:
        NotFound: the caller has not both.
        StaleVersion: the one that stays is at another version than those expected.
        ValidationFailed: they are one already.
    """
    given = {
        "application_id": application_id,
        "merge_versions": None if versions is None else list(versions),
        "duplicate_id": merge.duplicate_id,
    }
    door = db.enter(caller).guarded_by(Guard(queries.MERGE_APPLICATIONS, given))
    return await applications.read_changed(door, application_id)
