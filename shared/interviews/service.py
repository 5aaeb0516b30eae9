"""What somebody does with their interviews."""

from datetime import datetime, timedelta
from uuid import UUID

from shared import applications, db, documents, due
from shared.db import AnyCaller
from shared.documents import Document, Page, Retry, Versions
from shared.interviews import queries
from shared.interviews.models import Interview, InterviewChanges, InterviewDraft, InterviewPage, InterviewQuery

REMINDED_BEFORE = (timedelta(hours=24), timedelta(hours=1))
"""How long before an interview its owner is reminded of it: as ``reminders_between()`` has it."""


async def list_interviews(caller: AnyCaller, query: InterviewQuery) -> Page[Interview]:
    return await documents.page(
        db.enter(caller),
        queries.LIST_INTERVIEWS,
        sort="starts_at",
        cursor=query.cursor,
        limit=query.limit,
        since=query.since,
        until=query.until,
        application_id=None,
    )


async def list_application_interviews(caller: AnyCaller, application_id: UUID, query: InterviewPage) -> Page[Interview]:
    return await documents.page(
        db.enter(caller).guarded_by(applications.within(application_id)),
        queries.LIST_INTERVIEWS,
        sort="starts_at",
        cursor=query.cursor,
        limit=query.limit,
        since=None,
        until=None,
        application_id=application_id,
    )


async def create_interview(
    caller: AnyCaller, application_id: UUID, draft: InterviewDraft, *, retry: Retry | None
) -> Document[Interview]:
    door = db.enter(caller).guarded_by(applications.within(application_id, locked=True))
    made = await documents.create(door, queries.CREATE_INTERVIEW, draft, retry=retry, application_id=application_id)
    _note(draft.starts_at)
    return made


async def get_interview(caller: AnyCaller, application_id: UUID, interview_id: UUID) -> Document[Interview]:
    return await documents.get(db.enter(caller), queries.GET_INTERVIEW, id=interview_id, application_id=application_id)


async def update_interview(
    caller: AnyCaller, application_id: UUID, interview_id: UUID, changes: InterviewChanges, *, versions: Versions
) -> Document[Interview]:
    changed = await documents.update(
        db.enter(caller),
        queries.UPDATE_INTERVIEW,
        interview_id,
        changes,
        versions=versions,
        application_id=application_id,
    )
    if "starts_at" in changes.model_fields_set:
        _note(changes.starts_at)
    return changed


async def delete_interview(caller: AnyCaller, application_id: UUID, interview_id: UUID, *, versions: Versions) -> None:
    """Put it into the trash."""
    await documents.discard(
        db.enter(caller), "interviews", interview_id, versions=versions, application_id=application_id
    )


def _note(starts_at: datetime) -> None:
    due.note(*(starts_at - ahead for ahead in REMINDED_BEFORE))
