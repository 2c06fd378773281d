"""The database of the judgment platform: Alembic revisions that go up and down, data included."""
