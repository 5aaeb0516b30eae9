"""The sessions' SQL. Which statement keeps which invariant is written in docs/sessions.md."""

from shared.db import statement
from shared.holdings import Holding

REGISTER = statement(
    """
    SELECT session_id, refresh_seconds, authenticated_at, owner::text
    FROM register_user(%(user_id)s, %(email)s, %(password_hash)s, %(first_name)s, %(last_name)s, %(company)s,
                       %(token_digest)s, %(mail_sealed)s, %(needs_verified)s, %(idle_days)s, %(absolute_days)s)
    WHERE session_id IS NOT NULL
    """
)

FIND_CREDENTIALS = statement("SELECT id AS user_id, password_hash FROM users WHERE email = %(email)s")

SIGN_IN_WITH_PASSWORD = statement(
    """
    SELECT outcome, session_id, refresh_seconds, authenticated_at, owner::text, factors
    FROM sign_in_with_password(
        %(user_id)s, %(verified_hash)s, %(new_hash)s, %(attempt)s, %(challenge_digest)s,
        %(needs_verified)s, %(idle_days)s, %(absolute_days)s, %(device_name)s, %(transport)s)
    """
)

REFUSE_SIGN_IN = statement("SELECT audit('sign_in_refused', %(user_id)s, %(facts)s, false)")

ROTATE = statement(
    """
    SELECT outcome, current_generation AS generation, refresh_seconds, retry_after, authenticated_at, owner::text
    FROM rotate_refresh_token(
        %(session_id)s, %(generation)s, %(grace)s, %(idle)s, %(limit_hits)s, %(limit_window)s, %(ip)s)
    """
)

REVOKE = statement(
    """
    WITH revoked AS (
        UPDATE sessions SET revoked_at = now(), revoked_reason = 'logout'
        WHERE id = %(session_id)s AND revoked_at IS NULL
        RETURNING id, user_id
    )
    SELECT audit('signed_out', user_id, '{}', true, id) FROM revoked
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
    SELECT count(*), audit('signed_out_everywhere', current_setting('app.user_id')::uuid,
                           jsonb_build_object('sessions', count(*), 'kept', %(kept)s::uuid))
    FROM revoked
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
    WITH revoked AS (
        UPDATE sessions SET revoked_at = now(), revoked_reason = 'revoked'
        WHERE id = %(session_id)s AND revoked_at IS NULL AND idle_expires_at > now() AND absolute_expires_at > now()
        RETURNING id, user_id
    )
    SELECT id, audit('session_revoked', user_id, jsonb_build_object('session', id)) FROM revoked
    """
)

HELD = (
    Holding("challenges", why_not="digests of what was begun in the last minutes"),
    Holding(
        "sessions",
        shown=(
            "id",
            "device_name",
            "user_agent",
            "ip",
            "methods",
            "created_at",
            "authenticated_at",
            "rotated_at",
            "idle_expires_at",
            "absolute_expires_at",
            "revoked_at",
        ),
    ),
)
