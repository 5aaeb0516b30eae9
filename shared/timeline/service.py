"""Writing down what happened, and putting it right: what an event said before is kept with it."""

from http import HTTPStatus
from typing import get_args
from uuid import UUID

from shared import applications, db, documents
from shared.db import AnyCaller, Guard
from shared.documents import Document, Page, Retry, Versions
from shared.errors import Problem
from shared.timeline import queries
from shared.timeline.models import Activity, Event, EventChanges, EventDraft, EventQuery


class LastMove(Problem):
    """Correct it instead; or delete the application."""

    status = HTTPStatus.CONFLICT
    code = "last_move"
    title = "It is the only event that says which stage the application is in"
    sqlstate = "JTL09"


class EventIsKept(Problem):
    status = HTTPStatus.CONFLICT
    code = "event_is_kept"
    title = "It keeps what was overwritten, and stays as it is"
    sqlstate = "JTY09"


class TimelineFull(Problem):
    """2,000 events of one application, those aside that keep what was overwritten; or 200 corrections of one event."""

    status = HTTPStatus.CONFLICT
    code = "timeline_full"
    title = "This timeline can hold no more"
    sqlstate = "JTY12"


async def list_events(caller: AnyCaller, application_id: UUID, query: EventQuery) -> Page[Event]:
    return await documents.page(
        db.enter(caller).guarded_by(applications.within(application_id)),
        queries.LIST_EVENTS,
        sort="-occurred_at",
        cursor=query.cursor,
        limit=query.limit,
        application_id=application_id,
        kind=list(query.kind) if query.kind else None,
    )


async def create_event(
    caller: AnyCaller, application_id: UUID, draft: EventDraft, *, retry: Retry | None
) -> Document[Event]:
    """Write an activity down, now or as of earlier.

    Raises:
        NotFound: the caller has no such application.
        ValidationFailed: it is yet to happen.
        TimelineFull: there are as many as there may be.
    """
    door = db.enter(caller).guarded_by(applications.within(application_id, locked=True))
    return await documents.create(door, queries.CREATE_EVENT, draft, retry=retry, application_id=application_id)


async def get_event(caller: AnyCaller, application_id: UUID, event_id: UUID) -> Document[Event]:
    return await documents.get(db.enter(caller), queries.GET_EVENT, id=event_id, application_id=application_id)


async def update_event(
    caller: AnyCaller, application_id: UUID, event_id: UUID, changes: EventChanges, *, versions: Versions
) -> Document[Event]:
    """Correct an event. The application is then where its timeline, so corrected, leads.

    Raises:
        NotFound: the application has no such event.
        StaleVersion: it is at another version than those expected.
        EventIsKept: it keeps what was overwritten.
        ValidationFailed: the field is none of this kind of event, or the time is to come.
        TimelineFull: it was corrected as often as it may be.
    """
    changing = Guard(
        queries.CHANGE_EVENT,
        {
            "event_application_id": application_id,
            "event_id": event_id,
            "event_versions": None if versions is None else list(versions),
            "event_changes": changes.model_dump_json(exclude_unset=True),
            "event_activities": list(get_args(Activity)),
        },
    )
    rows = (
        await db.enter(caller).guarded_by(changing).write(queries.GET_EVENT, id=event_id, application_id=application_id)
    )
    version, document = rows[0]
    return Document(document, version=version)


async def delete_event(caller: AnyCaller, application_id: UUID, event_id: UUID, *, versions: Versions) -> None:
    """Put an event into the trash. Without it, the application is where the others lead.

    Raises:
        NotFound, StaleVersion, EventIsKept: as ``update_event()`` does.
        LastMove: no other says which stage it is in.
    """
    holding = Guard(queries.HOLD_APPLICATION, {"held_application_id": application_id})
    await documents.discard(
        db.enter(caller).guarded_by(holding),
        "application_events",
        event_id,
        versions=versions,
        application_id=application_id,
    )
