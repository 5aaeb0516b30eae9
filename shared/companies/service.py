"""What somebody knows about companies, each once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from uuid import UUID

from psycopg.errors import UniqueViolation

from shared import db, documents
from shared.companies import queries
from shared.companies.models import Company, CompanyChanges, CompanyDraft, CompanyQuery
from shared.db import AnyCaller
from shared.documents import Document, Page, Retry, Versions
from shared.errors import Problem


class CompanyExists(Problem):
    """Carries ``company_id``: the company of that name, however it is spelled; null if it has just gone."""

    status = HTTPStatus.CONFLICT
    code = "company_exists"
    title = "There is a company of that name already"


async def list_companies(caller: AnyCaller, query: CompanyQuery) -> Page[Company]:
    return await documents.page(
        db.enter(caller),
        queries.LIST_COMPANIES[query.sort],
        sort=query.sort,
        cursor=query.cursor,
        limit=query.limit,
        q=query.q,
        blocked=query.blocked,
    )


async def create_company(caller: AnyCaller, draft: CompanyDraft, *, retry: Retry | None) -> Document[Company]:
    """Raises CompanyExists: "Contoso Ltd." and "CONTOSO" are one."""
    async with _one_of_each_name(caller, draft.name):
        return await documents.create(db.enter(caller), queries.CREATE_COMPANY, draft, retry=retry)


async def get_company(caller: AnyCaller, company_id: UUID) -> Document[Company]:
    return await documents.get(db.enter(caller), queries.GET_COMPANY, id=company_id)


async def update_company(
    caller: AnyCaller, company_id: UUID, changes: CompanyChanges, *, versions: Versions
) -> Document[Company]:
    """Change what is given; its applications follow another name.

    Raises:
        CompanyExists: another company has that name.
    """
    async with _one_of_each_name(caller, changes.name):
        return await documents.update(db.enter(caller), queries.UPDATE_COMPANY, company_id, changes, versions=versions)


async def delete_company(caller: AnyCaller, company_id: UUID, *, versions: Versions) -> None:
    """Put it into the trash. Its applications and contacts stay, and are its own again when it comes back."""
    await documents.discard(db.enter(caller), "companies", company_id, versions=versions)


@asynccontextmanager
async def _one_of_each_name(caller: AnyCaller, name: str) -> AsyncIterator[None]:
    """The database lets in one of each name; which one it is, is asked only to tell who was refused."""
    try:
        yield
    except UniqueViolation:
        rows = await db.enter(caller).read(queries.FIND_COMPANY, name=name)
        raise CompanyExists(company_id=str(rows[0][0]) if rows else None) from None
