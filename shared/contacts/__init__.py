"""The people somebody has to do with."""

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
from shared.contacts.queries import HELD
from shared.contacts.service import (
    create_contact,
    delete_contact,
    get_application_contact,
    get_contact,
    link_contact,
    list_application_contacts,
    list_contacts,
    unlink_contact,
    update_contact,
    update_contact_link,
)

__all__ = [
    "HELD",
    "Contact",
    "ContactChanges",
    "ContactDraft",
    "ContactLink",
    "ContactQuery",
    "LinkChanges",
    "LinkQuery",
    "LinkedContact",
    "create_contact",
    "delete_contact",
    "get_application_contact",
    "get_contact",
    "link_contact",
    "list_application_contacts",
    "list_contacts",
    "unlink_contact",
    "update_contact",
    "update_contact_link",
]
