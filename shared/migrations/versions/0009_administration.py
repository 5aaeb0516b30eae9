"""Administration: accounts changed by others, quotas set by hand, and what metrics are made of."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# These run for administrators, behind the door but not as tenants: db.administer().
ADMINISTRATION = """
CREATE INDEX users_created_at ON users (created_at, id);

-- There is always an active administrator. Whatever would take one away asks this first; those who ask wait for each
-- other, so that two who are the last cannot both go.
CREATE FUNCTION keep_an_admin(the_user uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7411202602);
    IF EXISTS (SELECT FROM users WHERE id = the_user AND role = 'admin' AND disabled_at IS NULL)
       AND NOT EXISTS (SELECT FROM users WHERE id <> the_user AND role = 'admin' AND disabled_at IS NULL) THEN
        PERFORM refuse('JTA09');
    END IF;
END $$;

-- Change what only an administrator may. The actor was let in as one; whoever waited for keep_an_admin() may have
-- ceased to be one meanwhile, by the very change that was waited for.
CREATE FUNCTION change_user(the_actor uuid, the_user uuid, the_role text, is_active boolean, the_reason text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    u users;
BEGIN
    IF the_role <> 'admin' OR NOT is_active THEN
        PERFORM keep_an_admin(the_user);
        IF NOT EXISTS (SELECT FROM users WHERE id = the_actor AND role = 'admin' AND disabled_at IS NULL) THEN
            PERFORM refuse('JT403');
        END IF;
    END IF;
    SELECT users.* INTO u FROM users WHERE id = the_user FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    END IF;
    IF the_role <> u.role THEN
        UPDATE users SET role = the_role, updated_at = now(), version = version + 1 WHERE id = the_user;
        PERFORM audit('role_changed', the_user,
                      jsonb_build_object('from', u.role, 'to', the_role, 'reason', the_reason), the_actor => the_actor);
    END IF;
    IF is_active = (u.disabled_at IS NOT NULL) THEN
        UPDATE users SET disabled_at = CASE WHEN NOT is_active THEN now() END, updated_at = now(), version = version + 1
        WHERE id = the_user;
        IF NOT is_active THEN  -- or they would live again when the account does
            UPDATE sessions SET revoked_at = now(), revoked_reason = 'disabled'
            WHERE user_id = the_user AND revoked_at IS NULL;
            PERFORM revoke_tokens(the_user, 'account_disabled', the_actor);
        END IF;
        PERFORM audit('account_' || CASE WHEN is_active THEN 'enabled' ELSE 'disabled' END, the_user,
                      jsonb_build_object('reason', the_reason), the_actor => the_actor);
    END IF;
END $$;

-- And the personal access tokens with them: who asks for this wants everybody out who is not the owner.
CREATE FUNCTION end_sessions(the_actor uuid, the_user uuid, the_reason text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    ended bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM users WHERE id = the_user) THEN
        PERFORM refuse('JT404');
    END IF;
    UPDATE sessions SET revoked_at = now(), revoked_reason = 'revoked_by_admin'
    WHERE user_id = the_user AND revoked_at IS NULL AND idle_expires_at > now() AND absolute_expires_at > now();
    GET DIAGNOSTICS ended = ROW_COUNT;
    PERFORM audit('sessions_revoked', the_user, jsonb_build_object('sessions', ended, 'reason', the_reason),
                  the_actor => the_actor);
    PERFORM revoke_tokens(the_user, 'sessions_revoked', the_actor);
    RETURN ended;
END $$;
"""

QUOTAS = """
-- What somebody may use in place of what their role may.
CREATE TABLE quota_overrides (
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    metric     text NOT NULL,
    units      bigint CHECK (units >= 0),  -- NULL: no limit
    reason     text NOT NULL CHECK (reason <> ''),
    granted_by uuid REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, metric)
);
CREATE INDEX quota_overrides_granted_by ON quota_overrides (granted_by);
ALTER TABLE quota_overrides ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON quota_overrides TO tenant USING (user_id = current_setting('app.user_id')::uuid);
GRANT SELECT (user_id, metric, units) ON quota_overrides TO tenant;

CREATE FUNCTION grant_quota(the_actor uuid, the_user uuid, the_metric text, the_units bigint, the_reason text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM users u JOIN quota_limits l ON l.role = u.role
    WHERE u.id = the_user AND l.metric = the_metric FOR KEY SHARE OF u;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    END IF;
    INSERT INTO quota_overrides AS o (user_id, metric, units, reason, granted_by)
    VALUES (the_user, the_metric, the_units, the_reason, the_actor)
    ON CONFLICT (user_id, metric) DO UPDATE SET
        units = excluded.units, reason = excluded.reason, granted_by = excluded.granted_by, created_at = now();
    PERFORM audit('quota_granted', the_user, jsonb_build_object(
                      'metric', the_metric, 'units', coalesce(the_units::text, 'unlimited'), 'reason', the_reason),
                  the_actor => the_actor);
END $$;

CREATE FUNCTION restore_quota(the_actor uuid, the_user uuid, the_metric text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM quota_overrides WHERE user_id = the_user AND metric = the_metric;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    END IF;
    PERFORM audit('quota_restored', the_user, jsonb_build_object('metric', the_metric), the_actor => the_actor);
END $$;

-- As before, except that an override goes before the role's limit; and that an administrator may ask about others.
DROP FUNCTION quota_state(text);
CREATE FUNCTION quota_state(
    the_metric text, the_user uuid DEFAULT current_setting('app.user_id')::uuid,
    the_role text DEFAULT current_setting('app.role'))
RETURNS json LANGUAGE sql VOLATILE AS $$
    SELECT row_to_json(state)
    FROM quota_limits l LEFT JOIN quota_overrides o ON o.metric = l.metric AND o.user_id = the_user,
    LATERAL (SELECT
        CASE WHEN o.user_id IS NULL THEN l.units ELSE o.units END AS units,
        coalesce((SELECT u.used FROM quota_usage u WHERE u.user_id = the_user AND u.metric = l.metric
                  AND u.window_start = quota_window(l.time_window)), 0) AS used,
        coalesce((SELECT sum(e.units) FROM quota_entries e WHERE e.user_id = the_user AND e.metric = l.metric
                  AND e.window_start = quota_window(l.time_window)
                  AND e.state = 'reserved' AND e.expires_at > clock_timestamp()), 0) AS reserved) c,
    LATERAL (SELECT
        l.metric, c.units AS "limit", c.used, c.reserved, c.units - least(c.units, c.used + c.reserved) AS remaining,
        round(100.0 * (c.used + c.reserved) / nullif(c.units, 0), 1) AS percentage, l.time_window AS "window",
        CASE l.time_window WHEN 'day' THEN quota_window('day') + interval '1 day' END AS resets_at,
        c.units IS NULL OR c.used + c.reserved < c.units AS can_consume) state
    WHERE l.metric = the_metric AND l.role = the_role
$$;
"""

# What monitoring asks must cost little however much there is.
MONITORING = """
CREATE FUNCTION age_group(since timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN since > now() - interval '1 day' THEN 'day'
                WHEN since > now() - interval '7 days' THEN 'week'
                WHEN since > now() - interval '30 days' THEN 'month'
                ELSE 'older' END
$$;

-- How much of a table to read, in per cent, so that it is about so many rows: all of a small one.
CREATE FUNCTION sample_of(the_table regclass, the_rows int) RETURNS real LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT least(100, 100.0 * the_rows / greatest(reltuples, 1)) FROM pg_class WHERE oid = the_table);
END $$;

-- The statements that took most time, where somebody made the extension; it keeps values out of them. Utility
-- statements, which may hold a password, are not among them.
CREATE FUNCTION slowest_statements(how_many int, OUT statements json, OUT missing text) LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('pg_stat_statements') IS NULL THEN
        missing := 'the extension pg_stat_statements is not installed';
        RETURN;
    END IF;
    EXECUTE $query$
        SELECT coalesce(json_agg(row_to_json(slow)), '[]') FROM (
            SELECT queryid::text AS id, left(regexp_replace(min(query), '\\s+', ' ', 'g'), 300) AS statement,
                   sum(calls) AS calls, sum(rows) AS rows,
                   round(sum(total_exec_time)::numeric / 1000, 3) AS total_seconds,
                   round((sum(total_exec_time) / greatest(sum(calls), 1))::numeric / 1000, 6) AS mean_seconds,
                   round(max(max_exec_time)::numeric / 1000, 6) AS longest_seconds
            FROM pg_stat_statements
            WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND query ~* '^\\s*(select|with|insert|update|delete)\\M'
            GROUP BY queryid ORDER BY sum(total_exec_time) DESC LIMIT $1) AS slow
    $query$ INTO statements USING how_many;
EXCEPTION WHEN object_not_in_prerequisite_state OR insufficient_privilege OR undefined_column THEN
    missing := 'pg_stat_statements does not answer: ' || SQLERRM;
END $$;
"""

DOWNGRADE = """
DROP FUNCTION slowest_statements(int), sample_of(regclass, int), age_group(timestamptz),
    restore_quota(uuid, uuid, text),
    grant_quota(uuid, uuid, text, bigint, text), end_sessions(uuid, uuid, text),
    change_user(uuid, uuid, text, boolean, text), keep_an_admin(uuid), quota_state(text, uuid, text);
DROP TABLE quota_overrides;
DROP INDEX users_created_at;

CREATE FUNCTION quota_state(the_metric text) RETURNS json LANGUAGE sql VOLATILE AS $$
    SELECT row_to_json(state)
    FROM quota_limits l, LATERAL (SELECT
        coalesce((SELECT u.used FROM quota_usage u WHERE u.metric = l.metric
                  AND u.window_start = quota_window(l.time_window)), 0) AS used,
        coalesce((SELECT sum(e.units) FROM quota_entries e WHERE e.metric = l.metric
                  AND e.window_start = quota_window(l.time_window)
                  AND e.state = 'reserved' AND e.expires_at > clock_timestamp()), 0) AS reserved) c,
    LATERAL (SELECT
        l.metric, l.units AS "limit", c.used, c.reserved, l.units - least(l.units, c.used + c.reserved) AS remaining,
        round(100.0 * (c.used + c.reserved) / nullif(l.units, 0), 1) AS percentage, l.time_window AS "window",
        CASE l.time_window WHEN 'day' THEN quota_window('day') + interval '1 day' END AS resets_at,
        l.units IS NULL OR c.used + c.reserved < l.units AS can_consume) state
    WHERE l.metric = the_metric AND l.role = current_setting('app.role')
$$;
"""


def upgrade() -> None:
    for part in (ADMINISTRATION, QUOTAS, MONITORING):
        op.get_bind().connection.cursor().execute(part)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
