"""The sessions' SQL. Which statement keeps which invariant is written in docs/sessions.md."""

from psycopg import sql

from shared.accounts.queries import USER
from shared.db import statement

OPENED = sql.SQL(
    """
    SELECT opened.id AS session_id, extract(epoch FROM opened.idle_expires_at - now())::int AS refresh_seconds,
           {user} AS user
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
    "SELECT id AS user_id, password_hash, disabled_at IS NULL AS is_active FROM users WHERE email = %(email)s"
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

ROTATE = statement(
    """
    SELECT outcome, current_generation AS generation, refresh_seconds, retry_after, owner::text AS user
    FROM rotate_refresh_token(
        %(session_id)s, %(generation)s, %(grace)s, %(idle)s, %(limit_hits)s, %(limit_window)s, %(ip)s)
    """
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
