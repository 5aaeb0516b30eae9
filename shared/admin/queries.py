"""Administration's SQL, for ``db.administer()``: everybody's rows are in sight."""

from typing import get_args

from psycopg import sql

from shared.accounts import User
from shared.admin.models import Sort
from shared.db import statement
from shared.documents import SortKey, in_orders
from shared.holdings import Holding

USER = sql.SQL(", ").join(sql.Identifier("users", name) for name in User.model_fields)

SORT_KEYS = {
    "created_at": SortKey("created_at", "timestamptz"),
    "email": SortKey("email", "text"),
}


SEARCH_USERS = in_orders(
    get_args(Sort),
    SORT_KEYS,
    """
    SELECT (SELECT row_to_json(shown)::text
            FROM (SELECT {user}, disabled_at IS NULL AS active) AS shown) AS document,
           {key}::text AS sort_key, id
    FROM users
    WHERE (%(q)s::text IS NULL
           OR strpos(lower(concat_ws(E'\n', email, concat_ws(' ', first_name, last_name), company)),
                     lower(%(q)s)) > 0)
      AND (%(role)s::text IS NULL OR role = %(role)s)
      AND (%(active)s::boolean IS NULL OR (disabled_at IS NULL) = %(active)s)
      AND (%(created_from)s::timestamptz IS NULL OR created_at >= %(created_from)s::timestamptz)
      AND (%(created_to)s::timestamptz IS NULL OR created_at < %(created_to)s::timestamptz)
      AND {beyond}
    ORDER BY {order}
    LIMIT %(limit)s
    """,
    user=USER,
)

QUOTA = sql.SQL(
    """
    (SELECT quota_state(l.metric, users.id, users.role)::jsonb || jsonb_build_object('override', (
         SELECT to_jsonb(given) FROM (SELECT o.units, o.reason, o.granted_by, o.created_at
         FROM quota_overrides o WHERE o.user_id = users.id AND o.metric = l.metric) AS given)))
    """
)

GET_USER = statement(
    """
    SELECT (SELECT row_to_json(shown)::text FROM (SELECT
        {user}, disabled_at IS NULL AS active, disabled_at, second_factor_at IS NOT NULL AS second_factor,
        (SELECT count(*) FROM sessions s WHERE s.user_id = users.id AND s.revoked_at IS NULL
             AND s.idle_expires_at > now() AND s.absolute_expires_at > now()) AS sessions,
        (SELECT max(e.created_at) FROM audit_events e
         WHERE e.user_id = users.id AND e.event = 'signed_in') AS last_sign_in_at,
        (SELECT coalesce(json_agg({quota} ORDER BY l.metric), '[]') FROM quota_limits l
         WHERE l.role = users.role) AS quotas) AS shown)
    FROM users WHERE id = %(user_id)s
    """,
    user=USER,
    quota=QUOTA,
)

GET_QUOTA = statement(
    """
    SELECT {quota}::text FROM users JOIN quota_limits l ON l.role = users.role
    WHERE users.id = %(user_id)s AND l.metric = %(metric)s
    """,
    quota=QUOTA,
)

CHANGE_USER = statement("SELECT change_user(%(actor_id)s, %(user_id)s, %(role)s, %(active)s, %(reason)s)")
END_SESSIONS = statement("SELECT end_sessions(%(actor_id)s, %(user_id)s, %(reason)s)")
GRANT_QUOTA = statement("SELECT grant_quota(%(actor_id)s, %(user_id)s, %(metric)s, %(units)s, %(reason)s)")
RESTORE_QUOTA = statement("SELECT restore_quota(%(actor_id)s, %(user_id)s, %(metric)s)")

# One statement, and a bounded one: of a big table a sample is read, and of failures no more than 100,000.
MEASURE = statement(
    """
    SELECT row_to_json(measured)::text FROM (SELECT
        now() AS measured_at,
        pg_database_size(current_database()) AS bytes,
        (SELECT coalesce(json_agg(t ORDER BY t.bytes DESC, t."table"), '[]') FROM (
            SELECT relname AS "table", reltuples::bigint AS rows, pg_total_relation_size(oid) AS bytes
            FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace) t) AS tables,
        slow.statements AS slowest_statements,
        slow.missing AS slowest_statements_missing,
        (SELECT coalesce(json_agg(f ORDER BY f.reason), '[]') FROM (
            SELECT coalesce(facts ->> 'reason', 'credentials') AS reason,
                   count(*) FILTER (WHERE created_at > now() - interval '1 hour') AS last_hour, count(*) AS last_day
            FROM (SELECT facts, created_at FROM audit_events
                  WHERE event = 'sign_in_refused' AND created_at > now() - interval '1 day'
                  ORDER BY created_at DESC LIMIT 100000) AS refused
            GROUP BY 1) f) AS failed_sign_ins,
        (SELECT coalesce(json_agg(s ORDER BY s.state, s.age), '[]') FROM (
            SELECT CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
                        WHEN least(idle_expires_at, absolute_expires_at) <= now() THEN 'expired'
                        ELSE 'active' END AS state,
                   age_group(created_at) AS age,
                   round(count(*) * 100 / sample_of('sessions', 100000)) AS count
            FROM sessions TABLESAMPLE SYSTEM (sample_of('sessions', 100000))
            GROUP BY 1, 2) s) AS sessions,
        (SELECT coalesce(json_agg(t ORDER BY t.state, t.age), '[]') FROM (
            SELECT CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= now() THEN 'expired'
                        ELSE 'active' END AS state,
                   age_group(created_at) AS age,
                   round(count(*) * 100 / sample_of('personal_access_tokens', 100000)) AS count
            FROM personal_access_tokens TABLESAMPLE SYSTEM (sample_of('personal_access_tokens', 100000))
            GROUP BY 1, 2) t) AS tokens,
        (SELECT coalesce(json_agg(c ORDER BY c.kind, c.state), '[]') FROM (
            SELECT kind,
                   CASE WHEN expires_at <= now() THEN 'expired' WHEN tries = 0 THEN 'spent' ELSE 'open' END AS state,
                   round(count(*) * 100 / sample_of('challenges', 100000)) AS count
            FROM challenges TABLESAMPLE SYSTEM (sample_of('challenges', 100000))
            GROUP BY 1, 2) c) AS challenges,
        (SELECT coalesce(json_agg(q ORDER BY q.metric), '[]') FROM (
            SELECT l.metric, round(count(u.used) * 100 / sample_of('quota_usage', 100000)) AS users,
                   round(coalesce(sum(u.used), 0) * (100 / sample_of('quota_usage', 100000))::numeric) AS used,
                   (SELECT count(*) FROM quota_overrides o WHERE o.metric = l.metric) AS overrides
            FROM (SELECT DISTINCT metric, time_window FROM quota_limits) l
            LEFT JOIN (SELECT metric, window_start, used FROM quota_usage
                       TABLESAMPLE SYSTEM (sample_of('quota_usage', 100000))) u
                ON u.metric = l.metric AND u.window_start = quota_window(l.time_window) AND u.used > 0
            GROUP BY l.metric) q) AS quotas,
        (SELECT coalesce(json_agg(m ORDER BY m.state), '[]') FROM (
            SELECT state, round(count(*) * 100 / sample_of('mail_outbox', 100000)) AS count
            FROM mail_outbox TABLESAMPLE SYSTEM (sample_of('mail_outbox', 100000))
            GROUP BY 1) m) AS mail,
        (SELECT extract(epoch FROM now() - min(created_at))::float8 FROM mail_outbox
         WHERE state = 'queued') AS oldest_queued_mail_seconds
        FROM slowest_statements(10) AS slow
    ) AS measured
    """
)

HELD = (Holding("quota_overrides", shown=("metric", "units")),)
