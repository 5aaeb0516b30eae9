"""Addresses proved by mail: one-time tokens, and everything that spends one or ends with them."""

from alembic import context, op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TOKENS = """
-- What was sent to an address to prove that somebody reads its mail. Whoever presents the token has read it; the table
-- has its SHA-256 only. Signed-in requests have no business here: no grant.
CREATE TABLE one_time_tokens (
    digest     bytea PRIMARY KEY,
    user_id    uuid REFERENCES users ON DELETE CASCADE,  -- NULL: asked for where there is no account; opens nothing
    purpose    text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password', 'change_email')),
    email      text NOT NULL,                            -- the address it was sent to, and proves
    expires_at timestamptz NOT NULL DEFAULT now() + interval '60 minutes',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX one_time_tokens_user_id ON one_time_tokens (user_id);
CREATE INDEX one_time_tokens_expires_at ON one_time_tokens (expires_at);
ALTER TABLE one_time_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON one_time_tokens TO tenant USING (user_id = current_setting('app.user_id')::uuid);

-- The account a token is about, locked. Everything that spends tokens locks the account first, so that two who do so at
-- once wait for each other; and FOR UPDATE, for which a session being opened waits too, so that none slips through.
CREATE FUNCTION lock_owner(the_digest bytea) RETURNS users LANGUAGE plpgsql AS $$
DECLARE
    u users;
BEGIN
    SELECT users.* INTO u FROM users
    WHERE id = (SELECT t.user_id FROM one_time_tokens t WHERE t.digest = the_digest) FOR UPDATE;
    RETURN u;
END $$;

-- What an old password may have opened ends with it: sessions, sign-ins half done, and links on their way.
CREATE FUNCTION end_access(the_user uuid, kept_session uuid, the_reason text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sessions SET revoked_at = now(), revoked_reason = the_reason
    WHERE user_id = the_user AND revoked_at IS NULL AND id IS DISTINCT FROM kept_session;
    DELETE FROM challenges WHERE user_id = the_user;
    DELETE FROM one_time_tokens WHERE user_id = the_user;
END $$;

-- Tell an address that somebody wanted it who may not know that it has an account; not more often than every six hours,
-- since anybody can make us do so.
CREATE FUNCTION post_account_exists(the_user uuid, the_email text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM mail_outbox m WHERE m.user_id = the_user AND m.recipient = the_email
                   AND m.template = 'account_exists' AND m.created_at > now() - interval '6 hours') THEN
        PERFORM post_mail(the_user, the_email, 'account_exists', '');
    END IF;
END $$;
"""

ADDRESSES = """
CREATE FUNCTION verify_email(the_digest bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    u users := lock_owner(the_digest);
    t one_time_tokens;
BEGIN
    DELETE FROM one_time_tokens
    WHERE digest = the_digest AND user_id = u.id AND expires_at > now() AND u.disabled_at IS NULL
      AND (purpose = 'change_email' OR (purpose = 'verify_email' AND email = u.email))
    RETURNING * INTO t;
    IF NOT FOUND THEN
        PERFORM audit('email_verification_refused', u.id, '{}', false);
        RETURN 'invalid';
    END IF;
    IF t.purpose = 'verify_email' THEN
        UPDATE users SET email_verified_at = now(), version = version + 1, updated_at = now()
        WHERE id = u.id AND email_verified_at IS NULL;
        DELETE FROM one_time_tokens WHERE user_id = u.id AND purpose = 'verify_email';
        PERFORM audit('email_verified', u.id);
        RETURN 'verified';
    END IF;
    BEGIN
        UPDATE users SET email = t.email, email_verified_at = now(), version = version + 1, updated_at = now()
        WHERE id = u.id;
    EXCEPTION WHEN unique_violation THEN
        PERFORM audit('email_change_refused', u.id, '{"reason": "taken"}', false);
        RETURN 'taken';
    END;
    DELETE FROM one_time_tokens WHERE user_id = u.id;  -- they were sent to an address that is no longer the account's
    PERFORM post_mail(u.id, u.email, 'email_changed', ''), audit('email_changed', u.id);
    RETURN 'changed';
END $$;

-- The message is sealed for this address, so nothing is sent if it has changed since it was read.
CREATE FUNCTION request_verification(the_user uuid, the_email text, the_token bytea, the_sealed bytea) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO one_time_tokens (digest, user_id, purpose, email)
    SELECT the_token, u.id, 'verify_email', u.email FROM users u
    WHERE u.id = the_user AND u.email = the_email AND NOT u.email_verified;
    IF FOUND THEN
        PERFORM post_mail(the_user, the_email, 'verify_email', the_sealed), audit('verification_requested', the_user);
    END IF;
END $$;

-- Whether the address is taken is decided when it is confirmed; here only what its mail says, and nobody else is told.
CREATE FUNCTION request_email_change(the_user uuid, the_email text, the_token bytea, the_sealed bytea) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    taken_by uuid;
BEGIN
    PERFORM FROM users WHERE id = the_user FOR UPDATE;
    SELECT u.id INTO taken_by FROM users u WHERE u.email = the_email;
    DELETE FROM one_time_tokens WHERE user_id = the_user AND purpose = 'change_email';  -- the last word counts
    INSERT INTO one_time_tokens (digest, user_id, purpose, email)
    VALUES (the_token, the_user, 'change_email', the_email);
    IF taken_by IS NULL THEN
        PERFORM post_mail(the_user, the_email, 'confirm_new_email', the_sealed);
    ELSE
        PERFORM post_account_exists(taken_by, the_email);
    END IF;
    PERFORM post_mail(the_user, NULL, 'email_change_requested', ''), audit('email_change_requested', the_user);
END $$;
"""

PASSWORDS = """
-- The same rows are written whatever is found: a token, a message, an event. A token of nobody's, or of a disabled
-- account's, was sent to nobody.
CREATE FUNCTION request_password_reset(the_email text, the_account text, the_token bytea, the_sealed bytea)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    u users;
    the_template text := 'reset_password';
BEGIN
    SELECT users.* INTO u FROM users WHERE email = the_email;
    IF u.id IS NULL OR u.disabled_at IS NOT NULL THEN
        the_template := CASE WHEN u.id IS NULL THEN 'no_account' ELSE 'account_disabled' END;
        the_sealed := '';
    END IF;
    INSERT INTO one_time_tokens (digest, user_id, purpose, email)
    VALUES (the_token, u.id, 'reset_password', the_email);
    PERFORM post_mail(u.id, the_email, the_template, the_sealed),
            audit('password_reset_requested', u.id, jsonb_build_object('account', the_account),
                  the_template = 'reset_password');
END $$;

-- Whose password a token would reset, if it were spent now.
CREATE FUNCTION find_password_reset(the_digest bytea) RETURNS SETOF users LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT u.* FROM one_time_tokens t JOIN users u ON u.id = t.user_id AND u.email = t.email
    WHERE t.digest = the_digest AND t.purpose = 'reset_password' AND t.expires_at > now() AND u.disabled_at IS NULL;
    IF NOT FOUND THEN
        PERFORM audit('password_reset_refused',
                      (SELECT t.user_id FROM one_time_tokens t WHERE t.digest = the_digest), '{}', false);
    END IF;
END $$;

-- Whoever read the token read the mail of the account's address, which proves it as a verification does. A first proof
-- and the new password are one UPDATE, by which triggers know that whoever registered may have been somebody else.
-- Personal access tokens (whose function comes with revision 0008) end too: nobody knows who made them.
CREATE FUNCTION reset_password(the_digest bytea, new_hash text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    u users := lock_owner(the_digest);
BEGIN
    DELETE FROM one_time_tokens
    WHERE digest = the_digest AND user_id = u.id AND email = u.email AND purpose = 'reset_password'
      AND expires_at > now() AND u.disabled_at IS NULL;
    IF NOT FOUND THEN
        PERFORM audit('password_reset_refused', u.id, '{}', false);
        RETURN false;
    END IF;
    UPDATE users SET password_hash = new_hash, email_verified_at = coalesce(email_verified_at, now()),
        version = version + (email_verified_at IS NULL)::int,
        updated_at = CASE WHEN email_verified_at IS NULL THEN now() ELSE updated_at END
    WHERE id = u.id;
    PERFORM end_access(u.id, NULL, 'password_reset'), revoke_tokens(u.id, 'password_reset'),
            post_mail(u.id, u.email, 'password_changed', ''), audit('password_reset', u.id);
    RETURN true;
END $$;

-- The hash that was verified must still be the account's. The attempt was counted before it was known to be good.
CREATE FUNCTION change_password(the_user uuid, verified_hash text, new_hash text, attempt bytea[]) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM users WHERE id = the_user FOR UPDATE;  -- as when a token is spent
    UPDATE users SET password_hash = new_hash WHERE id = the_user AND password_hash = verified_hash;
    IF NOT FOUND THEN
        PERFORM audit('password_change_refused', the_user, '{"reason": "changed"}', false);
        RETURN false;
    END IF;
    PERFORM end_access(the_user, current_setting('app.session_id')::uuid, 'password_changed'),
            post_mail(the_user, NULL, 'password_changed', ''), audit('password_changed', the_user),
            refund_limits(attempt);
    RETURN true;
END $$;
"""

# Where addresses must be verified, a registration opens no session, and one of a taken address writes as much as one
# of a new address and is answered alike; its owner is told, by mail. A token that would verify the account is not sent
# then: it might be an account that somebody else made with this address, and it has that person's password.
REGISTRATION = """
DROP FUNCTION register_user(uuid, text, text, text, text, text, int, int);
CREATE FUNCTION register_user(
    the_id uuid, the_email text, the_hash text, the_first_name text, the_last_name text, the_company text,
    the_token bytea, the_sealed bytea, needs_verified boolean, idle_days int, absolute_days int,
    OUT session_id uuid, OUT refresh_seconds int, OUT authenticated_at bigint, OUT owner json)
LANGUAGE plpgsql AS $$
DECLARE
    u users;
    taken_by uuid;
BEGIN
    INSERT INTO users (id, email, password_hash, first_name, last_name, company)
    VALUES (the_id, lower(the_email), the_hash, the_first_name, the_last_name, the_company)
    ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING
    RETURNING * INTO u;
    IF u.id IS NOT NULL OR needs_verified THEN
        INSERT INTO one_time_tokens (digest, user_id, purpose, email)
        VALUES (the_token, u.id, 'verify_email', the_email);
    END IF;
    IF u.id IS NULL THEN
        SELECT users.id INTO taken_by FROM users WHERE email = lower(the_email);
        PERFORM audit('registration_refused', taken_by, '{"reason": "taken"}', false);
        IF needs_verified THEN
            PERFORM post_account_exists(taken_by, the_email);
        END IF;
        RETURN;
    END IF;
    PERFORM audit('registered', u.id), post_mail(u.id, the_email, 'verify_email', the_sealed);
    IF NOT needs_verified THEN
        SELECT o.* INTO session_id, refresh_seconds, authenticated_at, owner
        FROM open_session(u, '{password}', idle_days, absolute_days, NULL) o;
    END IF;
END $$;
"""

DOWNGRADE = """
DROP FUNCTION register_user(uuid, text, text, text, text, text, bytea, bytea, boolean, int, int),
    change_password(uuid, text, text, bytea[]), reset_password(bytea, text), find_password_reset(bytea),
    request_password_reset(text, text, bytea, bytea), request_email_change(uuid, text, bytea, bytea),
    request_verification(uuid, text, bytea, bytea), verify_email(bytea), post_account_exists(uuid, text),
    end_access(uuid, uuid, text), lock_owner(bytea);
DROP TABLE one_time_tokens;
"""


def upgrade() -> None:
    for part in (TOKENS, ADDRESSES, PASSWORDS, REGISTRATION):
        op.get_bind().connection.cursor().execute(part)


def downgrade() -> None:
    before = context.script.get_revision("0002").module.SIGN_IN
    for part in (DOWNGRADE, before[before.index("CREATE FUNCTION register_user") :]):  # it is the last one there
        op.get_bind().connection.cursor().execute(part)
