"""The figures' SQL. Row-level security confines every table to its user; every figure goes by an index of theirs."""

from psycopg import sql

from shared.analytics.models import QuietApplication
from shared.db import statement
from shared.documents import columns

# The user's calendar: a day, and a week, are what they are where the user is.
CLOCK = sql.SQL(
    """
    clock AS MATERIALIZED (
        SELECT time_zone, today, date_trunc('week', today::timestamp)::date AS monday,
               (today + 1)::timestamp AT TIME ZONE time_zone AS tomorrow,
               (today - 29)::timestamp AT TIME ZONE time_zone AS quiet_before,
               (today - 59)::timestamp AT TIME ZONE time_zone AS gone_before
        FROM (SELECT time_zone, (now() AT TIME ZONE time_zone)::date AS today FROM users) AS here
    )
    """
)

# How far an application came. Who is rejected or ghosted has applied, also if they never wrote it down.
REACHED = sql.SQL(
    "CASE WHEN furthest_category = 'saved' AND status IN ('rejected', 'ghosted') THEN 'applied' "
    "ELSE furthest_category END"
)

# The employer answered: with a step of the process, or a rejection.
ANSWERED = sql.SQL("(furthest_category IN ('in_process', 'offer', 'accepted') OR status = 'rejected')")

IN_PERIOD = sql.SQL(
    "(%(from_)s::date IS NULL OR applied_on >= %(from_)s::date) "
    "AND (%(to)s::date IS NULL OR applied_on <= %(to)s::date)"
)

SUMMARIZE = statement(
    """
    WITH {clock}, grouped AS (
        SELECT category, status, {reached} <> 'saved' AS is_applied, {answered} AS is_answered,
               count(*) FILTER (WHERE {in_period}) AS n,
               count(*) FILTER (WHERE applied_on BETWEEN monday AND today) AS this_week,
               count(*) FILTER (WHERE applied_on BETWEEN monday - 7 AND monday - 1) AS last_week,
               count(*) FILTER (WHERE applied_on BETWEEN today - 29 AND today) AS last_30_days,
               count(*) FILTER (WHERE follow_up_at <= now()) AS overdue,
               count(*) FILTER (WHERE last_activity_at < quiet_before) AS quiet,
               count(*) FILTER (WHERE last_activity_at < gone_before) AS gone
        FROM applications, clock GROUP BY 1, 2, 3, 4
    ), added AS (
        SELECT coalesce(sum(n), 0) AS total,
               coalesce(sum(n) FILTER (WHERE category IN ('applied', 'in_process', 'offer')), 0) AS open,
               coalesce(sum(n) FILTER (WHERE is_applied), 0) AS applied,
               coalesce(sum(n) FILTER (WHERE is_applied AND is_answered), 0) AS responses,
               coalesce(sum(this_week), 0) AS this_week, coalesce(sum(last_week), 0) AS last_week,
               coalesce(sum(last_30_days), 0) AS last_30_days,
               coalesce(sum(overdue) FILTER (WHERE category NOT IN ('accepted', 'closed')), 0) AS overdue,
               coalesce(sum(quiet - gone) FILTER (WHERE category IN ('applied', 'in_process', 'offer')), 0) AS quiet,
               coalesce(sum(gone) FILTER (WHERE category IN ('applied', 'in_process', 'offer')), 0) AS gone
        FROM grouped
    )
    SELECT NULL::int, json_build_object(
        'total', total, 'open', open,
        'by_category', (
            SELECT json_object_agg(name, coalesce((SELECT sum(n) FROM grouped WHERE category = name), 0) ORDER BY place)
            FROM unnest('{{saved,applied,in_process,offer,accepted,closed}}'::text[])
                 WITH ORDINALITY AS categories (name, place)),
        'by_status', (
            SELECT json_object_agg(name, coalesce((SELECT sum(n) FROM grouped WHERE status = name), 0) ORDER BY place)
            FROM unnest('{{saved,applied,screening,interview,offer,accepted,rejected,withdrawn,ghosted,closed}}'
                        ::text[]) WITH ORDINALITY AS statuses (name, place)),
        'responses', json_build_object('n', applied, 'responses', responses,
            'rate', round(responses / nullif(applied, 0), 4), 'small_sample', applied < 5),
        'applied', json_build_object('this_week', this_week, 'last_week', last_week, 'last_30_days', last_30_days),
        'overdue_follow_ups', overdue,
        'tasks', (
            SELECT json_build_object('due', count(*), 'overdue', count(*) FILTER (WHERE due_at < now()))
            FROM tasks WHERE due_at < (SELECT tomorrow FROM clock) AND done_at IS NULL),
        'interviews_next_7_days', (
            SELECT count(*) FROM interviews
            WHERE starts_at >= now() AND starts_at < now() + interval '7 days' AND outcome = 'pending'),
        'quiet', json_build_object('quiet', quiet, 'gone', gone))::text
    FROM added
    """,
    clock=CLOCK,
    reached=REACHED,
    answered=ANSWERED,
    in_period=IN_PERIOD,
)

BOUNDS = sql.SQL(
    """
    {clock}, bounds AS MATERIALIZED (
        SELECT time_zone, date_trunc('week', coalesce(%(from_)s::date, until - 175)::timestamp)::date AS first,
               date_trunc('week', until::timestamp)::date AS last
        FROM (SELECT time_zone, coalesce(%(to)s::date, today) AS until FROM clock) AS given
    )
    """
).format(clock=CLOCK)

LIMIT_WEEKS = statement(
    """
    WITH {bounds}
    SELECT invalid('from', 'too_many_weeks', format('must be at most %%s weeks before to', %(most_weeks)s::int))
    FROM bounds WHERE last - first >= 7 * %(most_weeks)s::int
    """,
    bounds=BOUNDS,
)
MEASURE_ACTIVITY = statement(
    """
    WITH {bounds}, applied AS (
        SELECT date_trunc('week', applied_on::timestamp)::date AS week, count(*) AS n FROM applications
        WHERE applied_on >= (SELECT first FROM bounds) AND applied_on <= (SELECT last + 6 FROM bounds)
        GROUP BY 1
    ), happened AS (
        SELECT date_trunc('week', occurred_at AT TIME ZONE (SELECT time_zone FROM bounds))::date AS week, count(*) AS n
        FROM application_events
        WHERE occurred_at >= (SELECT first::timestamp AT TIME ZONE time_zone FROM bounds)
          AND occurred_at < (SELECT (last + 7)::timestamp AT TIME ZONE time_zone FROM bounds)
          AND kind <> 'edited'
        GROUP BY 1
    )
    SELECT NULL::int, json_build_object('weeks', coalesce(json_agg(json_build_object(
        'week', weeks.week, 'applied', coalesce(applied.n, 0), 'events', coalesce(happened.n, 0))
        ORDER BY weeks.week), '[]'))::text
    FROM (SELECT first + 7 * n AS week FROM bounds, generate_series(0, (last - first) / 7) AS n) AS weeks
    LEFT JOIN applied USING (week) LEFT JOIN happened USING (week)
    """,
    bounds=BOUNDS,
)

# The stages in the order of the pipeline. Closing says nothing about how far somebody came.
PIPELINE = sql.SQL(
    """
    pipeline AS MATERIALIZED (
        SELECT id, name, category, retired_at,
               row_number() OVER (ORDER BY progress_of(category), position, id) AS place,
               row_number() OVER (PARTITION BY category ORDER BY retired_at IS NOT NULL, position, id) = 1 AS is_first
        FROM stages WHERE category <> 'closed'
    )
    """
)

MEASURE_FUNNEL = statement(
    """
    WITH {pipeline}, grouped AS (
        SELECT {reached} AS category, CASE WHEN {reached} = furthest_category THEN furthest_stage_id END AS stage_id,
               CASE WHEN furthest_category = 'in_process' THEN furthest_round END AS round, count(*) AS n
        FROM applications WHERE {in_period} GROUP BY 1, 2, 3
    ), totals AS (
        SELECT coalesce(sum(n), 0) AS total, coalesce(sum(n) FILTER (WHERE category <> 'saved'), 0) AS applied
        FROM grouped
    ), steps AS (
        SELECT category, place, coalesce((SELECT sum(n) FROM grouped WHERE progress_of(grouped.category) >= place), 0)
                                AS reached
        FROM unnest('{{saved,applied,in_process,offer,accepted}}'::text[]) WITH ORDINALITY AS names (category, place)
    ), rounds AS (
        SELECT round, coalesce((SELECT sum(n) FROM grouped WHERE grouped.round >= rounds.round
                                                              OR grouped.category IN ('offer', 'accepted')), 0)
                      AS reached
        FROM (SELECT DISTINCT round FROM grouped WHERE round IS NOT NULL) AS rounds
    ), stops AS (
        SELECT p.id, p.name, p.category, p.place, p.retired_at, coalesce(sum(g.n), 0) AS furthest
        FROM pipeline p LEFT JOIN grouped g
          ON g.stage_id = p.id OR g.stage_id IS NULL AND g.category = p.category AND p.is_first
        GROUP BY 1, 2, 3, 4, 5
    ), stages AS (
        SELECT stops.*, sum(furthest) OVER (ORDER BY place DESC) AS reached FROM stops
    ), shown AS (
        SELECT stages.*, lead(reached) OVER (ORDER BY place) AS next FROM stages
        WHERE retired_at IS NULL OR furthest > 0
    )
    SELECT NULL::int, json_build_object(
        'total', total, 'applied', applied,
        'categories', (SELECT json_agg(json_build_object(
            'category', category, 'reached', reached,
            'share', CASE WHEN category <> 'saved' THEN round(reached / nullif(applied, 0), 4) END,
            'conversion', CASE WHEN category <> 'saved' THEN round(next / nullif(reached, 0), 4) END,
            'rounds', CASE WHEN category <> 'in_process' THEN '[]'::json ELSE
                (SELECT coalesce(json_agg(rounds ORDER BY round), '[]') FROM rounds) END) ORDER BY place)
            FROM (SELECT steps.*, lead(reached) OVER (ORDER BY place) AS next FROM steps) AS steps),
        'stages', (SELECT coalesce(json_agg(json_build_object(
            'stage_id', id, 'name', name, 'category', category, 'furthest', furthest, 'reached', reached,
            'share', CASE WHEN category <> 'saved' THEN round(reached / nullif(applied, 0), 4) END,
            'conversion', CASE WHEN category <> 'saved' THEN round(next / nullif(reached, 0), 4) END) ORDER BY place),
            '[]') FROM shown))::text
    FROM totals
    """,
    pipeline=PIPELINE,
    reached=REACHED,
    in_period=IN_PERIOD,
)

COMPARE_SOURCES = statement(
    """
    WITH counted AS (
        SELECT mode() WITHIN GROUP (ORDER BY btrim(source)) AS source, count(*) AS n,
               count(*) FILTER (WHERE {answered}) AS responses,
               count(*) FILTER (WHERE furthest_category IN ('offer', 'accepted')) AS offers
        FROM applications WHERE {reached} <> 'saved' AND {in_period}
        GROUP BY lower(btrim(source)) ORDER BY n DESC, lower(btrim(source)) LIMIT 50
    ), sent AS (
        SELECT f.id AS file_id, f.series_id, f.name, count(*) AS n,
               count(*) FILTER (WHERE {answered}) AS responses,
               count(*) FILTER (WHERE furthest_category IN ('offer', 'accepted')) AS offers
        FROM files f JOIN application_files l ON l.user_id = f.user_id AND l.file_id = f.id
             JOIN applications a ON a.user_id = l.user_id AND a.id = l.application_id
        WHERE f.kind = 'resume' AND {reached} <> 'saved' AND {in_period}
        GROUP BY f.id ORDER BY n DESC, f.id LIMIT 50
    )
    SELECT NULL::int, json_build_object(
        'sources', (SELECT coalesce(json_agg(json_build_object(
            'source', source, 'n', n, 'responses', responses, 'rate', round(responses::numeric / n, 4),
            'small_sample', n < 5, 'offers', offers) ORDER BY n DESC, lower(source)), '[]') FROM counted),
        'resumes', (SELECT coalesce(json_agg(json_build_object(
            'file_id', file_id, 'series_id', series_id, 'name', name, 'n', n, 'responses', responses,
            'rate', round(responses::numeric / n, 4), 'small_sample', n < 5, 'offers', offers)
            ORDER BY n DESC, file_id), '[]') FROM sent))::text
    """,
    reached=REACHED,
    answered=ANSWERED,
    in_period=IN_PERIOD,
)

# A stay begins when an application comes from another stage, and lasts through rounds of the same one.
MEASURE_STAYS = statement(
    """
    WITH {pipeline}, steps AS (
        SELECT application_id, occurred_at, id, stage_id,
               lag(stage_id) OVER (PARTITION BY application_id ORDER BY occurred_at, id) AS came_from
        FROM application_events WHERE stage_id IS NOT NULL
    ), stays AS (
        SELECT stage_id, occurred_at AS since,
               lead(occurred_at) OVER (PARTITION BY application_id ORDER BY occurred_at, id) AS until
        FROM steps WHERE stage_id IS DISTINCT FROM came_from
    ), measured AS (
        SELECT stage_id, until IS NOT NULL AS is_completed, count(*) AS n,
               percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (
                   ORDER BY extract(epoch FROM coalesce(until, now()) - since)::float8 / 86400) AS days
        FROM stays GROUP BY 1, 2
    )
    SELECT NULL::int, json_build_object('stages', coalesce(json_agg(json_build_object(
        'stage_id', p.id, 'name', p.name, 'category', p.category,
        'completed', json_build_object('n', coalesce(c.n, 0), 'median_days', round(c.days[1]::numeric, 2),
            'p90_days', round(c.days[2]::numeric, 2), 'small_sample', coalesce(c.n, 0) < 5),
        'waiting', json_build_object('n', coalesce(w.n, 0), 'median_days', round(w.days[1]::numeric, 2)))
        ORDER BY p.place), '[]'))::text
    FROM pipeline p LEFT JOIN measured c ON c.stage_id = p.id AND c.is_completed
         LEFT JOIN measured w ON w.stage_id = p.id AND NOT w.is_completed
    WHERE p.category <> 'accepted' AND (p.retired_at IS NULL OR coalesce(c.n, w.n) IS NOT NULL)
    """,
    pipeline=PIPELINE,
)

LIST_QUIET = statement(
    """
    WITH {clock}
    SELECT {document} AS document, last_activity_at::text AS sort_key, id
    FROM applications, clock,
         LATERAL (SELECT today - (last_activity_at AT TIME ZONE time_zone)::date AS days_quiet,
                         today - (stage_since AT TIME ZONE time_zone)::date AS days_waiting) AS waits
    WHERE category IN ('applied', 'in_process', 'offer')
      AND last_activity_at < (SELECT (today - %(days)s + 1)::timestamp AT TIME ZONE time_zone FROM clock)
      AND (%(after_id)s::uuid IS NULL
           OR (last_activity_at, id) > (%(after_key)s::timestamptz, %(after_id)s::uuid))
    ORDER BY last_activity_at, id
    LIMIT %(limit)s
    """,
    clock=CLOCK,
    document=columns(
        QuietApplication,
        "applications",
        days_quiet="days_quiet",
        days_waiting="days_waiting",
        level="CASE WHEN days_quiet >= 60 THEN 'gone' WHEN days_quiet >= 30 THEN 'quiet' ELSE 'waiting' END",
        suggestion="CASE WHEN days_quiet >= 60 THEN 'close_as_ghosted' WHEN days_quiet >= 30 THEN 'follow_up' END",
    ),
)

# Of the steps of each application those count that lead further than any before: so every link leads forwards in the
# pipeline, and the ways of several applications make no circle. Where it stands now is the end of its way; closed in
# one's own words is just closed, since those may name anybody.
DRAW_SANKEY = statement(
    """
    WITH {pipeline}, counted AS (
        SELECT id, category, close_reason, {reached} AS reached FROM applications WHERE {in_period}
    ), steps AS (
        SELECT e.application_id, p.place, e.occurred_at, e.id,
               max(p.place) OVER (PARTITION BY e.application_id ORDER BY e.occurred_at, e.id
                                  ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS furthest
        FROM application_events e JOIN pipeline p ON p.id = e.stage_id
        WHERE e.stage_id IS NOT NULL
    ), ways AS (
        SELECT application_id, array_agg(place ORDER BY place) AS places
        FROM steps WHERE furthest IS NULL OR place > furthest GROUP BY application_id
    ), followed AS (
        SELECT coalesce(w.places, ARRAY[p.place]) AS places,
               CASE WHEN a.category = 'closed' THEN
                        CASE a.close_reason WHEN 'rejected' THEN 'Rejected' WHEN 'ghosted' THEN 'Ghosted'
                            WHEN 'withdrew' THEN 'Withdrew' WHEN 'declined' THEN 'Declined'
                            WHEN 'role_closed' THEN 'Role closed' ELSE 'Closed' END
                    WHEN a.category <> 'accepted' THEN 'Still open' END AS ending
        FROM counted a LEFT JOIN ways w ON w.application_id = a.id
             LEFT JOIN pipeline p ON p.category = a.reached AND p.is_first
    ), links AS (
        SELECT places[n] AS source, places[n + 1] AS target,
               CASE WHEN n = cardinality(places) THEN ending END AS ending, sum(times) AS count
        FROM (SELECT places, ending, count(*) AS times FROM followed GROUP BY 1, 2) AS ways,
             generate_series(1, cardinality(places)) AS n
        GROUP BY 1, 2, 3
    ), endings AS (
        SELECT name, row_number() OVER (ORDER BY name = 'Still open', name) AS place
        FROM (SELECT DISTINCT ending AS name FROM links WHERE ending IS NOT NULL) AS seen
    ), points AS (
        SELECT place, NULL AS ending, name, category AS kind,
               greatest((SELECT sum(count) FROM links WHERE source = place),
                        (SELECT sum(count) FROM links WHERE target = place)) AS count
        FROM pipeline
        UNION ALL
        SELECT place + (SELECT count(*) FROM pipeline), name, name,
               CASE WHEN name = 'Still open' THEN 'open' ELSE 'closed' END,
               (SELECT sum(count) FROM links WHERE ending = name)
        FROM endings
    ), nodes AS (
        SELECT points.*, row_number() OVER (ORDER BY place) - 1 AS n FROM points WHERE count > 0
    )
    SELECT NULL::int, json_build_object(
        'nodes', (SELECT coalesce(json_agg(json_build_object('name', name, 'kind', kind, 'count', count) ORDER BY n),
                                  '[]') FROM nodes),
        'links', (SELECT coalesce(json_agg(json_build_object('source', s.n, 'target', t.n, 'count', l.count)
                                           ORDER BY s.n, t.n), '[]')
                  FROM links l JOIN nodes s ON s.place = l.source AND s.ending IS NULL
                       JOIN nodes t ON t.place = l.target AND t.ending IS NULL OR t.ending = l.ending))::text
    """,
    pipeline=PIPELINE,
    reached=REACHED,
    in_period=IN_PERIOD,
)
