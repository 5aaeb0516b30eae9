"""The identities' SQL. What decides is in the migration: one function for signing in, one for linking."""

from shared.db import statement
from shared.holdings import Holding

BEGIN = statement(
    """
    INSERT INTO challenges (digest, kind, user_id, facts, expires_at)
    VALUES (%(digest)s, 'oauth', %(user_id)s, %(facts)s, now() + make_interval(secs => %(life)s))
    """
)

TAKE_STATE = statement(
    """
    SELECT user_id, session_id, transport, device_name, return_to
    FROM take_oauth_state(%(digest)s, %(provider)s, %(browser)s)
    """
)

SIGN_IN = statement(
    """
    SELECT outcome, session_id, refresh_seconds, authenticated_at, owner::text, factors
    FROM sign_in_with_identity(
        %(provider)s, %(subject)s, %(email)s, %(email_verified)s, %(user_id)s, %(first_name)s, %(last_name)s,
        %(challenge_digest)s, %(needs_verified)s, %(idle_days)s, %(absolute_days)s, %(device_name)s, %(transport)s)
    """
)

LINK = statement(
    """
    SELECT outcome, identity::text
    FROM link_identity(
        %(user_id)s, %(session_id)s, %(provider)s, %(subject)s, %(email)s, %(email_verified)s)
    """
)

REFUSE = statement("SELECT audit('oauth_refused', %(user_id)s, %(facts)s, false)")

LIST_IDENTITIES = statement(
    """
    SELECT format('{"items":%%s}', coalesce(json_agg(row_to_json(shown)), '[]'))
    FROM (
        SELECT provider, email, email_verified, created_at, last_used_at FROM identities ORDER BY provider
    ) AS shown
    """
)

UNLINK = statement("SELECT outcome FROM unlink_identity(%(user_id)s, %(provider)s)")

HELD = (Holding("identities", shown=("provider", "subject", "email", "email_verified", "created_at", "last_used_at")),)
