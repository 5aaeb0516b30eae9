"""What somebody does with their tasks: an application's, or their own."""

from uuid import UUID

from shared import applications, db, documents, due
from shared.db import AnyCaller, Door, Guard
from shared.documents import Document, Page, Retry, Versions
from shared.tasks import queries
from shared.tasks.models import Task, TaskChanges, TaskDraft, TaskQuery


async def list_tasks(caller: AnyCaller, query: TaskQuery, *, application_id: UUID | None = None) -> Page[Task]:
    """Tasks of one application, or all of the caller's."""
    return await documents.page(
        _door(caller, application_id),
        queries.LIST_TASKS[query.sort],
        sort=query.sort,
        cursor=query.cursor,
        limit=query.limit,
        done=None if query.done is None else query.done == "true",
        due_after=query.due_after,
        due_before=query.due_before,
        application_id=application_id,
    )


async def create_task(
    caller: AnyCaller, draft: TaskDraft, *, retry: Retry | None, application_id: UUID | None = None
) -> Document[Task]:
    door = _door(caller, application_id, locked=True)
    made = await documents.create(door, queries.CREATE_TASK, draft, retry=retry, application_id=application_id)
    due.note(draft.due_at)
    return made


async def get_task(caller: AnyCaller, task_id: UUID, *, application_id: UUID | None = None) -> Document[Task]:
    return await documents.get(db.enter(caller), queries.GET_TASK, id=task_id, application_id=application_id)


async def update_task(
    caller: AnyCaller,
    task_id: UUID,
    changes: TaskChanges,
    *,
    versions: Versions,
    application_id: UUID | None = None,
) -> Document[Task]:
    """Change what is given. What was done already was done when it was."""
    changed = await documents.update(
        db.enter(caller), queries.UPDATE_TASK, task_id, changes, versions=versions, application_id=application_id
    )
    due.note(changes.due_at)
    return changed


async def delete_task(
    caller: AnyCaller, task_id: UUID, *, versions: Versions, application_id: UUID | None = None
) -> None:
    """Put it into the trash."""
    door = db.enter(caller)
    if application_id is not None:
        ids = {"task_id": task_id, "task_application_id": application_id}
        door = door.guarded_by(Guard(queries.WITHIN_APPLICATION, ids))
    await documents.discard(door, "tasks", task_id, versions=versions, application_id=application_id)


def _door(caller: AnyCaller, application_id: UUID | None, *, locked: bool = False) -> Door:
    door = db.enter(caller)
    return door if application_id is None else door.guarded_by(applications.within(application_id, locked=locked))
