"""A chained audit log that forgets lawfully, and one way to sign in for every credential."""

from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A log that shows when it was touched. Each account has a chain of its own (events that concern nobody share one), so
# that people who sign in at once do not wait for each other; a chain's head and length are kept apart from its events,
# so that a missing last event shows as well. No foreign key: what happened stays true when the account is gone.
AUDIT = """
ALTER TABLE audit_events RENAME TO unchained_events;
ALTER INDEX audit_events_pkey RENAME TO unchained_events_pkey;
DROP INDEX audit_events_user_id;

CREATE TABLE audit_chains (
    user_id   uuid PRIMARY KEY,  -- zero for events that concern no account
    length    bigint NOT NULL CHECK (length > 0),
    head      bytea NOT NULL,
    forgotten bigint NOT NULL DEFAULT 0 CHECK (forgotten BETWEEN 0 AND length),  -- of its first events, so many
    root      bytea NOT NULL DEFAULT ''                                          -- and the digest of the last of them
);

CREATE TABLE audit_events (
    id         uuid PRIMARY KEY DEFAULT uuid7(),
    user_id    uuid NOT NULL,
    place      bigint NOT NULL,
    event      text NOT NULL CHECK (event ~ '^[a-z][a-z0-9_]{0,62}$'),
    succeeded  boolean NOT NULL,
    actor_id   uuid,           -- who did it, when it was not the account's owner
    session_id uuid,
    ip         inet,
    user_agent text,
    facts      jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    digest     bytea NOT NULL,
    UNIQUE (user_id, place)
);

-- What the search filters by, each with the order of its pages. An index on what hardly any event has is small.
CREATE INDEX audit_events_created_at ON audit_events (created_at, id);
CREATE INDEX audit_events_user_id ON audit_events (user_id, created_at, id);
CREATE INDEX audit_events_event ON audit_events (event, created_at, id);
CREATE INDEX audit_events_ip ON audit_events (ip, created_at, id);
CREATE INDEX audit_events_actor_id ON audit_events (actor_id, created_at, id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_events_failed ON audit_events (created_at, id) WHERE NOT succeeded;

-- What an event's digest is made of: the digest before it, and all it says. Absent values are left out, so that a
-- column added later changes no digest; jsonb has one spelling for each value.
CREATE FUNCTION audit_digest(previous bytea, said audit_events) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN sha256(previous || convert_to(jsonb_strip_nulls(
        to_jsonb(said) - 'digest'
        || jsonb_build_object('created_at', (extract(epoch FROM said.created_at) * 1000000)::bigint))::text, 'UTF8'));
END $$;

-- Put an event at the end of its account's chain. It gets its time when its chain is locked, so that places and times
-- have one order; what is null in its facts is left out, since a digest does not see it.
CREATE FUNCTION audit_append(said audit_events) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    previous bytea;
BEGIN
    INSERT INTO audit_chains AS c (user_id, length, head) VALUES (said.user_id, 1, '')
    ON CONFLICT (user_id) DO UPDATE SET length = c.length + 1
    RETURNING length, head INTO said.place, previous;
    said.created_at := coalesce(said.created_at, clock_timestamp());
    said.facts := jsonb_strip_nulls(said.facts);
    said.digest := audit_digest(previous, said);
    INSERT INTO audit_events VALUES (said.*);
    UPDATE audit_chains SET head = said.digest WHERE user_id = said.user_id;
END $$;

-- Write down what happens, in the transaction in which it happens. From where it came, the door has said (app.ip,
-- app.user_agent); secrets have no place in its facts.
CREATE FUNCTION audit(
    the_event text, the_user uuid, the_facts jsonb DEFAULT '{}', has_succeeded boolean DEFAULT true,
    the_session uuid DEFAULT nullif(current_setting('app.session_id', true), '')::uuid, the_actor uuid DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    said audit_events;
BEGIN
    said.id := uuid7();
    said.user_id := coalesce(the_user, '00000000-0000-0000-0000-000000000000');
    said.event := the_event;
    said.succeeded := has_succeeded;
    said.actor_id := nullif(the_actor, the_user);
    said.session_id := the_session;
    said.ip := nullif(current_setting('app.ip', true), '')::inet;
    said.user_agent := left(nullif(current_setting('app.user_agent', true), ''), 200);
    said.facts := the_facts;
    PERFORM audit_append(said);
END $$;

DO $$
DECLARE
    old record;
BEGIN
    FOR old IN SELECT * FROM unchained_events ORDER BY created_at, id LOOP
        PERFORM audit_append(jsonb_populate_record(NULL::audit_events, to_jsonb(old) || jsonb_build_object(
            'user_id', coalesce(old.user_id, '00000000-0000-0000-0000-000000000000'), 'succeeded', false)));
    END LOOP;
END $$;
DROP TABLE unchained_events;

CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- What is forgotten lawfully says whose it is: an account that is gone, or events past their time.
    IF TG_OP = 'DELETE' AND current_setting('app.forgetting', true) IN (OLD.user_id::text, 'expired') THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'what happened stays written' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER audit_events_stay BEFORE UPDATE OR DELETE ON audit_events FOR EACH ROW
    EXECUTE FUNCTION refuse_rewriting();

CREATE FUNCTION refuse_truncating() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what happened stays written' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER audit_events_stay_together BEFORE TRUNCATE ON audit_events EXECUTE FUNCTION refuse_truncating();
CREATE TRIGGER audit_chains_stay_together BEFORE TRUNCATE ON audit_chains EXECUTE FUNCTION refuse_truncating();
CREATE TRIGGER audit_chains_stay BEFORE DELETE ON audit_chains FOR EACH ROW EXECUTE FUNCTION refuse_rewriting();

-- Forget an account that is gone. What stays is one event in nobody's chain: that there was such a chain, how long it
-- was, and how it ended. Whoever forgets the same account again changes nothing.
CREATE FUNCTION audit_forget(the_user uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    gone audit_chains;
BEGIN
    SELECT c.* INTO gone FROM audit_chains c
    WHERE user_id = the_user AND user_id <> '00000000-0000-0000-0000-000000000000' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM set_config('app.forgetting', the_user::text, true);
    DELETE FROM audit_events WHERE user_id = the_user;
    DELETE FROM audit_chains WHERE user_id = the_user;
    PERFORM set_config('app.forgetting', '', true);
    PERFORM audit('account_forgotten', NULL, jsonb_build_object(
        'user_id', the_user, 'events', gone.length, 'head', encode(gone.head, 'hex')), true, NULL);
END $$;

-- Forget events past their time, from the front of their chains. A chain that is just being written is left for the
-- next time. That something was forgotten is an event too.
CREATE FUNCTION audit_forget_expired(days int, batch int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    old record;
    forgotten_here bigint;
    forgotten_events bigint := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7411202603) THEN
        RETURN 0;  -- somebody is at it, and goes on
    END IF;
    PERFORM set_config('app.forgetting', 'expired', true);
    FOR old IN
        WITH bite AS MATERIALIZED (
            SELECT user_id, place FROM audit_events WHERE created_at < now() - make_interval(days => days)
            ORDER BY created_at, user_id, place LIMIT batch FOR UPDATE SKIP LOCKED
        ), numbered AS (
            SELECT user_id, place, c.forgotten + row_number() OVER (PARTITION BY user_id ORDER BY place) AS front
            FROM bite JOIN audit_chains c USING (user_id)
        )
        SELECT user_id, max(place) AS place FROM numbered WHERE place = front GROUP BY user_id ORDER BY user_id
    LOOP
        PERFORM FROM audit_chains WHERE user_id = old.user_id FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        UPDATE audit_chains SET forgotten = old.place, root = e.digest
        FROM audit_events e WHERE e.user_id = old.user_id AND e.place = old.place
            AND audit_chains.user_id = old.user_id;
        DELETE FROM audit_events WHERE user_id = old.user_id AND place <= old.place;
        GET DIAGNOSTICS forgotten_here = ROW_COUNT;
        forgotten_events := forgotten_events + forgotten_here;
    END LOOP;
    PERFORM set_config('app.forgetting', '', true);
    IF forgotten_events > 0 THEN
        PERFORM audit('events_forgotten', NULL, jsonb_build_object('events', forgotten_events, 'days', days),
                      the_session => NULL);
    END IF;
    RETURN forgotten_events;
END $$;

ALTER TABLE audit_chains ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON audit_chains TO tenant USING (user_id = current_setting('app.user_id')::uuid);
CREATE POLICY own_rows ON audit_events TO tenant USING (user_id = current_setting('app.user_id')::uuid);
GRANT SELECT, INSERT, UPDATE (length, head) ON audit_chains TO tenant;
GRANT SELECT, INSERT ON audit_events TO tenant;
"""

SIGN_IN = """
ALTER TABLE users
    ADD COLUMN second_factor_at timestamptz;  -- since when signing in takes a second factor

ALTER TABLE sessions
    ADD COLUMN authenticated_at timestamptz NOT NULL DEFAULT now(),  -- when its holder last proved who they are
    ADD COLUMN methods text[] NOT NULL DEFAULT '{password}';         -- and by what
GRANT SELECT (authenticated_at, methods) ON sessions TO tenant;

-- Something begun that only its beginner can finish, soon, and after a few tries at most. The holder has the secret,
-- the table its SHA-256.
CREATE TABLE challenges (
    digest     bytea PRIMARY KEY,
    kind       text NOT NULL,
    user_id    uuid REFERENCES users ON DELETE CASCADE,  -- unless it is not known yet who it is
    facts      jsonb NOT NULL DEFAULT '{}',
    tries      integer NOT NULL DEFAULT 5 CHECK (tries >= 0),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX challenges_expires_at ON challenges (expires_at);
CREATE INDEX challenges_user_id ON challenges (user_id);
ALTER TABLE challenges ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON challenges TO tenant USING (user_id = current_setting('app.user_id')::uuid);

-- The person behind an account as everybody may see it; the fields of accounts.User.
CREATE FUNCTION shown_user(u users) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT row_to_json(shown) FROM (SELECT
        u.id, u.email, u.email_verified, u.first_name, u.last_name, u.company, u.picture_url, u.time_zone, u.role,
        u.created_at) AS shown);
END $$;

-- What may stand in for a second factor of this account.
CREATE FUNCTION second_factors(the_user uuid) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN '{totp,recovery_code}';
END $$;

-- What tells one browser from another: what it calls itself, but for the versions, which change every month.
CREATE FUNCTION browser_of(agent text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(coalesce(agent, ''), '[0-9._]+', '', 'g')
$$;

-- Its owner is told of a browser that none of the account's sessions has had, unless it is the first.
CREATE FUNCTION open_session(
    u users, the_methods text[], idle_days int, absolute_days int, the_device text,
    OUT session_id uuid, OUT refresh_seconds int, OUT authenticated_at bigint, OUT owner json)
LANGUAGE plpgsql AS $$
DECLARE
    s sessions;
    agent text := nullif(current_setting('app.user_agent', true), '');
    is_known boolean;
BEGIN
    SELECT count(*) = 0 OR bool_or(browser_of(known.user_agent) = browser_of(agent)) INTO is_known
    FROM sessions known WHERE known.user_id = u.id;
    INSERT INTO sessions (user_id, idle_expires_at, absolute_expires_at, device_name, user_agent, ip, methods)
    VALUES (u.id, now() + make_interval(days => idle_days), now() + make_interval(days => absolute_days), the_device,
            agent, nullif(current_setting('app.ip', true), '')::inet, the_methods)
    RETURNING * INTO s;
    PERFORM audit('signed_in', u.id, jsonb_build_object('methods', the_methods), true, s.id);
    IF NOT is_known THEN
        PERFORM post_mail(u.id, NULL, 'new_sign_in', '', jsonb_build_object(
            'when', now(), 'ip', coalesce(host(s.ip), 'an unknown address'),
            'device', coalesce(the_device, agent, 'an unknown device')));
    END IF;
    session_id := s.id;
    refresh_seconds := extract(epoch FROM s.idle_expires_at - now());
    authenticated_at := extract(epoch FROM s.authenticated_at);
    owner := shown_user(u);
END $$;

-- Every way of signing in ends here, once it is known who it is. A passkey is two factors in one.
CREATE FUNCTION sign_in(
    u users, the_methods text[], the_challenge bytea, needs_verified boolean,
    idle_days int, absolute_days int, the_device text, the_transport text,
    OUT outcome text, OUT session_id uuid, OUT refresh_seconds int, OUT authenticated_at bigint, OUT owner json,
    OUT factors text[])
LANGUAGE plpgsql AS $$
BEGIN
    IF u.disabled_at IS NOT NULL THEN
        outcome := 'disabled';
    ELSIF needs_verified AND NOT u.email_verified THEN
        outcome := 'unverified';
    ELSIF u.second_factor_at IS NOT NULL AND NOT the_methods && '{totp,recovery_code,passkey}' THEN
        outcome := 'second_factor';
        factors := second_factors(u.id);
        INSERT INTO challenges (digest, kind, user_id, facts, expires_at)
        VALUES (the_challenge, 'sign_in', u.id, jsonb_build_object(
                    'methods', the_methods, 'device_name', the_device, 'transport', the_transport),
                now() + interval '5 minutes');
    ELSE
        outcome := 'signed_in';
        SELECT o.* INTO session_id, refresh_seconds, authenticated_at, owner
        FROM open_session(u, the_methods, idle_days, absolute_days, the_device) o;
    END IF;
    IF outcome IN ('disabled', 'unverified') THEN
        PERFORM audit('sign_in_refused', u.id, jsonb_build_object('methods', the_methods, 'reason', outcome), false);
    END IF;
END $$;

-- The hash that was verified must still be the account's: a password changed in between ends this sign-in.
-- The attempt was counted in some buckets before it was known to be good; now it is taken back.
CREATE FUNCTION sign_in_with_password(
    the_user uuid, verified_hash text, new_hash text, attempt bytea[], the_challenge bytea, needs_verified boolean,
    idle_days int, absolute_days int, the_device text, the_transport text,
    OUT outcome text, OUT session_id uuid, OUT refresh_seconds int, OUT authenticated_at bigint, OUT owner json,
    OUT factors text[])
LANGUAGE plpgsql AS $$
DECLARE
    u users;
BEGIN
    SELECT users.* INTO u FROM users WHERE id = the_user AND password_hash = verified_hash FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'changed';
        PERFORM audit('sign_in_refused', the_user, '{"methods": ["password"], "reason": "changed"}', false);
        RETURN;
    END IF;
    IF new_hash IS NOT NULL THEN
        UPDATE users SET password_hash = new_hash WHERE id = the_user;
    END IF;
    SELECT s.* INTO outcome, session_id, refresh_seconds, authenticated_at, owner, factors
    FROM sign_in(u, '{password}', the_challenge, needs_verified, idle_days, absolute_days, the_device,
                 the_transport) s;
    IF outcome <> 'disabled' THEN
        PERFORM refund_limits(attempt);
    END IF;
END $$;

CREATE FUNCTION register_user(
    the_id uuid, the_email text, the_hash text, the_first_name text, the_last_name text, the_company text,
    idle_days int, absolute_days int,
    OUT session_id uuid, OUT refresh_seconds int, OUT authenticated_at bigint, OUT owner json)
LANGUAGE plpgsql AS $$
DECLARE
    u users;
BEGIN
    INSERT INTO users (id, email, password_hash, first_name, last_name, company)
    VALUES (the_id, lower(the_email), the_hash, the_first_name, the_last_name, the_company)
    ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING
    RETURNING * INTO u;
    IF FOUND THEN
        PERFORM audit('registered', u.id);
        SELECT o.* INTO session_id, refresh_seconds, authenticated_at, owner
        FROM open_session(u, '{password}', idle_days, absolute_days, NULL) o;
    END IF;
END $$;
"""

# As before, except that it tells when the session's holder last proved who they are, and writes to the chained log.
ROTATION = """
DROP FUNCTION rotate_refresh_token(uuid, bigint, interval, interval, int, interval, inet);
CREATE FUNCTION rotate_refresh_token(
    the_session uuid, presented bigint, grace interval, idle interval, cap int, cap_window interval, the_ip inet,
    OUT outcome text, OUT current_generation bigint, OUT refresh_seconds int, OUT retry_after int, OUT owner json,
    OUT authenticated_at bigint)
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
        PERFORM set_config('app.ip', coalesce(host(the_ip), ''), true);
        PERFORM audit('refresh_token_' || outcome, s.user_id,
                      jsonb_build_object('presented', presented, 'current', s.generation), false, s.id);
    END IF;
    owner := shown_user(u);
    current_generation := s.generation;
    authenticated_at := extract(epoch FROM s.authenticated_at);
    refresh_seconds := extract(epoch FROM s.idle_expires_at - now());
    retry_after := greatest(1, ceil(extract(epoch FROM s.refreshes_reset_at - now())));
END $$;
"""


DOWNGRADE = """
DROP FUNCTION rotate_refresh_token(uuid, bigint, interval, interval, int, interval, inet),
    register_user(uuid, text, text, text, text, text, int, int),
    sign_in_with_password(uuid, text, text, bytea[], bytea, boolean, int, int, text, text),
    sign_in(users, text[], bytea, boolean, int, int, text, text),
    open_session(users, text[], int, int, text), browser_of(text), second_factors(uuid), shown_user(users);
ALTER TABLE sessions DROP COLUMN authenticated_at, DROP COLUMN methods;
ALTER TABLE users DROP COLUMN second_factor_at;
DROP TABLE challenges, audit_chains;
DROP TRIGGER audit_events_stay ON audit_events;
DROP TRIGGER audit_events_stay_together ON audit_events;
DROP FUNCTION audit_forget_expired(int, int), audit_forget(uuid), refuse_truncating(),
    audit(text, uuid, jsonb, boolean, uuid, uuid), audit_append(audit_events),
    audit_digest(bytea, audit_events), refuse_rewriting();
ALTER TABLE audit_events DROP COLUMN place, DROP COLUMN succeeded, DROP COLUMN actor_id, DROP COLUMN user_agent,
    DROP COLUMN digest, ALTER COLUMN user_id DROP NOT NULL, ALTER COLUMN facts SET DEFAULT '{}',
    ALTER COLUMN created_at SET DEFAULT now();
DROP INDEX audit_events_created_at, audit_events_user_id, audit_events_event, audit_events_ip;
REVOKE SELECT ON audit_events FROM tenant;
UPDATE audit_events SET user_id = NULL WHERE user_id NOT IN (SELECT id FROM users);
ALTER TABLE audit_events ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE SET NULL;
CREATE INDEX audit_events_user_id ON audit_events (user_id, created_at DESC);
"""


def upgrade() -> None:
    for part in (AUDIT, SIGN_IN, ROTATION):
        op.get_bind().connection.cursor().execute(part)


def downgrade() -> None:
    before = context.script.get_revision("0001").module
    for part in (DOWNGRADE, before.ROTATION):
        op.get_bind().connection.cursor().execute(part)
