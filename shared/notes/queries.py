"""The SQL of notes."""

from typing import LiteralString

from shared.db import statement
from shared.documents import change, columns, creation
from shared.holdings import Holding
from shared.notes.models import Note, NoteChanges, NoteDraft, NoteRevision

# On a change: the wording that this very statement is replacing is not there yet, so it is counted by itself.
REVISIONS: LiteralString = "(SELECT count(*) FROM note_revisions r WHERE r.note_id = notes.id)"
REVISIONS_AFTER: LiteralString = """
    (SELECT count(*) FROM note_revisions r WHERE r.note_id = notes.id)
    + (SELECT was.body <> notes.body FROM notes was WHERE was.id = notes.id)::int
"""
DOCUMENT = columns(Note, "notes", revisions=REVISIONS)
ITS_ROW: LiteralString = "id = %(id)s AND application_id = %(application_id)s"

CREATE_NOTE = creation("notes", fields=NoteDraft, shown=Note, more=("application_id",), revisions="0")
UPDATE_NOTE = change("notes", fields=NoteChanges, shown=Note, row=ITS_ROW, revisions=REVISIONS_AFTER)
GET_NOTE = statement(
    "SELECT version, {document} FROM notes WHERE id = %(id)s AND application_id = %(application_id)s",
    document=DOCUMENT,
)
LIST_NOTES = statement(
    """
    SELECT {document}, created_at::text, id FROM notes
    WHERE application_id = %(application_id)s
      AND (%(after_id)s::uuid IS NULL OR (created_at, id) < (%(after_key)s::timestamptz, %(after_id)s::uuid))
    ORDER BY created_at DESC, id DESC
    LIMIT %(limit)s
    """,
    document=DOCUMENT,
)
WITHIN_NOTE = statement("SELECT within_note(%(application_id)s, %(note_id)s)")
LIST_NOTE_REVISIONS = statement(
    """
    SELECT {document}, revised_at::text, id FROM note_revisions
    WHERE note_id = %(note_id)s
      AND (%(after_id)s::uuid IS NULL OR (revised_at, id) < (%(after_key)s::timestamptz, %(after_id)s::uuid))
    ORDER BY revised_at DESC, id DESC
    LIMIT %(limit)s
    """,
    document=columns(NoteRevision, "note_revisions"),
)

HELD = (
    Holding("note_revisions", shown=("id", "note_id", "body", "revised_at")),
    Holding("notes", shown=("id", "application_id", "body", "created_at", "updated_at", "version")),
)
