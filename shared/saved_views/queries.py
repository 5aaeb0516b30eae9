"""The saved views' SQL."""

from shared.db import statement
from shared.documents import change, columns, creation, removal
from shared.holdings import Holding
from shared.saved_views.models import SavedView, SavedViewChanges, SavedViewDraft

DOCUMENT = columns(SavedView, "saved_views")

CREATE_SAVED_VIEW = creation("saved_views", fields=SavedViewDraft, shown=SavedView)
UPDATE_SAVED_VIEW = change("saved_views", fields=SavedViewChanges, shown=SavedView)
REMOVE_SAVED_VIEW = removal("saved_views")
GET_SAVED_VIEW = statement("SELECT version, {document} FROM saved_views WHERE id = %(id)s", document=DOCUMENT)
LIST_SAVED_VIEWS = statement(
    """
    SELECT {document}, name_key, id FROM saved_views
    WHERE %(after_id)s::uuid IS NULL OR (name_key, id) > (%(after_key)s::text, %(after_id)s::uuid)
    ORDER BY name_key, id
    LIMIT %(limit)s
    """,
    document=DOCUMENT,
)

HELD = (Holding("saved_views", shown=tuple(SavedView.model_fields)),)
