"""Runs migrations on the engine `Database` hands over; two processes starting at once take turns."""

from alembic import context
from sqlalchemy import Engine, text

from complaints.db import metadata

LOCK = 0x506C61696E74  # "Plaint": an advisory lock's number on PostgreSQL


def run(engine: Engine) -> None:
    """Bring the schema up inside one transaction."""
    with engine.connect().execution_options(plaint_writes=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.configure(connection=connection, target_metadata=metadata())
        context.run_migrations()


run(context.config.attributes["engine"])
