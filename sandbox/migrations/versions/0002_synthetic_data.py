"""Synthetic data: a tag where tests may write, and a role that sees and removes nothing else."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TAGGED = ("judgment_executions", "workflow_instances", "workflow_dead_letters", "intent_logs", "llm_calls")


def upgrade() -> None:
    """Add the tag, row level security, and the rights of opsverify_smoke."""
    for table in TAGGED:
        op.execute(f"""
            ALTER TABLE {table} ADD COLUMN synthetic_tag text;
            CREATE INDEX {table}_synthetic ON {table} (synthetic_tag) WHERE synthetic_tag IS NOT NULL;
            ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
            CREATE POLICY app ON {table} TO judgment_app USING (true) WITH CHECK (true);
            CREATE POLICY reader ON {table} FOR SELECT TO opsverify_ro USING (true);
            CREATE POLICY smoke ON {table} TO opsverify_smoke
                USING (synthetic_tag IS NOT NULL) WITH CHECK (false);
            GRANT SELECT, DELETE ON {table} TO opsverify_smoke;
        """)


def downgrade() -> None:
    """Remove synthetic rows, since nothing would distinguish them from real ones, then the tag."""
    for table in reversed(TAGGED):
        op.execute(f"REVOKE ALL ON {table} FROM opsverify_smoke")
        for policy in ("app", "reader", "smoke"):
            op.execute(f"DROP POLICY {policy} ON {table}")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.execute("DELETE FROM workflow_dead_letters WHERE synthetic_tag IS NOT NULL")  # before what it refers to
    for table in TAGGED:
        op.execute(f"DELETE FROM {table} WHERE synthetic_tag IS NOT NULL")  # noqa: S608  # names from TAGGED
        op.execute(f"ALTER TABLE {table} DROP COLUMN synthetic_tag")
