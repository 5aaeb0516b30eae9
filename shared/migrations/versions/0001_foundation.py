"""Accounts, sessions, applications, quotas, and the door that every request goes through."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROLES = """
-- The role every signed-in request runs as. It owns nothing, cannot log in, and row-level security confines it.
-- Roles belong to the whole server, so another database of the same server may have made it already.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tenant') THEN
        CREATE ROLE tenant NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- made by another migration between the question and the answer
END $$;

DO $$
BEGIN
    -- From PostgreSQL 16 on, making a role does not confer the right to become it.
    IF current_setting('server_version_num')::int >= 160000 THEN
        EXECUTE format('GRANT tenant TO %I WITH SET TRUE, INHERIT FALSE', current_user);
    ELSE
        EXECUTE format('GRANT tenant TO %I', current_user);
    END IF;
    -- A request that takes longer than this has lost its caller anyway.
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET statement_timeout = ''8s''', current_user, current_database());
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET lock_timeout = ''5s''', current_user, current_database());
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET idle_in_transaction_session_timeout = ''15s''',
                   current_user, current_database());
END $$;

GRANT USAGE ON SCHEMA public TO tenant;
"""

TABLES = """
-- UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then random bits. PostgreSQL has its own from 18 on only.
-- In PL/pgSQL, whose plans last as long as the connection: a function in SQL would be parsed anew in every statement.
CREATE FUNCTION uuid7() RETURNS uuid LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
BEGIN
    RETURN encode(set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
        FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid;
END $$;

CREATE TABLE users (
    id                uuid PRIMARY KEY DEFAULT uuid7(),
    email             text NOT NULL CONSTRAINT users_email_key UNIQUE CHECK (email = lower(email)),
    email_verified_at timestamptz,
    email_verified    boolean GENERATED ALWAYS AS (email_verified_at IS NOT NULL) STORED,
    password_hash     text,
    role              text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    first_name        text,
    last_name         text,
    company           text,
    picture_url       text,
    time_zone         text NOT NULL DEFAULT 'UTC',
    disabled_at       timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    version           integer NOT NULL DEFAULT 1
);

-- One row per session for its whole life. The refresh token is never stored: only which generation of it is current.
CREATE TABLE sessions (
    id                  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id             uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    generation          bigint NOT NULL DEFAULT 1 CHECK (generation > 0),
    created_at          timestamptz NOT NULL DEFAULT now(),
    rotated_at          timestamptz NOT NULL DEFAULT now(),
    idle_expires_at     timestamptz NOT NULL,
    absolute_expires_at timestamptz NOT NULL,
    revoked_at          timestamptz,
    revoked_reason      text CHECK ((revoked_reason IS NULL) = (revoked_at IS NULL)),
    refreshes           integer NOT NULL DEFAULT 0,
    refreshes_reset_at  timestamptz NOT NULL DEFAULT now(),
    device_name         text,
    user_agent          text,
    ip                  inet
);
CREATE INDEX sessions_user_id ON sessions (user_id, created_at DESC);

-- A revoked session never comes back, whatever a statement may say.
CREATE FUNCTION refuse_resurrection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a revoked session never comes back' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER sessions_stay_revoked BEFORE UPDATE ON sessions FOR EACH ROW
    WHEN (OLD.revoked_at IS NOT NULL
          AND (NEW.revoked_at IS DISTINCT FROM OLD.revoked_at OR NEW.generation <> OLD.generation))
    EXECUTE FUNCTION refuse_resurrection();

CREATE TABLE audit_events (
    id         uuid PRIMARY KEY DEFAULT uuid7(),
    event      text NOT NULL,
    user_id    uuid REFERENCES users ON DELETE SET NULL,
    session_id uuid,
    ip         inet,
    facts      jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_events_user_id ON audit_events (user_id, created_at DESC);

CREATE TABLE applications (
    id              uuid PRIMARY KEY DEFAULT uuid7(),
    user_id         uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    company         text NOT NULL CHECK (company <> ''),
    position        text NOT NULL CHECK (position <> ''),
    location        text,
    url             text CONSTRAINT applications_url_scheme CHECK (url ~* '^https?://'),
    source          text,
    status          text NOT NULL DEFAULT 'saved' CHECK (status IN (
        'saved', 'applied', 'screening', 'interview', 'offer', 'accepted', 'rejected', 'withdrawn', 'ghosted')),
    salary_min      bigint CHECK (salary_min >= 0),
    salary_max      bigint CHECK (salary_max >= 0),
    salary_currency text CHECK (salary_currency ~ '^[A-Z]{3}$'),
    salary_period   text CHECK (salary_period IN ('hour', 'day', 'week', 'month', 'year')),
    applied_on      date,
    notes           text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    version         integer NOT NULL DEFAULT 1,
    CONSTRAINT applications_salary_range CHECK (salary_min <= salary_max),
    CONSTRAINT applications_salary_currency_given
        CHECK (salary_currency IS NOT NULL OR (salary_min IS NULL AND salary_max IS NULL))
);
CREATE INDEX applications_user_id ON applications (user_id, created_at DESC, id DESC);

-- What a create answered, kept for a day so that a retry gets the same answer and not a second row.
CREATE TABLE idempotency_keys (
    user_id        uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    key            text NOT NULL,
    fingerprint    bytea NOT NULL,
    answer_id      uuid NOT NULL,
    answer_version integer NOT NULL,
    answer         text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- Attempts counted per bucket; a bucket's name is a digest, so that the table tells nobody's address.
CREATE TABLE rate_limits (
    bucket   bytea PRIMARY KEY,
    hits     integer NOT NULL,
    reset_at timestamptz NOT NULL
);
CREATE INDEX rate_limits_reset_at ON rate_limits (reset_at);

CREATE TABLE quota_limits (
    metric      text NOT NULL CHECK (metric ~ '^[a-z][a-z0-9_]{0,62}$'),
    role        text NOT NULL,
    units       bigint CHECK (units >= 0),  -- NULL: no limit
    time_window text NOT NULL CHECK (time_window IN ('lifetime', 'day')),
    PRIMARY KEY (metric, role)
);
INSERT INTO quota_limits (metric, role, units, time_window)
SELECT metric, role, units, time_window
FROM (VALUES ('resume_uploads', 10, 'lifetime'), ('job_searches', 50, 'day'),
             ('sheet_syncs', 20, 'day'), ('exports', 5, 'day')) AS seed (metric, units, time_window),
     (VALUES ('user'), ('admin')) AS roles (role);

-- What has been used for good. Reservations are not in here: they count as long as they live.
CREATE TABLE quota_usage (
    user_id      uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    metric       text NOT NULL,
    window_start timestamptz NOT NULL,
    used         bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
    PRIMARY KEY (user_id, metric, window_start)
);

-- One row per keyed consumption or reservation: what makes a repeated key harmless.
CREATE TABLE quota_entries (
    id           uuid PRIMARY KEY DEFAULT uuid7(),
    user_id      uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    metric       text NOT NULL,
    key          text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('consumption', 'reservation')),
    units        bigint NOT NULL CHECK (units > 0),
    state        text NOT NULL CHECK (state IN ('reserved', 'committed', 'released')),
    window_start timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_id, metric, key)
);
CREATE INDEX quota_entries_reserved ON quota_entries (user_id, metric, window_start) WHERE state = 'reserved';
CREATE INDEX quota_entries_created_at ON quota_entries (created_at);
"""

CONFINEMENT = """
ALTER TABLE users            ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions         ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_events     ENABLE ROW LEVEL SECURITY;
ALTER TABLE applications     ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE quota_usage      ENABLE ROW LEVEL SECURITY;
ALTER TABLE quota_entries    ENABLE ROW LEVEL SECURITY;

-- app.user_id is set by enter() and gone with the transaction. Never set, or set and gone, is an error: fail closed.
CREATE POLICY own_row  ON users            TO tenant USING (id = current_setting('app.user_id')::uuid);
CREATE POLICY own_rows ON sessions         TO tenant USING (user_id = current_setting('app.user_id')::uuid);
CREATE POLICY own_rows ON audit_events     TO tenant USING (user_id = current_setting('app.user_id')::uuid);
CREATE POLICY own_rows ON applications     TO tenant USING (user_id = current_setting('app.user_id')::uuid);
CREATE POLICY own_rows ON idempotency_keys TO tenant USING (user_id = current_setting('app.user_id')::uuid);
CREATE POLICY own_rows ON quota_usage      TO tenant USING (user_id = current_setting('app.user_id')::uuid);
CREATE POLICY own_rows ON quota_entries    TO tenant USING (user_id = current_setting('app.user_id')::uuid);

-- No password hash, no session bookkeeping, no role change: a tenant can name only what it may see or change.
GRANT SELECT (id, email, email_verified, role, first_name, last_name, company, picture_url, time_zone,
              created_at, updated_at, version),
      UPDATE (first_name, last_name, company, picture_url, time_zone, updated_at, version) ON users TO tenant;
GRANT SELECT (id, user_id, created_at, rotated_at, idle_expires_at, absolute_expires_at, revoked_at,
              device_name, user_agent, ip),
      UPDATE (revoked_at, revoked_reason) ON sessions TO tenant;
GRANT INSERT ON audit_events TO tenant;
GRANT SELECT, INSERT, UPDATE, DELETE ON applications TO tenant;
GRANT SELECT, INSERT, DELETE ON idempotency_keys TO tenant;
GRANT SELECT ON quota_limits TO tenant;
GRANT SELECT, INSERT, UPDATE ON quota_usage, quota_entries TO tenant;
"""

# A guard is the first statement of a request's batch: it lets the batch go on, or raises a Problem by its SQLSTATE
# (shared/errors.py) with that Problem's facts as JSON in DETAIL. Either way the request is one round trip.
GUARDS = """
CREATE FUNCTION refuse(state text, facts jsonb DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'refused' USING ERRCODE = state, DETAIL = facts::text;
END $$;

-- The door: from here to the end of the transaction the caller sees its own rows only.
CREATE FUNCTION enter(the_user uuid, the_session uuid, needed_role text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    the_role text;
BEGIN
    SELECT u.role INTO the_role
    FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.id = the_session AND s.user_id = the_user AND s.revoked_at IS NULL
      AND s.idle_expires_at > now() AND s.absolute_expires_at > now() AND u.disabled_at IS NULL;
    IF NOT FOUND THEN
        PERFORM refuse('28000');
    END IF;
    IF needed_role IS NOT NULL AND needed_role <> the_role THEN
        PERFORM refuse('JT403');
    END IF;
    PERFORM set_config('app.user_id', the_user::text, true), set_config('app.session_id', the_session::text, true),
            set_config('app.role', the_role, true), set_config('TimeZone', 'UTC', true),
            set_config('role', 'tenant', true);
END $$;

-- Count one attempt in every bucket, or in none: the first full bucket refuses, and the raise undoes the others, so
-- that an attempt which one bucket refuses can never fill another. Buckets come in one fixed order: no deadlock.
CREATE FUNCTION hit_limits(buckets bytea[], names text[], caps int[], seconds int[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    counted rate_limits;
BEGIN
    FOR i IN 1 .. cardinality(buckets) LOOP
        INSERT INTO rate_limits AS l (bucket, hits, reset_at)
        VALUES (buckets[i], 1, now() + make_interval(secs => seconds[i]))
        ON CONFLICT (bucket) DO UPDATE SET
            hits = CASE WHEN l.reset_at <= now() THEN 1 ELSE l.hits + 1 END,
            reset_at = CASE WHEN l.reset_at <= now() THEN excluded.reset_at ELSE l.reset_at END
        RETURNING * INTO counted;
        IF counted.hits > caps[i] THEN
            PERFORM refuse('JT429', jsonb_build_object(
                'policy', names[i], 'limit', caps[i], 'window', seconds[i],
                'retry_after', greatest(1, ceil(extract(epoch FROM counted.reset_at - now()))::int)));
        END IF;
    END LOOP;
END $$;

-- Take one attempt back: the attempt was good, and only bad ones count.
CREATE FUNCTION refund_limits(buckets bytea[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. cardinality(buckets) LOOP
        UPDATE rate_limits SET hits = hits - 1 WHERE bucket = buckets[i] AND hits > 0 AND reset_at > now();
    END LOOP;
END $$;

-- The first request with a key goes on; a later one is answered with what the first one made.
CREATE FUNCTION replay(the_key text, the_fingerprint bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    kept idempotency_keys;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended(current_setting('app.user_id') || the_key, 0)) THEN
        PERFORM refuse('JT409');
    END IF;
    SELECT k.* INTO kept FROM idempotency_keys k
    WHERE key = the_key AND created_at > now() - interval '24 hours';
    IF NOT FOUND THEN
        DELETE FROM idempotency_keys WHERE key = the_key;
    ELSIF kept.fingerprint <> the_fingerprint THEN
        PERFORM refuse('JT422');
    ELSE
        PERFORM refuse('JT200', jsonb_build_object(
            'id', kept.answer_id, 'version', kept.answer_version, 'answer', kept.answer));
    END IF;
END $$;
"""

# The whole of rotation, in the order docs/sessions.md lists its outcomes. The row lock puts simultaneous requests in a
# line: each decides on what the one before it left.
ROTATION = """
CREATE FUNCTION rotate_refresh_token(
    the_session uuid, presented bigint, grace interval, idle interval, cap int, cap_window interval, the_ip inet,
    OUT outcome text, OUT current_generation bigint, OUT refresh_seconds int, OUT retry_after int, OUT owner json)
LANGUAGE plpgsql AS $$
DECLARE
    s sessions;
    u users;
    hits int := 1;
BEGIN
    SELECT sessions.* INTO s FROM sessions WHERE id = the_session FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'expired';  -- issued, since its seal is good, and purged since
        RETURN;
    END IF;
    SELECT users.* INTO u FROM users WHERE id = s.user_id;
    IF s.refreshes_reset_at > now() THEN
        hits := s.refreshes + 1;
    ELSE
        s.refreshes_reset_at := now() + cap_window;
    END IF;
    outcome := CASE
        WHEN s.revoked_at IS NOT NULL OR u.disabled_at IS NOT NULL THEN 'refused'
        WHEN s.idle_expires_at <= now() OR s.absolute_expires_at <= now() THEN 'expired'
        WHEN presented > s.generation THEN 'forged'
        WHEN presented < s.generation - 1 THEN 'reused'
        WHEN presented = s.generation - 1 AND now() >= s.rotated_at + grace THEN 'reused'
        WHEN hits > cap THEN 'limited'
        WHEN presented = s.generation THEN 'rotated'
        ELSE 'replayed'
    END;
    IF outcome = 'rotated' THEN
        s.generation := s.generation + 1;
        s.rotated_at := now();
        s.idle_expires_at := least(now() + idle, s.absolute_expires_at);
    END IF;
    IF outcome IN ('rotated', 'replayed') THEN
        UPDATE sessions SET generation = s.generation, rotated_at = s.rotated_at, idle_expires_at = s.idle_expires_at,
            refreshes = hits, refreshes_reset_at = s.refreshes_reset_at
        WHERE id = the_session;
    ELSIF outcome = 'reused' THEN
        UPDATE sessions SET revoked_at = now(), revoked_reason = 'refresh_token_reused' WHERE id = the_session;
    END IF;
    IF outcome IN ('reused', 'forged') THEN
        INSERT INTO audit_events (event, user_id, session_id, ip, facts)
        VALUES ('refresh_token_' || outcome, s.user_id, s.id, the_ip,
                jsonb_build_object('presented', presented, 'current', s.generation));
    END IF;
    SELECT row_to_json(shown) INTO owner FROM (SELECT
        u.id, u.email, u.email_verified, u.first_name, u.last_name, u.company, u.picture_url, u.time_zone, u.role,
        u.created_at) AS shown;
    current_generation := s.generation;
    refresh_seconds := extract(epoch FROM s.idle_expires_at - now());
    retry_after := greatest(1, ceil(extract(epoch FROM s.refreshes_reset_at - now())));
END $$;
"""

# These run behind the door: the rows they see and make are the caller's, by row-level security.
# Every change of a quota takes the lock of its usage row first, so that what is decided after it is exact. Whether a
# reservation still lives is asked of the clock, not of now(): under that lock the clock orders a commit and the claim
# that would take its units, while the starts of their transactions do not.
QUOTAS = """
CREATE FUNCTION quota_window(time_window text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE time_window WHEN 'day' THEN date_trunc('day', now(), 'UTC') ELSE timestamptz 'epoch' END
$$;

CREATE FUNCTION quota_state(the_metric text) RETURNS json LANGUAGE sql VOLATILE AS $$
    SELECT row_to_json(state)
    FROM quota_limits l, LATERAL (SELECT
        coalesce((SELECT u.used FROM quota_usage u WHERE u.metric = l.metric
                  AND u.window_start = quota_window(l.time_window)), 0) AS used,
        coalesce((SELECT sum(e.units) FROM quota_entries e WHERE e.metric = l.metric
                  AND e.window_start = quota_window(l.time_window)
                  AND e.state = 'reserved' AND e.expires_at > clock_timestamp()), 0) AS reserved) c,
    LATERAL (SELECT
        l.metric, l.units AS "limit", c.used, c.reserved, l.units - least(l.units, c.used + c.reserved) AS remaining,
        round(100.0 * (c.used + c.reserved) / nullif(l.units, 0), 1) AS percentage, l.time_window AS "window",
        CASE l.time_window WHEN 'day' THEN quota_window('day') + interval '1 day' END AS resets_at,
        l.units IS NULL OR c.used + c.reserved < l.units AS can_consume) state
    WHERE l.metric = the_metric AND l.role = current_setting('app.role')
$$;

-- Lock the counter of the present window and make sure that so many more units fit.
CREATE FUNCTION quota_claim(the_metric text, the_units bigint, refusal text) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    the_window timestamptz;
    quota json;
BEGIN
    SELECT quota_window(time_window) INTO the_window FROM quota_limits
    WHERE metric = the_metric AND role = current_setting('app.role');
    INSERT INTO quota_usage (metric, window_start) VALUES (the_metric, the_window) ON CONFLICT DO NOTHING;
    PERFORM FROM quota_usage
    WHERE metric = the_metric AND window_start = the_window FOR UPDATE;
    quota := quota_state(the_metric);
    IF (quota ->> 'remaining')::bigint < the_units THEN
        PERFORM refuse(refusal, quota::jsonb);
    END IF;
    RETURN the_window;
END $$;

CREATE FUNCTION quota_take(the_kind text, the_metric text, the_units bigint, the_key text, ttl interval)
RETURNS quota_entries LANGUAGE plpgsql AS $$
DECLARE
    entry quota_entries;
    the_window timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM quota_limits WHERE metric = the_metric AND role = current_setting('app.role')) THEN
        PERFORM refuse('JT404');
    END IF;
    IF the_key IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended(current_setting('app.user_id') || the_metric || the_key, 1));
        SELECT e.* INTO entry FROM quota_entries e
        WHERE metric = the_metric AND key = the_key;
        IF FOUND THEN
            IF entry.kind <> the_kind OR entry.units <> the_units THEN
                PERFORM refuse('JT422');
            END IF;
            RETURN entry;
        END IF;
    END IF;
    the_window := quota_claim(the_metric, the_units, 'JTQ29');
    IF the_kind = 'consumption' THEN
        UPDATE quota_usage SET used = used + the_units
        WHERE metric = the_metric AND window_start = the_window;
    END IF;
    IF the_key IS NOT NULL THEN
        INSERT INTO quota_entries (metric, key, kind, units, state, window_start, expires_at)
        VALUES (the_metric, the_key, the_kind, the_units,
                CASE the_kind WHEN 'consumption' THEN 'committed' ELSE 'reserved' END, the_window, now() + ttl)
        RETURNING * INTO entry;
    END IF;
    RETURN entry;
END $$;

CREATE FUNCTION quota_settle(the_entry uuid, the_state text) RETURNS quota_entries LANGUAGE plpgsql AS $$
DECLARE
    entry quota_entries;
BEGIN
    SELECT e.* INTO entry FROM quota_entries e
    WHERE id = the_entry AND kind = 'reservation' FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    ELSIF entry.state = the_state THEN
        RETURN entry;
    ELSIF entry.state <> 'reserved' THEN
        PERFORM refuse('JTS09', jsonb_build_object('state', entry.state));
    END IF;
    IF the_state = 'committed' THEN
        PERFORM FROM quota_usage WHERE metric = entry.metric
            AND window_start = entry.window_start FOR UPDATE;
        IF entry.expires_at <= clock_timestamp() THEN  -- its units were given back: take them again, if there is room
            entry.window_start := quota_claim(entry.metric, entry.units, 'JTE09');
        END IF;
        UPDATE quota_usage SET used = used + entry.units
        WHERE metric = entry.metric AND window_start = entry.window_start;
    END IF;
    UPDATE quota_entries SET state = the_state, window_start = entry.window_start
    WHERE id = the_entry RETURNING * INTO entry;
    RETURN entry;
END $$;
"""

DOWNGRADE = """
DROP FUNCTION quota_settle(uuid, text), quota_take(text, text, bigint, text, interval),
    quota_claim(text, bigint, text), quota_state(text), quota_window(text), replay(text, bytea), refund_limits(bytea[]),
    rotate_refresh_token(uuid, bigint, interval, interval, int, interval, inet),
    hit_limits(bytea[], text[], int[], int[]), enter(uuid, uuid, text), refuse(text, jsonb);
DROP TABLE quota_entries, quota_usage, quota_limits, rate_limits, idempotency_keys, applications, audit_events,
    sessions, users;
DROP FUNCTION refuse_resurrection(), uuid7();
REVOKE USAGE ON SCHEMA public FROM tenant;
DO $$
BEGIN
    EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET ALL', current_user, current_database());
    DROP ROLE tenant;
EXCEPTION WHEN dependent_objects_still_exist THEN
    NULL;  -- another database of this server still uses it
END $$;
"""


def upgrade() -> None:
    for part in (ROLES, TABLES, CONFINEMENT, GUARDS, ROTATION, QUOTAS):
        op.get_bind().connection.cursor().execute(part)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
