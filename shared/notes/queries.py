"""The SQL of notes."""

from shared.holdings import Holding

HELD = (Holding("notes", shown=("id", "application_id", "body", "created_at", "updated_at", "version")),)
