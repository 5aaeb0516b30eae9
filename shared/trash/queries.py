"""The SQL of trash."""

from shared.holdings import Holding

HELD = (Holding("trash", shown=("id", "kind", "title", "content", "deleted_at")),)
