"""Environment of Alembic: one connection, made by psycopg from the settings of the sandbox."""

from __future__ import annotations

import psycopg
from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool


def run() -> None:
    """Run the requested revisions in one transaction."""
    conninfo = context.config.attributes["conninfo"]
    # A URL would put the password where tracebacks show it.
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()


run()
