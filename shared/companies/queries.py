"""The SQL of companies."""

from typing import LiteralString, get_args

from psycopg import sql

from shared.companies.models import Company, CompanyChanges, CompanyDraft, Sort
from shared.db import statement
from shared.documents import change, columns, creation
from shared.holdings import Holding

APPLICATIONS: LiteralString = """
    (SELECT count(*) FROM applications a WHERE a.user_id = companies.user_id AND a.company_id = companies.id)
"""
LAST_APPLIED_ON: LiteralString = """
    (SELECT max(a.applied_on) FROM applications a WHERE a.user_id = companies.user_id AND a.company_id = companies.id)
"""
DOCUMENT = columns(Company, "companies", applications=APPLICATIONS, last_applied_on=LAST_APPLIED_ON)

CREATE_COMPANY = creation(
    "companies", fields=CompanyDraft, shown=Company, applications=APPLICATIONS, last_applied_on=LAST_APPLIED_ON
)
UPDATE_COMPANY = change(
    "companies", fields=CompanyChanges, shown=Company, applications=APPLICATIONS, last_applied_on=LAST_APPLIED_ON
)
GET_COMPANY = statement("SELECT version, {document} FROM companies WHERE id = %(id)s", document=DOCUMENT)
FIND_COMPANY = statement("SELECT id FROM companies WHERE canonical_name = canonical_company(%(name)s)")

# What each order sorts by: a column, and the type a cursor's key is read back as.
SORT_KEYS: dict[str, tuple[LiteralString, LiteralString]] = {
    "name": ("name_key", "text"),
    "created_at": ("created_at", "timestamptz"),
}


def _list_in_order(sort: str) -> bytes:
    key, kind = SORT_KEYS[sort.removeprefix("-")]
    descending = sort.startswith("-")
    return statement(
        """
        SELECT {document} AS document, {key}::text AS sort_key, id FROM companies
        WHERE (%(blocked)s::boolean IS NULL OR blocked = %(blocked)s::boolean)
          AND (%(q)s::text IS NULL OR strpos(name_key, lower(%(q)s)) > 0)
          AND (%(after_id)s::uuid IS NULL OR ({key}, id) {beyond} (%(after_key)s::{kind}, %(after_id)s::uuid))
        ORDER BY {key} {direction}, id {direction}
        LIMIT %(limit)s
        """,
        document=DOCUMENT,
        key=sql.SQL(key),
        kind=sql.SQL(kind),
        beyond=sql.SQL("<" if descending else ">"),
        direction=sql.SQL("DESC" if descending else "ASC"),
    )


LIST_COMPANIES: dict[str, bytes] = {sort: _list_in_order(sort) for sort in get_args(Sort)}

HELD = (
    Holding(
        "companies",
        shown=("id", "name", "website", "notes", "blocked", "blocked_reason", "created_at", "updated_at", "version"),
    ),
)
