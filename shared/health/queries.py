"""What health asks the database."""

from shared.db import statement

GET_SCHEMA_REVISION = statement("SELECT version_num FROM alembic_version")
