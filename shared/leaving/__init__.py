"""Leaving: a copy of everything, and an end of it."""

from shared.leaving.archive import AS_FILE
from shared.leaving.models import Deletion
from shared.leaving.service import AdminCannotLeave, NoDeletionPending, erase, export, leave, restore

__all__ = ["AS_FILE", "AdminCannotLeave", "Deletion", "NoDeletionPending", "erase", "export", "leave", "restore"]
