"""The audit log's SQL. What is not asked for is a constant to the planner, so that each search finds its own index."""

from shared.db import statement
from shared.holdings import Holding

LIST_ACTIVITY = statement(
    """
    SELECT (SELECT row_to_json(shown)::text FROM (SELECT
               id, event, succeeded, actor_id IS NOT NULL AS by_administrator, session_id, host(ip) AS ip, user_agent,
               facts, created_at) AS shown) AS document,
           created_at::text AS sort_key, id
    FROM audit_events
    WHERE user_id = current_setting('app.user_id')::uuid
      AND (%(event)s::text IS NULL OR event = %(event)s)
      AND (%(succeeded)s::boolean IS NULL OR succeeded = %(succeeded)s)
      AND (%(after_id)s::uuid IS NULL OR (created_at, id) < (%(after_key)s::timestamptz, %(after_id)s::uuid))
    ORDER BY created_at DESC, id DESC
    LIMIT %(limit)s
    """
)

SEARCH_EVENTS = statement(
    """
    SELECT (SELECT row_to_json(shown)::text FROM (SELECT
               id, event, succeeded, nullif(user_id, '00000000-0000-0000-0000-000000000000') AS user_id, actor_id,
               session_id, host(ip) AS ip, user_agent, facts, created_at, place) AS shown) AS document,
           created_at::text AS sort_key, id
    FROM audit_events
    WHERE (%(user_id)s::uuid IS NULL OR user_id = %(user_id)s::uuid)
      AND (%(actor_id)s::uuid IS NULL OR actor_id = %(actor_id)s::uuid)
      AND (%(event)s::text IS NULL OR event = %(event)s)
      AND (%(succeeded)s::boolean IS NULL OR succeeded = %(succeeded)s)
      AND (%(ip)s::inet IS NULL OR ip <<= %(ip)s::inet)
      AND (%(from)s::timestamptz IS NULL OR created_at >= %(from)s::timestamptz)
      AND (%(to)s::timestamptz IS NULL OR created_at < %(to)s::timestamptz)
      AND (%(after_id)s::uuid IS NULL OR (created_at, id) < (%(after_key)s::timestamptz, %(after_id)s::uuid))
    ORDER BY created_at DESC, id DESC
    LIMIT %(limit)s
    """
)

NOTE_LIMIT = statement("SELECT audit('rate_limit_met', NULL, %(facts)s, false, NULL)")

HELD = (
    Holding(
        "audit_events",
        shown=("place", "event", "succeeded", "actor_id", "session_id", "ip", "user_agent", "facts", "created_at"),
    ),
    Holding("audit_chains", why_not="the length and the last link of the chain of audit events"),
)
