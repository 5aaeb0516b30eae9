"""The shares' SQL. That an address is good is asked at the door: ``enter_with_share()``."""

from shared.db import statement
from shared.holdings import Holding

CREATE_SHARE = statement(
    """
    SELECT id, created_at, expires_at
    FROM create_share(%(digest)s, %(name)s, %(application_ids)s::uuid[], %(anonymous)s, %(days)s, %(most)s)
    """
)

LIST_SHARES = statement(
    """
    SELECT row_to_json(shown)::text, created_at::text, id
    FROM (
        SELECT id, name, covers_all AS "all", is_anonymous AS anonymous,
               CASE WHEN NOT covers_all THEN (
                   SELECT count(*) FROM share_applications c WHERE c.share_id = shares.id) END AS applications,
               created_at, expires_at, last_opened_at
        FROM shares
        WHERE expires_at > now()
          AND (%(after_id)s::uuid IS NULL OR (created_at, id) < (%(after_key)s::timestamptz, %(after_id)s::uuid))
        ORDER BY created_at DESC, id DESC
        LIMIT %(limit)s
    ) AS shown
    """
)

REVOKE_SHARE = statement(
    """
    WITH revoked AS (
        DELETE FROM shares WHERE id = %(id)s AND expires_at > now() RETURNING id, name
    )
    SELECT audit('share_revoked', current_setting('app.user_id')::uuid,
                 jsonb_build_object('share_id', id, 'name', name))
    FROM revoked
    """
)

ENTER_WITH_SHARE = statement("SELECT enter_with_share(%(share_digest)s)")

# Every column that is shown stands here by its name: what is not named is not shown.
OPEN_SHARE = statement(
    """
    WITH share AS (
        SELECT s.*, u.time_zone FROM (
            SELECT id, user_id, name, covers_all, is_anonymous, expires_at FROM shares
            WHERE id = current_setting('app.share_id')::uuid
        ) AS s JOIN users u ON u.id = s.user_id
    ), covered AS (
        SELECT a.id, a.category FROM share, applications a WHERE share.covers_all AND a.user_id = share.user_id
        UNION ALL
        SELECT a.id, a.category
        FROM share JOIN share_applications c ON c.share_id = share.id JOIN applications a ON a.id = c.application_id
        WHERE NOT share.covers_all
    ), latest AS (
        SELECT a.id, a.company, a.company_key, a.position, a.location, a.workplace, a.stage_id, a.category, a.status,
               a.stage_since, a.applied_on, a.furthest_category,
               row_number() OVER (ORDER BY a.created_at DESC, a.id DESC) AS number
        FROM applications a, share
        WHERE a.user_id = share.user_id AND (share.covers_all OR a.id IN (SELECT id FROM covered))
        ORDER BY a.created_at DESC, a.id DESC
        LIMIT %(most)s
    ), numbered AS (
        SELECT latest.*, min(number) OVER (PARTITION BY company_key) AS first_of_company FROM latest
    ), named AS (
        SELECT numbered.*, dense_rank() OVER (ORDER BY first_of_company) AS company_number FROM numbered
    )
    SELECT row_to_json(shown)::text FROM (
        SELECT share.name, share.expires_at,
               (SELECT json_build_object(
                    'total', count(*),
                    'saved', count(*) FILTER (WHERE category = 'saved'),
                    'applied', count(*) FILTER (WHERE category = 'applied'),
                    'in_process', count(*) FILTER (WHERE category = 'in_process'),
                    'offer', count(*) FILTER (WHERE category = 'offer'),
                    'accepted', count(*) FILTER (WHERE category = 'accepted'),
                    'closed', count(*) FILTER (WHERE category = 'closed')) FROM covered) AS counts,
               (SELECT coalesce(json_agg(json_build_object(
                    'number', n.number,
                    'company', CASE WHEN share.is_anonymous THEN 'Company ' || n.company_number ELSE n.company END,
                    'position', n.position,
                    'location', n.location,
                    'workplace', n.workplace,
                    'stage', st.name,
                    'category', n.category,
                    'status', n.status,
                    'stage_since', (n.stage_since AT TIME ZONE share.time_zone)::date,
                    'applied_on', n.applied_on,
                    'furthest_category', n.furthest_category,
                    'timeline', (
                        SELECT coalesce(json_agg(json_build_object(
                            'stage', es.name, 'category', es.category,
                            'on', (e.occurred_at AT TIME ZONE share.time_zone)::date)
                            ORDER BY e.occurred_at, e.id), '[]')
                        FROM (
                            SELECT id, stage_id, occurred_at FROM application_events
                            WHERE application_id = n.id AND stage_id IS NOT NULL
                            ORDER BY occurred_at DESC, id DESC LIMIT %(steps)s
                        ) AS e JOIN stages es ON es.id = e.stage_id
                    )) ORDER BY n.number), '[]')
                FROM named n JOIN stages st ON st.id = n.stage_id) AS applications
        FROM share
    ) AS shown
    """
)

HELD = (
    Holding("share_applications", shown=("share_id", "application_id")),
    Holding(
        "shares",
        shown=("id", "name", "covers_all", "is_anonymous", "created_at", "expires_at", "last_opened_at"),
    ),
)
