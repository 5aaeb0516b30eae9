"""The people somebody knows, and what they have to do with which application."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from psycopg.errors import ForeignKeyViolation

from shared import applications, db, documents
from shared.contacts import queries
from shared.contacts.models import (
    Contact,
    ContactChanges,
    ContactDraft,
    ContactLink,
    ContactQuery,
    LinkChanges,
    LinkedContact,
    LinkQuery,
)
from shared.db import AnyCaller
from shared.documents import Document, Page, Retry, Versions
from shared.errors import ValidationFailed

CONSTRAINTS = {
    "contacts_company_fkey": ("company_id", "unknown_company", "must be one of your companies"),
    "application_contacts_contact_fkey": ("contact_id", "unknown_contact", "must be one of your contacts"),
}


async def list_contacts(caller: AnyCaller, query: ContactQuery) -> Page[Contact]:
    return await documents.page(
        db.enter(caller),
        queries.LIST_CONTACTS[query.sort],
        sort=query.sort,
        cursor=query.cursor,
        limit=query.limit,
        q=query.q,
        company_id=query.company_id,
    )


async def create_contact(caller: AnyCaller, draft: ContactDraft, *, retry: Retry | None) -> Document[Contact]:
    """Raises ValidationFailed if the company is none of the caller's."""
    with _references_explained():
        return await documents.create(db.enter(caller), queries.CREATE_CONTACT, draft, retry=retry)


async def get_contact(caller: AnyCaller, contact_id: UUID) -> Document[Contact]:
    return await documents.get(db.enter(caller), queries.GET_CONTACT, id=contact_id)


async def update_contact(
    caller: AnyCaller, contact_id: UUID, changes: ContactChanges, *, versions: Versions
) -> Document[Contact]:
    """Raises ValidationFailed if the company is none of the caller's."""
    with _references_explained():
        return await documents.update(db.enter(caller), queries.UPDATE_CONTACT, contact_id, changes, versions=versions)


async def delete_contact(caller: AnyCaller, contact_id: UUID, *, versions: Versions) -> None:
    """Put it into the trash, with what it had to do with applications."""
    await documents.discard(db.enter(caller), "contacts", contact_id, versions=versions)


# ---------------------------------------------------------------- who has to do with an application


async def list_application_contacts(caller: AnyCaller, application_id: UUID, query: LinkQuery) -> Page[LinkedContact]:
    return await documents.page(
        db.enter(caller).guarded_by(applications.within(application_id)),
        queries.LIST_LINKS,
        sort="-linked_at",
        cursor=query.cursor,
        limit=query.limit,
    )


async def link_contact(
    caller: AnyCaller, application_id: UUID, link: ContactLink, *, retry: Retry | None
) -> Document[LinkedContact]:
    """Say that somebody has to do with it. Said again, the same link stays, in another role if one is given.

    Raises:
        NotFound: the caller has no such application.
        ValidationFailed: the contact, or its company, is none of the caller's.
    """
    door = db.enter(caller).guarded_by(applications.within(application_id, locked=True))
    with _references_explained():
        return await documents.create(door, queries.LINK_CONTACT, link, retry=retry, application_id=application_id)


async def get_application_contact(caller: AnyCaller, application_id: UUID, contact_id: UUID) -> Document[LinkedContact]:
    return await documents.get(db.enter(caller), queries.GET_LINK, id=contact_id, application_id=application_id)


async def update_contact_link(
    caller: AnyCaller, application_id: UUID, contact_id: UUID, changes: LinkChanges, *, versions: Versions
) -> Document[LinkedContact]:
    return await documents.update(
        db.enter(caller), queries.UPDATE_LINK, contact_id, changes, versions=versions, application_id=application_id
    )


async def unlink_contact(caller: AnyCaller, application_id: UUID, contact_id: UUID, *, versions: Versions) -> None:
    """They have nothing to do with it; the contact itself stays."""
    await documents.remove(
        db.enter(caller), queries.UNLINK_CONTACT, contact_id, versions=versions, application_id=application_id
    )


@contextmanager
def _references_explained() -> Iterator[None]:
    """Whether an id is one of the caller's own, the foreign key tells."""
    try:
        yield
    except ForeignKeyViolation as violation:
        if fault := CONSTRAINTS.get(violation.diag.constraint_name or ""):
            raise ValidationFailed.of(*fault) from None
        raise
