"""The mail outbox: what is to be sent is written down with the change that it tells of."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UPGRADE = """
-- A message waits here, its facts sealed, since a link's token must not be readable in a stolen table. Once the message
-- is sent, or given up, its facts are wiped and only the record of it stays.
CREATE TABLE mail_outbox (
    id              uuid PRIMARY KEY DEFAULT uuid7(),
    user_id         uuid REFERENCES users ON DELETE CASCADE,  -- NULL: to somebody who has no account, or none any more
    recipient       text NOT NULL CHECK (recipient <> ''),
    template        text NOT NULL,
    sealed          bytea,
    facts           jsonb NOT NULL DEFAULT '{}',  -- what only the posting statement knew, and no secret
    state           text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sent', 'dead')),
    attempts        integer NOT NULL DEFAULT 0,   -- begun; also tells whose lease it is
    due_at          timestamptz NOT NULL DEFAULT now(),  -- a lease moves it: whoever holds one is silent until then
    first_sent_at   timestamptz,                  -- of the attempts that a provider recognises as one request
    last_error      text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    settled_at      timestamptz,
    CHECK ((state = 'queued') = (sealed IS NOT NULL)),
    CHECK ((state = 'queued') = (settled_at IS NULL))
);
CREATE INDEX mail_outbox_due_at ON mail_outbox (due_at) WHERE state = 'queued';
CREATE INDEX mail_outbox_settled_at ON mail_outbox (settled_at) WHERE state <> 'queued';
CREATE INDEX mail_outbox_user_id ON mail_outbox (user_id);

ALTER TABLE mail_outbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON mail_outbox TO tenant USING (user_id = current_setting('app.user_id')::uuid);
GRANT INSERT (id, user_id, recipient, template, sealed, facts) ON mail_outbox TO tenant;

-- Post a message in the transaction of the change that it tells of. Without a recipient it goes to the account's own
-- address. Call it in RETURNING or in the outermost SELECT: a WITH that nobody reads from is never run.
CREATE FUNCTION post_mail(
    the_user uuid, the_recipient text, the_template text, the_sealed bytea, the_facts jsonb DEFAULT '{}')
RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    the_id uuid := uuid7();  -- not by RETURNING: a tenant may write into the outbox, and not read in it
BEGIN
    INSERT INTO mail_outbox (id, user_id, recipient, template, sealed, facts)
    VALUES (the_id, the_user, coalesce(the_recipient, (SELECT u.email FROM users u WHERE u.id = the_user)),
            the_template, the_sealed, the_facts);
    RETURN the_id;
END $$;

CREATE FUNCTION tell_of_reuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM post_mail(NEW.user_id, NULL, 'session_ended_by_reuse', '');
    RETURN NULL;
END $$;
CREATE TRIGGER sessions_reused AFTER UPDATE OF revoked_reason ON sessions FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND NEW.revoked_reason = 'refresh_token_reused') EXECUTE FUNCTION tell_of_reuse();
"""

DOWNGRADE = """
DROP TRIGGER sessions_reused ON sessions;
DROP FUNCTION tell_of_reuse(), post_mail(uuid, text, text, bytea, jsonb);
DROP TABLE mail_outbox;
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(UPGRADE)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
