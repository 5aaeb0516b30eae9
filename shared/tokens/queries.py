"""The tokens' SQL. That a token is good is asked at the door: ``enter_with_token()``."""

from shared.accounts.models import User
from shared.db import statement
from shared.documents import columns
from shared.holdings import Holding

CREATE_TOKEN = statement(
    """
    SELECT id, created_at, expires_at
    FROM create_token(%(digest)s, %(name)s, %(scopes)s, %(days)s, %(most)s)
    """
)

LIST_TOKENS = statement(
    """
    SELECT format('{"items":%%s}', coalesce(json_agg(row_to_json(shown)), '[]'))
    FROM (
        SELECT id, name, scopes, created_at, expires_at, last_used_at
        FROM personal_access_tokens
        WHERE revoked_at IS NULL AND expires_at > now()
        ORDER BY created_at DESC, id DESC
    ) AS shown
    """
)

REVOKE_TOKEN = statement(
    """
    WITH revoked AS (
        UPDATE personal_access_tokens SET revoked_at = now()
        WHERE id = %(id)s AND revoked_at IS NULL AND expires_at > now()
        RETURNING id, name
    )
    SELECT audit('token_revoked', current_setting('app.user_id')::uuid,
                 jsonb_build_object('token_id', id, 'name', name))
    FROM revoked
    """
)

VERIFY = statement(
    """
    SELECT {owner} AS owner, expires_at, scopes
    FROM users, personal_access_tokens AS token
    WHERE token.id = current_setting('app.token_id')::uuid
    """,
    owner=columns(User, "users"),
)

# Once an hour for each token, and at once after it was revoked: who goes on trying does not fill the log.
NOTE_REFUSAL = statement(
    """
    WITH refused AS (
        UPDATE personal_access_tokens SET refused_at = now()
        WHERE digest = %(digest)s
          AND (refused_at IS NULL OR refused_at < revoked_at OR refused_at <= now() - interval '1 hour')
        RETURNING id, user_id
    )
    SELECT audit('token_refused', user_id, %(facts)s::jsonb || jsonb_build_object('token_id', id), false)
    FROM refused
    """
)

HELD = (
    Holding(
        "personal_access_tokens",
        shown=("id", "name", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at"),
    ),
)
