"""The SQL of timelines."""

from typing import LiteralString

from shared.db import statement
from shared.documents import columns, creation
from shared.holdings import Holding
from shared.timeline.models import Event, EventDraft

FROM_STAGE: LiteralString = """
    CASE WHEN application_events.stage_id IS NOT NULL THEN (
        SELECT earlier.stage_id FROM application_events AS earlier
        WHERE earlier.application_id = application_events.application_id AND earlier.stage_id IS NOT NULL
          AND (earlier.occurred_at, earlier.id) < (application_events.occurred_at, application_events.id)
        ORDER BY earlier.occurred_at DESC, earlier.id DESC LIMIT 1) END
"""
REVISIONS: LiteralString = """
    (SELECT coalesce(jsonb_agg(was || jsonb_build_object('revised_at', revised_at)
                               ORDER BY revised_at DESC, id DESC), '[]')
     FROM event_revisions WHERE event_id = application_events.id)
"""
DOCUMENT = columns(Event, "application_events", from_stage_id=FROM_STAGE, revisions=REVISIONS)

CREATE_EVENT = creation(
    "application_events",
    fields=EventDraft,
    shown=Event,
    more=("application_id",),
    from_stage_id=FROM_STAGE,
    revisions=REVISIONS,
)
CHANGE_EVENT = statement(
    """
    SELECT change_event(%(event_application_id)s, %(event_id)s, %(event_versions)s::int[], %(event_changes)s::jsonb,
                        %(event_activities)s::text[])
    """
)
HOLD_APPLICATION = statement("SELECT hold_application(%(held_application_id)s)")
GET_EVENT = statement(
    "SELECT version, {document} FROM application_events WHERE id = %(id)s AND application_id = %(application_id)s",
    document=DOCUMENT,
)
LIST_EVENTS = statement(
    """
    SELECT {document} AS document, occurred_at::text AS sort_key, id FROM application_events
    WHERE application_id = %(application_id)s
      AND (%(kind)s::text[] IS NULL OR kind = ANY(%(kind)s::text[]))
      AND (%(after_id)s::uuid IS NULL OR (occurred_at, id) < (%(after_key)s::timestamptz, %(after_id)s::uuid))
    ORDER BY occurred_at DESC, id DESC
    LIMIT %(limit)s
    """,
    document=DOCUMENT,
)

HELD = (
    Holding(
        "application_events",
        shown=(
            "id",
            "application_id",
            "kind",
            "occurred_at",
            "stage_id",
            "round",
            "round_name",
            "reason",
            "note",
            "facts",
            "created_at",
            "updated_at",
            "version",
        ),
    ),
    Holding("event_revisions", shown=("id", "event_id", "was", "revised_at")),
)
