"""The sessions' SQL. Which statement keeps which invariant is written in docs/sessions.md."""

from psycopg import sql

from shared.accounts.queries import USER
from shared.db import statement

OPENED = sql.SQL(
    """
    SELECT opened.id AS session_id, users.id AS user_id, users.role,
           extract(epoch FROM opened.idle_expires_at - now())::int AS refresh_seconds, {user} AS user
    FROM opened, {users} AS users
    """
)
OPEN = sql.SQL(
    """
    INSERT INTO sessions (user_id, idle_expires_at, absolute_expires_at, device_name, user_agent, ip)
    SELECT id, now() + make_interval(days => %(idle_days)s), now() + make_interval(days => %(absolute_days)s),
           %(device_name)s, %(user_agent)s, %(ip)s
    FROM {users}
    RETURNING sessions.id, idle_expires_at
    """
)

REGISTER = statement(
    """
    WITH registered AS (
        INSERT INTO users (email, password_hash, first_name, last_name, company)
        VALUES (lower(%(email)s), %(password_hash)s, %(first_name)s, %(last_name)s, %(company)s)
        ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING
        RETURNING users.*
    ), opened AS ({open})
    {opened}
    """,
    open=OPEN.format(users=sql.Identifier("registered")),
    opened=OPENED.format(user=USER, users=sql.Identifier("registered")),
)

FIND_CREDENTIALS = statement(
    "SELECT id AS user_id, password_hash, disabled_at IS NULL AS is_active FROM users WHERE email = lower(%(email)s)"
)

# The hash that was verified must still be the account's: a password changed in between ends this login.
OPEN_SESSION = statement(
    """
    WITH active AS (
        SELECT users.* FROM users
        WHERE id = %(user_id)s AND password_hash = %(verified_hash)s AND disabled_at IS NULL
    ), rehashed AS (
        UPDATE users SET password_hash = %(new_hash)s FROM active
        WHERE users.id = active.id AND %(new_hash)s::text IS NOT NULL
    ), opened AS ({open})
    {opened}
    """,
    open=OPEN.format(users=sql.Identifier("active")),
    opened=OPENED.format(user=USER, users=sql.Identifier("active")),
)

# The whole rotation. The row lock puts simultaneous requests in a line, and each decides on what the one before it left.
ROTATE = statement(
    """
    WITH presented AS (
        SELECT s.id, s.user_id, s.generation, s.rotated_at, s.idle_expires_at, s.absolute_expires_at, s.revoked_at,
               s.refreshes_reset_at, u.disabled_at,
               CASE WHEN s.refreshes_reset_at > now() THEN s.refreshes ELSE 0 END + 1 AS hits
        FROM sessions s JOIN users u ON u.id = s.user_id
        WHERE s.id = %(session_id)s
        FOR NO KEY UPDATE OF s
    ), decided AS (
        SELECT presented.*, CASE
            WHEN revoked_at IS NOT NULL OR disabled_at IS NOT NULL THEN 'refused'
            WHEN idle_expires_at <= now() OR absolute_expires_at <= now() THEN 'expired'
            WHEN generation < %(generation)s THEN 'refused'
            WHEN generation > %(generation)s + 1 THEN 'reused'
            WHEN generation = %(generation)s + 1 AND now() >= rotated_at + make_interval(secs => %(grace)s) THEN 'reused'
            WHEN hits > %(limit_hits)s THEN 'limited'
            WHEN generation = %(generation)s THEN 'rotated'
            ELSE 'replayed'
        END AS outcome
        FROM presented
    ), changed AS (
        UPDATE sessions s SET
            generation = CASE d.outcome WHEN 'rotated' THEN s.generation + 1 ELSE s.generation END,
            rotated_at = CASE d.outcome WHEN 'rotated' THEN now() ELSE s.rotated_at END,
            idle_expires_at = CASE d.outcome WHEN 'rotated'
                THEN least(now() + make_interval(days => %(idle_days)s), s.absolute_expires_at)
                ELSE s.idle_expires_at END,
            refreshes = CASE d.outcome WHEN 'reused' THEN s.refreshes ELSE d.hits END,
            refreshes_reset_at = CASE WHEN d.hits = 1 THEN now() + make_interval(secs => %(limit_seconds)s)
                ELSE s.refreshes_reset_at END,
            revoked_at = CASE d.outcome WHEN 'reused' THEN now() END,
            revoked_reason = CASE d.outcome WHEN 'reused' THEN 'refresh_token_reused' END
        FROM decided d
        WHERE s.id = d.id AND d.outcome IN ('rotated', 'replayed', 'reused')
        RETURNING s.generation, s.idle_expires_at
    ), alarm AS (
        INSERT INTO audit_events (event, user_id, session_id, ip, facts)
        SELECT CASE WHEN outcome = 'reused' THEN 'refresh_token_reused' ELSE 'refresh_token_from_the_future' END,
               user_id, id, %(ip)s::inet,
               jsonb_build_object('presented', %(generation)s, 'current', generation)
        FROM decided
        WHERE outcome = 'reused' OR generation < %(generation)s
    )
    SELECT d.outcome, d.user_id, coalesce(c.generation, d.generation) AS generation, users.role,
           coalesce(extract(epoch FROM c.idle_expires_at - now())::int, 0) AS refresh_seconds,
           greatest(1, ceil(extract(epoch FROM d.refreshes_reset_at - now()))::int) AS retry_after, {user} AS user
    FROM decided d JOIN users ON users.id = d.user_id LEFT JOIN changed c ON true
    """,
    user=USER,
)

REVOKE = statement(
    """
    UPDATE sessions SET revoked_at = now(), revoked_reason = 'logout'
    WHERE id = %(session_id)s AND revoked_at IS NULL
    """
)

REVOKE_ALL = statement(
    """
    WITH revoked AS (
        UPDATE sessions SET revoked_at = now(), revoked_reason = 'logout_all'
        WHERE revoked_at IS NULL AND idle_expires_at > now() AND absolute_expires_at > now()
          AND id IS DISTINCT FROM %(kept)s::uuid
        RETURNING id
    )
    SELECT count(*) FROM revoked
    """
)

LIST_SESSIONS = statement(
    """
    SELECT format('{"items":%%s}', coalesce(json_agg(row_to_json(shown)), '[]'))
    FROM (
        SELECT id, device_name, user_agent, host(ip) AS ip, created_at, rotated_at AS last_used_at,
               least(idle_expires_at, absolute_expires_at) AS expires_at,
               id = current_setting('app.session_id')::uuid AS current
        FROM sessions
        WHERE revoked_at IS NULL AND idle_expires_at > now() AND absolute_expires_at > now()
        ORDER BY created_at DESC
    ) AS shown
    """
)

REVOKE_SESSION = statement(
    """
    UPDATE sessions SET revoked_at = now(), revoked_reason = 'revoked'
    WHERE id = %(session_id)s AND revoked_at IS NULL AND idle_expires_at > now() AND absolute_expires_at > now()
    RETURNING id
    """
)
