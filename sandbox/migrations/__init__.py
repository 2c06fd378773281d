"""Migrations of the platform's database: Alembic revisions that upgrade and downgrade, data included."""
