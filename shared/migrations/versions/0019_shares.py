"""Shares: applications shown to whoever has a link, and a bucket for pages fetched from the web."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

SHARES = """
-- What may be read by whoever has the address. The holder has the token, the table its SHA-256. Revoking deletes the
-- row: nothing is left that could ever open again.
CREATE TABLE shares (
    id             uuid PRIMARY KEY DEFAULT uuid7(),
    user_id        uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    digest         bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    name           text NOT NULL CHECK (name <> ''),
    covers_all     boolean NOT NULL,
    is_anonymous   boolean NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    last_opened_at timestamptz,  -- to the hour
    UNIQUE (user_id, id)
);
CREATE INDEX shares_user_id ON shares (user_id, created_at DESC, id DESC);

-- The applications a share names, where it does not cover all. One that goes to the trash is not shown meanwhile.
CREATE TABLE share_applications (
    user_id        uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    share_id       uuid NOT NULL,
    application_id uuid NOT NULL,
    PRIMARY KEY (share_id, application_id),
    CONSTRAINT share_applications_share_fkey FOREIGN KEY (user_id, share_id)
        REFERENCES shares (user_id, id) ON DELETE CASCADE,
    CONSTRAINT share_applications_application_fkey FOREIGN KEY (user_id, application_id)
        REFERENCES applications (user_id, id) ON DELETE CASCADE
);
CREATE INDEX share_applications_application_id ON share_applications (application_id);

ALTER TABLE shares             ENABLE ROW LEVEL SECURITY;
ALTER TABLE share_applications ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON shares             TO tenant USING (user_id = current_setting('app.user_id')::uuid);
CREATE POLICY own_rows ON share_applications TO tenant USING (user_id = current_setting('app.user_id')::uuid);
-- Whatever a statement may say: who came by a token, or by a share, publishes nothing and revokes nothing.
CREATE POLICY made_in_sessions ON shares AS RESTRICTIVE FOR INSERT TO tenant
    WITH CHECK (current_setting('app.session_id', true) <> '');
CREATE POLICY revoked_in_sessions ON shares AS RESTRICTIVE FOR DELETE TO tenant
    USING (current_setting('app.session_id', true) <> '');
GRANT SELECT (id, user_id, name, covers_all, is_anonymous, created_at, expires_at, last_opened_at),
      INSERT (user_id, digest, name, covers_all, is_anonymous, expires_at), DELETE ON shares TO tenant;
GRANT SELECT, INSERT, UPDATE (application_id) ON share_applications TO tenant;

CREATE FUNCTION create_share(
    the_digest bytea, the_name text, the_applications uuid[], anonymous boolean, days int, most int,
    OUT id uuid, OUT created_at timestamptz, OUT expires_at timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
    owner uuid := current_setting('app.user_id')::uuid;
    covered int;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(owner::text, 3));
    INSERT INTO shares AS s (digest, name, covers_all, is_anonymous, expires_at)
    SELECT the_digest, the_name, the_applications IS NULL, anonymous, now() + make_interval(days => days)
    WHERE (SELECT count(*) FROM shares l WHERE l.user_id = owner AND l.expires_at > now()) < most
    RETURNING s.id, s.created_at, s.expires_at INTO id, created_at, expires_at;
    IF NOT FOUND THEN
        PERFORM refuse('JTH09', jsonb_build_object('limit', most));
    END IF;
    INSERT INTO share_applications (share_id, application_id)
    SELECT create_share.id, a.id FROM applications a WHERE a.id = ANY(the_applications);
    GET DIAGNOSTICS covered = ROW_COUNT;
    IF covered <> cardinality(the_applications) THEN
        PERFORM invalid('application_ids', 'unknown_application', 'must be applications of yours');
    END IF;
    PERFORM audit('share_created', owner, jsonb_build_object(
        'share_id', id, 'name', the_name, 'all', the_applications IS NULL, 'applications', covered,
        'expires_at', expires_at));
END $$;

-- The door for who has a share's address: enter(), with what the share says instead of a session. A wrong address, one
-- that was revoked and one that has expired are the same nothing, and so are those of accounts that are disabled or
-- about to go. That it was opened is written down once an hour, by one request of those that come at once.
CREATE FUNCTION enter_with_share(the_digest bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s record;
BEGIN
    SELECT h.id, h.user_id, h.last_opened_at INTO s
    FROM shares h JOIN users u ON u.id = h.user_id
    WHERE h.digest = the_digest AND h.expires_at > now() AND u.disabled_at IS NULL AND u.deletion_due_at IS NULL;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    END IF;
    IF s.last_opened_at IS NULL OR s.last_opened_at < date_trunc('hour', now()) THEN
        UPDATE shares SET last_opened_at = date_trunc('hour', now()) WHERE id = (
            SELECT id FROM shares
            WHERE id = s.id AND (last_opened_at IS NULL OR last_opened_at < date_trunc('hour', now()))
            FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
    PERFORM set_config('app.user_id', s.user_id::text, true), set_config('app.share_id', s.id::text, true),
            set_config('app.session_id', '', true), set_config('app.role', '', true),
            set_config('TimeZone', 'UTC', true), set_config('role', 'tenant', true);
END $$;
"""

CAPTURE = """
-- Counts a page fetched for the caller, whichever way they came: behind a token, only the database knows who that is.
-- The key makes of an account's id a bucket that tells nobody whose it is.
CREATE FUNCTION hit_own_limit(key bytea, policy text, cap int, seconds int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM hit_limits(
        ARRAY[substr(sha256(key || uuid_send(current_setting('app.user_id')::uuid)), 1, 16)],
        ARRAY[policy], ARRAY[cap], ARRAY[seconds]);
END $$;
"""

DOWNGRADE = """
DROP FUNCTION hit_own_limit(bytea, text, int, int), enter_with_share(bytea),
    create_share(bytea, text, uuid[], boolean, int, int);
DROP TABLE share_applications, shares;
"""


def upgrade() -> None:
    for part in (SHARES, CAPTURE):
        op.get_bind().connection.cursor().execute(part)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
