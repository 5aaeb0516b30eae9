"""The tracker: stages, the timeline that decides an application's state, what hangs on applications, and the trash."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# ---------------------------------------------------------------- stages

STAGES = """
-- A field that only the database can find at fault.
CREATE FUNCTION invalid(field text, code text, message text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refuse('JTV22', jsonb_build_object(
        'errors', jsonb_build_array(jsonb_build_object('field', field, 'code', code, 'message', message))));
END $$;

-- The steps of somebody's own pipeline. Names are theirs; categories are ours, so that figures compare; the status is
-- what a client that knows no stages is told.
CREATE TABLE stages (
    id         uuid PRIMARY KEY DEFAULT uuid7(),
    user_id    uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    name       text NOT NULL CHECK (name <> ''),
    category   text NOT NULL CHECK (category IN ('saved', 'applied', 'in_process', 'offer', 'accepted', 'closed')),
    status     text NOT NULL,
    position   integer NOT NULL,
    retired_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    version    integer NOT NULL DEFAULT 1,
    UNIQUE (user_id, id)
);
CREATE UNIQUE INDEX stages_name_key ON stages (user_id, lower(name));
ALTER TABLE stages ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON stages TO tenant USING (user_id = current_setting('app.user_id')::uuid);
GRANT SELECT, INSERT, UPDATE ON stages TO tenant;

CREATE FUNCTION give_stages(the_user uuid) RETURNS void LANGUAGE sql AS $$
    INSERT INTO stages (user_id, name, category, status, position) VALUES
        (the_user, 'Saved', 'saved', 'saved', 1),
        (the_user, 'Applied', 'applied', 'applied', 2),
        (the_user, 'Screening', 'in_process', 'screening', 3),
        (the_user, 'Interview', 'in_process', 'interview', 4),
        (the_user, 'Offer', 'offer', 'offer', 5),
        (the_user, 'Accepted', 'accepted', 'accepted', 6),
        (the_user, 'Closed', 'closed', 'closed', 7)
$$;
CREATE FUNCTION give_stages_to_newcomer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM give_stages(NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER users_have_stages AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION give_stages_to_newcomer();
SELECT give_stages(id) FROM users;

-- How far a category is: NULL for closed, which says nothing about how far somebody came.
CREATE FUNCTION progress_of(category text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN array_position('{saved,applied,in_process,offer,accepted}'::text[], category);
END $$;

-- What a stage is called by clients that know statuses only. Reasons of somebody's own words are just 'closed'.
CREATE FUNCTION status_of(stage_status text, reason text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN stage_status <> 'closed' THEN stage_status
        ELSE CASE reason WHEN 'rejected' THEN 'rejected' WHEN 'ghosted' THEN 'ghosted' WHEN 'withdrew' THEN 'withdrawn'
             ELSE 'closed' END END;
END $$;

CREATE FUNCTION reason_of(status text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE status WHEN 'rejected' THEN 'rejected' WHEN 'ghosted' THEN 'ghosted'
        WHEN 'withdrawn' THEN 'withdrew' END;
END $$;

-- The stage a status (or a category) means in somebody's pipeline: the one of that status, else the first of its
-- category. There is always one: the last of a category cannot be retired.
CREATE FUNCTION stage_for(the_user uuid, wanted text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE
    the_category text := CASE
        WHEN wanted IN ('screening', 'interview') THEN 'in_process'
        WHEN wanted IN ('rejected', 'withdrawn', 'ghosted') THEN 'closed'
        ELSE wanted END;
BEGIN
    RETURN (SELECT id FROM stages
            WHERE user_id = the_user AND retired_at IS NULL AND category = the_category
            ORDER BY status = wanted DESC, position, id LIMIT 1);
END $$;
"""

# ---------------------------------------------------------------- names and addresses that mean the same

CANONICAL = """
-- "Contoso Ltd." and "CONTOSO, Limited" are one company: without case, punctuation and legal forms at the end. As
-- long as an index takes: some characters are eighteen when they are normalized.
CREATE FUNCTION canonical_company(name text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    plain text := btrim(regexp_replace(regexp_replace(lower(normalize(name, NFKC)), '[''\u2019`.]', '', 'g'),
                                       '[^[:alnum:]+#]+', ' ', 'g'));
    short text := regexp_replace(plain,
        '( (inc|incorporated|llc|llp|ltd|limited|plc|corp|corporation|co|company|gmbh|ggmbh|mbh|ag|se|kg|kgaa|ug|ohg|ev'
        '|sa|sas|sarl|srl|spa|bv|nv|ab|as|asa|oy|oyj|aps|pty|pte|kk|sl|sro|sp zoo|sp z oo))+$', '');
BEGIN
    RETURN left(coalesce(nullif(short, ''), nullif(plain, ''), lower(name)), 500);
END $$;

-- An address without what only tells where somebody found it. What names the posting stays: gh_jid, jk, currentJobId
-- and whatever else is no known tracker, and a fragment that is a route of the page's own ("#/jobs/7").
CREATE FUNCTION canonical_url(url text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    part text[] := regexp_match(btrim(url), '^https?://(?:[^/?#]*@)?([^/?#@]*)([^?#]*)(?:\\?([^#]*))?(#.*)?$', 'i');
    kept text;
BEGIN
    IF part IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT string_agg(pair, '&' ORDER BY pair COLLATE "C") INTO kept
    FROM regexp_split_to_table(part[3], '&') AS pair
    WHERE pair <> '' AND split_part(pair, '=', 1) !~* (
        '^(utm_.*|ref|refid|referrer|referer|original_referer|source|src|from|tk|trk|trackingid|fbclid|gclid|dclid|yclid'
        '|msclkid|gbraid|wbraid|twclid|ttclid|_ga|_gl|igshid|li_fat_id'
        '|mc_cid|mc_eid|_hsenc|_hsmi|gh_src|lever-source.*|lever-origin|ashby_source)$');
    RETURN regexp_replace(regexp_replace(lower(part[1]), '(\\.|:80|:443)+$', ''), '^(www\\.)+', '')
        || rtrim(part[2], '/') || coalesce('?' || kept, '')
        || CASE WHEN part[4] ~ '^#!?/' THEN part[4] ELSE '' END;
END $$;
"""

# ---------------------------------------------------------------- companies

COMPANIES = """
CREATE TABLE companies (
    id             uuid PRIMARY KEY DEFAULT uuid7(),
    user_id        uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    name           text NOT NULL CHECK (name <> ''),
    canonical_name text GENERATED ALWAYS AS (canonical_company(name)) STORED,
    website        text,
    notes          text,
    blocked        boolean NOT NULL DEFAULT false,
    blocked_reason text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    version        integer NOT NULL DEFAULT 1,
    UNIQUE (user_id, id),
    CONSTRAINT companies_canonical_name_key UNIQUE (user_id, canonical_name)
);
ALTER TABLE companies ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON companies TO tenant USING (user_id = current_setting('app.user_id')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON companies TO tenant;

-- The one company of that name, made if there is none.
CREATE FUNCTION company_named(the_user uuid, the_name text) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    canonical CONSTANT text := canonical_company(the_name);
    the_company uuid;
BEGIN
    SELECT id INTO the_company FROM companies WHERE user_id = the_user AND canonical_name = canonical;
    IF NOT FOUND THEN
        INSERT INTO companies (user_id, name) VALUES (the_user, the_name)
        ON CONFLICT (user_id, canonical_name) DO NOTHING RETURNING id INTO the_company;
        IF NOT FOUND THEN  -- somebody else was faster
            SELECT id INTO the_company FROM companies WHERE user_id = the_user AND canonical_name = canonical;
        END IF;
    END IF;
    RETURN the_company;
END $$;
"""

# ---------------------------------------------------------------- applications and their timeline

APPLICATIONS = """
ALTER TABLE applications DROP CONSTRAINT applications_status_check;
ALTER TABLE applications
    ADD COLUMN company_id          uuid,
    ADD COLUMN workplace           text CHECK (workplace IN ('on_site', 'hybrid', 'remote')),
    ADD COLUMN priority            text CHECK (priority IN ('low', 'medium', 'high')),
    ADD COLUMN deadline            date,
    ADD COLUMN tags                text[] NOT NULL DEFAULT '{}',
    ADD COLUMN stage_id            uuid,
    ADD COLUMN category            text,
    ADD COLUMN stage_since         timestamptz,
    ADD COLUMN round               integer CHECK (round > 0),
    ADD COLUMN round_name          text,
    ADD COLUMN close_reason        text,
    ADD COLUMN furthest_stage_id   uuid,
    ADD COLUMN furthest_category   text,
    ADD COLUMN furthest_round      integer,
    ADD COLUMN applied_on_is_own   boolean NOT NULL DEFAULT false,
    ADD COLUMN follow_up_at        timestamptz,
    ADD COLUMN last_activity_at    timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN board_rank          numeric NOT NULL DEFAULT 0,
    ADD COLUMN company_key         text GENERATED ALWAYS AS (lower(company)) STORED,
    ADD COLUMN url_key             uuid GENERATED ALWAYS AS (md5(canonical_url(url))::uuid) STORED,
    ADD UNIQUE (user_id, id);

-- What happened, when, in the words of whoever wrote it down. The rows with a stage are what an application's state is
-- made of: its stage, how far it came, since when. Nothing else changes them.
CREATE TABLE application_events (
    id             uuid PRIMARY KEY DEFAULT uuid7(),
    user_id        uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    application_id uuid NOT NULL,
    kind           text NOT NULL,
    occurred_at    timestamptz NOT NULL DEFAULT now(),
    stage_id       uuid,
    round          integer CHECK (round > 0),
    round_name     text,
    reason         text,
    note           text,
    facts          jsonb NOT NULL DEFAULT '{}',
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    version        integer NOT NULL DEFAULT 1,
    UNIQUE (user_id, id),
    CONSTRAINT application_events_application_fkey FOREIGN KEY (user_id, application_id)
        REFERENCES applications (user_id, id) ON DELETE CASCADE,
    CONSTRAINT application_events_stage_fkey FOREIGN KEY (user_id, stage_id) REFERENCES stages (user_id, id),
    CONSTRAINT application_events_kind CHECK ((kind IN ('created', 'moved')) = (stage_id IS NOT NULL))
);
CREATE INDEX application_events_application_id ON application_events (application_id, occurred_at DESC, id DESC);

-- What an event said before it was edited.
CREATE TABLE event_revisions (
    id         uuid PRIMARY KEY DEFAULT uuid7(),
    user_id    uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    event_id   uuid NOT NULL,
    was        jsonb NOT NULL,
    revised_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT event_revisions_event_fkey FOREIGN KEY (user_id, event_id)
        REFERENCES application_events (user_id, id) ON DELETE CASCADE
);
CREATE INDEX event_revisions_event_id ON event_revisions (event_id);

-- What was there before the timeline was: its beginning, and where it stands now.
UPDATE applications a SET
    company_id = company_named(a.user_id, a.company), stage_id = s.id, category = s.category,
    close_reason = reason_of(a.status), status = status_of(s.status, reason_of(a.status)),
    stage_since = coalesce(least(a.applied_on + time '12:00', a.updated_at), a.created_at),
    applied_on_is_own = a.applied_on IS NOT NULL, last_activity_at = a.updated_at,
    furthest_category = CASE WHEN s.category <> 'closed' THEN s.category ELSE 'applied' END,
    furthest_stage_id = CASE WHEN s.category <> 'closed' THEN s.id ELSE stage_for(a.user_id, 'applied') END,
    board_rank = -extract(epoch FROM a.created_at)
FROM stages s WHERE s.id = stage_for(a.user_id, a.status);
INSERT INTO application_events (user_id, application_id, kind, occurred_at, stage_id, reason, created_at)
SELECT user_id, id, 'created', stage_since, stage_id, close_reason, created_at FROM applications;

ALTER TABLE applications
    ALTER COLUMN stage_id SET NOT NULL, ALTER COLUMN category SET NOT NULL, ALTER COLUMN stage_since SET NOT NULL,
    ALTER COLUMN furthest_category SET NOT NULL,
    ADD CONSTRAINT applications_stage_fkey FOREIGN KEY (user_id, stage_id) REFERENCES stages (user_id, id),
    ADD CONSTRAINT applications_furthest_stage_fkey
        FOREIGN KEY (user_id, furthest_stage_id) REFERENCES stages (user_id, id),
    ADD CONSTRAINT applications_company_fkey FOREIGN KEY (user_id, company_id)
        REFERENCES companies (user_id, id) ON DELETE SET NULL (company_id);
CREATE INDEX applications_stage ON applications (user_id, stage_id, board_rank, id);
CREATE INDEX applications_company_id ON applications (user_id, company_id);
CREATE INDEX applications_url_key ON applications (user_id, url_key) WHERE url_key IS NOT NULL;

ALTER TABLE application_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_revisions    ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON application_events TO tenant USING (user_id = current_setting('app.user_id')::uuid);
CREATE POLICY own_rows ON event_revisions    TO tenant USING (user_id = current_setting('app.user_id')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON application_events TO tenant;
GRANT SELECT, INSERT ON event_revisions TO tenant;

CREATE FUNCTION day_of(the_moment timestamptz, the_user uuid) RETURNS date LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT (the_moment AT TIME ZONE time_zone)::date FROM users WHERE id = the_user);
END $$;

-- When to ask how it stands: at nine in the morning where the user is, so many days after the stage began.
CREATE FUNCTION follow_up_for(category text, since timestamptz, the_user uuid) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE
    days int := CASE category WHEN 'applied' THEN 7 WHEN 'in_process' THEN 4 WHEN 'offer' THEN 2 END;
BEGIN
    RETURN (SELECT ((since AT TIME ZONE time_zone)::date + days + time '09:00') AT TIME ZONE time_zone
            FROM users WHERE id = the_user);
END $$;

CREATE FUNCTION top_of(the_user uuid, the_stage uuid) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce((SELECT ceil(min(board_rank)) - 1 FROM applications
                     WHERE user_id = the_user AND stage_id = the_stage), 0);
END $$;

-- Whether rows are being put back as they were: then nothing is derived from them anew.
CREATE FUNCTION is_restoring() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce(current_setting('app.restoring', true), '') = 'on';
END $$;

-- A new application begins in the stage its status means, or in the one it names.
CREATE FUNCTION begin_application() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    s stages;
BEGIN
    IF is_restoring() THEN
        RETURN NEW;
    END IF;
    NEW.company_id := company_named(NEW.user_id, NEW.company);
    SELECT stages.* INTO s FROM stages
    WHERE user_id = NEW.user_id AND id = coalesce(NEW.stage_id, stage_for(NEW.user_id, NEW.status))
      AND retired_at IS NULL;
    IF NOT FOUND THEN
        PERFORM invalid('stage_id', 'unknown_stage', 'must be a stage in use');
    END IF;
    IF s.category = 'closed' THEN
        NEW.close_reason := coalesce(NEW.close_reason, reason_of(NEW.status));
    END IF;
    NEW.stage_id := s.id;
    NEW.category := s.category;
    NEW.status := status_of(s.status, NEW.close_reason);
    NEW.applied_on_is_own := NEW.applied_on IS NOT NULL;
    -- Whoever writes down that they applied on some day tells when this stage began.
    NEW.stage_since := coalesce(NEW.stage_since, CASE WHEN s.category = 'applied' THEN (
        SELECT least(now(), (NEW.applied_on + time '12:00') AT TIME ZONE time_zone) FROM users
        WHERE id = NEW.user_id AND NEW.applied_on IS NOT NULL) END, now());
    IF s.category = 'applied' AND NEW.applied_on IS NULL THEN
        NEW.applied_on := day_of(NEW.stage_since, NEW.user_id);
    END IF;
    IF s.category = 'closed' THEN
        NEW.furthest_category := CASE WHEN NEW.status = 'closed' THEN 'saved' ELSE 'applied' END;
    ELSE
        NEW.furthest_category := s.category;
        NEW.furthest_stage_id := s.id;
        NEW.furthest_round := NEW.round;
    END IF;
    NEW.follow_up_at := coalesce(NEW.follow_up_at, follow_up_for(s.category, NEW.stage_since, NEW.user_id));
    NEW.last_activity_at := NEW.stage_since;
    NEW.board_rank := top_of(NEW.user_id, s.id);
    RETURN NEW;
END $$;
CREATE TRIGGER applications_begin BEFORE INSERT ON applications FOR EACH ROW EXECUTE FUNCTION begin_application();

CREATE FUNCTION note_beginning() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT is_restoring() THEN
        INSERT INTO application_events (user_id, application_id, kind, occurred_at, stage_id, round, round_name, reason)
        VALUES (NEW.user_id, NEW.id, 'created', NEW.stage_since, NEW.stage_id, NEW.round, NEW.round_name,
                NEW.close_reason);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER applications_noted AFTER INSERT ON applications FOR EACH ROW EXECUTE FUNCTION note_beginning();

-- The day, where the user is, on which the timeline first left what was only saved: by applying, or by being further.
CREATE FUNCTION applied_day(the_application uuid, the_user uuid) RETURNS date LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN day_of((SELECT min(e.occurred_at) FROM application_events e JOIN stages s ON s.id = e.stage_id
                   WHERE e.application_id = the_application AND s.category NOT IN ('saved', 'closed')
                     AND (e.kind = 'moved' OR s.category = 'applied')), the_user);
END $$;

-- The stage and what follows from it change through the timeline's trigger only. Everything else that somebody
-- overwrites is kept in an event of kind 'edited'.
CREATE FUNCTION change_application() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    written CONSTANT text[] := '{company,position,location,workplace,url,source,priority,tags,salary_min,salary_max,
        salary_currency,salary_period,applied_on,deadline,follow_up_at,notes}';
    was jsonb;
BEGIN
    IF pg_trigger_depth() > 1 THEN
        RETURN NEW;
    END IF;
    IF (NEW.stage_id, NEW.category, NEW.status, NEW.stage_since, NEW.round, NEW.round_name, NEW.close_reason,
            NEW.furthest_category) IS DISTINCT FROM (OLD.stage_id, OLD.category, OLD.status, OLD.stage_since, OLD.round,
            OLD.round_name, OLD.close_reason, OLD.furthest_category) THEN
        RAISE EXCEPTION 'an application moves by its timeline only' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.version = OLD.version THEN
        RETURN NEW;
    END IF;
    IF NEW.company <> OLD.company THEN
        NEW.company_id := company_named(NEW.user_id, NEW.company);
    END IF;
    IF NEW.applied_on IS DISTINCT FROM OLD.applied_on THEN
        NEW.applied_on_is_own := true;
    END IF;
    SELECT jsonb_object_agg(key, before.value) INTO was
    FROM jsonb_each(to_jsonb(OLD)) before JOIN jsonb_each(to_jsonb(NEW)) after USING (key)
    WHERE key = ANY(written) AND before.value <> after.value;
    IF was IS NOT NULL THEN
        INSERT INTO application_events (user_id, application_id, kind, facts)
        VALUES (NEW.user_id, NEW.id, 'edited', jsonb_build_object('was', was));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER applications_change BEFORE UPDATE ON applications FOR EACH ROW EXECUTE FUNCTION change_application();

CREATE FUNCTION revise_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event_revisions (user_id, event_id, was) VALUES (OLD.user_id, OLD.id, jsonb_build_object(
        'kind', OLD.kind, 'occurred_at', OLD.occurred_at, 'stage_id', OLD.stage_id, 'round', OLD.round,
        'round_name', OLD.round_name, 'reason', OLD.reason, 'note', OLD.note));
    RETURN NULL;
END $$;
CREATE TRIGGER application_events_revised AFTER UPDATE ON application_events FOR EACH ROW
    WHEN ((NEW.kind, NEW.occurred_at, NEW.stage_id, NEW.round, NEW.round_name, NEW.reason, NEW.note)
          IS DISTINCT FROM (OLD.kind, OLD.occurred_at, OLD.stage_id, OLD.round, OLD.round_name, OLD.reason, OLD.note))
    EXECUTE FUNCTION revise_event();

-- An application's state is a fold over its timeline: the latest stage is where it is, the furthest how far it came.
-- Whatever is added, back-dated, edited or taken away, this is computed anew from what is then there.
CREATE FUNCTION fold_timeline(the_application uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    a applications;
    latest record;
    furthest record;
    acted timestamptz;
    has_moved boolean;
BEGIN
    -- No more than it needs: whoever has just written an event holds the application's key already.
    SELECT applications.* INTO a FROM applications WHERE id = the_application FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;  -- the whole application goes, and its timeline with it
    END IF;
    SELECT e.occurred_at, e.stage_id, e.round, e.round_name, e.reason, s.category, s.status INTO latest
    FROM application_events e JOIN stages s ON s.id = e.stage_id
    WHERE e.application_id = the_application ORDER BY e.occurred_at DESC, e.id DESC LIMIT 1;
    IF NOT FOUND THEN
        PERFORM refuse('JTL09');
    END IF;
    SELECT e.stage_id, e.round, s.category INTO furthest
    FROM application_events e JOIN stages s ON s.id = e.stage_id
    WHERE e.application_id = the_application AND s.category <> 'closed'
    ORDER BY progress_of(s.category) DESC, e.round DESC NULLS LAST, s.position DESC, e.occurred_at, e.id LIMIT 1;
    SELECT max(e.occurred_at) INTO acted
    FROM application_events e WHERE e.application_id = the_application AND e.kind <> 'edited';
    has_moved := (latest.stage_id, latest.occurred_at, latest.round)
                 IS DISTINCT FROM (a.stage_id, a.stage_since, a.round);
    UPDATE applications SET
        stage_id = latest.stage_id, category = latest.category, stage_since = latest.occurred_at,
        status = status_of(latest.status, latest.reason), round = latest.round, round_name = latest.round_name,
        close_reason = CASE WHEN latest.category = 'closed' THEN latest.reason END,
        furthest_stage_id = furthest.stage_id, furthest_round = furthest.round,
        furthest_category = coalesce(furthest.category, CASE
            WHEN status_of(latest.status, latest.reason) = 'closed' THEN 'saved' ELSE 'applied' END),
        applied_on = CASE WHEN applied_on_is_own THEN applied_on ELSE applied_day(id, user_id) END,
        follow_up_at = CASE WHEN has_moved THEN follow_up_for(latest.category, latest.occurred_at, user_id)
                            ELSE follow_up_at END,
        board_rank = CASE WHEN latest.stage_id <> stage_id THEN top_of(user_id, latest.stage_id) ELSE board_rank END,
        last_activity_at = greatest(last_activity_at, acted), updated_at = now(), version = version + 1
    WHERE id = the_application;
END $$;

CREATE FUNCTION timeline_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF is_restoring() THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' AND NEW.kind = 'created' AND pg_trigger_depth() > 1 THEN
        RETURN NULL;  -- the beginning is what begin_application() has just made of it
    END IF;
    IF TG_OP = 'UPDATE' AND (NEW.stage_id, NEW.occurred_at, NEW.round, NEW.round_name, NEW.reason)
            IS NOT DISTINCT FROM (OLD.stage_id, OLD.occurred_at, OLD.round, OLD.round_name, OLD.reason) THEN
        RETURN NULL;  -- another note, or nothing
    ELSIF coalesce(NEW.stage_id, OLD.stage_id) IS NOT NULL OR NEW.kind = 'merged' THEN
        PERFORM fold_timeline(coalesce(NEW.application_id, OLD.application_id));
    ELSIF TG_OP <> 'DELETE' AND NEW.kind <> 'edited' THEN
        UPDATE applications SET last_activity_at = greatest(last_activity_at, NEW.occurred_at)
        WHERE id = NEW.application_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER application_events_fold AFTER INSERT OR UPDATE OR DELETE ON application_events FOR EACH ROW
    EXECUTE FUNCTION timeline_changed();

-- A move: one event, from which everything else follows. To where it is already, in the same round, is no move. What a
-- status names is where it is, if that has this status; so a client that sends back what it read moves nothing.
CREATE FUNCTION move_application(
    the_application uuid, versions int[], the_stage uuid, the_status text, happened timestamptz,
    the_round int, the_round_name text, the_reason text, the_note text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    a applications;
    s stages;
    stays boolean;
BEGIN
    SELECT applications.* INTO a FROM applications WHERE id = the_application FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    ELSIF NOT a.version = ANY(versions) THEN
        PERFORM refuse('JT412', jsonb_build_object('version', a.version));
    END IF;
    SELECT stages.* INTO s FROM stages WHERE id = a.stage_id;
    stays := CASE WHEN the_stage IS NOT NULL THEN the_stage = s.id
        ELSE the_status = s.category
             OR s.status = CASE WHEN reason_of(the_status) IS NULL THEN the_status ELSE 'closed' END END;
    the_reason := coalesce(the_reason, reason_of(the_status));
    IF stays AND happened IS NULL THEN  -- what it does not say anew goes on
        the_round_name := coalesce(the_round_name, CASE WHEN coalesce(the_round, a.round) IS NOT DISTINCT FROM a.round
                                                        THEN a.round_name END);
        the_round := coalesce(the_round, a.round);
        the_reason := coalesce(the_reason, a.close_reason);
        IF the_note IS NULL AND (the_round, the_round_name, the_reason)
                IS NOT DISTINCT FROM (a.round, a.round_name, a.close_reason) THEN
            RETURN;
        END IF;
    END IF;
    IF NOT stays OR s.retired_at IS NOT NULL THEN
        SELECT stages.* INTO s FROM stages
        WHERE user_id = a.user_id AND id = coalesce(the_stage, stage_for(a.user_id, the_status)) AND retired_at IS NULL;
        IF NOT FOUND THEN
            PERFORM invalid('stage_id', 'unknown_stage', 'must be a stage in use');
        END IF;
    END IF;
    IF the_reason IS NOT NULL AND s.category <> 'closed' THEN
        PERFORM invalid('reason', 'not_closed', 'is for closing only');
    END IF;
    IF happened > now() + interval '5 minutes' THEN
        PERFORM invalid('occurred_at', 'future', 'must not be in the future');
    END IF;
    -- Who writes down today what they saved, and that they applied last week, had saved it by then.
    UPDATE application_events e SET
        occurred_at = happened - interval '1 microsecond', version = e.version + 1, updated_at = now()
    FROM stages b
    WHERE e.application_id = a.id AND e.kind = 'created' AND e.occurred_at >= happened
      AND b.id = e.stage_id AND b.category = 'saved';
    -- A move made now is the latest, also after one that a clock ahead of ours has dated.
    INSERT INTO application_events
        (user_id, application_id, kind, occurred_at, stage_id, round, round_name, reason, note)
    VALUES (a.user_id, a.id, 'moved',
            coalesce(happened, greatest(clock_timestamp(), a.stage_since + interval '1 microsecond')),
            s.id, the_round, the_round_name, the_reason, the_note);
END $$;

-- Lets the batch go on if the caller has such an application; locked, nobody takes it away meanwhile.
CREATE FUNCTION within_application(the_application uuid, locked boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF locked THEN
        PERFORM FROM applications WHERE id = the_application FOR KEY SHARE;
    ELSE
        PERFORM FROM applications WHERE id = the_application;
    END IF;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    END IF;
END $$;
"""

# ---------------------------------------------------------------- what hangs on applications

CHILDREN = """
CREATE TABLE notes (
    id             uuid PRIMARY KEY DEFAULT uuid7(),
    user_id        uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    application_id uuid NOT NULL,
    body           text NOT NULL CHECK (body <> ''),
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    version        integer NOT NULL DEFAULT 1,
    CONSTRAINT notes_application_fkey FOREIGN KEY (user_id, application_id)
        REFERENCES applications (user_id, id) ON DELETE CASCADE
);
CREATE INDEX notes_application_id ON notes (application_id, created_at DESC, id DESC);

CREATE TABLE contacts (
    id         uuid PRIMARY KEY DEFAULT uuid7(),
    user_id    uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    company_id uuid,
    name       text NOT NULL CHECK (name <> ''),
    title      text,
    email      text,
    phone      text,
    url        text,
    notes      text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    version    integer NOT NULL DEFAULT 1,
    UNIQUE (user_id, id),
    CONSTRAINT contacts_company_fkey FOREIGN KEY (user_id, company_id)
        REFERENCES companies (user_id, id) ON DELETE SET NULL (company_id)
);
CREATE INDEX contacts_user_id ON contacts (user_id, lower(name), id);
CREATE INDEX contacts_company_id ON contacts (user_id, company_id);

-- Who of somebody's contacts has to do with which application, and as what.
CREATE TABLE application_contacts (
    user_id        uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    application_id uuid NOT NULL,
    contact_id     uuid NOT NULL,
    role           text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (application_id, contact_id),
    CONSTRAINT application_contacts_application_fkey FOREIGN KEY (user_id, application_id)
        REFERENCES applications (user_id, id) ON DELETE CASCADE,
    CONSTRAINT application_contacts_contact_fkey FOREIGN KEY (user_id, contact_id)
        REFERENCES contacts (user_id, id) ON DELETE CASCADE
);
CREATE INDEX application_contacts_contact_id ON application_contacts (contact_id);

CREATE TABLE interviews (
    id               uuid PRIMARY KEY DEFAULT uuid7(),
    user_id          uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    application_id   uuid NOT NULL,
    kind             text NOT NULL,
    title            text,
    starts_at        timestamptz NOT NULL,
    duration_minutes integer NOT NULL DEFAULT 60 CHECK (duration_minutes BETWEEN 1 AND 1440),
    time_zone        text NOT NULL,
    location         text,
    interviewers     text[] NOT NULL DEFAULT '{}',
    round            integer CHECK (round > 0),
    outcome          text NOT NULL DEFAULT 'pending',
    notes            text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    version          integer NOT NULL DEFAULT 1,
    CONSTRAINT interviews_application_fkey FOREIGN KEY (user_id, application_id)
        REFERENCES applications (user_id, id) ON DELETE CASCADE
);
CREATE INDEX interviews_application_id ON interviews (application_id, starts_at, id);
CREATE INDEX interviews_user_id ON interviews (user_id, starts_at, id);

-- A task belongs to an application, or to nothing but its owner.
CREATE TABLE tasks (
    id             uuid PRIMARY KEY DEFAULT uuid7(),
    user_id        uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    application_id uuid,
    title          text NOT NULL CHECK (title <> ''),
    notes          text,
    due_at         timestamptz,
    done_at        timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    version        integer NOT NULL DEFAULT 1,
    CONSTRAINT tasks_application_fkey FOREIGN KEY (user_id, application_id)
        REFERENCES applications (user_id, id) ON DELETE CASCADE
);
CREATE INDEX tasks_application_id ON tasks (application_id, created_at DESC, id DESC);
CREATE INDEX tasks_user_id ON tasks (user_id, due_at, id);

-- A document, in one of its versions: those of one series are one document that was sent in several states.
CREATE TABLE files (
    id         uuid PRIMARY KEY DEFAULT uuid7(),
    user_id    uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    series_id  uuid NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('resume', 'cover_letter', 'other')),
    name       text NOT NULL CHECK (name <> ''),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    version    integer NOT NULL DEFAULT 1,
    UNIQUE (user_id, id)
);
CREATE INDEX files_user_id ON files (user_id, created_at DESC, id DESC);

-- Which documents somebody sent with which application.
CREATE TABLE application_files (
    user_id        uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    application_id uuid NOT NULL,
    file_id        uuid NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (application_id, file_id),
    CONSTRAINT application_files_application_fkey FOREIGN KEY (user_id, application_id)
        REFERENCES applications (user_id, id) ON DELETE CASCADE,
    CONSTRAINT application_files_file_fkey FOREIGN KEY (user_id, file_id)
        REFERENCES files (user_id, id) ON DELETE CASCADE
);
CREATE INDEX application_files_file_id ON application_files (file_id);

CREATE FUNCTION touch_application() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT is_restoring() THEN
        UPDATE applications SET last_activity_at = greatest(last_activity_at, now()) WHERE id = NEW.application_id;
    END IF;
    RETURN NULL;
END $$;

DO $$
DECLARE
    the_table text;
BEGIN
    FOREACH the_table IN ARRAY '{notes,contacts,application_contacts,interviews,tasks,files,application_files}'::text[]
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', the_table);
        EXECUTE format('CREATE POLICY own_rows ON %I TO tenant '
                       'USING (user_id = current_setting(''app.user_id'')::uuid)', the_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO tenant', the_table);
        IF the_table NOT IN ('contacts', 'files') THEN
            EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I FOR EACH ROW EXECUTE FUNCTION touch_application()',
                           the_table || '_touch', the_table);
        END IF;
    END LOOP;
END $$;
"""

# ---------------------------------------------------------------- the trash

TRASH = """
-- What was deleted, whole, for 30 days: the row, every row that went with it, and what pointed to it. It is nowhere
-- else any more, so no list, figure or feed has to leave it out.
CREATE TABLE trash (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    kind       text NOT NULL,
    title      text NOT NULL,
    content    jsonb NOT NULL,
    deleted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX trash_user_id ON trash (user_id, deleted_at DESC, id DESC);
CREATE INDEX trash_deleted_at ON trash (deleted_at);
ALTER TABLE trash ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON trash TO tenant USING (user_id = current_setting('app.user_id')::uuid);
GRANT SELECT, INSERT, UPDATE (content, deleted_at), DELETE ON trash TO tenant;

-- How one table points to another, with the columns in pairs.
CREATE VIEW references_between AS
SELECT c.conrelid::regclass AS child, c.confrelid::regclass AS parent, c.confdeltype AS on_delete,
       array_agg(child.attname::text ORDER BY k.n) AS child_columns,
       array_agg(parent.attname::text ORDER BY k.n) AS parent_columns,
       (array_agg(child.attname::text ORDER BY k.n DESC))[1] AS pointer,
       bool_or(NOT child.attnotnull) AS may_be_null
FROM pg_constraint c, unnest(c.conkey, c.confkey) WITH ORDINALITY AS k (child, parent, n), pg_attribute child,
     pg_attribute parent
WHERE c.contype = 'f' AND child.attrelid = c.conrelid AND child.attnum = k.child
  AND parent.attrelid = c.confrelid AND parent.attnum = k.parent
GROUP BY c.oid, c.conrelid, c.confrelid, c.confdeltype;
GRANT SELECT ON references_between TO tenant;

-- Rows of a table and all that goes with them, each behind what it hangs on: the last time it comes, if it hangs on
-- several. A table that gets a foreign key with ON DELETE CASCADE is in it from then on. Each row is locked before what
-- hangs on it is read, so that nobody adds to it or changes it before it is gone; what nobody may change needs no lock.
CREATE FUNCTION with_dependents(the_table regclass, the_rows jsonb[]) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
DECLARE
    ids uuid[] := ARRAY(SELECT (one ->> 'id')::uuid FROM unnest(the_rows) one);
    found jsonb[];
    lock text;
    r references_between;
BEGIN
    RETURN QUERY SELECT jsonb_build_object('table', the_table, 'row', one) FROM unnest(the_rows) one;
    FOR r IN SELECT * FROM references_between WHERE parent = the_table AND on_delete IN ('c', 'n')
             ORDER BY child::text, pointer LOOP
        lock := CASE WHEN has_any_column_privilege(r.child, 'UPDATE') THEN 'FOR UPDATE' ELSE '' END;
        IF r.on_delete = 'n' THEN
            RETURN QUERY EXECUTE format(
                'SELECT jsonb_build_object(''pointer'', %1$L, ''of'', %2$L, ''id'', id, ''at'', %3$L, ''to'', %1$I) '
                'FROM %2$s WHERE %1$I = ANY($1) ORDER BY id %4$s', r.pointer, r.child, the_table, lock) USING ids;
            CONTINUE;
        END IF;
        EXECUTE format('SELECT array_agg(to_jsonb(t)) FROM (SELECT * FROM %s WHERE %I = ANY($1) ORDER BY 1 %s) t',
                       r.child, r.pointer, lock) INTO found USING ids;
        IF found IS NOT NULL THEN
            RETURN QUERY SELECT * FROM with_dependents(r.child, found);
        END IF;
    END LOOP;
END $$;

-- Takes a row out of its table and puts it into the trash; one of an application's, if one is named.
CREATE FUNCTION discard(the_table text, the_id uuid, versions int[], the_application uuid) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
    the_row jsonb;
BEGIN
    EXECUTE format('SELECT to_jsonb(t) FROM %I t WHERE id = $1 FOR UPDATE', the_table) INTO the_row USING the_id;
    IF the_row IS NULL OR the_application IS NOT NULL
            AND (the_row ->> 'application_id')::uuid IS DISTINCT FROM the_application THEN
        PERFORM refuse('JT404');
    ELSIF NOT (the_row ->> 'version')::int = ANY(versions) THEN
        PERFORM refuse('JT412', jsonb_build_object('version', the_row -> 'version'));
    END IF;
    INSERT INTO trash (id, user_id, kind, title, content)
    SELECT the_id, (the_row ->> 'user_id')::uuid, the_table,
           left(btrim(regexp_replace(coalesce(
               (the_row ->> 'position') || ', ' || (the_row ->> 'company'), the_row ->> 'name', the_row ->> 'title',
               the_row ->> 'body', the_row ->> 'note', the_row ->> 'kind', ''), '\\s+', ' ', 'g')), 200),
           jsonb_agg(item ORDER BY last)
    FROM (SELECT item, max(n) AS last
          FROM with_dependents(the_table::regclass, ARRAY[the_row]) WITH ORDINALITY AS items (item, n)
          GROUP BY item) AS each_once;
    EXECUTE format('DELETE FROM %I WHERE id = $1', the_table) USING the_id;
END $$;

-- Whether a row is there; if so, nobody takes it away before we are done, where we may lock it.
CREATE FUNCTION is_there(the_table regclass, the_id uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    found_it boolean;
BEGIN
    EXECUTE format('SELECT true FROM %s WHERE id = $1 %s', the_table,
                   CASE WHEN has_any_column_privilege(the_table, 'UPDATE') THEN 'FOR KEY SHARE' ELSE '' END)
    INTO found_it USING the_id;
    RETURN found_it IS NOT NULL;
END $$;

-- The entry of the trash in which a row lies, by itself or with what it hung on.
CREATE FUNCTION trash_with(the_user uuid, the_id uuid) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce(
        (SELECT id FROM trash WHERE user_id = the_user AND id = the_id AND deleted_at > now() - interval '30 days'),
        (SELECT id FROM trash
         WHERE user_id = the_user AND deleted_at > now() - interval '30 days'
           AND content @> jsonb_build_array(jsonb_build_object('row', jsonb_build_object('id', the_id))) LIMIT 1));
END $$;

-- Hands something that cannot be put back yet to the entry with the row that it waits for; it comes back with that.
CREATE FUNCTION leave_with(the_user uuid, the_id uuid, item jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE trash SET content = content || item WHERE id = trash_with(the_user, the_id);
END $$;

-- Puts everything back as it was. What belongs to, or points to, something that is in the trash itself comes back with
-- that; if the row itself hangs on such a thing, it is refused and told what to restore first. What pointed to things
-- that have gone for good points to nothing. A row whose place was taken is refused.
CREATE FUNCTION recover(the_id uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    kept trash;
    item jsonb;
    the_row jsonb;
    the_table regclass;
    table_before regclass;
    target uuid;
    r references_between;
    its_references references_between[];
    fits boolean;
    changed bigint;
    n bigint;
BEGIN
    -- In turns: of two that wait for each other, the second finds what the first has put back or handed over.
    PERFORM pg_advisory_xact_lock(hashtextextended('trash ' || current_setting('app.user_id'), 0));
    DELETE FROM trash WHERE id = the_id AND deleted_at > now() - interval '30 days' RETURNING * INTO kept;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    END IF;
    IF kept.kind <> 'application_events' THEN  -- whose coming back does change what they were folded into
        PERFORM set_config('app.restoring', 'on', true);
    END IF;
    FOR item, n IN SELECT * FROM jsonb_array_elements(kept.content) WITH ORDINALITY LOOP
        IF item ? 'pointer' THEN
            target := (item ->> 'to')::uuid;
            IF NOT is_there((item ->> 'at')::regclass, target) THEN
                PERFORM leave_with(kept.user_id, target, item);
                CONTINUE;
            END IF;
            EXECUTE format('UPDATE %1$s SET %2$I = $1 WHERE id = $2 AND %2$I IS NULL',
                           (item ->> 'of')::regclass, item ->> 'pointer')
            USING target, (item ->> 'id')::uuid;
            GET DIAGNOSTICS changed = ROW_COUNT;
            IF changed = 0 AND NOT is_there((item ->> 'of')::regclass, (item ->> 'id')::uuid) THEN
                PERFORM leave_with(kept.user_id, (item ->> 'id')::uuid, item);
            END IF;
            CONTINUE;
        END IF;
        the_row := item -> 'row';
        the_table := (item ->> 'table')::regclass;
        IF the_table IS DISTINCT FROM table_before THEN
            its_references := ARRAY(SELECT known FROM references_between known
                                    WHERE child = the_table AND parent <> 'users'::regclass);
            table_before := the_table;
        END IF;
        fits := true;
        FOREACH r IN ARRAY its_references LOOP
            target := (the_row ->> r.pointer)::uuid;
            IF target IS NULL OR is_there(r.parent, target) THEN
                CONTINUE;
            ELSIF n = 1 AND r.on_delete <> 'n' THEN
                IF NOT r.may_be_null OR trash_with(kept.user_id, target) IS NOT NULL THEN
                    PERFORM refuse('JTW09', jsonb_build_object('trash_id', trash_with(kept.user_id, target)));
                END IF;
                the_row := the_row || jsonb_build_object(r.pointer, NULL);
            ELSIF r.may_be_null THEN
                the_row := the_row || jsonb_build_object(r.pointer, NULL);
                PERFORM leave_with(kept.user_id, target, jsonb_build_object(
                    'pointer', r.pointer, 'of', the_table, 'id', the_row -> 'id', 'at', r.parent, 'to', target));
            ELSE
                fits := false;
                PERFORM leave_with(kept.user_id, target, item);
                EXIT;
            END IF;
        END LOOP;
        IF fits THEN
            EXECUTE (SELECT format('INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE '
                                   'SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $1)',
                                   the_table, string_agg(quote_ident(attname), ', '))
                     FROM pg_attribute WHERE attrelid = the_table AND attnum > 0
                       AND NOT attisdropped AND attgenerated = '' AND the_row ? attname)
            USING the_row;
        END IF;
    END LOOP;
    PERFORM set_config('app.restoring', '', true);
    RETURN kept.kind;
EXCEPTION WHEN unique_violation THEN
    PERFORM refuse('JTX09');
    RETURN NULL;
END $$;
"""

DOWNGRADE = """
DROP FUNCTION recover(uuid), leave_with(uuid, uuid, jsonb), trash_with(uuid, uuid), is_there(regclass, uuid),
    discard(text, uuid, int[], uuid), with_dependents(regclass, jsonb[]);
DROP VIEW references_between;
DROP TABLE trash, application_files, files, tasks, interviews, application_contacts, contacts, notes;
DROP FUNCTION touch_application(), within_application(uuid, boolean),
    move_application(uuid, int[], uuid, text, timestamptz, int, text, text, text);
DROP TRIGGER applications_begin ON applications;
DROP TRIGGER applications_noted ON applications;
DROP TRIGGER applications_change ON applications;
DROP TABLE event_revisions, application_events;
DROP FUNCTION begin_application(), note_beginning(), change_application(), revise_event(), timeline_changed(),
    fold_timeline(uuid), applied_day(uuid, uuid), is_restoring(), top_of(uuid, uuid),
    follow_up_for(text, timestamptz, uuid), day_of(timestamptz, uuid);
UPDATE applications SET status = 'rejected' WHERE status = 'closed';
ALTER TABLE applications
    DROP COLUMN company_id, DROP COLUMN workplace, DROP COLUMN priority, DROP COLUMN deadline, DROP COLUMN tags,
    DROP COLUMN stage_id, DROP COLUMN category, DROP COLUMN stage_since, DROP COLUMN round, DROP COLUMN round_name,
    DROP COLUMN close_reason, DROP COLUMN furthest_stage_id, DROP COLUMN furthest_category, DROP COLUMN furthest_round,
    DROP COLUMN applied_on_is_own, DROP COLUMN follow_up_at, DROP COLUMN last_activity_at, DROP COLUMN board_rank,
    DROP COLUMN company_key, DROP COLUMN url_key, DROP CONSTRAINT applications_user_id_id_key,
    ADD CONSTRAINT applications_status_check CHECK (status IN (
        'saved', 'applied', 'screening', 'interview', 'offer', 'accepted', 'rejected', 'withdrawn', 'ghosted'));
DROP FUNCTION company_named(uuid, text);
DROP TABLE companies;
DROP FUNCTION canonical_url(text), canonical_company(text);
DROP TRIGGER users_have_stages ON users;
DROP TABLE stages;
DROP FUNCTION stage_for(uuid, text), reason_of(text), status_of(text, text), progress_of(text),
    give_stages_to_newcomer(), give_stages(uuid), invalid(text, text, text);
"""


def upgrade() -> None:
    cursor = op.get_bind().connection.cursor()
    for part in (STAGES, CANONICAL, COMPANIES, APPLICATIONS, CHILDREN, TRASH):
        cursor.execute(part)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
