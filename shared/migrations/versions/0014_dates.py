"""Dates: tasks that are done, interviews in their time zone, reminders that are sent once, and the calendar feed."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

DATES = """
-- Whether and when a task was done are one fact: whichever of the two a statement sets, the other follows.
ALTER TABLE tasks ADD COLUMN done boolean NOT NULL DEFAULT false;
UPDATE tasks SET done = true WHERE done_at IS NOT NULL;
ALTER TABLE tasks ADD CONSTRAINT tasks_done CHECK (done = (done_at IS NOT NULL));
CREATE FUNCTION settle_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.done := NEW.done OR NEW.done_at IS NOT NULL;
    ELSIF NEW.done = OLD.done THEN
        NEW.done := NEW.done_at IS NOT NULL;
    END IF;
    NEW.done_at := CASE WHEN NEW.done THEN coalesce(NEW.done_at, now()) END;
    RETURN NEW;
END $$;
CREATE TRIGGER tasks_settle BEFORE INSERT OR UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION settle_task();

-- The orders of lists; a task without a day comes last.
CREATE INDEX tasks_due ON tasks (user_id, (coalesce(due_at, 'infinity')), id);
CREATE INDEX tasks_open ON tasks (user_id, (coalesce(due_at, 'infinity')), id) WHERE NOT done;
CREATE INDEX tasks_created ON tasks (user_id, created_at DESC, id DESC);

ALTER TABLE interviews
    ADD CONSTRAINT interviews_kind
        CHECK (kind IN ('phone', 'video', 'on_site', 'technical', 'assessment', 'panel', 'other')),
    ADD CONSTRAINT interviews_outcome CHECK (outcome IN ('pending', 'passed', 'failed', 'cancelled', 'no_show'));
CREATE FUNCTION place_interview() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.time_zone := (SELECT time_zone FROM users WHERE id = NEW.user_id);
    RETURN NEW;
END $$;
CREATE TRIGGER interviews_place BEFORE INSERT ON interviews FOR EACH ROW WHEN (NEW.time_zone IS NULL)
    EXECUTE FUNCTION place_interview();
"""

REMINDERS = """
ALTER TABLE users ADD COLUMN reminders boolean NOT NULL DEFAULT true;
GRANT SELECT (reminders), UPDATE (reminders) ON users TO tenant;

-- Of what somebody was reminded, and for which moment: another moment is another reminder.
CREATE TABLE reminders_sent (
    user_id  uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    thing_id uuid NOT NULL,
    due_at   timestamptz NOT NULL,
    sent_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (thing_id, due_at)
);
CREATE INDEX reminders_sent_user_id ON reminders_sent (user_id);
CREATE INDEX reminders_sent_due_at ON reminders_sent (due_at);
ALTER TABLE reminders_sent ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON reminders_sent TO tenant USING (user_id = current_setting('app.user_id')::uuid);

CREATE INDEX tasks_due_at ON tasks (due_at) WHERE NOT done;
CREATE INDEX interviews_starts_at ON interviews (starts_at) WHERE outcome = 'pending';
CREATE INDEX applications_follow_up_at ON applications (follow_up_at) WHERE follow_up_at IS NOT NULL;

-- A moment as the clock shows it where somebody is. Python may know a time zone that PostgreSQL does not.
CREATE FUNCTION clock_of(the_moment timestamptz, zone text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN to_char(the_moment AT TIME ZONE zone, 'FMDD FMMonth YYYY, HH24:MI');
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN to_char(the_moment AT TIME ZONE 'UTC', 'FMDD FMMonth YYYY, HH24:MI "UTC"');
END $$;

-- What people who want it, and whose address is proved, are to be reminded of after one moment and until another:
-- open tasks and follow-ups when they are due, interviews a day and an hour before they begin.
CREATE FUNCTION reminders_between(since timestamptz, until timestamptz)
RETURNS TABLE (user_id uuid, thing_id uuid, remind_at timestamptz, happens_at timestamptz, what text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY
    SELECT due.* FROM (
        SELECT t.user_id, t.id, t.due_at, t.due_at AS happens_at,
               t.title || coalesce(' (' || a.position || ', ' || a.company || ')', '')
        FROM tasks t LEFT JOIN applications a ON a.id = t.application_id
        WHERE NOT t.done AND t.due_at > since AND t.due_at <= until
        UNION ALL
        SELECT i.user_id, i.id, i.starts_at - ahead, i.starts_at,
               coalesce(i.title, 'Interview') || ' (' || a.position || ', ' || a.company || ')'
        FROM interviews i JOIN applications a ON a.id = i.application_id,
             unnest('{24 hours,1 hour}'::interval[]) AS ahead
        WHERE i.outcome = 'pending' AND i.starts_at > greatest(since, now())
          AND i.starts_at <= until + interval '24 hours'
          AND i.starts_at - ahead > since AND i.starts_at - ahead <= until
        UNION ALL
        SELECT a.user_id, a.id, a.follow_up_at, a.follow_up_at, 'Follow up: ' || a.position || ', ' || a.company
        FROM applications a
        WHERE a.follow_up_at > since AND a.follow_up_at <= until
    ) AS due JOIN users u ON u.id = due.user_id
    WHERE u.reminders AND u.email_verified AND u.disabled_at IS NULL AND u.deletion_due_at IS NULL;
END $$;

-- Post what is due, one message a person, for so many people at most. Any number may do so at once: the row in
-- reminders_sent is written with the message, and there can be one only. What was due more than 48 hours ago is
-- passed over: old records that are written down today remind nobody. ``next_at``: what is next due today, if anything.
CREATE FUNCTION send_reminders(most int, OUT reminded int, OUT next_at timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    WITH due AS MATERIALIZED (
        SELECT r.* FROM reminders_between(now() - interval '48 hours', now()) r
        WHERE NOT EXISTS (SELECT FROM reminders_sent s WHERE s.thing_id = r.thing_id AND s.due_at = r.remind_at)
    ), people AS MATERIALIZED (
        SELECT u.id, u.time_zone FROM users u WHERE u.id = ANY(ARRAY(SELECT due.user_id FROM due))
        ORDER BY u.id LIMIT most FOR NO KEY UPDATE SKIP LOCKED
    ), claimed AS (
        INSERT INTO reminders_sent AS s (user_id, thing_id, due_at)
        SELECT due.user_id, due.thing_id, due.remind_at FROM due JOIN people ON people.id = due.user_id
        ORDER BY due.thing_id, due.remind_at
        ON CONFLICT DO NOTHING
        RETURNING s.user_id, s.thing_id, s.due_at
    ), lines AS (  -- a day before and an hour before may both be due, after a pause: one line is enough
        SELECT DISTINCT claimed.user_id, claimed.thing_id, due.happens_at,
               clock_of(due.happens_at, people.time_zone) || ': ' || due.what AS line
        FROM claimed JOIN due ON due.thing_id = claimed.thing_id AND due.remind_at = claimed.due_at
             JOIN people ON people.id = claimed.user_id
    )
    SELECT count(posted.id) INTO reminded FROM (
        SELECT post_mail(user_id, NULL, 'reminders', '', jsonb_build_object('things',
                   (array_agg(line ORDER BY happens_at, thing_id))[1:10]
                   || CASE WHEN count(*) > 10 THEN ARRAY[format('And %s more.', count(*) - 10)] ELSE '{}' END)) AS id
        FROM lines GROUP BY user_id
    ) AS posted;
    SELECT min(remind_at) INTO next_at
    FROM reminders_between(now(), (date_trunc('day', now() AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC');
END $$;
"""

CALENDAR = """
-- The secret address of somebody's calendar feed: they have it, the table its SHA-256.
CREATE TABLE calendar_feeds (
    user_id      uuid PRIMARY KEY DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    digest       bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_read_at timestamptz  -- to the hour
);
ALTER TABLE calendar_feeds ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON calendar_feeds TO tenant USING (user_id = current_setting('app.user_id')::uuid);
GRANT SELECT (user_id, created_at, last_read_at), INSERT (user_id, digest),
      UPDATE (digest, created_at, last_read_at), DELETE ON calendar_feeds TO tenant;

CREATE INDEX applications_own_follow_ups ON applications (user_id, follow_up_at) WHERE follow_up_at IS NOT NULL;

-- The door for who shows the address of a feed: enter(), for reading its owner's dates and no more. That it is read is
-- written down once an hour, by one request of those that come at once.
CREATE FUNCTION enter_with_feed(the_digest bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    f record;
BEGIN
    SELECT c.user_id, c.last_read_at, u.role INTO f
    FROM calendar_feeds c JOIN users u ON u.id = c.user_id
    WHERE c.digest = the_digest AND u.disabled_at IS NULL;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    END IF;
    IF f.last_read_at IS NULL OR f.last_read_at <= now() - interval '1 hour' THEN
        UPDATE calendar_feeds SET last_read_at = now() WHERE user_id = (
            SELECT user_id FROM calendar_feeds
            WHERE user_id = f.user_id AND (last_read_at IS NULL OR last_read_at <= now() - interval '1 hour')
            FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
    PERFORM set_config('app.user_id', f.user_id::text, true), set_config('app.session_id', '', true),
            set_config('app.role', f.role, true), set_config('TimeZone', 'UTC', true),
            set_config('role', 'tenant', true);
END $$;
"""

DOWNGRADE = """
DROP FUNCTION enter_with_feed(bytea);
DROP INDEX applications_own_follow_ups;
DROP TABLE calendar_feeds;
DROP FUNCTION send_reminders(int), reminders_between(timestamptz, timestamptz), clock_of(timestamptz, text);
DROP INDEX applications_follow_up_at, interviews_starts_at, tasks_due_at;
DROP TABLE reminders_sent;
ALTER TABLE users DROP COLUMN reminders;
DROP TRIGGER interviews_place ON interviews;
DROP FUNCTION place_interview();
ALTER TABLE interviews DROP CONSTRAINT interviews_kind, DROP CONSTRAINT interviews_outcome;
DROP INDEX tasks_due, tasks_created;
DROP TRIGGER tasks_settle ON tasks;
DROP FUNCTION settle_task();
ALTER TABLE tasks DROP COLUMN done;
"""


def upgrade() -> None:
    cursor = op.get_bind().connection.cursor()
    for part in (DATES, REMINDERS, CALENDAR):
        cursor.execute(part)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
