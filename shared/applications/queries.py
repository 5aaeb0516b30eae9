"""The applications' SQL."""

from typing import LiteralString, get_args

from psycopg import sql

from shared.applications.models import MOVED, Application, ApplicationChanges, ApplicationDraft, Sort
from shared.db import statement
from shared.documents import SortKey, change, columns, creation, in_orders, reading
from shared.holdings import Holding

DOCUMENT = columns(Application, "applications")

CREATE_APPLICATION = creation(
    "applications", fields=ApplicationDraft, shown=Application, answer="with_warnings({document}, applications)"
)
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

SORT_KEYS = {
    "created_at": SortKey("applications.created_at", "timestamptz"),
    "updated_at": SortKey("applications.updated_at", "timestamptz"),
    "applied_on": SortKey("coalesce(applied_on, '-infinity')", "date"),
    "company": SortKey("company_key", "text"),
    "follow_up_at": SortKey("coalesce(follow_up_at, 'infinity')", "timestamptz"),
    "-follow_up_at": SortKey("coalesce(follow_up_at, '-infinity')", "timestamptz"),
    "last_activity_at": SortKey("last_activity_at", "timestamptz"),
    "relevance": SortKey("relevance", "real", greatest_first=True),
}
# A question is looked for in the applications and in their notes. Words are matched as words by what is stored of them;
# parts of words in the short columns only, which twenty thousand rows of one person can afford.
SEARCHED = sql.SQL(
    """
    applications
    LEFT JOIN (
        SELECT application_id, max(ts_rank_cd(search, coalesce(search_query(%(q)s), ''))) AS rank FROM notes
        WHERE CASE WHEN search_literals(%(q)s) = '{}' THEN search @@ search_query(%(q)s)
                   ELSE answers(search, search_query(%(q)s), search_literals(%(q)s), body) END
        GROUP BY application_id
    ) AS noted ON noted.application_id = applications.id,
    LATERAL (
        SELECT strpos(lower(concat_ws(E'\n', company, position, location, source, url)), lower(%(q)s)) > 0 AS is_part
    ) AS parts,
    LATERAL (
        SELECT (CASE WHEN is_part THEN 0.1 ELSE 0 END + ts_rank_cd(search, coalesce(search_query(%(q)s), ''))
                + coalesce(noted.rank, 0))::real AS relevance
    ) AS ranked
    """
)
ANSWERED = sql.SQL(
    """
    (is_part OR noted.application_id IS NOT NULL
     OR CASE WHEN search_literals(%(q)s) = '{}' THEN search @@ search_query(%(q)s)
             ELSE answers(search, search_query(%(q)s), search_literals(%(q)s), company, position, location, source, url,
                          notes) END)
    """
)

CONDITIONS: LiteralString = """
    {condition}
    AND (%(status)s::text[] IS NULL OR status = ANY(%(status)s::text[]))
    AND (%(category)s::text[] IS NULL OR category = ANY(%(category)s::text[]))
    AND (%(stage_id)s::uuid IS NULL OR stage_id = %(stage_id)s::uuid)
    AND (%(tag)s::text[] IS NULL OR tags @> (SELECT registered(%(tag)s::text[])))
    AND (%(priority)s::text IS NULL OR priority = %(priority)s)
    AND (%(workplace)s::text IS NULL OR workplace = %(workplace)s)
    AND (%(source)s::text IS NULL OR source = %(source)s)
    AND (%(company_id)s::uuid IS NULL OR company_id = %(company_id)s::uuid)
    AND (%(company)s::text IS NULL OR strpos(company_key, lower(%(company)s)) > 0)
    AND (%(applied_from)s::date IS NULL OR applied_on >= %(applied_from)s::date)
    AND (%(applied_to)s::date IS NULL OR applied_on <= %(applied_to)s::date)
    AND (%(follow_up_before)s::timestamptz IS NULL OR follow_up_at < %(follow_up_before)s::timestamptz)
    AND (%(deadline_before)s::date IS NULL OR deadline < %(deadline_before)s::date)
    AND {beyond}
"""
INDEXED_LIST: LiteralString = """
    SELECT {document} AS document, ({key})::text AS sort_key, id FROM {found}
    WHERE {conditions}
    ORDER BY {order}
    LIMIT %(limit)s
""".replace("{conditions}", CONDITIONS)

# Documents are made of the page's rows only: beside the sort they would be made of every row that is sorted.
SORTED_LIST: LiteralString = """
    SELECT {document} AS document, sort_key::text, id
    FROM (
        SELECT applications.id, {key} AS sort_key FROM {found}
        WHERE {conditions}
        ORDER BY {order}
        LIMIT %(limit)s
    ) AS page JOIN applications USING (id)
    ORDER BY sort_key {direction}, id {direction}
""".replace("{conditions}", CONDITIONS)

INDEXED = ("-created_at", "created_at", "-applied_on", "applied_on", "-company", "company")
EVERYTHING = {"document": DOCUMENT, "found": sql.SQL("applications"), "condition": sql.SQL("true")}

SEARCH_APPLICATIONS = in_orders(
    get_args(Sort), SORT_KEYS, SORTED_LIST, document=DOCUMENT, found=SEARCHED, condition=ANSWERED
)
LIST_APPLICATIONS = in_orders(INDEXED, SORT_KEYS, INDEXED_LIST, **EVERYTHING) | in_orders(
    [sort for sort in get_args(Sort) if sort not in (*INDEXED, "relevance")], SORT_KEYS, SORTED_LIST, **EVERYTHING
)

CHANGE_IN_BULK = statement("SELECT change_in_bulk(%(ids)s::uuid[], CAST(%(move)s AS jsonb), CAST(%(change)s AS jsonb))")

HELD = (Holding("applications", shown=tuple(Application.model_fields)),)
