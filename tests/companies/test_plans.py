"""Lists of one person among many go by an index: by the plan, not by the clock."""

from typing import Any

import psycopg
import pytest

from shared.companies import queries as companies
from shared.contacts import queries as contacts
from shared.notes import queries as notes
from shared.trash import queries as trash
from tests.conftest import Person

NONE = {"cursor": None, "after_key": None, "after_id": None, "limit": 21}
AFTER = NONE | {"after_key": "m", "after_id": "0196f000-0000-7000-8000-000000000000"}
LATER = AFTER | {"after_key": "2026-01-01"}
ANY = {"q": None, "blocked": None, "company_id": None, "table": None}
ID = "0196f000-0000-7000-8000-000000000000"

PLANS: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "companies by name": (companies.LIST_COMPANIES["name"], ANY | AFTER, "companies_name"),
    "companies by day": (companies.LIST_COMPANIES["-created_at"], ANY | LATER, "companies_created_at"),
    "the blocklist": (companies.LIST_COMPANIES["name"], ANY | NONE | {"blocked": True}, "companies_blocked"),
    "contacts by name": (contacts.LIST_CONTACTS["-name"], ANY | AFTER, "contacts_name"),
    "contacts by day": (contacts.LIST_CONTACTS["created_at"], ANY | LATER, "contacts_created_at"),
    "contacts of a company": (contacts.LIST_CONTACTS["name"], ANY | NONE | {"company_id": ID}, "contacts_"),
    "contacts of an application": (contacts.LIST_LINKS, LATER | {"application_id": ID}, "application_contacts_"),
    "notes": (notes.LIST_NOTES, LATER | {"application_id": ID}, "notes_application_id"),
    "revisions": (notes.LIST_NOTE_REVISIONS, LATER | {"note_id": ID}, "note_revisions_note_id"),
    "trash": (trash.LIST_TRASH, ANY | LATER, "trash_user_id"),
}


@pytest.mark.parametrize(("statement", "values", "index"), PLANS.values(), ids=PLANS)
def test_a_list_goes_by_its_index(
    person: Person, sql: psycopg.Connection[Any], statement: bytes, values: dict[str, Any], index: str
) -> None:
    with sql.transaction(force_rollback=True), psycopg.ClientCursor(sql) as cursor:
        cursor.execute("SELECT set_config('app.user_id', %s, true)", [person.id])
        cursor.execute("SET LOCAL ROLE tenant")
        cursor.execute("SET LOCAL enable_seqscan = off")  # the tables of the tests are small
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        plan = "\n".join(line for (line,) in cursor.execute(b"EXPLAIN " + statement, values))
    assert "Seq Scan" not in plan, plan
    assert f"using {index}" in plan, plan
