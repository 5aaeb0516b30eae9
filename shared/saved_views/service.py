"""What somebody does with their saved views."""

from http import HTTPStatus
from uuid import UUID

from shared import db, documents
from shared.db import AnyCaller
from shared.documents import Document, Page, Retry, Versions
from shared.errors import Problem
from shared.saved_views import queries
from shared.saved_views.models import SavedView, SavedViewChanges, SavedViewDraft, SavedViewQuery


class SavedViewExists(Problem):
    """Carries the ``id`` of the view that has the name."""

    status = HTTPStatus.CONFLICT
    code = "saved_view_exists"
    title = "You have a view of this name"
    sqlstate = "JTW10"


class TooManySavedViews(Problem):
    """Carries ``limit``."""

    status = HTTPStatus.CONFLICT
    code = "too_many_saved_views"
    title = "You have as many views as you may have; delete one first"
    sqlstate = "JTW11"


async def list_saved_views(caller: AnyCaller, query: SavedViewQuery) -> Page[SavedView]:
    return await documents.page(
        db.enter(caller), queries.LIST_SAVED_VIEWS, sort="name", cursor=query.cursor, limit=query.limit
    )


async def create_saved_view(caller: AnyCaller, draft: SavedViewDraft, *, retry: Retry | None) -> Document[SavedView]:
    """Raises SavedViewExists and TooManySavedViews."""
    return await documents.create(db.enter(caller), queries.CREATE_SAVED_VIEW, draft, retry=retry)


async def get_saved_view(caller: AnyCaller, view_id: UUID) -> Document[SavedView]:
    return await documents.get(db.enter(caller), queries.GET_SAVED_VIEW, id=view_id)


async def update_saved_view(
    caller: AnyCaller, view_id: UUID, changes: SavedViewChanges, *, versions: Versions
) -> Document[SavedView]:
    """Raises SavedViewExists."""
    return await documents.update(db.enter(caller), queries.UPDATE_SAVED_VIEW, view_id, changes, versions=versions)


async def delete_saved_view(caller: AnyCaller, view_id: UUID, *, versions: Versions) -> None:
    await documents.remove(db.enter(caller), queries.REMOVE_SAVED_VIEW, view_id, versions=versions)
