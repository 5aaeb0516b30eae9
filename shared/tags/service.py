"""What somebody does with their tags."""

from http import HTTPStatus
from uuid import UUID

from shared import db, documents
from shared.db import AnyCaller
from shared.documents import Document, Page, Retry, Versions
from shared.errors import Problem
from shared.tags import queries
from shared.tags.models import ListedTag, Tag, TagChanges, TagDraft, TagQuery


class TagExists(Problem):
    """Carries the ``id`` of the tag that has the name."""

    status = HTTPStatus.CONFLICT
    code = "tag_exists"
    title = "You have a tag of this name"
    sqlstate = "JTG09"


class TooManyTags(Problem):
    """Carries ``limit``."""

    status = HTTPStatus.CONFLICT
    code = "too_many_tags"
    title = "You have as many tags as you may have; delete one first"
    sqlstate = "JTG10"


async def list_tags(caller: AnyCaller, query: TagQuery) -> Page[ListedTag]:
    return await documents.page(
        db.enter(caller), queries.LIST_TAGS, sort="name", cursor=query.cursor, limit=query.limit
    )


async def create_tag(caller: AnyCaller, draft: TagDraft, *, retry: Retry | None) -> Document[Tag]:
    """Raises TagExists and TooManyTags."""
    return await documents.create(db.enter(caller), queries.CREATE_TAG, draft, retry=retry)


async def get_tag(caller: AnyCaller, tag_id: UUID) -> Document[Tag]:
    return await documents.get(db.enter(caller), queries.GET_TAG, id=tag_id)


async def update_tag(caller: AnyCaller, tag_id: UUID, changes: TagChanges, *, versions: Versions) -> Document[Tag]:
    """Change it; under another name it is so on every application, in the same statement.

    Raises:
        TagExists: another tag has that name.
    """
    return await documents.update(db.enter(caller), queries.UPDATE_TAG, tag_id, changes, versions=versions)


async def delete_tag(caller: AnyCaller, tag_id: UUID, *, versions: Versions) -> None:
    """Take it off every application. The applications stay."""
    await documents.remove(db.enter(caller), queries.REMOVE_TAG, tag_id, versions=versions)
