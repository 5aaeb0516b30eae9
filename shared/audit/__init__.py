"""The audit log: what happened, to whom, from where. ``audit()`` in SQL writes it, together with what happens."""

from shared.audit.models import Activity, ActivityQuery, AuditEvent, AuditQuery
from shared.audit.queries import HELD
from shared.audit.service import list_activity, note_limit, search_events

__all__ = [
    "HELD",
    "Activity",
    "ActivityQuery",
    "AuditEvent",
    "AuditQuery",
    "list_activity",
    "note_limit",
    "search_events",
]
