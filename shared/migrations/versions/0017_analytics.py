"""Analytics: indexes by which the figures of one user are read, and nothing else's."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

INDEXES = """
-- What the figures add up, without the table, in which one person's rows lie scattered: pages are what a database that
-- has just woken up has to fetch. No column of people's own words is in it, which might be too long for an index.
CREATE INDEX applications_figures ON applications (user_id, applied_on) INCLUDE (
    status, category, furthest_category, furthest_stage_id, furthest_round, follow_up_at, last_activity_at);
-- Who has gone quiet, the longest first.
CREATE INDEX applications_quiet ON applications (user_id, last_activity_at, id)
    WHERE category IN ('applied', 'in_process', 'offer');
CREATE INDEX application_events_user_id ON application_events (user_id, occurred_at) INCLUDE (kind);
-- The ways of all of somebody's applications through their stages, in order, without a sort and without the table.
CREATE INDEX application_events_stages ON application_events (user_id, application_id, occurred_at, id)
    INCLUDE (stage_id) WHERE stage_id IS NOT NULL;
CREATE INDEX application_files_user_id ON application_files (user_id, file_id, application_id);
"""

DOWNGRADE = """
DROP INDEX applications_figures, applications_quiet, application_events_user_id, application_events_stages,
    application_files_user_id;
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(INDEXES)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
