"""The SQL of timeline."""

from shared.holdings import Holding

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
