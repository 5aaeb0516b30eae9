"""What happened to an application, and when."""

from shared.timeline.models import Event, EventChanges, EventDraft, EventQuery
from shared.timeline.queries import HELD
from shared.timeline.service import (
    EventIsKept,
    LastMove,
    TimelineFull,
    create_event,
    delete_event,
    get_event,
    list_events,
    update_event,
)

__all__ = [
    "HELD",
    "Event",
    "EventChanges",
    "EventDraft",
    "EventIsKept",
    "EventQuery",
    "LastMove",
    "TimelineFull",
    "create_event",
    "delete_event",
    "get_event",
    "list_events",
    "update_event",
]
