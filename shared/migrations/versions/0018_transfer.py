"""Imports: many applications written down at once, each with its past, and taken back as a whole."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

IMPORTS = """
CREATE TABLE imports (
    id         uuid PRIMARY KEY DEFAULT uuid7(),
    user_id    uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    format     text NOT NULL CHECK (format IN ('csv', 'json')),
    file_name  text,
    rows       integer NOT NULL,
    created    integer NOT NULL DEFAULT 0,
    unchanged  integer NOT NULL DEFAULT 0,
    failed     integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    undone_at  timestamptz,
    UNIQUE (user_id, id)
);
CREATE INDEX imports_user_id ON imports (user_id, created_at DESC, id DESC);

-- Which row of which file an application came from: by its key the same row is known again. The version is the one it
-- had then, so that undoing the import takes nothing away that somebody has worked on since.
CREATE TABLE import_rows (
    user_id        uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    import_id      uuid NOT NULL,
    row            integer NOT NULL,
    row_key        uuid NOT NULL,
    application_id uuid NOT NULL,
    version        integer NOT NULL,
    PRIMARY KEY (import_id, row),
    CONSTRAINT import_rows_import_fkey FOREIGN KEY (user_id, import_id)
        REFERENCES imports (user_id, id) ON DELETE CASCADE,
    CONSTRAINT import_rows_application_fkey FOREIGN KEY (user_id, application_id)
        REFERENCES applications (user_id, id) ON DELETE CASCADE
);
-- Not unique: a row that was deleted and imported again may come back from the trash.
CREATE INDEX import_rows_key ON import_rows (user_id, row_key);
CREATE INDEX import_rows_application_id ON import_rows (application_id);

ALTER TABLE imports     ENABLE ROW LEVEL SECURITY;
ALTER TABLE import_rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON imports     TO tenant USING (user_id = current_setting('app.user_id')::uuid);
CREATE POLICY own_rows ON import_rows TO tenant USING (user_id = current_setting('app.user_id')::uuid);
GRANT SELECT, INSERT, DELETE ON imports, import_rows TO tenant;
GRANT UPDATE (created, unchanged, failed, undone_at) ON imports TO tenant;
GRANT UPDATE (application_id) ON import_rows TO tenant;

-- Writes one application of a file down, with its past. While the rows go in nothing is derived from them; the last
-- event of its way through the stages is let loose on the timeline's trigger, which folds all of them, once.
CREATE FUNCTION import_application(the_user uuid, zone text, item jsonb, stage_ids jsonb) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    the_id CONSTANT uuid := item ->> 'id';
    given applications := jsonb_populate_record(NULL::applications, item -> 'fields');
    events application_events[];
    latest application_events;
    s stages;
    the_version int;
BEGIN
    SELECT array_agg(jsonb_populate_record(NULL::application_events, e || jsonb_build_object(
               'stage_id', stage_ids ->> (e -> 'stage')::text,
               'occurred_at', least(now(), coalesce((e ->> 'occurred_at')::timestamptz,
                   ((e ->> 'day')::date + time '12:00') AT TIME ZONE zone, now())),
               'created_at', least(now(), (e ->> 'created_at')::timestamptz))) ORDER BY n)
    INTO events FROM jsonb_array_elements(item -> 'events') WITH ORDINALITY AS given (e, n);
    SELECT e.* INTO latest FROM unnest(events) e WHERE e.stage_id IS NOT NULL
    ORDER BY e.occurred_at DESC, e.id DESC LIMIT 1;
    SELECT stages.* INTO s FROM stages WHERE id = latest.stage_id;

    PERFORM set_config('app.restoring', 'on', true);
    INSERT INTO applications (
        id, user_id, company, company_id, position, location, workplace, url, source, priority, tags, salary_min,
        salary_max, salary_currency, salary_period, applied_on, applied_on_is_own, deadline, notes, stage_id, category,
        status, stage_since, round, furthest_category, follow_up_at, last_activity_at, board_rank, created_at, version)
    VALUES (
        the_id, the_user, given.company, company_named(the_user, given.company), given.position, given.location,
        given.workplace, given.url, given.source, given.priority, coalesce(given.tags, '{}'), given.salary_min,
        given.salary_max, given.salary_currency, given.salary_period, given.applied_on,
        coalesce((item ->> 'applied_on_is_own')::boolean, given.applied_on IS NOT NULL), given.deadline, given.notes,
        s.id, s.category, status_of(s.status, latest.reason), latest.occurred_at, latest.round, s.category,
        CASE WHEN item ? 'follow_up_at' THEN (item ->> 'follow_up_at')::timestamptz
             ELSE follow_up_for(s.category, latest.occurred_at, the_user) END,
        least(now(), coalesce((item ->> 'last_activity_at')::timestamptz, '-infinity')), top_of(the_user, s.id),
        least(now(), (item ->> 'created_at')::timestamptz), 0);
    INSERT INTO application_events (id, user_id, application_id, kind, occurred_at, stage_id, round, round_name, reason,
                                    note, facts, created_at)
    SELECT e.id, the_user, the_id, e.kind, e.occurred_at, e.stage_id, e.round, e.round_name, e.reason,
           e.note, coalesce(e.facts, '{}'), e.created_at
    FROM unnest(events) e WHERE e.id <> latest.id;
    IF item -> 'notes' <> '[]' THEN
        INSERT INTO notes (user_id, application_id, body, created_at)
        SELECT the_user, the_id, n ->> 'body', least(now(), (n ->> 'created_at')::timestamptz)
        FROM jsonb_array_elements(item -> 'notes') n;
    END IF;
    IF item -> 'tasks' <> '[]' THEN
        INSERT INTO tasks (user_id, application_id, title, notes, due_at, done_at, created_at)
        SELECT the_user, the_id, t.title, t.notes, t.due_at, t.done_at, least(now(), t.created_at)
        FROM jsonb_populate_recordset(NULL::tasks, item -> 'tasks') t;
    END IF;
    IF item -> 'interviews' <> '[]' THEN
        INSERT INTO interviews (user_id, application_id, kind, title, starts_at, duration_minutes, time_zone, location,
                                interviewers, round, outcome, notes, created_at)
        SELECT the_user, the_id, i.kind, i.title, i.starts_at, i.duration_minutes, i.time_zone, i.location,
               i.interviewers, i.round, i.outcome, i.notes, least(now(), i.created_at)
        FROM jsonb_populate_recordset(NULL::interviews, item -> 'interviews') i;
    END IF;
    IF item -> 'contacts' <> '[]' THEN
        -- Somebody who is among the caller's contacts already is that same contact.
        INSERT INTO contacts (id, user_id, company_id, name, title, email, phone, url, notes)
        SELECT (c ->> 'id')::uuid, the_user, company_named(the_user, c ->> 'company'), c ->> 'name', c ->> 'title',
               c ->> 'email', c ->> 'phone', c ->> 'url', c ->> 'notes'
        FROM jsonb_array_elements(item -> 'contacts') c
        WHERE NOT EXISTS (SELECT FROM contacts WHERE id = (c ->> 'known_as')::uuid)
        ON CONFLICT (id) DO NOTHING;
        INSERT INTO application_contacts (user_id, application_id, contact_id, role)
        SELECT the_user, the_id, coalesce((SELECT id FROM contacts WHERE id = (c ->> 'known_as')::uuid),
                                          (c ->> 'id')::uuid), c ->> 'role'
        FROM jsonb_array_elements(item -> 'contacts') c;
    END IF;
    PERFORM set_config('app.restoring', '', true);

    INSERT INTO application_events (id, user_id, application_id, kind, occurred_at, stage_id, round, round_name, reason,
                                    note, facts, created_at)
    VALUES (latest.id, the_user, the_id, latest.kind, latest.occurred_at, latest.stage_id, latest.round,
            latest.round_name, latest.reason, latest.note, coalesce(latest.facts, '{}'), latest.created_at);
    SELECT version INTO the_version FROM applications WHERE id = the_id;
    RETURN the_version;
END $$;

-- The stage of the caller's that a file means: that very one, one of its name, or the one its status stands for.
CREATE FUNCTION stage_meant(the_user uuid, stage jsonb) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce(
        (SELECT id FROM stages WHERE user_id = the_user AND id = (stage ->> 'id')::uuid),
        (SELECT id FROM stages WHERE user_id = the_user AND lower(name) = lower(stage ->> 'name')
                                 AND category = coalesce(stage ->> 'category', category)),
        stage_for(the_user, stage ->> 'status'));
END $$;

-- Whether an application says what a row of a file says: the same in every field that the row has, and nothing in the
-- row's way through the stages that the application has not.
CREATE FUNCTION is_as_imported(the_application uuid, item jsonb, stage_ids jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN NOT EXISTS (
        SELECT FROM applications a, jsonb_each(item -> 'fields') given
        WHERE a.id = the_application AND to_jsonb(a) -> given.key IS DISTINCT FROM given.value
    ) AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(item -> 'events') e
        WHERE e ->> 'kind' IN ('created', 'moved') AND NOT EXISTS (
            SELECT FROM application_events known
            WHERE known.application_id = the_application AND known.occurred_at = (e ->> 'occurred_at')::timestamptz
              AND known.stage_id = (stage_ids ->> (e -> 'stage')::text)::uuid));
END $$;

-- Every row of a file: made, there already, or refused, each by itself. Whatever the database refuses of a row stays
-- out whole. The imports of one person wait for each other, so that no row is made twice. Plans are made when tables
-- may be small still, and kept while they grow: none may read a whole table.
CREATE FUNCTION import_applications(
    the_import uuid, the_format text, the_name text, all_rows int, unreadable int, is_dry boolean, items jsonb)
RETURNS TABLE (row_number int, outcome text, application uuid, fault text) LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    the_user CONSTANT uuid := current_setting('app.user_id');
    zone CONSTANT text := (SELECT time_zone FROM users WHERE id = the_user);
    stage_ids jsonb;
    item jsonb;
    the_version int;
    by_id boolean;
    n_created int := 0;
    n_unchanged int := 0;
    n_failed int := unreadable;
BEGIN
    IF NOT is_dry THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('import of ' || the_user, 0));
        INSERT INTO imports (id, user_id, format, file_name, rows)
        VALUES (the_import, the_user, the_format, the_name, all_rows);
    END IF;
    SELECT coalesce(jsonb_object_agg(stage::text, stage_meant(the_user, stage)), '{}') INTO stage_ids
    FROM (SELECT DISTINCT e -> 'stage' AS stage
          FROM jsonb_array_elements(items) i, jsonb_array_elements(i -> 'events') e
          WHERE e -> 'stage' IS NOT NULL) AS named;
    FOR item IN SELECT value FROM jsonb_array_elements(items) LOOP
        row_number := (item ->> 'row')::int;
        fault := NULL;
        SELECT id INTO application FROM applications WHERE id = (item ->> 'known_as')::uuid;
        by_id := FOUND OR item ->> 'known_as' IS NOT NULL;
        IF NOT FOUND THEN
            SELECT application_id INTO application FROM import_rows
            WHERE user_id = the_user AND row_key = (item ->> 'key')::uuid LIMIT 1;
        END IF;
        IF FOUND THEN
            IF by_id AND NOT is_as_imported(application, item, stage_ids) THEN
                outcome := 'failed';
                fault := 'exists';
            ELSE
                outcome := 'unchanged';
            END IF;
        ELSIF EXISTS (SELECT FROM jsonb_array_elements(item -> 'events') e
                      WHERE e -> 'stage' IS NOT NULL AND stage_ids ->> (e -> 'stage')::text IS NULL) THEN
            outcome := 'failed';
            fault := 'unknown_status';
        ELSIF is_dry THEN
            outcome := 'would_create';
        ELSE
            BEGIN
                the_version := import_application(the_user, zone, item, stage_ids);
                application := (item ->> 'id')::uuid;
                INSERT INTO import_rows (user_id, import_id, row, row_key, application_id, version)
                VALUES (the_user, the_import, row_number, (item ->> 'key')::uuid, application, the_version);
                outcome := 'created';
            EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
                outcome := 'failed';
                fault := 'not_storable';
            END;
        END IF;
        n_created := n_created + (outcome = 'created')::int;
        n_unchanged := n_unchanged + (outcome = 'unchanged')::int;
        n_failed := n_failed + (outcome = 'failed')::int;
        RETURN NEXT;
    END LOOP;
    IF NOT is_dry THEN
        UPDATE imports SET created = n_created, unchanged = n_unchanged, failed = n_failed WHERE id = the_import;
    END IF;
END $$;
"""

UNDOING = """
-- with_dependents() of many rows at once: one question for each table, not for each row.
CREATE FUNCTION all_with_dependents(the_table regclass, roots uuid[], the_rows jsonb[])
RETURNS TABLE (root uuid, item jsonb) LANGUAGE plpgsql AS $$
DECLARE
    r references_between;
    found_roots uuid[];
    found_rows jsonb[];
BEGIN
    RETURN QUERY SELECT whose, jsonb_build_object('table', the_table, 'row', the_row)
                 FROM unnest(roots, the_rows) AS own (whose, the_row);
    FOR r IN SELECT * FROM references_between WHERE parent = the_table AND on_delete IN ('c', 'n')
             ORDER BY child::text LOOP
        EXECUTE format(
            'SELECT array_agg(own.root ORDER BY n, t), array_agg(to_jsonb(t) ORDER BY n, t)
             FROM unnest($1, $2) WITH ORDINALITY AS own (root, the_row, n)
             CROSS JOIN LATERAL jsonb_populate_record(NULL::%s, own.the_row) AS p JOIN %s t ON (%s) = (%s)',
            the_table, r.child, (SELECT string_agg(format('t.%I', name), ', ') FROM unnest(r.child_columns) name),
            (SELECT string_agg(format('p.%I', name), ', ') FROM unnest(r.parent_columns) name))
        INTO found_roots, found_rows USING roots, the_rows;
        IF found_roots IS NULL THEN
            CONTINUE;
        ELSIF r.on_delete = 'c' THEN
            RETURN QUERY SELECT * FROM all_with_dependents(r.child, found_roots, found_rows);
        ELSE
            RETURN QUERY SELECT whose, jsonb_build_object('pointer', r.pointer, 'of', r.child, 'id', child -> 'id')
                         FROM unnest(found_roots, found_rows) AS pointing (whose, child);
        END IF;
    END LOOP;
END $$;

-- Puts what an import made into the trash, each application by itself, so that each can be recovered. What somebody
-- has worked on since stays, unless it is forced to go; returned are the rows that stayed.
CREATE FUNCTION undo_import(the_import uuid, is_forced boolean) RETURNS TABLE (kept_row int, kept uuid, trashed int)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    the_user CONSTANT uuid := current_setting('app.user_id');
    i imports;
    going uuid[];
BEGIN
    SELECT imports.* INTO i FROM imports WHERE id = the_import;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    END IF;
    -- In one order, as whoever else locks several of them.
    SELECT array_agg(a.id) INTO going FROM (
        SELECT a.id FROM applications a JOIN import_rows r ON r.application_id = a.id
        WHERE r.import_id = the_import AND (is_forced OR NOT (
            a.version <> r.version OR a.last_activity_at > i.created_at
            OR EXISTS (SELECT FROM application_events e
                       WHERE e.application_id = a.id AND greatest(e.created_at, e.updated_at) > i.created_at)
            OR EXISTS (SELECT FROM notes n WHERE n.application_id = a.id AND n.updated_at > i.created_at)
            OR EXISTS (SELECT FROM tasks t WHERE t.application_id = a.id AND t.updated_at > i.created_at)
            OR EXISTS (SELECT FROM interviews v WHERE v.application_id = a.id AND v.updated_at > i.created_at)))
        ORDER BY a.id FOR UPDATE OF a) AS a;
    INSERT INTO trash (id, user_id, kind, title, content)
    SELECT a.id, the_user, 'applications', left(a.position || ', ' || a.company, 200), whole.content
    FROM applications a JOIN (
        SELECT root, jsonb_agg(item ORDER BY n) AS content
        FROM all_with_dependents('applications',
                 (SELECT array_agg(a.id ORDER BY a.id) FROM applications a WHERE a.id = ANY(going)),
                 (SELECT array_agg(to_jsonb(a) ORDER BY a.id) FROM applications a WHERE a.id = ANY(going)))
             WITH ORDINALITY AS parts (root, item, n)
        GROUP BY root) AS whole ON whole.root = a.id;
    DELETE FROM applications WHERE id = ANY(going);
    UPDATE imports SET undone_at = coalesce(undone_at, now()) WHERE id = the_import;
    trashed := coalesce(cardinality(going), 0);
    RETURN NEXT;
    RETURN QUERY SELECT r.row, r.application_id, trashed FROM import_rows r WHERE r.import_id = the_import
                 ORDER BY r.row;
END $$;
"""

DOWNGRADE = """
DROP FUNCTION undo_import(uuid, boolean), all_with_dependents(regclass, uuid[], jsonb[]),
    import_applications(uuid, text, text, int, int, boolean, jsonb), is_as_imported(uuid, jsonb, jsonb),
    stage_meant(uuid, jsonb), import_application(uuid, text, jsonb, jsonb);
DROP TABLE import_rows, imports;
"""


def upgrade() -> None:
    cursor = op.get_bind().connection.cursor()
    for part in (IMPORTS, UNDOING):
        cursor.execute(part)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
