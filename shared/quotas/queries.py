"""The quotas' SQL: each change is one call of a function that holds the lock of the counter it changes."""

from shared.db import statement
from shared.holdings import Holding

TAKE = statement("SELECT quota_take('consumption', %(taken_metric)s, %(taken_units)s, NULL, interval '0')")
LIST_QUOTAS = statement(
    """
    SELECT format('{"items":%%s}', coalesce(json_agg(quota_state(metric) ORDER BY metric), '[]'))
    FROM quota_limits WHERE role = current_setting('app.role')
    """
)
GET_QUOTA = statement(
    """
    SELECT NULL::int, quota_state(metric)::text
    FROM quota_limits WHERE metric = %(metric)s AND role = current_setting('app.role')
    """
)
CONSUME = statement(
    """
    SELECT quota_state(%(metric)s)::text
    FROM quota_take('consumption', %(metric)s, %(units)s, %(key)s, interval '0')
    """
)
RESERVE = statement(
    """
    SELECT (SELECT row_to_json(shown)::text FROM (SELECT id, expires_at, quota_state(metric) AS quota) AS shown)
    FROM quota_take('reservation', %(metric)s, %(units)s, %(key)s, make_interval(secs => %(ttl)s))
    """
)
SETTLE = statement(
    """
    SELECT (SELECT row_to_json(shown)::text FROM (SELECT id, expires_at, quota_state(metric) AS quota) AS shown)
    FROM quota_settle(%(id)s, %(state)s)
    """
)

HELD = (
    Holding("quota_usage", shown=("metric", "window_start", "used")),
    Holding(
        "quota_entries",
        shown=("id", "metric", "key", "kind", "units", "state", "window_start", "expires_at", "created_at"),
    ),
)
