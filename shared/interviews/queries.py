"""The SQL of interviews."""

from typing import LiteralString

from shared.db import statement
from shared.documents import change, columns, creation
from shared.holdings import Holding
from shared.interviews.models import Interview, InterviewChanges, InterviewDraft

ENDS_AT: LiteralString = "interviews.starts_at + make_interval(mins => interviews.duration_minutes)"
DOCUMENT = columns(Interview, "interviews", ends_at=ENDS_AT)

CREATE_INTERVIEW = creation(
    "interviews", fields=InterviewDraft, shown=Interview, more=("application_id",), ends_at=ENDS_AT
)
UPDATE_INTERVIEW = change(
    "interviews",
    fields=InterviewChanges,
    shown=Interview,
    row="id = %(id)s AND application_id = %(application_id)s",
    ends_at=ENDS_AT,
)
GET_INTERVIEW = statement(
    "SELECT version, {document} FROM interviews WHERE id = %(id)s AND application_id = %(application_id)s",
    document=DOCUMENT,
)
LIST_INTERVIEWS = statement(
    """
    SELECT {document} AS document, starts_at::text AS sort_key, id FROM interviews
    WHERE (%(application_id)s::uuid IS NULL OR application_id = %(application_id)s::uuid)
      AND (%(since)s::timestamptz IS NULL OR starts_at >= %(since)s::timestamptz)
      AND (%(until)s::timestamptz IS NULL OR starts_at < %(until)s::timestamptz)
      AND (%(after_id)s::uuid IS NULL OR (starts_at, id) > (%(after_key)s::timestamptz, %(after_id)s::uuid))
    ORDER BY starts_at, id
    LIMIT %(limit)s
    """,
    document=DOCUMENT,
)

HELD = (Holding("interviews", shown=tuple(name for name in Interview.model_fields if name != "ends_at")),)
