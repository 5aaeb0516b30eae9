"""Applications: what somebody applied for, and how it stands."""

from shared.applications.models import (
    Application,
    ApplicationChanges,
    ApplicationCreated,
    ApplicationDraft,
    ApplicationQuery,
    BulkRequest,
    BulkResults,
    Category,
    Move,
    Status,
    Tag,
)
from shared.applications.queries import HELD
from shared.applications.service import (
    change_in_bulk,
    create_application,
    delete_application,
    get_application,
    list_applications,
    move_application,
    read_changed,
    update_application,
    within,
)

__all__ = [
    "HELD",
    "Application",
    "ApplicationChanges",
    "ApplicationCreated",
    "ApplicationDraft",
    "ApplicationQuery",
    "BulkRequest",
    "BulkResults",
    "Category",
    "Move",
    "Status",
    "Tag",
    "change_in_bulk",
    "create_application",
    "delete_application",
    "get_application",
    "list_applications",
    "move_application",
    "read_changed",
    "update_application",
    "within",
]
