"""The SQL of stages."""

from shared.holdings import Holding

HELD = (
    Holding(
        "stages",
        shown=("id", "name", "category", "status", "position", "retired_at", "created_at", "updated_at", "version"),
    ),
)
