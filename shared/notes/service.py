"""What somebody notes about an application."""

from uuid import UUID

from shared import applications, db, documents
from shared.db import AnyCaller, Guard
from shared.documents import Document, Page, Retry, Versions
from shared.notes import queries
from shared.notes.models import Note, NoteChanges, NoteDraft, NoteQuery, NoteRevision


async def list_notes(caller: AnyCaller, application_id: UUID, query: NoteQuery) -> Page[Note]:
    return await documents.page(
        db.enter(caller).guarded_by(applications.within(application_id)),
        queries.LIST_NOTES,
        sort="-created_at",
        cursor=query.cursor,
        limit=query.limit,
    )


async def create_note(
    caller: AnyCaller, application_id: UUID, draft: NoteDraft, *, retry: Retry | None
) -> Document[Note]:
    door = db.enter(caller).guarded_by(applications.within(application_id, locked=True))
    return await documents.create(door, queries.CREATE_NOTE, draft, retry=retry, application_id=application_id)


async def get_note(caller: AnyCaller, application_id: UUID, note_id: UUID) -> Document[Note]:
    return await documents.get(db.enter(caller), queries.GET_NOTE, id=note_id, application_id=application_id)


async def update_note(
    caller: AnyCaller, application_id: UUID, note_id: UUID, changes: NoteChanges, *, versions: Versions
) -> Document[Note]:
    """Say it in other words; the old ones are kept."""
    return await documents.update(
        db.enter(caller), queries.UPDATE_NOTE, note_id, changes, versions=versions, application_id=application_id
    )


async def delete_note(caller: AnyCaller, application_id: UUID, note_id: UUID, *, versions: Versions) -> None:
    """Put it into the trash, with what it said before."""
    await documents.discard(db.enter(caller), "notes", note_id, versions=versions, application_id=application_id)


async def list_note_revisions(
    caller: AnyCaller, application_id: UUID, note_id: UUID, query: NoteQuery
) -> Page[NoteRevision]:
    guard = Guard(queries.WITHIN_NOTE, {"application_id": application_id, "note_id": note_id})
    return await documents.page(
        db.enter(caller).guarded_by(guard),
        queries.LIST_NOTE_REVISIONS,
        sort="-revised_at",
        cursor=query.cursor,
        limit=query.limit,
    )
