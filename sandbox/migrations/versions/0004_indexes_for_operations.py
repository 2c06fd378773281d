"""Indexes for frequent queries of operators: LLM failures and unresolved dead letters."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both."""
    op.execute("CREATE INDEX llm_calls_created_at ON llm_calls (created_at, outcome)")
    op.execute(
        "CREATE INDEX workflow_dead_letters_unresolved ON workflow_dead_letters (created_at) WHERE resolved_at IS NULL"
    )


def downgrade() -> None:
    """Drop both; the service works without, only slower."""
    op.execute("DROP INDEX workflow_dead_letters_unresolved, llm_calls_created_at")
