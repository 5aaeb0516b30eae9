"""Notices: the owner hears of a sign-in from a browser never seen before, and of a stolen refresh token."""

from alembic import context, op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NOTICES = """
-- What tells one browser from another: what it calls itself, but for the versions, which change every month.
CREATE FUNCTION browser_of(agent text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(coalesce(agent, ''), '[0-9._]+', '', 'g')
$$;

-- As before, but that the owner is told of a browser that none of their sessions has had, unless it is the first.
CREATE OR REPLACE FUNCTION open_session(
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
DROP FUNCTION tell_of_reuse(), open_session(users, text[], int, int, text), browser_of(text);
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(NOTICES)


def downgrade() -> None:
    signing_in = context.script.get_revision("0002").module.SIGN_IN
    begin = signing_in.index("CREATE FUNCTION open_session")
    for part in (DOWNGRADE, signing_in[begin : signing_in.index("-- Every way of signing in ends here")]):
        op.get_bind().connection.cursor().execute(part)
