"""The factors' SQL. What decides is in the database's functions; docs/factors.md says which does what."""

from shared.db import statement
from shared.holdings import Holding

GET_FACTORS = statement(
    """
    SELECT row_to_json(shown)::text
    FROM (SELECT t.enabled_at AS totp_enabled_at, coalesce(cardinality(t.recovery_codes), 0) AS recovery_codes_left,
                 (SELECT count(*) FROM passkeys p WHERE p.user_id = u.id AND p.cloned_at IS NULL) AS passkeys
          FROM users u LEFT JOIN totp t ON t.user_id = u.id
          WHERE u.id = %(user_id)s) AS shown
    """
)

# A setup begun again replaces the one before; what is in use stays so until the new one is confirmed.
OFFER_TOTP = statement(
    """
    WITH offered AS (
        INSERT INTO totp (user_id, offered, offered_at)
        SELECT id, %(sealed)s, now() FROM users WHERE id = %(user_id)s AND email_verified
        ON CONFLICT (user_id) DO UPDATE SET offered = excluded.offered, offered_at = excluded.offered_at
        RETURNING user_id
    )
    SELECT email, audit('totp_offered', id) FROM users JOIN offered ON id = user_id
    """
)

GET_OFFER = statement("SELECT offered FROM totp WHERE user_id = %(user_id)s AND offered_at > now() - interval '1 hour'")

ENABLE_TOTP = statement("SELECT enable_totp(%(user_id)s, %(session_id)s, %(sealed)s, %(step)s, %(codes)s)")

DISABLE_TOTP = statement("SELECT disable_totp(%(user_id)s)")

REPLACE_RECOVERY_CODES = statement("SELECT replace_recovery_codes(%(user_id)s, %(codes)s)")

# ---------------------------------------------------------------- the second step of signing in

TRY_SECOND_FACTOR = statement(
    """
    SELECT user_id, sealed
    FROM try_second_factor(%(challenge)s, %(buckets)s, %(policies)s, %(caps)s, %(windows)s)
    """
)

SIGN_IN_WITH_TOTP = statement(
    """
    SELECT outcome, session_id, refresh_seconds, authenticated_at, owner::text, transport
    FROM finish_sign_in(
        %(challenge)s, %(user_id)s, 'totp', spend_totp_code(%(user_id)s, %(sealed)s, %(step)s, %(resealed)s),
        %(attempt)s, %(needs_verified)s, %(idle_days)s, %(absolute_days)s)
    """
)

SIGN_IN_WITH_RECOVERY_CODE = statement(
    """
    SELECT outcome, session_id, refresh_seconds, authenticated_at, owner::text, transport
    FROM sign_in_with_recovery_code(
        %(challenge)s, %(code)s, %(needs_verified)s, %(idle_days)s, %(absolute_days)s)
    """
)

TAKE_TRY = statement("SELECT take_try(%(pending)s)")

SIGN_IN_WITH_PASSKEY = statement(
    """
    SELECT outcome, session_id, refresh_seconds, authenticated_at, owner::text, transport
    FROM finish_sign_in(
        %(challenge)s, %(user_id)s, 'passkey',
        use_passkey(%(passkey_id)s, %(passkey_sign_count)s, %(passkey_is_backed_up)s) = %(user_id)s, '{}',
        %(needs_verified)s, %(idle_days)s, %(absolute_days)s)
    """
)

REFUSE_PASSKEY = statement("SELECT refuse_second_factor(%(challenge)s, 'passkey')")

# ---------------------------------------------------------------- proving it again

# Before the limits are: what is proved in the statement that counts it takes its locks in the order everybody does.
LOCK_ACCOUNT = statement("SELECT FROM users WHERE id = %(caller_id)s FOR NO KEY UPDATE")

GET_SOLE_FACTOR = statement("SELECT sole_factor(%(user_id)s)")

GET_SECRET = statement("SELECT sealed FROM totp WHERE user_id = %(user_id)s")

REAUTHENTICATE_WITH_PASSWORD = statement(
    """
    SELECT role, authenticated_at
    FROM reauthenticate(%(user_id)s, %(session_id)s, 'password',
                        %(is_right)s AND is_sole_factor(%(user_id)s, %(verified_hash)s), %(attempt)s)
    """
)

REAUTHENTICATE_WITH_TOTP = statement(
    """
    SELECT role, authenticated_at
    FROM reauthenticate(%(user_id)s, %(session_id)s, 'totp',
                        spend_totp_code(%(user_id)s, %(sealed)s, %(step)s, %(resealed)s), %(attempt)s)
    """
)

REAUTHENTICATE_WITH_RECOVERY_CODE = statement(
    """
    SELECT role, authenticated_at
    FROM reauthenticate(%(user_id)s, %(session_id)s, 'recovery_code',
                        spend_recovery_code(%(user_id)s, %(code)s), %(attempt)s)
    """
)

REAUTHENTICATE_WITH_PASSKEY = statement(
    """
    SELECT role, authenticated_at
    FROM reauthenticate(%(user_id)s, %(session_id)s, 'passkey',
                        use_passkey(%(passkey_id)s, %(passkey_sign_count)s, %(passkey_is_backed_up)s) = %(user_id)s,
                        %(attempt)s)
    """
)

REFUSE_REAUTHENTICATION = statement("SELECT reauthenticate(%(user_id)s, %(session_id)s, 'passkey', false, %(attempt)s)")

HELD = (Holding("totp", why_not="the sealed secret of the second factor, and digests of recovery codes"),)
