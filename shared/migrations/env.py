"""Run by Alembic: one connection, one transaction, one migration at a time."""

import psycopg
from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

url: str = context.config.attributes["url"]
engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)

with engine.begin() as connection:
    # The role's own timeouts are meant for requests; a migration may take, and wait, as long as it needs.
    connection.exec_driver_sql(
        "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)"
    )
    # Two deployments that migrate at once take turns. The number only has to be ours.
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7411202601)")
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
