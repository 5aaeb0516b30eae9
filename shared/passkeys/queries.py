"""The passkeys' SQL. What decides something is a function, in the migration."""

from psycopg import sql

from shared.db import statement
from shared.documents import change, columns
from shared.holdings import Holding
from shared.passkeys.models import Passkey, PasskeyChanges

DESCRIPTORS = sql.SQL(
    """
    coalesce((SELECT json_agg(json_build_object(
                  'id', translate(encode(credential_id, 'base64'), E'+/=\\n', '-_'), 'transports', transports)
              ORDER BY created_at)
              FROM passkeys WHERE user_id = {user} AND cloned_at IS NULL), '[]')
    """
)
"""A user's passkeys as browsers want to have them told, base64url."""

# One registration at a time: the one begun last counts, and nobody fills the table with them. An account may have been
# made by anybody, with somebody else's address: until that is proved nothing is added that would outlive its password.
BEGIN_REGISTRATION = statement(
    """
    WITH outdated AS (
        DELETE FROM challenges WHERE kind = 'passkey_registration'
    ), begun AS (
        INSERT INTO challenges (digest, kind, user_id, expires_at)
        SELECT %(digest)s, 'passkey_registration', id, now() + interval '5 minutes' FROM users WHERE email_verified
    )
    SELECT id AS user_id, email, email_verified, concat_ws(' ', first_name, last_name) AS full_name,
           {descriptors} AS passkeys
    FROM users
    """,
    descriptors=DESCRIPTORS.format(user=sql.SQL("users.id")),
)

ADD_PASSKEY = statement(
    """
    SELECT outcome, (added).version, CASE outcome WHEN 'added' THEN {passkey} END AS document
    FROM (SELECT a.outcome, a.added FROM add_passkey(
        %(digest)s, %(credential_id)s, %(public_key)s, %(sign_count)s, %(name)s, %(transports)s, %(aaguid)s,
        %(is_syncable)s, %(is_backed_up)s, %(cap)s) AS a) AS made, LATERAL (SELECT (added).*) AS passkeys
    """,
    passkey=columns(Passkey, "passkeys"),
)

REFUSE_REGISTRATION = statement(
    """
    WITH spent AS (
        DELETE FROM challenges WHERE digest = %(digest)s AND kind = 'passkey_registration'
    )
    SELECT audit('passkey_refused', current_setting('app.user_id')::uuid, '{"reason": "invalid"}', false)
    """
)

LIST_PASSKEYS = statement(
    """
    SELECT NULL::int, format('{{"items":[%%s]}}', string_agg({passkey}, ',' ORDER BY created_at, id)) FROM passkeys
    """,
    passkey=columns(Passkey, "passkeys"),
)

RENAME_PASSKEY = change("passkeys", fields=PasskeyChanges, shown=Passkey)

REMOVE_PASSKEY = statement("SELECT outcome, present FROM remove_passkey(%(passkey_id)s, %(versions)s::int[])")

BEGIN_SIGN_IN = statement(
    """
    INSERT INTO challenges (digest, kind, expires_at)
    VALUES (%(digest)s, 'passkey_sign_in', now() + interval '5 minutes')
    """
)

# For a caller who is to prove anew who they are; one at a time, as above.
BEGIN_CALLERS_PROOF = statement(
    """
    WITH outdated AS (
        DELETE FROM challenges WHERE kind = 'passkey_proof'
    ), begun AS (
        INSERT INTO challenges (digest, kind, user_id, expires_at)
        VALUES (%(digest)s, 'passkey_proof', current_setting('app.user_id')::uuid, now() + interval '5 minutes')
    )
    SELECT {descriptors}
    """,
    descriptors=DESCRIPTORS.format(user=sql.SQL("current_setting('app.user_id')::uuid")),
)

# For somebody whose first factor was good. Their pending sign-in is not touched: nothing was tried yet.
BEGIN_SECOND_FACTOR = statement(
    """
    WITH begun AS (
        INSERT INTO challenges (digest, kind, user_id, expires_at)
        SELECT %(digest)s, 'passkey_proof', user_id, now() + interval '5 minutes' FROM challenges
        WHERE digest = %(pending)s AND kind = 'sign_in' AND tries > 0 AND expires_at > now()
        RETURNING user_id
    )
    SELECT {descriptors} FROM begun
    """,
    descriptors=DESCRIPTORS.format(user=sql.SQL("begun.user_id")),
)

# The challenge is spent whatever comes of it. One that is bound to a user is good for that user's passkeys only.
TAKE_CHALLENGE = statement(
    """
    WITH taken AS (
        DELETE FROM challenges WHERE digest = %(digest)s AND kind = ANY(%(kinds)s) AND expires_at > now()
        RETURNING user_id
    )
    SELECT p.id AS passkey_id, p.user_id, p.public_key, p.is_syncable, taken.user_id IS NOT NULL AS was_expected
    FROM taken JOIN passkeys p ON p.user_id = coalesce(taken.user_id, p.user_id)
    WHERE p.credential_id = %(credential_id)s AND p.user_id = coalesce(%(expected_user_id)s::uuid, p.user_id)
    """
)

SIGN_IN_WITH_PASSKEY = statement(
    """
    SELECT outcome, session_id, refresh_seconds, authenticated_at, owner::text, factors
    FROM sign_in_with_passkey(
        %(passkey_id)s, %(passkey_sign_count)s, %(passkey_is_backed_up)s, %(attempt)s, %(challenge_digest)s,
        %(needs_verified)s, %(idle_days)s, %(absolute_days)s, %(device_name)s, %(transport)s)
    """
)

REFUSE_SIGN_IN = statement("""SELECT audit('sign_in_refused', %(user_id)s, '{"methods": ["passkey"]}', false)""")

HELD = (
    Holding(
        "passkeys",
        shown=(
            "id",
            "name",
            "transports",
            "aaguid",
            "is_syncable",
            "is_backed_up",
            "created_at",
            "last_used_at",
            "cloned_at",
        ),
    ),
)
