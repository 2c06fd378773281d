"""Faults of a restore, made in the running database by reversible SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

if TYPE_CHECKING:
    from sandbox.postgres import Cluster


@dataclass(frozen=True, slots=True)
class Change:
    """Statements that make one fault; those that undo it may be run at any time, and are run before it is made."""

    on: tuple[LiteralString, ...]
    off: tuple[LiteralString, ...]


# In tables that the platform reads rarely or not at all, or in rows that no business figure counts.
CHANGES = {
    "row_changed": Change(
        (
            """UPDATE llm_calls SET model = model || ' (changed)'
                WHERE id = (SELECT id FROM llm_calls ORDER BY created_at LIMIT 1)""",
        ),
        ("UPDATE llm_calls SET model = replace(model, ' (changed)', '') WHERE model LIKE '% (changed)'",),
    ),
    "row_duplicated": Change(
        (
            """INSERT INTO intent_logs OVERRIDING SYSTEM VALUE
               SELECT -id, created_at, user_id, utterance, intent, confidence, feedback, synthetic_tag FROM intent_logs
                ORDER BY created_at LIMIT 1""",
        ),
        ("DELETE FROM intent_logs WHERE id < 0",),
    ),
    "orphan_row": Change(
        (
            "SET LOCAL session_replication_role = replica",
            """INSERT INTO workflow_dead_letters (instance_id, reason, created_at, resolved_at)
               VALUES (md5('opsverify orphan')::uuid, 'its workflow was lost', now() - interval '1 day', now())""",
        ),
        ("DELETE FROM workflow_dead_letters WHERE instance_id = md5('opsverify orphan')::uuid",),
    ),
    "key_doubled": Change(
        (
            # Twice the same key: the index is not updated.
            "UPDATE pg_index SET indisready = false WHERE indexrelid = 'rule_versions_pkey'::regclass",
            "INSERT INTO rule_versions SELECT * FROM rule_versions WHERE version = 'r11'",
            "UPDATE pg_index SET indisready = true WHERE indexrelid = 'rule_versions_pkey'::regclass",
        ),
        (
            """DELETE FROM rule_versions two USING rule_versions one
                WHERE two.version = one.version AND two.ctid > one.ctid""",
        ),
    ),
    "index_entry_missing": Change(
        (
            "UPDATE pg_index SET indisready = false WHERE indexrelid = 'workflow_dead_letters_instance'::regclass",
            """INSERT INTO workflow_dead_letters (instance_id, reason, created_at, resolved_at)
               SELECT id, 'no index knows it', now() - interval '1 day', now() FROM workflow_instances LIMIT 1""",
            "UPDATE pg_index SET indisready = true WHERE indexrelid = 'workflow_dead_letters_instance'::regclass",
        ),
        ("DELETE FROM workflow_dead_letters WHERE reason = 'no index knows it'",),
    ),
    "sequence_behind": Change(
        ("SELECT setval('workflow_dead_letters_id_seq', 1)",),
        (
            # Above whatever was given out: a sequence that is behind the ledger's record is a finding, too.
            """SELECT setval('workflow_dead_letters_id_seq',
                             greatest(1000000, (SELECT max(id) FROM workflow_dead_letters)))""",
        ),
    ),
    "index_dropped": Change(
        ("DROP INDEX workflow_dead_letters_unresolved",),
        (
            """CREATE INDEX IF NOT EXISTS workflow_dead_letters_unresolved
                   ON workflow_dead_letters (created_at) WHERE resolved_at IS NULL""",
        ),
    ),
    "constraint_dropped": Change(
        ("ALTER TABLE workflow_dead_letters DROP CONSTRAINT workflow_dead_letters_instance_id_fkey",),
        (
            "ALTER TABLE workflow_dead_letters DROP CONSTRAINT IF EXISTS workflow_dead_letters_instance_id_fkey",
            """ALTER TABLE workflow_dead_letters ADD CONSTRAINT workflow_dead_letters_instance_id_fkey
               FOREIGN KEY (instance_id) REFERENCES workflow_instances (id)""",
        ),
    ),
    "constraint_unchecked": Change(
        ("ALTER TABLE prompt_versions ADD CONSTRAINT prompt_versions_named CHECK (version <> '') NOT VALID",),
        ("ALTER TABLE prompt_versions DROP CONSTRAINT IF EXISTS prompt_versions_named",),
    ),
    "trigger_dropped": Change(
        ("DROP TRIGGER dsl_versions_are_kept ON dsl_versions",),
        (
            """CREATE OR REPLACE TRIGGER dsl_versions_are_kept BEFORE DELETE ON dsl_versions
               FOR EACH ROW EXECUTE FUNCTION versions_are_kept()""",
        ),
    ),
    "role_dropped": Change(
        ("DROP ROLE judgment_auditor",),
        ("DROP ROLE IF EXISTS judgment_auditor", "CREATE ROLE judgment_auditor NOLOGIN"),
    ),
    "table_unlogged": Change(("ALTER TABLE dsl_versions SET UNLOGGED",), ("ALTER TABLE dsl_versions SET LOGGED",)),
    "prompt_changed": Change(
        ("""UPDATE prompt_versions SET body = body || '{"changed": true}'""",),
        ("UPDATE prompt_versions SET body = body - 'changed' WHERE body ? 'changed'",),
    ),
    "table_unrecorded": Change(("CREATE TABLE unrecorded (v text)",), ("DROP TABLE IF EXISTS unrecorded",)),
    "large_object_added": Change(
        ("SELECT lo_create(4711)",), ("SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE oid = 4711",)
    ),
    "row_misplaced": Change(
        (
            "CREATE TABLE filed (v int) PARTITION BY LIST (v)",
            "CREATE TABLE filed_one (v int)",
            "INSERT INTO filed_one VALUES (2)",
            # PostgreSQL believes a constraint that is marked as validated, and does not read the rows.
            "ALTER TABLE filed_one ADD CONSTRAINT one CHECK (v IS NOT NULL AND v = 1) NOT VALID",
            "UPDATE pg_constraint SET convalidated = true WHERE conname = 'one'",
            "ALTER TABLE filed ATTACH PARTITION filed_one FOR VALUES IN (1)",
            "GRANT SELECT ON filed, filed_one TO PUBLIC",
        ),
        ("DROP TABLE IF EXISTS filed",),
    ),
    "grant_lost": Change(
        ("REVOKE INSERT ON dsl_versions FROM judgment_app",), ("GRANT INSERT ON dsl_versions TO judgment_app",)
    ),
}
"""One thing each that a restore lost or damaged."""

_INCOMPLETE = ("orphan_row", "sequence_behind", "key_doubled", "constraint_unchecked", "table_unlogged", "grant_lost")


def change(cluster: Cluster, name: str, *, on: bool) -> None:
    """Make the fault `name`, or undo it; `restore_incomplete` is several of them at once."""
    changes = [CHANGES[part] for part in (_INCOMPLETE if name == "restore_incomplete" else (name,))]
    with cluster.superuser() as connection, connection.transaction():
        for statement in (statement for one in changes for statement in one.off):
            connection.execute(statement)
        if on:
            for statement in (statement for one in changes for statement in one.on):
                connection.execute(statement)
