"""Leaving: an account ends seven days after its owner asked for it."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

LEAVING = """
ALTER TABLE users ADD COLUMN deletion_due_at timestamptz;
CREATE INDEX users_deletion_due_at ON users (deletion_due_at) WHERE deletion_due_at IS NOT NULL;
GRANT SELECT (deletion_due_at), UPDATE (deletion_due_at) ON users TO tenant;
GRANT SELECT (subject) ON identities TO tenant;
GRANT SELECT (id, user_id, recipient, template, state, created_at, settled_at) ON mail_outbox TO tenant;

CREATE OR REPLACE FUNCTION shown_user(u users) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT row_to_json(shown) FROM (SELECT
        u.id, u.email, u.email_verified, u.first_name, u.last_name, u.company, u.picture_url, u.time_zone, u.role,
        u.created_at, u.deletion_due_at) AS shown);
END $$;

-- The last step of leaving, after which nothing is left but that there was an account: what came before may have been
-- done by anybody, in part or twice. False: it is gone already, or is not to go.
CREATE FUNCTION erase_account(the_user uuid, last_mail text, sealed bytea) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    u users;
BEGIN
    SELECT users.* INTO u FROM users WHERE id = the_user AND deletion_due_at <= now() AND role <> 'admin' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM post_mail(NULL, u.email, last_mail, sealed);
    PERFORM audit_forget(the_user);
    DELETE FROM users WHERE id = the_user;
    RETURN true;
END $$;
"""

DOWNGRADE = """
DROP FUNCTION erase_account(uuid, text, bytea);
CREATE OR REPLACE FUNCTION shown_user(u users) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT row_to_json(shown) FROM (SELECT
        u.id, u.email, u.email_verified, u.first_name, u.last_name, u.company, u.picture_url, u.time_zone, u.role,
        u.created_at) AS shown);
END $$;
ALTER TABLE users DROP COLUMN deletion_due_at;
REVOKE SELECT (id, user_id, recipient, template, state, created_at, settled_at) ON mail_outbox FROM tenant;
REVOKE SELECT (subject) ON identities FROM tenant;
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(LEAVING)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
