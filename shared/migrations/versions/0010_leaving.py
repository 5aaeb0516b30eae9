"""Leaving: an account ends seven days after its owner asked for it."""

from alembic import op

revision = "0010"
down_revision = "0003"
branch_labels = None
depends_on = None

LEAVING = """
ALTER TABLE users ADD COLUMN deletion_due_at timestamptz;
CREATE INDEX users_deletion_due_at ON users (deletion_due_at) WHERE deletion_due_at IS NOT NULL;
GRANT SELECT (deletion_due_at) ON users TO tenant;

CREATE OR REPLACE FUNCTION shown_user(u users) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT row_to_json(shown) FROM (SELECT
        u.id, u.email, u.email_verified, u.first_name, u.last_name, u.company, u.picture_url, u.time_zone, u.role,
        u.created_at, u.deletion_due_at) AS shown);
END $$;

-- The last step of leaving, after which nothing is left but that there was an account: what came before may have been
-- done by anybody, in part or twice. False: it is gone already, or is not to go.
CREATE FUNCTION erase_account(the_user uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM users WHERE id = the_user AND deletion_due_at <= now() FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM audit_forget(the_user);
    DELETE FROM users WHERE id = the_user;
    RETURN true;
END $$;
"""

DOWNGRADE = """
DROP FUNCTION erase_account(uuid);
CREATE OR REPLACE FUNCTION shown_user(u users) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT row_to_json(shown) FROM (SELECT
        u.id, u.email, u.email_verified, u.first_name, u.last_name, u.company, u.picture_url, u.time_zone, u.role,
        u.created_at) AS shown);
END $$;
ALTER TABLE users DROP COLUMN deletion_due_at;
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(LEAVING)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
