"""Notes on an application."""

from shared.notes.models import Note, NoteChanges, NoteDraft, NoteQuery, NoteRevision
from shared.notes.queries import HELD
from shared.notes.service import create_note, delete_note, get_note, list_note_revisions, list_notes, update_note

__all__ = [
    "HELD",
    "Note",
    "NoteChanges",
    "NoteDraft",
    "NoteQuery",
    "NoteRevision",
    "create_note",
    "delete_note",
    "get_note",
    "list_note_revisions",
    "list_notes",
    "update_note",
]
