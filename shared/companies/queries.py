"""The SQL of companies."""

from shared.holdings import Holding

HELD = (
    Holding(
        "companies",
        shown=("id", "name", "website", "notes", "blocked", "blocked_reason", "created_at", "updated_at", "version"),
    ),
)
