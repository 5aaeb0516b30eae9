"""Files: what a document is made of, how it comes in, and which of its versions it is."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

FILES = """
-- Where a file is on its way: announced, and counted by a reservation (pending); here, and what it was said to be
-- (uploaded); given to a scanner (scanning); found clean, or rejected. Until it is here, only its name is believed.
ALTER TABLE files
    ADD COLUMN version_number integer NOT NULL DEFAULT 1 CHECK (version_number > 0),
    ADD COLUMN state          text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'uploaded', 'scanning', 'clean', 'rejected')),
    ADD COLUMN media_type     text,
    ADD COLUMN size           bigint NOT NULL DEFAULT 0 CHECK (size >= 0),
    ADD COLUMN sha256         text CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    ADD COLUMN statistics     jsonb,
    ADD COLUMN reservation_id uuid,
    ADD COLUMN expires_at     timestamptz,
    ADD CONSTRAINT files_what_it_is CHECK (state = 'pending' OR (media_type IS NOT NULL AND sha256 IS NOT NULL)),
    ADD CONSTRAINT files_version_number_key UNIQUE (user_id, series_id, version_number);
CREATE INDEX files_unsettled ON files (state, updated_at) WHERE state IN ('pending', 'uploaded', 'scanning');

CREATE FUNCTION file_progress(the_state text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE the_state WHEN 'pending' THEN 1 WHEN 'uploaded' THEN 2 WHEN 'scanning' THEN 3 ELSE 4 END;
END $$;

CREATE FUNCTION keep_file_going_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a file that is % never becomes %', OLD.state, NEW.state
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER files_go_forward BEFORE UPDATE OF state ON files FOR EACH ROW
    WHEN (NEW.state <> OLD.state AND file_progress(NEW.state) <= file_progress(OLD.state))
    EXECUTE FUNCTION keep_file_going_forward();

-- The caller's files, and those in the trash, whose content is still kept.
CREATE FUNCTION kept_files() RETURNS TABLE (series_id uuid, version_number int, size bigint) LANGUAGE sql STABLE AS $$
    SELECT f.series_id, f.version_number, f.size FROM files f WHERE f.user_id = current_setting('app.user_id')::uuid
    UNION ALL
    SELECT (t.content -> 0 -> 'row' ->> 'series_id')::uuid, (t.content -> 0 -> 'row' ->> 'version_number')::int,
           (t.content -> 0 -> 'row' ->> 'size')::bigint
    FROM trash t WHERE t.user_id = current_setting('app.user_id')::uuid AND t.kind = 'files'
$$;

-- Announce a file: from here on it counts, until it is here, is refused, or never came. The quota's counter is locked
-- first, so that what is decided after it - how much is kept, which version this is - is exact.
CREATE FUNCTION begin_file(
    the_name text, the_kind text, the_size bigint, the_sha256 text, the_series uuid, the_application uuid,
    the_space bigint)
RETURNS files LANGUAGE plpgsql AS $$
DECLARE
    f files;
    the_id uuid := uuid7();
    used bigint;
    the_version int := 1;
    life interval := interval '20 minutes';
BEGIN
    IF the_application IS NOT NULL THEN
        PERFORM FROM applications WHERE id = the_application FOR KEY SHARE;
        IF NOT FOUND THEN
            PERFORM invalid('application_id', 'unknown_application', 'must be one of your applications');
        END IF;
    END IF;
    f.reservation_id := (quota_take('reservation', 'resume_uploads', 1, 'file:' || the_id, life)).id;
    SELECT coalesce(sum(k.size), 0), coalesce(1 + max(k.version_number) FILTER (WHERE k.series_id = the_series), 1)
    INTO used, the_version FROM kept_files() k;
    IF used + the_size > the_space THEN
        PERFORM refuse('JTF09', jsonb_build_object('limit', the_space, 'used', used));
    END IF;
    IF the_series IS NOT NULL AND NOT EXISTS (SELECT FROM files
            WHERE user_id = current_setting('app.user_id')::uuid AND series_id = the_series) THEN
        PERFORM invalid('series_id', 'unknown_series', 'must be the series of one of your files');
    END IF;
    INSERT INTO files (id, series_id, version_number, kind, name, size, sha256, reservation_id, expires_at)
    VALUES (the_id, coalesce(the_series, the_id), the_version, the_kind, the_name, the_size, the_sha256,
            f.reservation_id, now() + life)
    RETURNING * INTO f;
    IF the_application IS NOT NULL THEN
        INSERT INTO application_files (application_id, file_id) VALUES (the_application, the_id);
    END IF;
    RETURN f;
END $$;

-- It is here, and it is what it was said to be: now it is used up. Done again, it changes nothing.
CREATE FUNCTION accept_file(the_id uuid, the_name text, the_media_type text, the_statistics jsonb, the_state text)
RETURNS files LANGUAGE plpgsql AS $$
DECLARE
    f files;
BEGIN
    SELECT files.* INTO f FROM files WHERE id = the_id FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    ELSIF f.state = 'pending' THEN
        PERFORM quota_settle(f.reservation_id, 'committed');
        UPDATE files SET name = the_name, media_type = the_media_type, statistics = the_statistics, state = the_state,
            reservation_id = NULL, expires_at = NULL, version = version + 1, updated_at = now()
        WHERE id = the_id RETURNING * INTO f;
    END IF;
    RETURN f;
END $$;

-- It is not to be: nothing was used. False if it is not pending any more.
CREATE FUNCTION drop_file(the_id uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    the_reservation uuid;
BEGIN
    DELETE FROM files WHERE id = the_id AND state = 'pending' RETURNING reservation_id INTO the_reservation;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM quota_settle(id, 'released') FROM quota_entries WHERE id = the_reservation AND state = 'reserved';
    RETURN true;
END $$;
"""

DOWNGRADE = """
DROP FUNCTION drop_file(uuid), accept_file(uuid, text, text, jsonb, text),
    begin_file(text, text, bigint, text, uuid, uuid, bigint), kept_files();
DROP TRIGGER files_go_forward ON files;
DROP FUNCTION keep_file_going_forward(), file_progress(text);
ALTER TABLE files
    DROP CONSTRAINT files_version_number_key, DROP CONSTRAINT files_what_it_is,
    DROP COLUMN version_number, DROP COLUMN state, DROP COLUMN media_type, DROP COLUMN size, DROP COLUMN sha256,
    DROP COLUMN statistics, DROP COLUMN reservation_id, DROP COLUMN expires_at;
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(FILES)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
