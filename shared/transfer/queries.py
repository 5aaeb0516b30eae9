"""The SQL of exports and imports."""

from psycopg import sql

from shared.db import statement
from shared.documents import columns
from shared.holdings import Holding
from shared.transfer.models import Import

# Refused before anything is sent: what is too much for the app would be too much for it to look at, too.
CHOSEN = sql.SQL(
    """
    WITH chosen AS MATERIALIZED (
        SELECT id FROM applications
        WHERE (%(status)s::text[] IS NULL OR status = ANY(%(status)s::text[]))
          AND (%(applied_from)s::date IS NULL OR applied_on >= %(applied_from)s::date)
          AND (%(applied_to)s::date IS NULL OR applied_on <= %(applied_to)s::date)
        ORDER BY created_at, id LIMIT %(most)s + 1
    )
    """
)
FITTING = sql.SQL(
    """
    SELECT document FROM shown, (SELECT max(n_th) AS n, sum(octet_length(document)) AS size FROM shown) AS total
    WHERE CASE WHEN n > %(most)s OR size > %(most_bytes)s
               THEN refuse('JTX13', jsonb_build_object('applications', %(most)s, 'bytes', %(most_bytes)s)) IS NULL
               ELSE true END
    ORDER BY n_th
    """
)

EXPORT_CSV = statement(
    """
    {chosen}, own_stages AS MATERIALIZED (
        SELECT id, name, status FROM stages
    ), shown AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY a.created_at, a.id) AS n_th, (
            SELECT row_to_json(row)::text FROM (SELECT
                a.id, a.company, a.position, a.location, a.workplace, a.url, a.source, a.priority, a.tags, a.status,
                (SELECT name FROM own_stages WHERE id = a.stage_id) AS stage, a.round, a.round_name, a.close_reason,
                a.salary_min, a.salary_max, a.salary_currency, a.salary_period, a.applied_on, a.deadline,
                a.follow_up_at, a.notes, a.created_at, a.updated_at,
                (SELECT json_agg(json_build_object(
                     'occurred_at', e.occurred_at, 'kind', e.kind,
                     'status', (SELECT status FROM own_stages WHERE id = e.stage_id),
                     'name', (SELECT name FROM own_stages WHERE id = e.stage_id),
                     'round', e.round, 'round_name', e.round_name, 'reason', e.reason, 'note', e.note)
                     ORDER BY e.occurred_at, e.id)
                 FROM application_events e
                 WHERE e.application_id = a.id AND e.stage_id IS NOT NULL) AS history) AS row) AS document
        FROM applications a JOIN chosen USING (id)
    )
    {fitting}
    """,
    chosen=CHOSEN,
    fitting=FITTING,
)

# The stages go out as the first row: there is no application without one.
EXPORT_JSON = statement(
    """
    {chosen}, shown AS MATERIALIZED (
        SELECT 0 AS n_th, (
            SELECT json_agg(json_build_object(
                'id', id, 'name', name, 'category', category, 'status', status, 'position', position,
                'retired_at', retired_at) ORDER BY position, id)::text FROM stages) AS document
        UNION ALL
        SELECT row_number() OVER (ORDER BY a.created_at, a.id), json_build_object(
            'application', (SELECT row_to_json(row) FROM (SELECT
                a.id, a.company, a.position, a.location, a.workplace, a.url, a.source, a.priority, a.tags, a.status,
                a.stage_id, a.category, a.stage_since, a.round, a.round_name, a.close_reason, a.furthest_stage_id,
                a.furthest_category, a.furthest_round, a.salary_min, a.salary_max, a.salary_currency, a.salary_period,
                a.applied_on, a.applied_on_is_own, a.deadline, a.follow_up_at, a.last_activity_at, a.notes,
                a.created_at, a.updated_at) AS row),
            'events', (SELECT json_agg(json_build_object(
                    'kind', kind, 'occurred_at', occurred_at, 'stage_id', stage_id, 'round', round,
                    'round_name', round_name, 'reason', reason, 'note', note, 'facts', facts,
                    'created_at', created_at) ORDER BY occurred_at, id)
                FROM application_events WHERE application_id = a.id),
            'notes', (SELECT coalesce(json_agg(json_build_object('body', body, 'created_at', created_at)
                                               ORDER BY created_at, id), '[]')
                FROM notes WHERE application_id = a.id),
            'tasks', (SELECT coalesce(json_agg(json_build_object(
                    'title', title, 'notes', notes, 'due_at', due_at, 'done_at', done_at, 'created_at', created_at)
                    ORDER BY created_at, id), '[]')
                FROM tasks WHERE application_id = a.id),
            'interviews', (SELECT coalesce(json_agg(json_build_object(
                    'kind', kind, 'title', title, 'starts_at', starts_at, 'duration_minutes', duration_minutes,
                    'time_zone', time_zone, 'location', location, 'interviewers', interviewers, 'round', round,
                    'outcome', outcome, 'notes', notes, 'created_at', created_at) ORDER BY starts_at, id), '[]')
                FROM interviews WHERE application_id = a.id),
            'contacts', (SELECT coalesce(json_agg(json_build_object(
                    'id', c.id, 'company', (SELECT name FROM companies WHERE id = c.company_id), 'name', c.name,
                    'title', c.title, 'email', c.email, 'phone', c.phone, 'url', c.url, 'notes', c.notes,
                    'role', ac.role) ORDER BY c.id), '[]')
                FROM application_contacts ac JOIN contacts c ON c.id = ac.contact_id WHERE ac.application_id = a.id)
        )::text
        FROM applications a JOIN chosen USING (id)
    )
    {fitting}
    """,
    chosen=CHOSEN,
    fitting=FITTING,
)

IMPORT = statement(
    """
    SELECT row_number, outcome, application, fault FROM import_applications(
        %(import_id)s, %(format)s, %(file_name)s, %(rows)s, %(unreadable)s, %(dry_run)s, %(items)s::jsonb)
    """
)

LIST_IMPORTS = statement(
    """
    SELECT {document} AS document, created_at::text AS sort_key, id FROM imports
    WHERE user_id = current_setting('app.user_id')::uuid
      AND (%(after_id)s::uuid IS NULL OR (created_at, id) < (%(after_key)s::timestamptz, %(after_id)s::uuid))
    ORDER BY created_at DESC, id DESC
    LIMIT %(limit)s
    """,
    document=columns(Import, "imports"),
)

UNDO_IMPORT = statement("SELECT kept_row, kept, trashed FROM undo_import(%(import_id)s, %(force)s)")

HELD = (
    Holding("import_rows", shown=("import_id", "row", "row_key", "application_id", "version")),
    Holding("imports", shown=tuple(Import.model_fields)),
)
