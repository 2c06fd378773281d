"""What an incomplete restore leaves behind, done to the running database by reversible SQL, all of it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

if TYPE_CHECKING:
    from sandbox.postgres import Cluster

# In tables that the platform reads rarely or not at all; no row of business is touched.
_ON: tuple[LiteralString, ...] = (
    "SET LOCAL session_replication_role = replica",
    """INSERT INTO workflow_dead_letters (instance_id, reason, created_at, resolved_at)
       VALUES (md5('opsverify orphan')::uuid, 'its workflow was lost', now() - interval '1 day', now())""",
    "SELECT setval('workflow_dead_letters_id_seq', 1)",
    # Behind the back of its index, a key comes twice.
    "UPDATE pg_index SET indisready = false WHERE indexrelid = 'rule_versions_pkey'::regclass",
    "INSERT INTO rule_versions SELECT * FROM rule_versions WHERE version = 'r11'",
    "UPDATE pg_index SET indisready = true WHERE indexrelid = 'rule_versions_pkey'::regclass",
    "ALTER TABLE prompt_versions ADD CONSTRAINT prompt_versions_named CHECK (version <> '') NOT VALID",
    "ALTER TABLE dsl_versions SET UNLOGGED",
    "REVOKE INSERT ON dsl_versions FROM judgment_app",
)
_OFF: tuple[LiteralString, ...] = (
    "DELETE FROM workflow_dead_letters WHERE instance_id = md5('opsverify orphan')::uuid",
    "SELECT setval('workflow_dead_letters_id_seq', greatest(1, (SELECT max(id) FROM workflow_dead_letters)))",
    "DELETE FROM rule_versions two USING rule_versions one WHERE two.version = one.version AND two.ctid > one.ctid",
    "ALTER TABLE prompt_versions DROP CONSTRAINT IF EXISTS prompt_versions_named",
    "ALTER TABLE dsl_versions SET LOGGED",
    "GRANT INSERT ON dsl_versions TO judgment_app",
)


def incomplete(cluster: Cluster, *, on: bool) -> None:
    """Leave an orphan, a doubled key, a sequence behind, an unchecked constraint; lose WAL and a grant of a table."""
    with cluster.superuser() as connection:
        known = connection.execute(
            "SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = 'prompt_versions_named')"
        ).fetchone()
        if known == (on,):
            return
        with connection.transaction():
            for statement in _ON if on else _OFF:
                connection.execute(statement)
