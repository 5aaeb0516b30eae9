"""Shaping one's pipeline: whatever its owner does to it, every status means some stage, and no history is lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from uuid import UUID

from psycopg.errors import UniqueViolation

from shared import db, documents
from shared.db import AnyCaller, Guard
from shared.documents import Document, Page, Retry, Versions
from shared.errors import Problem
from shared.stages import queries
from shared.stages.models import Stage, StageChanges, StageDraft, StageQuery


class StageExists(Problem):
    status = HTTPStatus.CONFLICT
    code = "stage_exists"
    title = "There is a stage of that name"


class LastStageOfCategory(Problem):
    """Carries the ``category``."""

    status = HTTPStatus.CONFLICT
    code = "last_stage_of_category"
    title = "Each category needs a stage in use; make another first"
    sqlstate = "JTY10"


class TooManyStages(Problem):
    status = HTTPStatus.CONFLICT
    code = "too_many_stages"
    title = "A pipeline has 50 stages at most; rename one that is retired"
    sqlstate = "JTY11"


async def list_stages(caller: AnyCaller, query: StageQuery) -> Page[Stage]:
    return await documents.page(
        db.enter(caller),
        queries.LIST_STAGES,
        sort="position",
        cursor=query.cursor,
        limit=query.limit,
        retired=query.retired,
    )


async def create_stage(caller: AnyCaller, draft: StageDraft, *, retry: Retry | None) -> Document[Stage]:
    """Add a stage; those behind it make room.

    Raises:
        StageExists: one has that name, but for case.
        TooManyStages: there are as many as there may be.
    """
    with _names_are_unique():
        return await documents.create(db.enter(caller), queries.CREATE_STAGE, draft, retry=retry)


async def get_stage(caller: AnyCaller, stage_id: UUID) -> Document[Stage]:
    return await documents.get(db.enter(caller), queries.GET_STAGE, id=stage_id)


async def update_stage(
    caller: AnyCaller, stage_id: UUID, changes: StageChanges, *, versions: Versions
) -> Document[Stage]:
    """Rename a stage, put it elsewhere, retire it or take it back into use.

    Raises:
        StageExists: another one has that name.
        LastStageOfCategory: it cannot be retired, since a status would mean no stage then.
    """
    door = db.enter(caller).guarded_by(_changing(stage_id, changes.model_dump_json(exclude_unset=True), versions))
    with _names_are_unique():
        rows = await door.write(queries.GET_STAGE, id=stage_id)
    version, document = rows[0]
    return Document(document, version=version)


async def retire_stage(caller: AnyCaller, stage_id: UUID, *, versions: Versions) -> None:
    """Take a stage out of use. Raises LastStageOfCategory as ``update_stage()`` does."""
    await db.enter(caller).guarded_by(_changing(stage_id, '{"retired": true}', versions)).write(db.NOTHING)


def _changing(stage_id: UUID, changes: str, versions: Versions) -> Guard:
    expected = None if versions is None else list(versions)
    return Guard(queries.CHANGE_STAGE, {"stage_id": stage_id, "stage_versions": expected, "stage_changes": changes})


@contextmanager
def _names_are_unique() -> Iterator[None]:
    try:
        yield
    except UniqueViolation as violation:
        if violation.diag.constraint_name == "stages_name_key":
            raise StageExists from None
        raise
