"""Passkeys: keys that sign somebody in, and how many ways in an account has."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
-- That there is a password may be known where its hash may not: the last way into an account is not to be removed.
ALTER TABLE users ADD COLUMN has_password boolean GENERATED ALWAYS AS (password_hash IS NOT NULL) STORED;
GRANT SELECT (has_password) ON users TO tenant;

CREATE TABLE passkeys (
    id            uuid PRIMARY KEY DEFAULT uuid7(),
    user_id       uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    credential_id bytea NOT NULL CONSTRAINT passkeys_credential_id_key UNIQUE
                  CHECK (octet_length(credential_id) BETWEEN 1 AND 1023),  -- WebAuthn 3, section 7.1, step 25
    public_key    bytea NOT NULL,            -- COSE
    sign_count    bigint NOT NULL CHECK (sign_count >= 0),
    name          text NOT NULL,
    transports    text[] NOT NULL,
    aaguid        uuid NOT NULL,             -- the authenticator's model, by its own word
    is_syncable   boolean NOT NULL,          -- backup eligible: it may exist on several devices of its owner
    is_backed_up  boolean NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_used_at  timestamptz,
    cloned_at     timestamptz,               -- since when it is known that there is a copy: it proves nothing any more
    updated_at    timestamptz NOT NULL DEFAULT now(),
    version       integer NOT NULL DEFAULT 1
);
CREATE INDEX passkeys_user_id ON passkeys (user_id, created_at);
ALTER TABLE passkeys ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON passkeys TO tenant USING (user_id = current_setting('app.user_id')::uuid);

-- No tenant can move a counter back, nor change a key.
GRANT SELECT, INSERT, DELETE, UPDATE (name, updated_at, version) ON passkeys TO tenant;
GRANT SELECT (digest, kind, user_id, expires_at), INSERT (digest, kind, user_id, expires_at), DELETE ON challenges
    TO tenant;
"""

FUNCTIONS = """
-- In how many ways the account can be signed in to. Whoever takes one away locks the account's row first, and asks in a
-- statement of its own: VOLATILE, so that it sees what the one before in that line has left.
CREATE FUNCTION ways_in(the_user uuid) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN (SELECT has_password::int FROM users WHERE id = the_user)
         + (SELECT count(*) FROM passkeys WHERE user_id = the_user AND cloned_at IS NULL);
END $$;

-- Spend the challenge of a registration, and make the passkey that answered it the caller's.
CREATE FUNCTION add_passkey(
    the_challenge bytea, the_credential bytea, the_key bytea, the_count bigint, the_name text, the_transports text[],
    the_aaguid uuid, syncable boolean, backed_up boolean, cap int, OUT outcome text, OUT added passkeys)
LANGUAGE plpgsql AS $$
DECLARE
    the_user uuid := current_setting('app.user_id')::uuid;
BEGIN
    DELETE FROM challenges
    WHERE digest = the_challenge AND kind = 'passkey_registration' AND user_id = the_user AND expires_at > now();
    IF NOT FOUND THEN
        outcome := 'expired';
    ELSE
        PERFORM FROM users WHERE id = the_user FOR NO KEY UPDATE;  -- in a line, or two could both be the last allowed
        IF (SELECT count(*) FROM passkeys WHERE user_id = the_user) >= cap THEN
            outcome := 'too_many';
        ELSE
            INSERT INTO passkeys
                (user_id, credential_id, public_key, sign_count, name, transports, aaguid, is_syncable, is_backed_up)
            VALUES
                (the_user, the_credential, the_key, the_count, the_name, the_transports, the_aaguid, syncable,
                 backed_up)
            ON CONFLICT ON CONSTRAINT passkeys_credential_id_key DO NOTHING
            RETURNING * INTO added;
            outcome := CASE WHEN FOUND THEN 'added' ELSE 'registered' END;
        END IF;
    END IF;
    IF outcome = 'added' THEN
        PERFORM audit('passkey_added', the_user, jsonb_build_object('passkey_id', added.id, 'name', the_name)),
                post_mail(the_user, NULL, 'passkey_added', '', jsonb_build_object('name', the_name));
    ELSE
        PERFORM audit('passkey_refused', the_user, jsonb_build_object('reason', outcome), false);
    END IF;
END $$;

CREATE FUNCTION remove_passkey(the_passkey uuid, expected int[], OUT outcome text, OUT present int)
LANGUAGE plpgsql AS $$
DECLARE
    the_user uuid := current_setting('app.user_id')::uuid;
    p passkeys;
BEGIN
    PERFORM FROM users WHERE id = the_user FOR NO KEY UPDATE;
    SELECT passkeys.* INTO p FROM passkeys WHERE id = the_passkey FOR UPDATE;
    outcome := CASE
        WHEN p.id IS NULL THEN 'unknown'
        WHEN p.version <> ALL(expected) THEN 'stale'
        WHEN p.cloned_at IS NULL AND ways_in(the_user) = 1 THEN 'last'
        ELSE 'removed'
    END;
    present := p.version;
    IF outcome = 'last' THEN
        PERFORM audit('passkey_removal_refused', the_user, jsonb_build_object(
            'passkey_id', p.id, 'reason', 'last_way_in'), false);
    ELSIF outcome = 'removed' THEN
        DELETE FROM passkeys WHERE id = the_passkey;
        PERFORM audit('passkey_removed', the_user, jsonb_build_object('passkey_id', p.id, 'name', p.name)),
                post_mail(the_user, NULL, 'passkey_removed', '', jsonb_build_object('name', p.name));
    END IF;
END $$;

-- Write down that a passkey was used, after its signature was found good; gives its owner, or NULL: it proves nothing.
-- The counter has to grow, unless the authenticator keeps none (WebAuthn 3, section 7.2, step 22, and section 6.1.1):
-- else there is a copy of the key, or we speak with it. Which of the two cannot be told, so from then on it is no good.
CREATE FUNCTION use_passkey(the_passkey uuid, the_count bigint, backed_up boolean) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    p passkeys;
BEGIN
    -- The account's row before the passkey's, as everybody does: else two could wait for each other.
    PERFORM FROM users WHERE id = (SELECT user_id FROM passkeys WHERE id = the_passkey) FOR NO KEY UPDATE;
    UPDATE passkeys SET sign_count = the_count, is_backed_up = backed_up, last_used_at = now()
    WHERE id = the_passkey AND cloned_at IS NULL AND (the_count > sign_count OR (the_count = 0 AND sign_count = 0))
    RETURNING * INTO p;
    IF FOUND THEN
        RETURN p.user_id;
    END IF;
    UPDATE passkeys SET cloned_at = now() WHERE id = the_passkey AND cloned_at IS NULL RETURNING * INTO p;
    IF FOUND THEN
        PERFORM audit('passkey_cloned', p.user_id, jsonb_build_object(
                    'passkey_id', p.id, 'name', p.name, 'presented', the_count, 'current', p.sign_count), false),
                post_mail(p.user_id, NULL, 'passkey_cloned', '', jsonb_build_object('name', p.name));
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION sign_in_with_passkey(
    the_passkey uuid, the_count bigint, backed_up boolean, attempt bytea[], the_challenge bytea,
    needs_verified boolean, idle_days int, absolute_days int, the_device text, the_transport text,
    OUT outcome text, OUT session_id uuid, OUT refresh_seconds int, OUT authenticated_at bigint, OUT owner json,
    OUT factors text[])
LANGUAGE plpgsql AS $$
DECLARE
    the_user uuid := use_passkey(the_passkey, the_count, backed_up);
    u users;
BEGIN
    SELECT users.* INTO u FROM users WHERE id = the_user;
    IF NOT FOUND THEN
        outcome := 'changed';
        PERFORM audit('sign_in_refused', (SELECT p.user_id FROM passkeys p WHERE p.id = the_passkey),
                      '{"methods": ["passkey"], "reason": "changed"}', false);
        RETURN;
    END IF;
    SELECT s.* INTO outcome, session_id, refresh_seconds, authenticated_at, owner, factors
    FROM sign_in(u, '{passkey}', the_challenge, needs_verified, idle_days, absolute_days, the_device,
                 the_transport) s;
    IF outcome <> 'disabled' THEN
        PERFORM refund_limits(attempt);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION second_factors(the_user uuid) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN '{totp,recovery_code}'::text[]
        || CASE WHEN EXISTS (SELECT FROM passkeys WHERE user_id = the_user AND cloned_at IS NULL)
           THEN '{passkey}'::text[] ELSE '{}' END;
END $$;
"""

DOWNGRADE = """
CREATE OR REPLACE FUNCTION second_factors(the_user uuid) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN '{totp,recovery_code}';
END $$;
DROP FUNCTION sign_in_with_passkey(uuid, bigint, boolean, bytea[], bytea, boolean, int, int, text, text),
    use_passkey(uuid, bigint, boolean), remove_passkey(uuid, int[]),
    add_passkey(bytea, bytea, bytea, bigint, text, text[], uuid, boolean, boolean, int), ways_in(uuid);
DELETE FROM challenges WHERE kind IN ('passkey_registration', 'passkey_sign_in', 'passkey_proof');
REVOKE SELECT (digest, kind, user_id, expires_at), INSERT (digest, kind, user_id, expires_at), DELETE ON challenges
    FROM tenant;
DROP TABLE passkeys;
ALTER TABLE users DROP COLUMN has_password;
"""


def upgrade() -> None:
    for part in (TABLES, FUNCTIONS):
        op.get_bind().connection.cursor().execute(part)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
