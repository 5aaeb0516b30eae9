"""Saved views: questions to the list of applications that somebody asks again and again."""

from shared.saved_views.models import SavedView, SavedViewChanges, SavedViewDraft, SavedViewQuery
from shared.saved_views.queries import HELD
from shared.saved_views.service import (
    SavedViewExists,
    TooManySavedViews,
    create_saved_view,
    delete_saved_view,
    get_saved_view,
    list_saved_views,
    update_saved_view,
)

__all__ = [
    "HELD",
    "SavedView",
    "SavedViewChanges",
    "SavedViewDraft",
    "SavedViewExists",
    "SavedViewQuery",
    "TooManySavedViews",
    "create_saved_view",
    "delete_saved_view",
    "get_saved_view",
    "list_saved_views",
    "update_saved_view",
]
