"""Finding: full-text search, tags, saved views, warnings, duplicates and their merging, changes in bulk."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# ---------------------------------------------------------------- full-text search

SEARCH = """
-- The words of a text, one spelling each: letters and digits only, so that "example.com/jobs" has three, and what
-- people write in any language is cut the same way.
CREATE FUNCTION words_of(given text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    RETURN btrim(regexp_replace(lower(normalize(given, NFKC)), '[^[:alnum:]]+', ' ', 'g'));
END $$;

-- Several texts as one vector. A word that nobody writes stands between them and is taken out again, so that no phrase
-- spans two of them.
CREATE FUNCTION vector_of(weights text, VARIADIC texts text[]) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    border CONSTANT text := 'borderbetweentwofields';
    vector tsvector := '';
BEGIN
    FOR n IN 1 .. cardinality(texts) LOOP
        vector := vector || setweight(to_tsvector('simple', concat_ws(' ', words_of(texts[n]), border)),
                                      substr(weights, n, 1)::"char");
    END LOOP;
    RETURN ts_delete(vector, border);
END $$;

CREATE FUNCTION canonical_position(named text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN regexp_replace(lower(normalize(named, NFKC)), '[[:space:]]+', '', 'g');
END $$;

ALTER TABLE applications
    ADD COLUMN search tsvector,
    ADD COLUMN position_key text GENERATED ALWAYS AS (canonical_position(position)) STORED;

-- Not a generated column: on a table with a trigger before updates those are made anew at every update, and this one
-- is the dearest part of it. Named to run after whatever else changes the row.
CREATE FUNCTION keep_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search := vector_of('AABBBCC', NEW.company, NEW.position, NEW.location, array_to_string(NEW.tags, E'\\n'),
                            NEW.source, NEW.url, NEW.notes);
    RETURN NEW;
END $$;
CREATE TRIGGER applications_words BEFORE INSERT ON applications FOR EACH ROW EXECUTE FUNCTION keep_words();
CREATE TRIGGER applications_words_again BEFORE UPDATE ON applications FOR EACH ROW
    WHEN ((NEW.company, NEW.position, NEW.location, NEW.tags, NEW.source, NEW.url, NEW.notes)
          IS DISTINCT FROM (OLD.company, OLD.position, OLD.location, OLD.tags, OLD.source, OLD.url, OLD.notes))
    EXECUTE FUNCTION keep_words();
UPDATE applications SET
    search = vector_of('AABBBCC', company, position, location, array_to_string(tags, E'\\n'), source, url, notes);
ALTER TABLE applications ALTER COLUMN search SET NOT NULL;
ALTER TABLE notes ADD COLUMN search tsvector GENERATED ALWAYS AS (vector_of('C', body)) STORED;

CREATE INDEX applications_applied_on ON applications (user_id, coalesce(applied_on, '-infinity'), id);
CREATE INDEX applications_company_key ON applications (user_id, company_key, id);
CREATE INDEX notes_user_id ON notes (user_id);

-- The terms of a question as people type them: words, "phrases", -without, or.
CREATE FUNCTION terms_of(q text, OUT negated boolean, OUT quoted boolean, OUT term text)
RETURNS SETOF record LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    part text[];
BEGIN
    FOR part IN SELECT regexp_matches(q, '(?:^|\\s)(-?)(?:"([^"]*)"(?=\\s|$)|(\\S+))', 'g') LOOP
        quoted := part[2] IS NOT NULL;
        term := coalesce(part[2], part[3]);
        negated := part[1] = '-' AND words_of(term) <> '';
        term := CASE WHEN negated THEN term ELSE part[1] || term END;
        RETURN NEXT;
    END LOOP;
END $$;

-- What websearch_to_tsquery('simple', q) understands, but a plain word is the beginning of one too ("eng" finds
-- Engineer), and "node.js" is a phrase. NULL if there is no word in it.
CREATE FUNCTION search_query(q text) RETURNS tsquery LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    one record;
    asked tsquery;
    all_of tsquery;
    any_of tsquery;
BEGIN
    FOR one IN SELECT * FROM terms_of(q) LOOP
        IF lower(one.term) = 'or' AND NOT one.quoted AND NOT one.negated THEN
            any_of := CASE WHEN all_of IS NULL THEN any_of ELSE coalesce(any_of || all_of, all_of) END;
            all_of := NULL;
        ELSIF words_of(one.term) <> '' THEN
            asked := to_tsquery('simple', format('''%s''%s', words_of(one.term),
                                                 CASE WHEN one.quoted OR one.negated THEN '' ELSE ':*' END));
            IF numnode(asked) > 0 THEN
                asked := CASE WHEN one.negated THEN !! asked ELSE asked END;
                all_of := coalesce(all_of && asked, asked);
            END IF;
        END IF;
    END LOOP;
    RETURN CASE WHEN all_of IS NULL THEN any_of ELSE coalesce(any_of || all_of, all_of) END;
END $$;

-- What of a question must be there to the letter, since it is more than words: "C++", "100%". Not where "or" stands.
CREATE FUNCTION search_literals(q text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF EXISTS (SELECT FROM terms_of(q) WHERE lower(term) = 'or' AND NOT quoted) THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(SELECT lower(term) FROM terms_of(q) WHERE NOT negated AND NOT quoted AND term ~ '[^[:alnum:]]');
END $$;

-- Whether a row is what was asked for.
CREATE FUNCTION answers(search tsvector, asked tsquery, literals text[], VARIADIC texts text[])
RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    literal text;
    whole text;
BEGIN
    IF asked IS NULL AND literals = '{}' OR NOT search @@ asked THEN
        RETURN false;
    END IF;
    IF literals <> '{}' THEN
        whole := lower(array_to_string(texts, E'\\n'));
        FOREACH literal IN ARRAY literals LOOP
            IF strpos(whole, literal) = 0 THEN
                RETURN false;
            END IF;
        END LOOP;
    END IF;
    RETURN true;
END $$;
"""

# ---------------------------------------------------------------- tags and saved views

TAGS = """
CREATE TABLE tags (
    id         uuid PRIMARY KEY DEFAULT uuid7(),
    user_id    uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    name       text NOT NULL CHECK (name <> ''),
    name_key   text GENERATED ALWAYS AS (lower(name)) STORED,
    color      text CHECK (color ~ '^#[0-9a-f]{6}$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    version    integer NOT NULL DEFAULT 1,
    CONSTRAINT tags_name_key UNIQUE (user_id, name_key)
);
CREATE TABLE saved_views (
    id         uuid PRIMARY KEY DEFAULT uuid7(),
    user_id    uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    name       text NOT NULL CHECK (name <> ''),
    name_key   text GENERATED ALWAYS AS (lower(name)) STORED,
    query      text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    version    integer NOT NULL DEFAULT 1,
    CONSTRAINT saved_views_name_key UNIQUE (user_id, name_key)
);
ALTER TABLE tags        ENABLE ROW LEVEL SECURITY;
ALTER TABLE saved_views ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tags        TO tenant USING (user_id = current_setting('app.user_id')::uuid);
CREATE POLICY own_rows ON saved_views TO tenant USING (user_id = current_setting('app.user_id')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON tags, saved_views TO tenant;

-- One at a time for each person, so that a bound is exact and a name that is taken is told with its id.
CREATE FUNCTION bound_tags() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    taken uuid;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('tags ' || NEW.user_id, 0));
    SELECT id INTO taken FROM tags WHERE user_id = NEW.user_id AND name_key = lower(NEW.name) AND id <> NEW.id;
    IF FOUND THEN
        PERFORM refuse('JTG09', jsonb_build_object('id', taken));
    ELSIF TG_OP = 'INSERT' AND NOT is_restoring()
            AND (SELECT count(*) FROM tags WHERE user_id = NEW.user_id) >= 500 THEN
        IF pg_trigger_depth() > 1 THEN  -- an application uses an unknown one
            PERFORM invalid('tags', 'too_many_tags', 'must not make more than 500 tags');
        END IF;
        PERFORM refuse('JTG10', jsonb_build_object('limit', 500));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tags_bound BEFORE INSERT OR UPDATE OF name ON tags FOR EACH ROW EXECUTE FUNCTION bound_tags();

CREATE FUNCTION bound_saved_views() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    taken uuid;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('saved views ' || NEW.user_id, 0));
    SELECT id INTO taken FROM saved_views WHERE user_id = NEW.user_id AND name_key = lower(NEW.name) AND id <> NEW.id;
    IF FOUND THEN
        PERFORM refuse('JTW10', jsonb_build_object('id', taken));
    ELSIF TG_OP = 'INSERT' AND (SELECT count(*) FROM saved_views WHERE user_id = NEW.user_id) >= 100 THEN
        PERFORM refuse('JTW11', jsonb_build_object('limit', 100));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER saved_views_bound BEFORE INSERT OR UPDATE OF name ON saved_views
    FOR EACH ROW EXECUTE FUNCTION bound_saved_views();

-- An application's tags, each once and spelled as it was first. Those nobody has used yet are made, also when the
-- application comes back from the trash: its tag may have been taken away, or renamed by case, meanwhile.
CREATE FUNCTION adopted(the_user uuid, given text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    spelled text;
    wanted text;
    kept text[] := '{}';
BEGIN
    IF EXISTS (SELECT FROM unnest(given) AS name
               WHERE NOT EXISTS (SELECT FROM tags WHERE user_id = the_user AND name_key = lower(name))) THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('tags ' || the_user, 0));  -- before any row: no deadlock
    END IF;
    FOREACH wanted IN ARRAY given LOOP
        -- Held to the end, so that who renames it finds this application.
        SELECT name INTO spelled FROM tags WHERE user_id = the_user AND name_key = lower(wanted) FOR SHARE;
        IF NOT FOUND THEN  -- also if it was there a moment ago, and has been renamed: others may be making it anew
            PERFORM pg_advisory_xact_lock(hashtextextended('tags ' || the_user, 0));
            SELECT name INTO spelled FROM tags WHERE user_id = the_user AND name_key = lower(wanted) FOR SHARE;
            IF NOT FOUND THEN
                INSERT INTO tags (user_id, name) VALUES (the_user, wanted) RETURNING name INTO spelled;
            END IF;
        END IF;
        IF NOT spelled = ANY(kept) THEN
            kept := kept || spelled;
        END IF;
    END LOOP;
    RETURN kept;
END $$;

-- Named so that it runs before what notes changes down: another spelling of the same tag is none.
CREATE FUNCTION adopt_tags() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.tags = '{}' OR pg_trigger_depth() > 1 THEN  -- deeper it is the tags themselves that change
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF NEW.tags = OLD.tags THEN
            RETURN NEW;
        END IF;
    END IF;
    NEW.tags := adopted(NEW.user_id, NEW.tags);
    RETURN NEW;
END $$;
CREATE TRIGGER applications_adopt_tags BEFORE INSERT OR UPDATE OF tags ON applications FOR EACH ROW
    EXECUTE FUNCTION adopt_tags();

-- A tag that is renamed or taken away is so on every application, in the same statement. Their versions move on, since
-- what they show does; nobody edited them, so their history and updated_at stay.
CREATE FUNCTION spread_tag() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        UPDATE applications SET tags = array_remove(tags, OLD.name), version = version + 1
        WHERE user_id = OLD.user_id AND tags @> ARRAY[OLD.name];
    ELSE
        UPDATE applications SET tags = array_replace(tags, OLD.name, NEW.name), version = version + 1
        WHERE user_id = NEW.user_id AND tags @> ARRAY[OLD.name];
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tags_renamed AFTER UPDATE OF name ON tags FOR EACH ROW
    WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION spread_tag();
CREATE TRIGGER tags_removed AFTER DELETE ON tags FOR EACH ROW EXECUTE FUNCTION spread_tag();

-- The tags somebody asks for, as they are registered.
CREATE FUNCTION registered(given text[]) RETURNS text[] LANGUAGE plpgsql STABLE STRICT AS $$
BEGIN
    RETURN ARRAY(SELECT coalesce((SELECT tags.name FROM tags
                                  WHERE user_id = current_setting('app.user_id')::uuid AND name_key = lower(wanted)),
                                 wanted)
                 FROM unnest(given) AS wanted);
END $$;

-- What was tagged before there were tags: the spelling of the first wins here too.
INSERT INTO tags (user_id, name)
SELECT DISTINCT ON (user_id, lower(name)) user_id, name
FROM applications, unnest(applications.tags) AS name WHERE name <> '' ORDER BY user_id, lower(name), applications.id;
UPDATE applications a SET tags = ARRAY(
    SELECT t.name FROM unnest(a.tags) WITH ORDINALITY AS used (name, n)
    JOIN tags t ON t.user_id = a.user_id AND t.name_key = lower(used.name) GROUP BY t.name ORDER BY min(n))
WHERE a.tags <> '{}';
"""

# ---------------------------------------------------------------- duplicates

DUPLICATES = """
-- A new application's document, with what its owner may want to know before going on. It reads the snapshot of the
-- statement that makes the application, which does not hold it: all that is found is older.
CREATE FUNCTION with_warnings(document text, a applications) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    found json;
    today CONSTANT date := day_of(now(), a.user_id);
BEGIN
    SELECT json_agg(warning) INTO found FROM (
        (SELECT json_build_object('code', 'duplicate', 'application_id', id, 'matched',
                                  CASE WHEN url_key = a.url_key THEN 'url' ELSE 'company_and_position' END) AS warning
         FROM applications
         WHERE user_id = a.user_id AND id <> a.id
           AND id = ANY(ARRAY(SELECT id FROM applications WHERE user_id = a.user_id AND url_key = a.url_key LIMIT 8)
                     || ARRAY(SELECT id FROM applications WHERE user_id = a.user_id AND company_id = a.company_id
                                AND position_key = a.position_key LIMIT 8))
         ORDER BY url_key = a.url_key DESC NULLS LAST, id DESC LIMIT 8)
        UNION ALL
        (SELECT json_build_object('code', 'applied_here', 'application_id', id, 'company_id', company_id, 'days_ago',
                                  today - applied_on)
         FROM applications
         WHERE user_id = a.user_id AND company_id = a.company_id AND id <> a.id
           AND applied_on BETWEEN today - 180 AND today
         ORDER BY applied_on DESC, id DESC LIMIT 1)
        UNION ALL
        (SELECT json_build_object('code', 'company_blocked', 'company_id', id, 'reason', blocked_reason)
         FROM companies WHERE user_id = a.user_id AND id = a.company_id AND blocked)
    ) AS warnings;
    RETURN CASE WHEN found IS NULL THEN document ELSE left(document, -1) || ',"warnings":' || found || '}' END;
END $$;

-- Moves everything of one application to another, and what it said itself into an event of that one. What points to
-- applications is read from the catalog, so a table that comes later moves too.
CREATE FUNCTION merge_applications(stays uuid, versions int[], goes uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    a applications;
    b applications;
    r references_between;
    place tid;
    kept jsonb;
    same jsonb := '[]';
    the_notes text;
BEGIN
    IF stays = goes THEN
        PERFORM invalid('duplicate_id', 'same', 'must be another application');
    END IF;
    PERFORM FROM applications WHERE id IN (stays, goes) ORDER BY id FOR UPDATE;  -- in one order: no deadlock
    SELECT applications.* INTO a FROM applications WHERE id = stays;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    ELSIF NOT a.version = ANY(versions) THEN
        PERFORM refuse('JT412', jsonb_build_object('version', a.version));
    END IF;
    SELECT applications.* INTO b FROM applications WHERE id = goes;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    END IF;
    -- Nothing is derived from each row that moves, but once at the end.
    PERFORM set_config('app.restoring', 'on', true);
    FOR r IN SELECT * FROM references_between WHERE parent = 'applications'::regclass ORDER BY child::text LOOP
        FOR place, kept IN EXECUTE format('SELECT ctid, to_jsonb(t) FROM %s t WHERE user_id = $1 AND %I = $2',
                                          r.child, r.pointer) USING a.user_id, goes LOOP
            BEGIN
                EXECUTE format('UPDATE %s SET %I = $1 WHERE ctid = $2', r.child, r.pointer) USING stays, place;
            EXCEPTION WHEN unique_violation THEN  -- the other has this link already
                same := same || jsonb_build_object('table', r.child, 'row', kept);
            END;
        END LOOP;
    END LOOP;
    UPDATE trash SET content = replace(content::text, goes::text, stays::text)::jsonb
    WHERE user_id = a.user_id AND strpos(content::text, goes::text) > 0;
    kept := to_jsonb(b) - 'search' - ARRAY(SELECT attname::text FROM pg_attribute
                                WHERE attrelid = 'applications'::regclass AND attgenerated <> '');
    DELETE FROM applications WHERE id = goes;
    PERFORM set_config('app.restoring', '', true);

    the_notes := CASE WHEN a.notes = '' THEN b.notes WHEN b.notes = '' OR a.notes = b.notes THEN a.notes
                 ELSE coalesce(a.notes || E'\\n\\n' || b.notes, a.notes, b.notes) END;
    IF length(the_notes) > 20000 THEN
        INSERT INTO notes (user_id, application_id, body) VALUES (a.user_id, stays, b.notes);
        the_notes := a.notes;
    END IF;
    UPDATE applications SET
        location = coalesce(a.location, b.location), workplace = coalesce(a.workplace, b.workplace),
        url = coalesce(a.url, b.url), source = coalesce(a.source, b.source),
        priority = coalesce(a.priority, b.priority), deadline = coalesce(a.deadline, b.deadline), notes = the_notes,
        -- Pay is of one piece: the amounts of one in the currency of the other would be neither's.
        (salary_min, salary_max, salary_currency, salary_period) = (
            SELECT s.salary_min, s.salary_max, s.salary_currency, s.salary_period
            FROM (SELECT (CASE WHEN num_nonnulls(a.salary_min, a.salary_max, a.salary_currency, a.salary_period) > 0
                               THEN a ELSE b END).*) AS s),
        applied_on = CASE WHEN a.applied_on_is_own OR NOT b.applied_on_is_own THEN a.applied_on ELSE b.applied_on END,
        applied_on_is_own = a.applied_on_is_own OR b.applied_on_is_own,
        follow_up_at = coalesce(a.follow_up_at, b.follow_up_at),
        last_activity_at = greatest(a.last_activity_at, b.last_activity_at),
        tags = ARRAY(SELECT tag FROM unnest(a.tags || b.tags) WITH ORDINALITY AS t (tag, n)
                     GROUP BY tag ORDER BY min(n) LIMIT 20)
    WHERE id = stays;
    -- To have saved it once more later is no step back: such a beginning goes before all that came of either.
    UPDATE application_events e SET
        occurred_at = first.occurred_at - interval '1 microsecond', version = e.version + 1, updated_at = now()
    FROM stages s, (
        SELECT min(e.occurred_at) AS occurred_at FROM application_events e JOIN stages s ON s.id = e.stage_id
        WHERE e.application_id = stays AND NOT (e.kind = 'created' AND s.category = 'saved')) first
    WHERE e.application_id = stays AND e.kind = 'created' AND s.id = e.stage_id AND s.category = 'saved'
      AND e.occurred_at >= first.occurred_at;
    INSERT INTO application_events (user_id, application_id, kind, facts)
    VALUES (a.user_id, stays, 'merged', jsonb_build_object('merged', kept)
            || CASE WHEN same = '[]' THEN '{}' ELSE jsonb_build_object('links', same) END);
END $$;
GRANT UPDATE (content) ON trash TO tenant;
"""

# ---------------------------------------------------------------- in bulk

BULK = """
CREATE FUNCTION change_one(the_application uuid, change jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    a applications;
    b applications;
BEGIN
    SELECT applications.* INTO a FROM applications WHERE id = the_application FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    END IF;
    b := jsonb_populate_record(a, change - '{tags_add,tags_remove}'::text[]);
    b.tags := ARRAY(
        SELECT min(tag ORDER BY n) FROM unnest(
            a.tags || ARRAY(SELECT jsonb_array_elements_text(coalesce(change -> 'tags_add', '[]')))
        ) WITH ORDINALITY AS t (tag, n)
        WHERE NOT lower(tag) = ANY(ARRAY(
            SELECT lower(jsonb_array_elements_text(coalesce(change -> 'tags_remove', '[]')))))
        GROUP BY lower(tag) ORDER BY min(n));
    IF cardinality(b.tags) > 20 THEN
        PERFORM invalid('change.tags_add', 'too_long', 'must not make more than 20 tags of one application');
    END IF;
    UPDATE applications SET
        priority = b.priority, source = b.source, workplace = b.workplace, deadline = b.deadline,
        follow_up_at = b.follow_up_at, tags = b.tags, version = version + 1, updated_at = now()
    WHERE id = the_application
      AND (a.priority, a.source, a.workplace, a.deadline, a.follow_up_at, a.tags)
          IS DISTINCT FROM (b.priority, b.source, b.workplace, b.deadline, b.follow_up_at, b.tags);
END $$;

-- Does one thing to many applications, each by itself: what fails is undone alone and told. In the order of their ids,
-- whatever the caller's: two at once wait for each other instead of locking each other out.
CREATE FUNCTION change_in_bulk(ids uuid[], move jsonb, change jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    the_id uuid;
    state text;
    facts text;
    results jsonb := '{}';
    result jsonb;
BEGIN
    FOR the_id IN SELECT unnest(ids) AS id ORDER BY id LOOP
        BEGIN
            IF move IS NOT NULL THEN
                PERFORM move_application(the_id, NULL, (move ->> 'stage_id')::uuid, move ->> 'status',
                    (move ->> 'occurred_at')::timestamptz, (move ->> 'round')::int, move ->> 'round_name',
                    move ->> 'reason', move ->> 'note');
            ELSIF change IS NOT NULL THEN
                PERFORM change_one(the_id, change);
            ELSE
                PERFORM discard('applications', the_id, NULL, NULL);
            END IF;
            result := jsonb_build_object('outcome', 'done') || coalesce(
                (SELECT jsonb_build_object('version', version) FROM applications WHERE id = the_id), '{}');
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, facts = PG_EXCEPTION_DETAIL;
            IF state = 'JT404' THEN
                result := '{"outcome": "not_found", "error": {"code": "not_found"}}';
            ELSIF state = 'JTV22' THEN
                result := jsonb_build_object('outcome', 'invalid',
                                             'error', '{"code": "validation_failed"}'::jsonb || facts::jsonb);
            ELSE
                RAISE;
            END IF;
        END;
        results := results || jsonb_build_object(the_id::text, jsonb_build_object('id', the_id) || result);
    END LOOP;
    RETURN json_build_object('results', (SELECT jsonb_agg(results -> id::text ORDER BY n)
                                         FROM unnest(ids) WITH ORDINALITY AS given (id, n)));
END $$;
"""

DOWNGRADE = """
DROP FUNCTION change_in_bulk(uuid[], jsonb, jsonb), change_one(uuid, jsonb);
REVOKE UPDATE (content) ON trash FROM tenant;
DROP FUNCTION merge_applications(uuid, int[], uuid), with_warnings(text, applications);
DROP TRIGGER applications_adopt_tags ON applications;
DROP TABLE saved_views, tags;
DROP FUNCTION registered(text[]), spread_tag(), adopt_tags(), adopted(uuid, text[]), bound_saved_views(), bound_tags();
DROP TRIGGER applications_words ON applications;
DROP TRIGGER applications_words_again ON applications;
DROP FUNCTION keep_words();
DROP INDEX notes_user_id, applications_company_key, applications_applied_on;
ALTER TABLE notes DROP COLUMN search;
ALTER TABLE applications DROP COLUMN search, DROP COLUMN position_key;
DROP FUNCTION answers(tsvector, tsquery, text[], text[]), search_literals(text), search_query(text), terms_of(text),
    canonical_position(text), vector_of(text, text[]), words_of(text);
"""


def upgrade() -> None:
    cursor = op.get_bind().connection.cursor()
    for part in (SEARCH, TAGS, DUPLICATES, BULK):
        cursor.execute(part)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
