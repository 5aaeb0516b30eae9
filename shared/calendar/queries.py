"""The SQL of calendar feeds. That an address is good is asked at the door: ``enter_with_feed()``."""

from shared.db import statement
from shared.holdings import Holding

ENTER_WITH_FEED = statement("SELECT enter_with_feed(%(feed_digest)s)")

REPLACE_FEED = statement(
    """
    WITH made AS (
        INSERT INTO calendar_feeds (digest) VALUES (%(digest)s)
        ON CONFLICT (user_id) DO UPDATE SET digest = %(digest)s, created_at = now(), last_read_at = NULL
        RETURNING user_id, created_at
    )
    SELECT created_at, audit('calendar_feed_created', user_id) FROM made
    """
)

GET_FEED = statement(
    """
    SELECT json_build_object('active', feed.user_id IS NOT NULL, 'created_at', feed.created_at,
                             'last_read_at', feed.last_read_at)::text
    FROM (SELECT) AS one LEFT JOIN calendar_feeds AS feed ON true
    """
)

REVOKE_FEED = statement(
    """
    WITH gone AS (DELETE FROM calendar_feeds RETURNING user_id)
    SELECT audit('calendar_feed_revoked', user_id) FROM gone
    """
)

# A sequence must grow with every change of what is shown, to which both rows contribute. Notes are left out: an address
# is easily passed on, and what reads it keeps copies.
LIST_ENTRIES = statement(
    """
    SELECT i.id, i.version + a.version - 2 AS sequence, i.created_at,
           greatest(i.updated_at, a.updated_at) AS changed_at, i.starts_at,
           i.starts_at + make_interval(mins => i.duration_minutes) AS ends_at, i.time_zone,
           coalesce(i.title, 'Interview') || ': ' || a.position || ', ' || a.company AS summary,
           i.location, i.interviewers AS people, i.outcome = 'cancelled' AS is_cancelled
    FROM interviews i JOIN applications a ON a.id = i.application_id
    WHERE i.starts_at >= now() - make_interval(days => %(days)s)
    UNION ALL
    SELECT t.id, t.version + coalesce(a.version, 1) - 2, t.created_at, greatest(t.updated_at, a.updated_at),
           t.due_at, t.due_at + make_interval(mins => %(minutes)s), NULL,
           t.title || coalesce(': ' || a.position || ', ' || a.company, ''), NULL, '{}', false
    FROM tasks t LEFT JOIN applications a ON a.id = t.application_id
    WHERE t.due_at >= now() - make_interval(days => %(days)s) AND NOT t.done
    UNION ALL
    SELECT a.id, a.version - 1, a.created_at, a.updated_at,
           a.follow_up_at, a.follow_up_at + make_interval(mins => %(minutes)s), NULL,
           'Follow up: ' || a.position || ', ' || a.company, NULL, '{}', false
    FROM applications a
    WHERE a.follow_up_at >= now() - make_interval(days => %(days)s)
    ORDER BY starts_at, id
    LIMIT %(most)s
    """
)

HELD = (Holding("calendar_feeds", shown=("created_at", "last_read_at")),)
