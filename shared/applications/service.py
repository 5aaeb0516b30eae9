"""What somebody does with their applications."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from psycopg.errors import CheckViolation

from shared import db, documents
from shared.applications import queries
from shared.applications.models import Application, ApplicationChanges, ApplicationDraft, ApplicationQuery
from shared.db import AnyCaller
from shared.documents import Document, Page, Retry, Versions
from shared.errors import ValidationFailed

CONSTRAINTS = {
    "applications_salary_range": ("salary_min", "must not be more than salary_max"),
    "applications_salary_currency_given": ("salary_currency", "is needed with an amount"),
}


async def list_applications(caller: AnyCaller, query: ApplicationQuery) -> Page[Application]:
    return await documents.page(
        db.enter(caller),
        queries.LIST_APPLICATIONS[query.sort],
        sort=query.sort,
        cursor=query.cursor,
        limit=query.limit,
        status=list(query.status) if query.status else None,
        company=query.company,
        q=query.q,
        applied_from=query.applied_from,
        applied_to=query.applied_to,
    )


async def create_application(
    caller: AnyCaller, draft: ApplicationDraft, *, retry: Retry | None
) -> Document[Application]:
    with _constraints_explained():
        return await documents.create(caller, queries.CREATE_APPLICATION, draft, retry=retry)


async def get_application(caller: AnyCaller, application_id: UUID) -> Document[Application]:
    return await documents.get(caller, queries.GET_APPLICATION, id=application_id)


async def update_application(
    caller: AnyCaller, application_id: UUID, changes: ApplicationChanges, *, versions: Versions
) -> Document[Application]:
    with _constraints_explained():
        return await documents.update(caller, queries.UPDATE_APPLICATION, application_id, changes, versions=versions)


async def delete_application(caller: AnyCaller, application_id: UUID, *, versions: Versions) -> None:
    await documents.remove(caller, queries.DELETE_APPLICATION, application_id, versions=versions)


@contextmanager
def _constraints_explained() -> Iterator[None]:
    """Rules between fields stand in the database alone: only it knows what is there besides what was sent."""
    try:
        yield
    except CheckViolation as violation:
        if fault := CONSTRAINTS.get(violation.diag.constraint_name or ""):
            raise ValidationFailed.of(fault[0], "value_error", fault[1]) from None
        raise
