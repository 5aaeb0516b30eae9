"""Applications: what somebody applied for, and how it stands."""

from shared.applications.models import Application, ApplicationChanges, ApplicationDraft, ApplicationQuery, Status
from shared.applications.queries import HELD
from shared.applications.service import (
    create_application,
    delete_application,
    get_application,
    list_applications,
    update_application,
)

__all__ = [
    "HELD",
    "Application",
    "ApplicationChanges",
    "ApplicationDraft",
    "ApplicationQuery",
    "Status",
    "create_application",
    "delete_application",
    "get_application",
    "list_applications",
    "update_application",
]
