"""Faults that the periodic reviews find: indexes, slow and scanned tables, logs, slots, deadlocks, rights.

Each works on a table or role of its own, which goes with the fault.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, LiteralString

import psycopg

if TYPE_CHECKING:
    from sandbox.postgres import Cluster

_TABLE = "CREATE TABLE review_fault (id integer, note text)"
_DROP = "DROP TABLE IF EXISTS review_fault"
_SLOT = "sandbox_lagging"
_THREADS = 8
_FLUSH: LiteralString = "SELECT pg_stat_force_next_flush()"
_DEADLOCKS = 8

STATEMENTS: dict[str, tuple[tuple[LiteralString, ...], tuple[LiteralString, ...]]] = {
    "index_unused": (
        (
            _DROP,
            _TABLE,
            "INSERT INTO review_fault SELECT n, md5(n::text) FROM generate_series(1, 250000) n",
            "CREATE INDEX review_fault_unused ON review_fault (note)",
        ),
        (_DROP,),
    ),
    "index_duplicate": (
        (
            _DROP,
            _TABLE,
            "CREATE INDEX review_fault_one ON review_fault (note)",
            "CREATE INDEX review_fault_two ON review_fault (note)",
        ),
        (_DROP,),
    ),
    "index_invalid": (
        (_DROP, _TABLE, "INSERT INTO review_fault VALUES (1, 'equal'), (1, 'equal')"),
        (_DROP,),
    ),
    "index_bloated": (
        (
            _DROP,
            "CREATE TABLE review_fault (id integer PRIMARY KEY)",
            "INSERT INTO review_fault SELECT generate_series(1, 100000)",
            "DELETE FROM review_fault WHERE id % 20 <> 0",
            "VACUUM (ANALYZE) review_fault",
        ),
        (_DROP,),
    ),
    "table_scanned": (
        (
            _DROP,
            _TABLE,
            "INSERT INTO review_fault SELECT n, 'x' FROM generate_series(1, 12000) n",
            "DO $$ BEGIN FOR n IN 1..1500 LOOP PERFORM count(*) FROM review_fault WHERE id = -1; END LOOP; END $$",
        ),
        (_DROP,),
    ),
    "rights_beyond": (
        (
            "DROP ROLE IF EXISTS contractor",
            "GRANT pg_write_all_data TO judgment_auditor",
            "CREATE ROLE contractor LOGIN IN ROLE judgment_auditor",
            "DO $$ BEGIN EXECUTE format('ALTER ROLE contractor VALID UNTIL %L', now() + interval '1 day'); END $$",
        ),
        ("DROP ROLE IF EXISTS contractor", "REVOKE pg_write_all_data FROM judgment_auditor"),
    ),
    "changes_unsigned": (
        (
            """UPDATE rule_versions SET approved_by = NULL, ticket = NULL, approval_bypassed = 'admin: branch rule off'
                WHERE version = 'r12'""",
            "UPDATE prompt_versions SET approved_by = changed_by WHERE version = 'p7'",
            "UPDATE dsl_versions SET ticket = NULL WHERE version = 'd4'",
        ),
        (
            """UPDATE rule_versions SET approved_by = 'kim.jh', ticket = 'CHG-131', approval_bypassed = NULL
                WHERE version = 'r12'""",
            "UPDATE prompt_versions SET approved_by = 'lee.sy' WHERE version = 'p7'",
            "UPDATE dsl_versions SET ticket = 'CHG-124' WHERE version = 'd4'",
        ),
    ),
    "prompt_label_moved": (
        (
            "UPDATE prompt_versions SET active = false WHERE active",
            "UPDATE prompt_versions SET active = true WHERE version = 'p6'",
        ),
        (
            "UPDATE prompt_versions SET active = false WHERE active",
            "UPDATE prompt_versions SET active = true WHERE version = 'p7'",
            # Recorded and signed afterwards: the next review finds nothing left to explain.
            """INSERT INTO version_deployments (kind, version, deployed_by, approved_by, ticket)
               VALUES ('prompts', 'p6', 'park.mh', 'lee.sy', 'CHG-140'),
                      ('prompts', 'p7', 'park.mh', 'lee.sy', 'CHG-140')""",
        ),
    ),
    "log_kept_too_long": (
        (
            """INSERT INTO llm_calls (created_at, model, prompt_tokens, completion_tokens, cost_usd, outcome,
                                      latency_ms)
               VALUES (now() - interval '60 days', 'of long ago', 1, 1, 0, 'ok', 1)""",
        ),
        ("DELETE FROM llm_calls WHERE model = 'of long ago'",),
    ),
}
"""Statements that switch a fault on, and off."""


def change(cluster: Cluster, name: str, *, on: bool) -> None:
    """Switch a fault of `STATEMENTS`."""
    with cluster.superuser() as connection:
        for statement in STATEMENTS[name][0 if on else 1]:
            connection.execute(statement)
        if on and name == "index_invalid":
            with suppress(psycopg.errors.UniqueViolation):
                connection.execute("CREATE UNIQUE INDEX CONCURRENTLY review_fault_invalid ON review_fault (id)")


def run_slowly(cluster: Cluster, *, on: bool) -> None:
    """A statement that is sent often, and takes a quarter of a second."""
    cluster.value(_FLUSH)
    if on:

        def send(_: int) -> None:
            with cluster.superuser() as connection:
                for _ in range(4):
                    connection.execute("SELECT pg_sleep(0.25)")

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(send, range(_THREADS)))


def keep_wal(cluster: Cluster, *, on: bool) -> None:
    """A replication slot that nobody reads, and 48 MB of WAL after it."""
    with cluster.superuser() as connection:
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [_SLOT]
        )
        if on:
            connection.execute("SELECT pg_create_physical_replication_slot(%s, true)", [_SLOT])
            for _ in range(48):
                connection.execute("SELECT pg_logical_emit_message(false, 'sandbox', repeat('x', 1048576))")


def deadlock(cluster: Cluster, *, on: bool) -> None:
    """Pairs of sessions that each hold what the other one waits for; PostgreSQL ends one of each pair."""
    cluster.value(_FLUSH)
    if not on:
        return  # what was counted stays counted

    def lock(one: int, other: int) -> None:
        with suppress(psycopg.errors.DeadlockDetected), cluster.superuser() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [one])
            connection.execute("SELECT pg_sleep(0.3)")
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [other])

    with ThreadPoolExecutor(2 * _DEADLOCKS) as pool:
        pairs = [(2 * n, 2 * n + 1) for n in range(_DEADLOCKS)]
        list(pool.map(lambda pair: lock(*pair), [*pairs, *((b, a) for a, b in pairs)]))


OF_CLUSTER = {"query_slow": run_slowly, "slot_lagging": keep_wal, "deadlocks": deadlock}
"""Faults that a function carries out."""
