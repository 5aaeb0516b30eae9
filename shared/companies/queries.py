"""The SQL of companies."""

from typing import LiteralString, get_args

from shared.companies.models import Company, CompanyChanges, CompanyDraft, Sort
from shared.db import statement
from shared.documents import SortKey, change, columns, creation, in_orders
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

SORT_KEYS = {
    "name": SortKey("name_key", "text"),
    "created_at": SortKey("created_at", "timestamptz"),
}


LIST_COMPANIES = in_orders(
    get_args(Sort),
    SORT_KEYS,
    """
    SELECT {document} AS document, {key}::text AS sort_key, id FROM companies
    WHERE (%(blocked)s::boolean IS NULL OR blocked = %(blocked)s::boolean)
      AND (%(q)s::text IS NULL OR strpos(name_key, lower(%(q)s)) > 0)
      AND {beyond}
    ORDER BY {order}
    LIMIT %(limit)s
    """,
    document=DOCUMENT,
)

HELD = (
    Holding(
        "companies",
        shown=("id", "name", "website", "notes", "blocked", "blocked_reason", "created_at", "updated_at", "version"),
    ),
)
