"""Identities: who somebody is at Google, GitHub or Microsoft, and what that lets them do here."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLE = """
-- Who is who, (provider, subject) alone decides. The address is what the provider said last: shown, never believed.
CREATE TABLE identities (
    id             uuid PRIMARY KEY DEFAULT uuid7(),
    user_id        uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    provider       text NOT NULL,
    subject        text NOT NULL CHECK (subject <> ''),
    email          text,
    email_verified boolean NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    last_used_at   timestamptz,
    UNIQUE (provider, subject),
    UNIQUE (user_id, provider)
);
ALTER TABLE identities ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON identities TO tenant USING (user_id = current_setting('app.user_id')::uuid);
GRANT SELECT (user_id, provider, email, email_verified, created_at, last_used_at), DELETE ON identities TO tenant;

-- Whether there is a password, for those who may not see its hash.
ALTER TABLE users ADD COLUMN IF NOT EXISTS has_password boolean GENERATED ALWAYS AS (password_hash IS NOT NULL) STORED;
GRANT SELECT (has_password) ON users TO tenant;
GRANT INSERT (digest, kind, user_id, facts, expires_at) ON challenges TO tenant;  -- to begin linking
"""

FUNCTIONS = """
-- How many ways into an account there are. Whoever takes one away locks the account's row first, or two who each leave
-- the other's way open would close both; VOLATILE, so that the second sees what the first has left.
CREATE OR REPLACE FUNCTION ways_in(the_user uuid) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    passkeys_held int := 0;
BEGIN
    IF to_regclass('passkeys') IS NOT NULL THEN
        EXECUTE 'SELECT count(*) FROM passkeys WHERE user_id = $1 AND cloned_at IS NULL'
        INTO passkeys_held USING the_user;
    END IF;
    RETURN passkeys_held + (SELECT count(*) FROM identities i WHERE i.user_id = the_user)
                         + (SELECT u.has_password::int FROM users u WHERE u.id = the_user);
END $$;

-- What was begun in this browser, for this provider, a moment ago; once. Another browser spends nothing by asking.
CREATE FUNCTION take_oauth_state(the_digest bytea, the_provider text, the_browser text,
    OUT user_id uuid, OUT session_id uuid, OUT transport text, OUT device_name text, OUT return_to text)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    c challenges;
BEGIN
    DELETE FROM challenges
    WHERE digest = the_digest AND kind = 'oauth' AND expires_at > now()
      AND facts->>'provider' = the_provider AND facts->>'browser' = the_browser
    RETURNING * INTO c;
    IF NOT FOUND THEN
        PERFORM audit('oauth_refused', NULL, jsonb_build_object('provider', the_provider, 'reason', 'state'), false);
        RETURN;
    END IF;
    user_id := c.user_id;
    session_id := c.facts->>'session_id';
    transport := c.facts->>'transport';
    device_name := c.facts->>'device_name';
    return_to := c.facts->>'return_to';
    RETURN NEXT;
END $$;

-- Tell an account's owner that there is a way in more, or less.
CREATE FUNCTION tell_of_identity(the_user uuid, the_template text, the_provider text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM post_mail(the_user, NULL, the_template, '', jsonb_build_object(
        'provider', CASE the_provider WHEN 'github' THEN 'GitHub' ELSE initcap(the_provider) END));
END $$;

-- Two who come back as the same person at once take turns, so that the second finds what the first one made.
CREATE FUNCTION find_identity(the_provider text, the_subject text) RETURNS SETOF identities LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('identity ' || the_provider || ' ' || the_subject, 0));
    RETURN QUERY SELECT i.* FROM identities i WHERE i.provider = the_provider AND i.subject = the_subject;
END $$;

-- Sign in whoever the provider says it is. A stranger's account is found by address only if both sides have proved the
-- address: else whoever registers with somebody's address first, here or there, would be let in as that somebody.
CREATE FUNCTION sign_in_with_identity(
    the_provider text, the_subject text, the_email text, is_verified boolean, the_id uuid,
    the_first_name text, the_last_name text, the_challenge bytea, needs_verified boolean,
    idle_days int, absolute_days int, the_device text, the_transport text,
    OUT outcome text, OUT session_id uuid, OUT refresh_seconds int, OUT authenticated_at bigint, OUT owner json,
    OUT factors text[])
LANGUAGE plpgsql AS $$
DECLARE
    i identities;
    u users;
    is_new boolean := false;
    what jsonb := jsonb_build_object('methods', '{oauth}'::text[], 'provider', the_provider);
BEGIN
    SELECT f.* INTO i FROM find_identity(the_provider, the_subject) f;
    IF FOUND THEN
        SELECT users.* INTO u FROM users WHERE id = i.user_id FOR NO KEY UPDATE;
    ELSIF the_email IS NULL THEN
        outcome := 'nameless';
    ELSE
        INSERT INTO users (id, email, email_verified_at, first_name, last_name)
        VALUES (the_id, the_email, CASE WHEN is_verified THEN now() END, the_first_name, the_last_name)
        ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING
        RETURNING * INTO u;
        IF FOUND THEN
            is_new := true;
            PERFORM audit('registered', u.id, jsonb_build_object('provider', the_provider));
        ELSE
            SELECT users.* INTO u FROM users WHERE email = the_email FOR NO KEY UPDATE;
            IF u.id IS NULL OR NOT (is_verified AND u.email_verified)
               OR EXISTS (SELECT FROM identities o WHERE o.user_id = u.id AND o.provider = the_provider) THEN
                outcome := 'link_required';
            END IF;
        END IF;
    END IF;
    IF outcome IS NOT NULL THEN
        PERFORM audit('sign_in_refused', u.id, what || jsonb_build_object('reason', outcome), false);
        RETURN;
    END IF;
    SELECT s.* INTO outcome, session_id, refresh_seconds, authenticated_at, owner, factors
    FROM sign_in(u, '{oauth}', the_challenge, needs_verified, idle_days, absolute_days, the_device, the_transport) s;
    IF outcome = 'disabled' THEN  -- nothing of a disabled account changes
        RETURN;
    END IF;
    INSERT INTO identities AS k (user_id, provider, subject, email, email_verified, last_used_at)
    VALUES (u.id, the_provider, the_subject, the_email, is_verified, now())
    ON CONFLICT (provider, subject) DO UPDATE SET
        email = excluded.email, email_verified = excluded.email_verified, last_used_at = now();
    IF i.id IS NULL AND NOT is_new THEN
        PERFORM audit('identity_linked', u.id, jsonb_build_object('provider', the_provider, 'by', 'sign_in')),
                tell_of_identity(u.id, 'identity_linked', the_provider);
    END IF;
END $$;

-- Link whoever the provider says it is to the account that asked for it, if the session it asked in is still alive.
CREATE FUNCTION link_identity(
    the_user uuid, the_session uuid, the_provider text, the_subject text, the_email text, is_verified boolean,
    OUT outcome text, OUT identity json)
LANGUAGE plpgsql AS $$
DECLARE
    i identities;
BEGIN
    SELECT f.* INTO i FROM find_identity(the_provider, the_subject) f;  -- first: locks are taken in one order
    PERFORM FROM users u JOIN sessions s ON s.user_id = u.id
    WHERE u.id = the_user AND u.disabled_at IS NULL AND s.id = the_session AND s.revoked_at IS NULL
      AND s.idle_expires_at > now() AND s.absolute_expires_at > now()
    FOR NO KEY UPDATE OF u;
    IF NOT FOUND THEN
        outcome := 'session_ended';
    ELSIF i.user_id <> the_user THEN
        outcome := 'taken';
    ELSIF i.id IS NULL THEN
        INSERT INTO identities (user_id, provider, subject, email, email_verified)
        VALUES (the_user, the_provider, the_subject, the_email, is_verified)
        ON CONFLICT (user_id, provider) DO NOTHING
        RETURNING * INTO i;
        IF NOT FOUND THEN
            outcome := 'another';
        ELSE
            PERFORM audit('identity_linked', the_user, jsonb_build_object('provider', the_provider, 'by', 'link'),
                          true, the_session),
                    tell_of_identity(the_user, 'identity_linked', the_provider);
        END IF;
    END IF;
    IF outcome IS NOT NULL THEN
        PERFORM audit('identity_link_refused', the_user,
                      jsonb_build_object('provider', the_provider, 'reason', outcome), false, the_session);
        RETURN;
    END IF;
    outcome := 'linked';
    identity := row_to_json(shown) FROM (SELECT
        i.provider, i.email, i.email_verified, i.created_at, i.last_used_at) AS shown;
END $$;

CREATE FUNCTION unlink_identity(the_user uuid, the_provider text, OUT outcome text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM users WHERE id = the_user FOR NO KEY UPDATE;
    IF NOT EXISTS (SELECT FROM identities i WHERE i.user_id = the_user AND i.provider = the_provider) THEN
        outcome := 'unknown';
    ELSIF ways_in(the_user) < 2 THEN
        outcome := 'last_way_in';
        PERFORM audit('identity_unlink_refused', the_user,
                      jsonb_build_object('provider', the_provider, 'reason', outcome), false);
    ELSE
        DELETE FROM identities i WHERE i.user_id = the_user AND i.provider = the_provider;
        outcome := 'unlinked';
        PERFORM audit('identity_unlinked', the_user, jsonb_build_object('provider', the_provider)),
                tell_of_identity(the_user, 'identity_unlinked', the_provider);
    END IF;
END $$;

-- An account whose address nobody had proved may have been made by anybody, in somebody's name. Who proves the address
-- and sets a new password in the same statement is that somebody: nobody knows who linked what was linked before.
CREATE FUNCTION forget_unproved_identities() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    gone text;
BEGIN
    FOR gone IN DELETE FROM identities WHERE user_id = NEW.id RETURNING provider LOOP
        PERFORM audit('identity_unlinked', NEW.id, jsonb_build_object('provider', gone, 'by', 'address_proved'));
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER users_identities_unproved AFTER UPDATE ON users FOR EACH ROW
    WHEN (OLD.email_verified_at IS NULL AND NEW.email_verified_at IS NOT NULL
          AND NEW.password_hash IS DISTINCT FROM OLD.password_hash)
    EXECUTE FUNCTION forget_unproved_identities();
"""

DOWNGRADE = """
DROP TRIGGER users_identities_unproved ON users;
DROP FUNCTION forget_unproved_identities(), unlink_identity(uuid, text),
    link_identity(uuid, uuid, text, text, text, boolean),
    sign_in_with_identity(text, text, text, boolean, uuid, text, text, bytea, boolean, int, int, text, text),
    find_identity(text, text), tell_of_identity(uuid, text, text), take_oauth_state(bytea, text, text);
DROP TABLE identities;
REVOKE INSERT (digest, kind, user_id, facts, expires_at) ON challenges FROM tenant;
DO $do$
BEGIN
    IF to_regclass('passkeys') IS NULL THEN
        DROP FUNCTION ways_in(uuid);
        ALTER TABLE users DROP COLUMN has_password;
    ELSE  -- whose revision has both too
        CREATE OR REPLACE FUNCTION ways_in(the_user uuid) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
        BEGIN
            RETURN (SELECT has_password::int FROM users WHERE id = the_user)
                 + (SELECT count(*) FROM passkeys WHERE user_id = the_user AND cloned_at IS NULL);
        END $$;
    END IF;
END $do$;
"""


def upgrade() -> None:
    for part in (TABLE, FUNCTIONS):
        op.get_bind().connection.cursor().execute(part)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
