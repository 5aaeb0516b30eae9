"""What somebody does with their applications."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from psycopg.errors import CheckViolation

from shared import db, documents, due
from shared.applications import queries
from shared.applications.models import (
    MOVED,
    Application,
    ApplicationChanges,
    ApplicationCreated,
    ApplicationDraft,
    ApplicationQuery,
    BulkRequest,
    BulkResults,
    Move,
)
from shared.db import AnyCaller, Door, Guard
from shared.documents import Document, Page, Retry, Versions
from shared.errors import ValidationFailed

CONSTRAINTS = {
    "applications_salary_range": ("salary_min", "must not be more than salary_max"),
    "applications_salary_currency_given": ("salary_currency", "is needed with an amount"),
}


SEVERAL = ("status", "category", "tag")
"""The filters that take several values."""


async def list_applications(caller: AnyCaller, query: ApplicationQuery) -> Page[Application]:
    several = {name: value and list(value) for name, value in dict(query).items() if name in SEVERAL}
    statements = queries.SEARCH_APPLICATIONS if query.q else queries.LIST_APPLICATIONS
    return await documents.page(db.enter(caller), statements[query.sort], **dict(query) | several)


async def create_application(
    caller: AnyCaller, draft: ApplicationDraft, *, retry: Retry | None
) -> Document[ApplicationCreated]:
    """Write it down, and warn of what is there already."""
    with _constraints_explained():
        return await documents.create(db.enter(caller), queries.CREATE_APPLICATION, draft, retry=retry)


async def get_application(caller: AnyCaller, application_id: UUID) -> Document[Application]:
    return await documents.get(db.enter(caller), queries.GET_APPLICATION, id=application_id)


async def update_application(
    caller: AnyCaller, application_id: UUID, changes: ApplicationChanges, *, versions: Versions
) -> Document[Application]:
    """Change what is given. Another status or stage is a move, made in the same transaction.

    Raises:
        ValidationFailed: no such stage; or a rule between fields, of which the database alone knows both.
    """
    door = db.enter(caller)
    if moved := changes.model_fields_set & set(MOVED):
        target = Move(**{name: getattr(changes, name) for name in moved})
        door, versions = door.guarded_by(_moving(application_id, target, versions=versions)), None
        changes = changes.model_copy()
        changes.model_fields_set.difference_update(MOVED)
    with _constraints_explained():
        changed = await documents.update(door, queries.UPDATE_APPLICATION, application_id, changes, versions=versions)
    due.note(changes.follow_up_at)
    return changed


async def move_application(
    caller: AnyCaller, application_id: UUID, move: Move, *, versions: Versions, retry: Retry | None
) -> Document[Application]:
    """Write a step of the pipeline down: the application is then where its latest step led.

    Raises:
        NotFound: the caller has no such application.
        StaleVersion: it is at another version than those expected.
        ValidationFailed: no such stage in use, a reason without closing, or a time to come.
    """
    moving = _moving(application_id, move, versions=versions)
    return await documents.create(
        db.enter(caller), queries.MOVED_APPLICATION, move, retry=retry, first=moving, id=application_id
    )


async def read_changed(door: Door, application_id: UUID) -> Document[Application]:
    """The application as it is after the door's guards have changed it: a write, which is never repeated."""
    rows = await door.write(queries.GET_APPLICATION, id=application_id)
    version, document = rows[0]
    return Document(document, version=version)


async def delete_application(caller: AnyCaller, application_id: UUID, *, versions: Versions) -> None:
    """Put it into the trash, with everything that hangs on it."""
    await documents.discard(db.enter(caller), "applications", application_id, versions=versions)


async def change_in_bulk(caller: AnyCaller, bulk: BulkRequest) -> Document[BulkResults]:
    """Do one thing to each: what cannot be done to one is told of that one."""
    move, change = bulk.move, bulk.change
    rows = await db.enter(caller).write(
        queries.CHANGE_IN_BULK,
        ids=list(bulk.ids),
        move=move and move.model_dump_json(),
        change=change and change.model_dump_json(exclude_unset=True),
    )
    return Document(rows[0][0])


def within(application_id: UUID, *, locked: bool = False) -> Guard:
    """Lets a statement through if the caller has that application, and raises NotFound before it if not.

    ``locked``: and nobody deletes it before the statement, which makes something that belongs to it, is done.
    """
    return Guard(queries.WITHIN_APPLICATION, {"application_id": application_id, "application_locked": locked})


def _moving(application_id: UUID, move: Move, *, versions: Versions) -> Guard:
    given = {f"move_{name}": value for name, value in dict(move).items()}
    expected = None if versions is None else list(versions)
    return Guard(queries.MOVE_APPLICATION, {"application_id": application_id, "move_versions": expected, **given})


@contextmanager
def _constraints_explained() -> Iterator[None]:
    """Rules between fields stand in the database alone: only it knows what is there besides what was sent."""
    try:
        yield
    except CheckViolation as violation:
        if fault := CONSTRAINTS.get(violation.diag.constraint_name or ""):
            raise ValidationFailed.of(fault[0], "value_error", fault[1]) from None
        raise
