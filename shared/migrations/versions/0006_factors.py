"""Second factors: codes of an authenticator app, recovery codes, and proving anew who one is."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLE = """
-- What an authenticator app shares with us, sealed, and the codes that stand in for it. No tenant may touch it: these
-- functions do, each for one user, behind a door that has asked for that user's session.
CREATE TABLE totp (
    user_id        uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    sealed         bytea,                          -- the secret in use
    enabled_at     timestamptz,
    last_step      bigint NOT NULL DEFAULT 0,      -- of the newest code accepted: it and all before it are spent
    recovery_codes bytea[] NOT NULL DEFAULT '{}',  -- SHA-256 of each one left
    offered        bytea,                          -- a secret that comes into use with the first code it makes
    offered_at     timestamptz,
    CHECK ((sealed IS NULL) = (enabled_at IS NULL)),
    CHECK ((offered IS NULL) = (offered_at IS NULL))
);
CREATE INDEX totp_offered_at ON totp (offered_at) WHERE enabled_at IS NULL;
ALTER TABLE totp ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON totp TO tenant USING (user_id = current_setting('app.user_id')::uuid);

-- A sign-in that is half done ends with the password that began it.
CREATE FUNCTION end_half_done_sign_ins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM challenges WHERE user_id = NEW.id AND kind = 'sign_in';
    RETURN NULL;
END $$;
CREATE TRIGGER users_password_changed AFTER UPDATE OF password_hash ON users FOR EACH ROW
    WHEN (OLD.password_hash IS DISTINCT FROM NEW.password_hash) EXECUTE FUNCTION end_half_done_sign_ins();
"""

# Locks are taken in one order everywhere: the account, its challenge, its factor, the limits, its audit chain.
SECOND_STEP = """
CREATE OR REPLACE FUNCTION second_factors(the_user uuid) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    t totp;
    found text[] := '{}';
BEGIN
    SELECT totp.* INTO t FROM totp WHERE user_id = the_user;
    IF t.enabled_at IS NOT NULL THEN
        found := found || 'totp'::text;
    END IF;
    IF cardinality(t.recovery_codes) > 0 THEN
        found := found || 'recovery_code'::text;
    END IF;
    IF EXISTS (SELECT FROM passkeys WHERE user_id = the_user AND cloned_at IS NULL) THEN
        found := found || 'passkey'::text;
    END IF;
    RETURN found;
END $$;

-- The account's own share of each limit, where only the database knows whose it is.
CREATE FUNCTION own_buckets(buckets bytea[], the_user uuid) RETURNS bytea[] LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN ARRAY(SELECT sha256(bucket || uuid_send(the_user)) FROM unnest(buckets) WITH ORDINALITY AS b (bucket, place)
                 ORDER BY place);
END $$;

-- Take one of the tries that a half-done sign-in has, before anybody knows whether it is good: tries made at once
-- cannot outrun their number.
CREATE FUNCTION take_try(the_challenge bytea) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    whose uuid;
BEGIN
    UPDATE challenges SET tries = tries - 1
    WHERE digest = the_challenge AND kind = 'sign_in' AND tries > 0 AND expires_at > now()
    RETURNING user_id INTO whose;
    IF NOT FOUND THEN
        PERFORM refuse('JTC01');  -- unknown, over, or out of tries
    END IF;
    RETURN whose;
END $$;

-- A try at an authenticator's code, which can be guessed: it counts for the account too, over all its challenges.
CREATE FUNCTION try_second_factor(
    the_challenge bytea, buckets bytea[], names text[], caps int[], seconds int[],
    OUT user_id uuid, OUT sealed bytea)
LANGUAGE plpgsql AS $$
BEGIN
    user_id := take_try(the_challenge);
    PERFORM hit_limits(own_buckets(buckets, user_id), names, caps, seconds);
    SELECT t.sealed INTO sealed FROM totp t WHERE t.user_id = try_second_factor.user_id;
END $$;

-- A code is good once, and none is after a newer one: the step it is of must be beyond the last (RFC 6238, 5.2).
CREATE FUNCTION spend_totp_code(the_user uuid, verified bytea, the_step bigint, resealed bytea) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM users WHERE id = the_user FOR NO KEY UPDATE;
    UPDATE totp SET last_step = the_step, sealed = coalesce(resealed, sealed)
    WHERE user_id = the_user AND sealed = verified AND last_step < the_step;
    RETURN FOUND;
END $$;

CREATE FUNCTION spend_recovery_code(the_user uuid, the_code bytea) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    codes_left int;
BEGIN
    PERFORM FROM users WHERE id = the_user FOR NO KEY UPDATE;
    UPDATE totp SET recovery_codes = array_remove(recovery_codes, the_code)
    WHERE user_id = the_user AND the_code = ANY (recovery_codes)
    RETURNING cardinality(recovery_codes) INTO codes_left;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM audit('recovery_code_used', the_user, jsonb_build_object('left', codes_left));
    PERFORM post_mail(the_user, NULL, 'recovery_code_used', '', jsonb_build_object('left', codes_left));
    RETURN true;
END $$;

-- A second factor that was wrong. Whoever has used up a challenge's tries had the first factor all the same: the owner
-- is told, once in an hour.
CREATE FUNCTION refuse_second_factor(the_challenge bytea, the_method text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c challenges;
BEGIN
    SELECT challenges.* INTO c FROM challenges WHERE digest = the_challenge;
    PERFORM audit('second_factor_refused', c.user_id, jsonb_build_object('method', the_method), false);
    IF c.tries = 0 AND NOT EXISTS (
        SELECT FROM mail_outbox m WHERE m.user_id = c.user_id AND m.template = 'second_factor_failed'
          AND m.created_at > now() - interval '1 hour')
    THEN
        PERFORM post_mail(c.user_id, NULL, 'second_factor_failed', '');
    END IF;
END $$;

-- The second step's end. What the first was, and for which device, the challenge has kept.
CREATE FUNCTION finish_sign_in(
    the_challenge bytea, the_user uuid, the_method text, is_proved boolean, attempt bytea[], needs_verified boolean,
    idle_days int, absolute_days int,
    OUT outcome text, OUT session_id uuid, OUT refresh_seconds int, OUT authenticated_at bigint, OUT owner json,
    OUT transport text)
LANGUAGE plpgsql AS $$
DECLARE
    u users;
    begun jsonb;
BEGIN
    IF is_proved IS NOT TRUE THEN
        outcome := 'refused';
        PERFORM refuse_second_factor(the_challenge, the_method);
        RETURN;
    END IF;
    SELECT users.* INTO u FROM users WHERE id = the_user FOR NO KEY UPDATE;
    DELETE FROM challenges
    WHERE digest = the_challenge AND kind = 'sign_in' AND user_id = the_user AND expires_at > now()
    RETURNING facts INTO begun;
    IF NOT FOUND THEN
        PERFORM refuse('JTC01');  -- what was just spent is given back
    END IF;
    transport := begun ->> 'transport';
    SELECT s.outcome, s.session_id, s.refresh_seconds, s.authenticated_at, s.owner
    INTO outcome, session_id, refresh_seconds, authenticated_at, owner
    FROM sign_in(u, ARRAY(SELECT jsonb_array_elements_text(begun -> 'methods')) || the_method, NULL, needs_verified,
                 idle_days, absolute_days, begun ->> 'device_name', transport) s;
    IF outcome = 'signed_in' THEN
        PERFORM refund_limits(own_buckets(attempt, the_user));
    END IF;
END $$;

-- A recovery code cannot be guessed, so it needs no second look, and meets no limit but its challenge's: who knows the
-- password can use up the limits of the account's codes, and must not lock its owner out.
CREATE FUNCTION sign_in_with_recovery_code(
    the_challenge bytea, the_code bytea, needs_verified boolean, idle_days int, absolute_days int,
    OUT outcome text, OUT session_id uuid, OUT refresh_seconds int, OUT authenticated_at bigint, OUT owner json,
    OUT transport text)
LANGUAGE plpgsql AS $$
DECLARE
    whose uuid;
BEGIN
    PERFORM FROM users u JOIN challenges c ON c.user_id = u.id WHERE c.digest = the_challenge FOR NO KEY UPDATE OF u;
    whose := take_try(the_challenge);
    SELECT f.* INTO outcome, session_id, refresh_seconds, authenticated_at, owner, transport
    FROM finish_sign_in(the_challenge, whose, 'recovery_code', spend_recovery_code(whose, the_code), '{}',
                        needs_verified, idle_days, absolute_days) f;
END $$;
"""

FACTORS = """
-- The first code of the secret that was offered puts it into use. Every other session ends, for it was begun without
-- this factor; a passkey is two factors by itself. One of several confirmations at once finds the offer.
CREATE FUNCTION enable_totp(the_user uuid, the_session uuid, verified bytea, the_step bigint, new_codes bytea[])
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    ended int;
BEGIN
    PERFORM FROM users WHERE id = the_user FOR NO KEY UPDATE;  -- no sign-in goes on while this is decided
    UPDATE totp SET sealed = offered, enabled_at = now(), last_step = the_step, recovery_codes = new_codes,
                    offered = NULL, offered_at = NULL
    WHERE user_id = the_user AND offered = verified
      AND EXISTS (SELECT FROM users u WHERE u.id = the_user AND u.email_verified);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE users SET second_factor_at = coalesce(second_factor_at, now()) WHERE id = the_user;
    UPDATE sessions SET revoked_at = now(), revoked_reason = 'second_factor_enabled'
    WHERE user_id = the_user AND id <> the_session AND revoked_at IS NULL AND NOT 'passkey' = ANY (methods);
    GET DIAGNOSTICS ended = ROW_COUNT;
    PERFORM add_method(the_session, 'totp');
    PERFORM audit('totp_enabled', the_user, jsonb_build_object('sessions_ended', ended));
    PERFORM post_mail(the_user, NULL, 'second_factor_enabled', '');
    RETURN true;
END $$;

CREATE FUNCTION disable_totp(the_user uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM users WHERE id = the_user FOR NO KEY UPDATE;
    DELETE FROM totp WHERE user_id = the_user AND enabled_at IS NOT NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE users SET second_factor_at = NULL WHERE id = the_user;
    PERFORM audit('totp_disabled', the_user);
    PERFORM post_mail(the_user, NULL, 'second_factor_disabled', '');
    RETURN true;
END $$;

CREATE FUNCTION replace_recovery_codes(the_user uuid, new_codes bytea[]) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE totp SET recovery_codes = new_codes WHERE user_id = the_user AND enabled_at IS NOT NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM audit('recovery_codes_replaced', the_user);
    PERFORM post_mail(the_user, NULL, 'recovery_codes_replaced', '');
    RETURN true;
END $$;

CREATE FUNCTION add_method(the_session uuid, the_method text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sessions SET methods = methods || the_method WHERE id = the_session AND NOT the_method = ANY (methods);
END $$;

-- What a password is compared with, where a password is all that the account asks for.
CREATE FUNCTION sole_factor(the_user uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    u users;
BEGIN
    SELECT users.* INTO u FROM users WHERE id = the_user;
    IF u.second_factor_at IS NOT NULL THEN
        PERFORM refuse('JT2FA');  -- which also takes the attempt back: nothing was tried
    END IF;
    RETURN u.password_hash;
END $$;

-- The hash that was verified must still be the account's, and a password must be all that the account asks for.
CREATE FUNCTION is_sole_factor(the_user uuid, verified_hash text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM users WHERE id = the_user AND password_hash = verified_hash AND second_factor_at IS NULL
    FOR NO KEY UPDATE;
    RETURN FOUND;
END $$;

-- From now on the session is as fresh as one just begun, and stays so over its refreshes.
CREATE FUNCTION reauthenticate(
    the_user uuid, the_session uuid, the_method text, is_proved boolean, attempt bytea[],
    OUT role text, OUT authenticated_at bigint)
LANGUAGE plpgsql AS $$
BEGIN
    IF is_proved IS NOT TRUE THEN
        PERFORM audit('reauthentication_refused', the_user, jsonb_build_object('method', the_method), false);
        RETURN;
    END IF;
    PERFORM add_method(the_session, the_method);
    UPDATE sessions s SET authenticated_at = now() WHERE id = the_session
    RETURNING extract(epoch FROM s.authenticated_at) INTO reauthenticate.authenticated_at;
    SELECT u.role INTO role FROM users u WHERE u.id = the_user;
    PERFORM refund_limits(attempt);
    PERFORM audit('reauthenticated', the_user, jsonb_build_object('method', the_method));
END $$;
"""

DOWNGRADE = """
DROP FUNCTION reauthenticate(uuid, uuid, text, boolean, bytea[]), is_sole_factor(uuid, text),
    sole_factor(uuid), add_method(uuid, text),
    replace_recovery_codes(uuid, bytea[]), disable_totp(uuid), enable_totp(uuid, uuid, bytea, bigint, bytea[]),
    sign_in_with_recovery_code(bytea, bytea, boolean, int, int),
    finish_sign_in(bytea, uuid, text, boolean, bytea[], boolean, int, int), refuse_second_factor(bytea, text),
    spend_recovery_code(uuid, bytea),
    spend_totp_code(uuid, bytea, bigint, bytea), try_second_factor(bytea, bytea[], text[], int[], int[]),
    take_try(bytea), own_buckets(bytea[], uuid);
DROP TRIGGER users_password_changed ON users;
DROP FUNCTION end_half_done_sign_ins();
CREATE OR REPLACE FUNCTION second_factors(the_user uuid) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN '{totp,recovery_code}'::text[]
        || CASE WHEN EXISTS (SELECT FROM passkeys WHERE user_id = the_user AND cloned_at IS NULL)
           THEN '{passkey}'::text[] ELSE '{}' END;
END $$;
UPDATE users SET second_factor_at = NULL;  -- nothing is left that could be asked for
DROP TABLE totp;
"""


def upgrade() -> None:
    for part in (TABLE, SECOND_STEP, FACTORS):
        op.get_bind().connection.cursor().execute(part)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
