"""The SQL of trash."""

from typing import LiteralString

from shared.db import statement
from shared.documents import columns
from shared.holdings import Holding
from shared.trash.models import Kind, Restored, TrashItem

TABLES: dict[Kind, str] = {
    "application": "applications",
    "note": "notes",
    "event": "application_events",
    "contact": "contacts",
    "company": "companies",
    "interview": "interviews",
    "task": "tasks",
    "file": "files",
}

KIND: LiteralString = """
    CASE trash.kind WHEN 'application_events' THEN 'event' WHEN 'companies' THEN 'company'
                    ELSE rtrim(trash.kind, 's') END
"""

LIST_TRASH = statement(
    """
    SELECT {document}, deleted_at::text, id FROM trash
    WHERE deleted_at > now() - interval '30 days'
      AND (%(table)s::text IS NULL OR kind = %(table)s::text)
      AND (%(after_id)s::uuid IS NULL OR (deleted_at, id) < (%(after_key)s::timestamptz, %(after_id)s::uuid))
    ORDER BY deleted_at DESC, id DESC
    LIMIT %(limit)s
    """,
    document=columns(TrashItem, "trash", kind=KIND, purged_at="trash.deleted_at + interval '30 days'"),
)

RESTORE_TRASH = statement(
    "SELECT {document} FROM recover(%(id)s) AS trash (kind)",
    document=columns(Restored, "trash", id="%(id)s::uuid", kind=KIND),
)

# A file's content lies in a store of its own, which a timer empties of what is due: until it has, the entry stays as
# the record of what is to be removed, but is past being listed or restored.
DELETE_TRASH = statement(
    """
    WITH gone AS (
        DELETE FROM trash
        WHERE (%(id)s::uuid IS NULL OR id = %(id)s::uuid) AND kind <> 'files'
          AND deleted_at > now() - interval '30 days'
        RETURNING id
    ), due AS (
        UPDATE trash SET deleted_at = now() - interval '30 days'
        WHERE (%(id)s::uuid IS NULL OR id = %(id)s::uuid) AND kind = 'files'
          AND deleted_at > now() - interval '30 days'
        RETURNING id
    )
    SELECT id FROM gone UNION ALL SELECT id FROM due
    """
)

HELD = (Holding("trash", shown=("id", "kind", "title", "content", "deleted_at")),)
