"""Companies, one for each name however it is spelled."""

from shared.companies.models import Company, CompanyChanges, CompanyDraft, CompanyQuery
from shared.companies.queries import HELD
from shared.companies.service import (
    CompanyExists,
    create_company,
    delete_company,
    get_company,
    list_companies,
    update_company,
)

__all__ = [
    "HELD",
    "Company",
    "CompanyChanges",
    "CompanyDraft",
    "CompanyExists",
    "CompanyQuery",
    "create_company",
    "delete_company",
    "get_company",
    "list_companies",
    "update_company",
]
