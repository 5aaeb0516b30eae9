"""Companies and contacts by name, renamed companies, and what notes said before."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

PEOPLE = """
ALTER TABLE companies ADD COLUMN name_key text GENERATED ALWAYS AS (lower(name)) STORED;
ALTER TABLE contacts  ADD COLUMN name_key text GENERATED ALWAYS AS (lower(name)) STORED;
CREATE INDEX companies_name       ON companies (user_id, name_key, id);
CREATE INDEX companies_created_at ON companies (user_id, created_at, id);
CREATE INDEX companies_blocked    ON companies (user_id, name_key, id) WHERE blocked;
DROP INDEX contacts_user_id;
CREATE INDEX contacts_name        ON contacts (user_id, name_key, id);
CREATE INDEX contacts_created_at  ON contacts (user_id, created_at, id);

-- Seen right after it was made, too, in the statement that made it: hence VOLATILE.
CREATE FUNCTION name_of_company(the_company uuid) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN (SELECT name FROM companies WHERE id = the_company);
END $$;

-- A company's name is that of its applications: they follow, and what each said before is in its timeline, as if its
-- owner had edited them one by one. What is in the trash stays as it was deleted.
CREATE FUNCTION rename_at_applications() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH renamed AS (
        UPDATE applications a SET company = NEW.name, version = a.version + 1, updated_at = now()
        FROM applications was
        WHERE was.id = a.id AND a.user_id = NEW.user_id AND a.company_id = NEW.id AND a.company <> NEW.name
        RETURNING a.id, was.company
    )
    INSERT INTO application_events (user_id, application_id, kind, facts)
    SELECT NEW.user_id, id, 'edited', jsonb_build_object('was', jsonb_build_object('company', company)) FROM renamed;
    RETURN NULL;
END $$;
CREATE TRIGGER companies_renamed AFTER UPDATE OF name ON companies FOR EACH ROW WHEN (NEW.name <> OLD.name)
    EXECUTE FUNCTION rename_at_applications();

-- A company that somebody makes or restores finds the applications that lost theirs to the trash. One that is made
-- while an application is written leaves them alone: they may be the very row that is being written.
CREATE FUNCTION adopt_applications() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE applications SET company_id = NEW.id
    WHERE user_id = NEW.user_id AND company_id IS NULL AND canonical_company(company) = NEW.canonical_name;
    RETURN NULL;
END $$;
CREATE TRIGGER companies_adopt AFTER INSERT ON companies FOR EACH ROW WHEN (pg_trigger_depth() = 0)
    EXECUTE FUNCTION adopt_applications();

-- What somebody has to do with an application is edited, too.
ALTER TABLE application_contacts
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN version    integer NOT NULL DEFAULT 1;
CREATE INDEX application_contacts_order ON application_contacts (application_id, created_at DESC, contact_id DESC);

-- What a note said before it was edited.
ALTER TABLE notes ADD UNIQUE (user_id, id);
CREATE TABLE note_revisions (
    id         uuid PRIMARY KEY DEFAULT uuid7(),
    user_id    uuid NOT NULL DEFAULT current_setting('app.user_id')::uuid REFERENCES users ON DELETE CASCADE,
    note_id    uuid NOT NULL,
    body       text NOT NULL,
    revised_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT note_revisions_note_fkey FOREIGN KEY (user_id, note_id)
        REFERENCES notes (user_id, id) ON DELETE CASCADE
);
CREATE INDEX note_revisions_note_id ON note_revisions (note_id, revised_at DESC, id DESC);
ALTER TABLE note_revisions ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON note_revisions TO tenant USING (user_id = current_setting('app.user_id')::uuid);
GRANT SELECT, INSERT ON note_revisions TO tenant;

-- Lets the batch go on if the application is the caller's and has such a note.
CREATE FUNCTION within_note(the_application uuid, the_note uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM notes WHERE id = the_note AND application_id = the_application;
    IF NOT FOUND THEN
        PERFORM refuse('JT404');
    END IF;
END $$;

CREATE FUNCTION revise_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO note_revisions (user_id, note_id, body) VALUES (OLD.user_id, OLD.id, OLD.body);
    RETURN NULL;
END $$;
CREATE TRIGGER notes_revised AFTER UPDATE ON notes FOR EACH ROW WHEN (NEW.body <> OLD.body)
    EXECUTE FUNCTION revise_note();
"""

DOWNGRADE = """
DROP TRIGGER notes_revised ON notes;
DROP TABLE note_revisions;
ALTER TABLE notes DROP CONSTRAINT notes_user_id_id_key;
DROP INDEX application_contacts_order;
ALTER TABLE application_contacts DROP COLUMN updated_at, DROP COLUMN version;
DROP TRIGGER companies_adopt ON companies;
DROP TRIGGER companies_renamed ON companies;
DROP FUNCTION within_note(uuid, uuid), revise_note(), adopt_applications(), rename_at_applications(),
    name_of_company(uuid);
CREATE INDEX contacts_user_id ON contacts (user_id, lower(name), id);
DROP INDEX contacts_created_at;
ALTER TABLE contacts DROP COLUMN name_key;
DROP INDEX companies_created_at;
ALTER TABLE companies DROP COLUMN name_key;
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(PEOPLE)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
