"""The pipeline: stages in an order without gaps, a timeline that forgets nothing, and the order of cards on a board."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# ---------------------------------------------------------------- stages

STAGES = """
-- One change of somebody's pipeline at a time: its order has no gaps and no ties, and each category keeps a stage.
CREATE FUNCTION hold_stages(the_user uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('stages ' || the_user, 0));
END $$;

-- The place of a category in the natural order of a pipeline, which ends with what is closed.
CREATE FUNCTION order_of(category text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN coalesce(progress_of(category), 6);
END $$;

-- A stage of somebody's own. Without a position it goes after those that are as far; the others make room.
CREATE FUNCTION begin_stage() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    there int;
    in_use int;
    natural_place int;
BEGIN
    PERFORM hold_stages(NEW.user_id);
    SELECT count(*), count(*) FILTER (WHERE retired_at IS NULL),
           1 + coalesce(max(position) FILTER (WHERE retired_at IS NULL
                                              AND order_of(category) <= order_of(NEW.category)), 0)
    INTO there, in_use, natural_place FROM stages WHERE user_id = NEW.user_id;
    IF there >= 50 THEN
        PERFORM refuse('JTY11');
    END IF;
    NEW.status := CASE NEW.category WHEN 'in_process' THEN 'interview' ELSE NEW.category END;
    NEW.position := least(coalesce(NEW.position, natural_place), in_use + 1);
    UPDATE stages SET position = position + 1, version = version + 1, updated_at = now()
    WHERE user_id = NEW.user_id AND position >= NEW.position;
    RETURN NEW;
END $$;
CREATE TRIGGER stages_begin BEFORE INSERT ON stages FOR EACH ROW WHEN (NEW.status IS NULL)
    EXECUTE FUNCTION begin_stage();

-- How far applications came depends on the order of stages in one category. Those for which it is another one now.
CREATE FUNCTION settle_furthest(the_user uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE applications a
    SET furthest_stage_id = f.stage_id, furthest_round = f.round, version = version + 1, updated_at = now()
    FROM (SELECT DISTINCT ON (e.application_id) e.application_id, e.stage_id, e.round
          FROM application_events e
          JOIN stages s ON s.id = e.stage_id AND s.category IN (
              SELECT category FROM stages WHERE user_id = the_user AND category <> 'closed'
              GROUP BY category HAVING count(*) > 1)
          JOIN applications b ON b.id = e.application_id AND b.furthest_category = s.category
          WHERE e.user_id = the_user
          ORDER BY e.application_id, e.round DESC NULLS LAST, s.position DESC, e.occurred_at, e.id) f
    WHERE a.id = f.application_id AND a.furthest_stage_id <> f.stage_id;
END $$;

-- Puts a stage into its place: those in use from 1 on, the retired ones after them.
CREATE FUNCTION order_stages(the_user uuid, the_stage uuid, wanted int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH others AS (
        SELECT id, category, retired_at IS NOT NULL AS retired,
               row_number() OVER (PARTITION BY retired_at IS NOT NULL ORDER BY position, id) AS place
        FROM stages WHERE user_id = the_user AND id <> the_stage
    ), placed AS (
        SELECT id, retired, place::numeric FROM others
        UNION ALL
        SELECT id, retired_at IS NOT NULL, CASE
            WHEN retired_at IS NOT NULL
                THEN coalesce(wanted - (SELECT count(*) FROM others WHERE NOT retired), 51) - 0.5
            ELSE coalesce(wanted, 1 + coalesce((SELECT max(o.place) FROM others o WHERE NOT o.retired
                                                AND order_of(o.category) <= order_of(stages.category)), 0)) - 0.5 END
        FROM stages WHERE id = the_stage
    ), ordered AS (
        SELECT id, row_number() OVER (ORDER BY retired, place, id) AS position FROM placed
    )
    UPDATE stages SET position = ordered.position, updated_at = now(), version = version + (stages.id <> the_stage)::int
    FROM ordered WHERE stages.id = ordered.id AND stages.position <> ordered.position;
    PERFORM settle_furthest(the_user);
END $$;

CREATE FUNCTION change_stage(the_stage uuid, versions int[], changes jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s stages;
    retiring boolean;
BEGIN
    PERFORM hold_stages(current_setting('app.user_id')::uuid);
    SELECT stages.* INTO s FROM stages WHERE id = the_stage;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    ELSIF NOT s.version = ANY(versions) THEN
        PERFORM refuse('JT412', jsonb_build_object('version', s.version));
    ELSIF changes = '{}' THEN
        RETURN;
    END IF;
    retiring := coalesce((changes ->> 'retired')::boolean, s.retired_at IS NOT NULL);
    IF retiring AND s.retired_at IS NULL AND NOT EXISTS (
            SELECT FROM stages WHERE user_id = s.user_id AND category = s.category AND retired_at IS NULL
            AND id <> s.id) THEN
        PERFORM refuse('JTY10', jsonb_build_object('category', s.category));
    END IF;
    UPDATE stages SET
        name = coalesce(changes ->> 'name', name), retired_at = CASE WHEN retiring THEN coalesce(retired_at, now()) END,
        version = version + 1, updated_at = now()
    WHERE id = s.id;
    IF changes ? 'position' OR retiring <> (s.retired_at IS NOT NULL) THEN
        PERFORM order_stages(s.user_id, s.id, (changes ->> 'position')::int);
    END IF;
END $$;
"""

# ---------------------------------------------------------------- the timeline

TIMELINE = """
-- What holds for every event, whoever writes it: its time is now or was, and there is an end to how many there are.
-- What is kept of a change ('edited') stays as it was written.
CREATE FUNCTION check_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF is_restoring() THEN
        RETURN NEW;
    END IF;
    NEW.occurred_at := coalesce(NEW.occurred_at, clock_timestamp());
    IF NEW.occurred_at > clock_timestamp() + interval '5 minutes' THEN
        PERFORM invalid('occurred_at', 'future', 'must not be in the future');
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.kind <> 'edited' AND (
                SELECT count(*) FROM (SELECT FROM application_events WHERE application_id = NEW.application_id
                                      AND kind <> 'edited' LIMIT 2000) e) >= 2000 THEN
            PERFORM refuse('JTY12');
        END IF;
    ELSIF (NEW.kind, NEW.occurred_at, NEW.stage_id, NEW.round, NEW.round_name, NEW.reason, NEW.note, NEW.facts)
            IS DISTINCT FROM (OLD.kind, OLD.occurred_at, OLD.stage_id, OLD.round, OLD.round_name, OLD.reason, OLD.note,
                              OLD.facts) THEN
        IF OLD.kind = 'edited' THEN
            PERFORM refuse('JTY09');
        ELSIF (SELECT count(*) FROM event_revisions WHERE event_id = OLD.id) >= 200 THEN
            PERFORM refuse('JTY12');
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER application_events_check BEFORE INSERT OR UPDATE ON application_events FOR EACH ROW
    EXECUTE FUNCTION check_event();

-- With its whole application it may go, since it comes back with it.
CREATE FUNCTION keep_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM applications WHERE id = OLD.application_id) THEN
        PERFORM refuse('JTY09');
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER application_events_keep BEFORE DELETE ON application_events FOR EACH ROW
    WHEN (OLD.kind = 'edited') EXECUTE FUNCTION keep_event();

-- Everybody who changes a timeline takes the application first, so that no two wait for each other.
CREATE FUNCTION hold_application(the_application uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM applications WHERE id = the_application FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    END IF;
END $$;

CREATE FUNCTION change_event(
    the_application uuid, the_event uuid, versions int[], changes jsonb, activities text[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    e application_events;
    s stages;
    field text;
BEGIN
    PERFORM hold_application(the_application);
    SELECT application_events.* INTO e FROM application_events
    WHERE id = the_event AND application_id = the_application;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    ELSIF NOT e.version = ANY(versions) THEN
        PERFORM refuse('JT412', jsonb_build_object('version', e.version));
    ELSIF e.kind = 'edited' THEN
        PERFORM refuse('JTY09');
    ELSIF changes = '{}' THEN
        RETURN;
    ELSIF changes ->> 'kind' <> e.kind AND e.kind <> ALL(activities) THEN
        PERFORM invalid('kind', 'not_an_activity', 'is fixed: only activities become others');
    END IF;
    FOREACH field IN ARRAY '{stage_id,round,round_name,reason}'::text[] LOOP
        IF changes ? field AND e.stage_id IS NULL THEN
            PERFORM invalid(field, 'not_a_move', 'is for moves only');
        END IF;
    END LOOP;
    SELECT stages.* INTO s FROM stages WHERE id = coalesce((changes ->> 'stage_id')::uuid, e.stage_id);
    IF e.stage_id IS NOT NULL AND (s.id IS NULL OR s.retired_at IS NOT NULL AND s.id <> e.stage_id) THEN
        PERFORM invalid('stage_id', 'unknown_stage', 'must be a stage in use');
    ELSIF changes ->> 'reason' IS NOT NULL AND s.category <> 'closed' THEN
        PERFORM invalid('reason', 'not_closed', 'is for closing only');
    END IF;
    UPDATE application_events t SET
        kind = n.kind, occurred_at = n.occurred_at, stage_id = n.stage_id, round = n.round, round_name = n.round_name,
        reason = n.reason, note = n.note, version = t.version + 1, updated_at = now()
    FROM jsonb_populate_record(e, changes) n WHERE t.id = e.id;
END $$;
"""

# ---------------------------------------------------------------- the board

BOARD = """
-- The shortest decimal strictly between two, from the middle of those that are as short: so that room is used up
-- slowly on both sides. NULL stands for no neighbour there; NULL comes back if there is none of 60 digits.
CREATE FUNCTION rank_between(low numeric, high numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    unit numeric;
    first numeric;
    last numeric;
BEGIN
    IF low IS NULL OR high IS NULL THEN
        RETURN coalesce(floor(low) + 1, ceil(high) - 1, 0);
    END IF;
    FOR digits IN 0..60 LOOP
        unit := ('1e' || digits)::numeric;
        first := floor(low * unit) + 1;
        last := ceil(high * unit) - 1;
        IF first <= last THEN
            RETURN trim_scale(div(first + last, 2) * ('1e-' || digits)::numeric);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- Puts a card right after or before a neighbour, or, without one, on top or at the bottom; into the stage first, if it
-- is in another. All moves on one board take turns: each finds the neighbours where the one before it left them.
CREATE FUNCTION place_application(
    the_application uuid, versions int[], the_stage uuid, the_status text, neighbour uuid, goes_after boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    a applications;
    anchor applications;
    low numeric;
    high numeric;
    new_rank numeric;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('board ' || current_setting('app.user_id'), 0));
    IF coalesce(the_stage::text, the_status) IS NOT NULL THEN
        PERFORM move_application(the_application, versions, the_stage, the_status, NULL, NULL, NULL, NULL, NULL);
        versions := NULL;
    END IF;
    SELECT applications.* INTO a FROM applications WHERE id = the_application FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    ELSIF NOT a.version = ANY(versions) THEN
        PERFORM refuse('JT412', jsonb_build_object('version', a.version));
    END IF;
    LOOP
        low := NULL;
        high := NULL;
        SELECT applications.* INTO anchor FROM applications
        WHERE id = neighbour AND stage_id = a.stage_id AND id <> a.id;
        IF anchor.id IS NOT NULL AND goes_after THEN
            low := anchor.board_rank;
            high := (SELECT board_rank FROM applications
                     WHERE user_id = a.user_id AND stage_id = a.stage_id AND id <> a.id
                       AND (board_rank, id) > (anchor.board_rank, anchor.id) ORDER BY board_rank, id LIMIT 1);
        ELSIF anchor.id IS NOT NULL THEN
            high := anchor.board_rank;
            low := (SELECT board_rank FROM applications
                    WHERE user_id = a.user_id AND stage_id = a.stage_id AND id <> a.id
                      AND (board_rank, id) < (anchor.board_rank, anchor.id) ORDER BY board_rank DESC, id DESC LIMIT 1);
        ELSIF neighbour IS NOT NULL OR goes_after THEN  -- also if the neighbour has left the stage meanwhile
            high := (SELECT board_rank FROM applications
                     WHERE user_id = a.user_id AND stage_id = a.stage_id AND id <> a.id
                     ORDER BY board_rank, id LIMIT 1);
        ELSE
            low := (SELECT board_rank FROM applications
                    WHERE user_id = a.user_id AND stage_id = a.stage_id AND id <> a.id
                    ORDER BY board_rank DESC, id DESC LIMIT 1);
        END IF;
        IF coalesce(a.board_rank > low, true) AND coalesce(a.board_rank < high, true) THEN
            RETURN;  -- there it is
        END IF;
        new_rank := CASE WHEN low >= high THEN NULL ELSE rank_between(low, high) END;
        EXIT WHEN new_rank IS NOT NULL;
        -- No room: two that were put there at the same moment, or hundreds of moves into one gap.
        UPDATE applications SET board_rank = o.place
        FROM (SELECT id, row_number() OVER (ORDER BY board_rank, id) AS place FROM applications
              WHERE user_id = a.user_id AND stage_id = a.stage_id) o
        WHERE applications.id = o.id;
        SELECT applications.* INTO a FROM applications WHERE id = the_application;
    END LOOP;
    UPDATE applications SET board_rank = new_rank WHERE id = a.id;
END $$;
"""

DOWNGRADE = """
DROP FUNCTION place_application(uuid, int[], uuid, text, uuid, boolean), rank_between(numeric, numeric);
DROP TRIGGER application_events_check ON application_events;
DROP TRIGGER application_events_keep ON application_events;
DROP FUNCTION change_event(uuid, uuid, int[], jsonb, text[]), hold_application(uuid), keep_event(), check_event();
DROP TRIGGER stages_begin ON stages;
DROP FUNCTION change_stage(uuid, int[], jsonb), order_stages(uuid, uuid, int), settle_furthest(uuid), begin_stage(),
    order_of(text), hold_stages(uuid);
"""


def upgrade() -> None:
    cursor = op.get_bind().connection.cursor()
    for part in (STAGES, TIMELINE, BOARD):
        cursor.execute(part)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
