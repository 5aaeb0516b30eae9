"""The applications' SQL."""

from typing import LiteralString, get_args

from psycopg import sql

from shared.applications.models import MOVED, Application, ApplicationChanges, ApplicationDraft, Sort
from shared.db import statement
from shared.documents import change, columns, creation, reading
from shared.holdings import Holding

DOCUMENT = columns(Application, "applications")

CREATE_APPLICATION = creation("applications", fields=ApplicationDraft, shown=Application)
UPDATE_APPLICATION = change("applications", fields=ApplicationChanges, shown=Application, besides=MOVED)
MOVE_APPLICATION = statement(
    """
    SELECT move_application(%(application_id)s, %(move_versions)s::int[], %(move_stage_id)s, %(move_status)s,
                            %(move_occurred_at)s, %(move_round)s, %(move_round_name)s, %(move_reason)s, %(move_note)s)
    """
)
MOVED_APPLICATION = reading("applications", shown=Application)
WITHIN_APPLICATION = statement("SELECT within_application(%(application_id)s, %(application_locked)s)")
GET_APPLICATION = statement(
    "SELECT version, {document} FROM applications WHERE id = %(id)s",
    document=DOCUMENT,
)

# What each order sorts by: an expression that is never null, and the type a cursor's key is read back as.
SORT_KEYS: dict[str, tuple[LiteralString, LiteralString]] = {
    "created_at": ("created_at", "timestamptz"),
    "updated_at": ("updated_at", "timestamptz"),
    "applied_on": ("coalesce(applied_on, '-infinity')", "date"),
    "company": ("lower(company)", "text"),
}


def _list_in_order(sort: str) -> bytes:
    key, kind = SORT_KEYS[sort.removeprefix("-")]
    descending = sort.startswith("-")
    return statement(
        """
        SELECT {document} AS document, ({key})::text AS sort_key, id FROM applications
        WHERE (%(status)s::text[] IS NULL OR status = ANY(%(status)s::text[]))
          AND (%(company)s::text IS NULL OR strpos(lower(company), lower(%(company)s)) > 0)
          AND (%(q)s::text IS NULL
               OR strpos(lower(concat_ws(E'\n', company, position, location, source, url, notes)), lower(%(q)s)) > 0)
          AND (%(applied_from)s::date IS NULL OR applied_on >= %(applied_from)s::date)
          AND (%(applied_to)s::date IS NULL OR applied_on <= %(applied_to)s::date)
          AND (%(after_id)s::uuid IS NULL OR ({key}, id) {beyond} (%(after_key)s::{kind}, %(after_id)s::uuid))
        ORDER BY {key} {direction}, id {direction}
        LIMIT %(limit)s
        """,
        document=DOCUMENT,
        key=sql.SQL(key),
        kind=sql.SQL(kind),
        beyond=sql.SQL("<" if descending else ">"),
        direction=sql.SQL("DESC" if descending else "ASC"),
    )


LIST_APPLICATIONS: dict[str, bytes] = {sort: _list_in_order(sort) for sort in get_args(Sort)}

HELD = (Holding("applications", shown=tuple(Application.model_fields)),)
