"""Personal access tokens: what they may do, and their own way through the door."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TOKENS = """
-- The holder has the token, the table its SHA-256. Scopes are kept as they were granted, with all that they include:
-- a token never comes to mean more than it did when it was made.
CREATE TABLE personal_access_tokens (
    id           uuid PRIMARY KEY DEFAULT uuid7(),
    user_id      uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    digest       bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    name         text NOT NULL CHECK (name <> ''),
    scopes       text[] NOT NULL CHECK (cardinality(scopes) > 0),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    last_used_at timestamptz,  -- to the minute
    refused_at   timestamptz,  -- when it was last written down that it was refused
    revoked_at   timestamptz
);
CREATE INDEX personal_access_tokens_user_id ON personal_access_tokens (user_id, created_at DESC);

CREATE FUNCTION refuse_token_resurrection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a revoked token never comes back' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER personal_access_tokens_stay_revoked BEFORE UPDATE ON personal_access_tokens FOR EACH ROW
    WHEN (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at)
    EXECUTE FUNCTION refuse_token_resurrection();

ALTER TABLE personal_access_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON personal_access_tokens TO tenant USING (user_id = current_setting('app.user_id')::uuid);
-- Whatever a statement may say: who came by a token makes none and revokes none.
CREATE POLICY made_in_sessions ON personal_access_tokens AS RESTRICTIVE FOR INSERT TO tenant
    WITH CHECK (current_setting('app.session_id', true) <> '');
CREATE POLICY changed_in_sessions ON personal_access_tokens AS RESTRICTIVE FOR UPDATE TO tenant
    USING (current_setting('app.session_id', true) <> '');
GRANT SELECT (id, user_id, name, scopes, created_at, expires_at, last_used_at, revoked_at),
      INSERT (user_id, digest, name, scopes, expires_at), UPDATE (revoked_at) ON personal_access_tokens TO tenant;
"""

DOOR = """
-- The door for who shows a token: enter(), with what the token says instead of a session. That it is used is written
-- down once a minute, by one request of those that come at once: the others do not wait for it.
CREATE FUNCTION enter_with_token(the_digest bytea, needed_scope text, needed_role text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    t record;
BEGIN
    SELECT p.id, p.user_id, p.scopes, p.expires_at, p.last_used_at, p.revoked_at, u.role, u.disabled_at INTO t
    FROM personal_access_tokens p JOIN users u ON u.id = p.user_id
    WHERE p.digest = the_digest;
    IF NOT FOUND OR t.disabled_at IS NOT NULL THEN
        PERFORM refuse('JTP01');
    ELSIF t.revoked_at IS NOT NULL THEN
        PERFORM refuse('JTP02');
    ELSIF t.expires_at <= now() THEN
        PERFORM refuse('JTP03');
    ELSIF needed_scope <> ALL (t.scopes) THEN
        PERFORM refuse('JTP04', jsonb_build_object('scope', needed_scope));
    ELSIF needed_role <> t.role THEN
        PERFORM refuse('JT403');
    END IF;
    IF t.last_used_at IS NULL OR t.last_used_at <= now() - interval '1 minute' THEN
        UPDATE personal_access_tokens SET last_used_at = now() WHERE id = (
            SELECT id FROM personal_access_tokens
            WHERE id = t.id AND (last_used_at IS NULL OR last_used_at <= now() - interval '1 minute')
            FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
    PERFORM set_config('app.user_id', t.user_id::text, true), set_config('app.token_id', t.id::text, true),
            set_config('app.session_id', '', true), set_config('app.role', t.role, true),
            set_config('TimeZone', 'UTC', true), set_config('role', 'tenant', true);
END $$;
"""

# Making and revoking all take the same lock, so that no token of a session that is being ended comes after its end.
MAKING = """
CREATE FUNCTION create_token(
    the_digest bytea, the_name text, the_scopes text[], days int, most int,
    OUT id uuid, OUT created_at timestamptz, OUT expires_at timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
    owner uuid := current_setting('app.user_id')::uuid;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(owner::text, 2));
    PERFORM FROM sessions s WHERE s.id = current_setting('app.session_id')::uuid AND s.revoked_at IS NULL;
    IF NOT FOUND THEN
        PERFORM refuse('28000');
    END IF;
    INSERT INTO personal_access_tokens AS p (digest, name, scopes, expires_at)
    SELECT the_digest, the_name, the_scopes, now() + make_interval(days => days)
    WHERE (SELECT count(*) FROM personal_access_tokens l WHERE l.user_id = owner AND l.revoked_at IS NULL
           AND l.expires_at > now()) < most
    RETURNING p.id, p.created_at, p.expires_at INTO id, created_at, expires_at;
    IF NOT FOUND THEN
        PERFORM refuse('JTP09', jsonb_build_object('limit', most));
    END IF;
    PERFORM audit('token_created', owner, jsonb_build_object(
        'token_id', id, 'name', the_name, 'scopes', the_scopes, 'expires_at', expires_at));
END $$;

-- End every token of an account, and tell how many: for a password that was reset, for an administrator. Sessions that
-- are to end with them are ended before, in the same transaction.
CREATE FUNCTION revoke_tokens(the_user uuid, the_reason text, the_actor uuid DEFAULT NULL) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    revoked int;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(the_user::text, 2));
    UPDATE personal_access_tokens SET revoked_at = now()
    WHERE user_id = the_user AND revoked_at IS NULL AND expires_at > now();
    GET DIAGNOSTICS revoked = ROW_COUNT;
    IF revoked > 0 THEN
        PERFORM audit('tokens_revoked', the_user, jsonb_build_object('reason', the_reason, 'revoked', revoked),
                      the_actor => the_actor);
    END IF;
    RETURN revoked;
END $$;
"""

DOWNGRADE = """
DROP FUNCTION revoke_tokens(uuid, text, uuid), create_token(bytea, text, text[], int, int),
    enter_with_token(bytea, text, text);
DROP TABLE personal_access_tokens;
DROP FUNCTION refuse_token_resurrection();
"""


def upgrade() -> None:
    for part in (TOKENS, DOOR, MAKING):
        op.get_bind().connection.cursor().execute(part)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
