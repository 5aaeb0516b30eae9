"""The SQL of files."""

from shared.holdings import Holding

HELD = (
    Holding("application_files", shown=("application_id", "file_id", "created_at")),
    Holding("files", shown=("id", "series_id", "kind", "name", "created_at", "updated_at", "version")),
)
