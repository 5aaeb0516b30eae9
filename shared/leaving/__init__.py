"""Leaving: a copy of everything, and an end of it."""

from shared.leaving.models import Deletion
from shared.leaving.service import LastAdmin, NoDeletionPending, cancel, erase, export, leave

__all__ = ["Deletion", "LastAdmin", "NoDeletionPending", "cancel", "erase", "export", "leave"]
