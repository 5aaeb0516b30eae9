"""Applications: what somebody applied for, and how it stands."""

from shared.applications.models import (
    Application,
    ApplicationChanges,
    ApplicationDraft,
    ApplicationQuery,
    Category,
    Move,
    Status,
)
from shared.applications.queries import HELD
from shared.applications.service import (
    create_application,
    delete_application,
    get_application,
    list_applications,
    move_application,
    update_application,
    within,
)

__all__ = [
    "HELD",
    "Application",
    "ApplicationChanges",
    "ApplicationDraft",
    "ApplicationQuery",
    "Category",
    "Move",
    "Status",
    "create_application",
    "delete_application",
    "get_application",
    "list_applications",
    "move_application",
    "update_application",
    "within",
]
