"""The SQL of interviews."""

from shared.holdings import Holding

HELD = (
    Holding(
        "interviews",
        shown=(
            "id",
            "application_id",
            "kind",
            "title",
            "starts_at",
            "duration_minutes",
            "time_zone",
            "location",
            "interviewers",
            "round",
            "outcome",
            "notes",
            "created_at",
            "updated_at",
            "version",
        ),
    ),
)
