"""Duplicates: applications written down twice, and how they become one."""

from shared.duplicates.models import DuplicateQuery, Merge, PossibleDuplicate
from shared.duplicates.service import list_duplicates, merge_applications

__all__ = ["DuplicateQuery", "Merge", "PossibleDuplicate", "list_duplicates", "merge_applications"]
