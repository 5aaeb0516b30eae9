"""${message}"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None

UPGRADE = """
"""

DOWNGRADE = """
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(UPGRADE)


def downgrade() -> None:
    op.get_bind().connection.cursor().execute(DOWNGRADE)
