"""The SQL of tasks."""

from shared.holdings import Holding

HELD = (
    Holding(
        "tasks",
        shown=("id", "application_id", "title", "notes", "due_at", "done_at", "created_at", "updated_at", "version"),
    ),
)
