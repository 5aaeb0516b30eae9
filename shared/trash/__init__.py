"""What was deleted, for 30 days."""

from shared.trash.models import Kind, Restored, TrashItem, TrashQuery
from shared.trash.queries import HELD
from shared.trash.service import AlreadyExists, ParentGone, delete_trash, empty_trash, list_trash, restore_trash

__all__ = [
    "HELD",
    "AlreadyExists",
    "Kind",
    "ParentGone",
    "Restored",
    "TrashItem",
    "TrashQuery",
    "delete_trash",
    "empty_trash",
    "list_trash",
    "restore_trash",
]
