"""Counters of the platform's database: transactions, deadlocks, temporary files, and its size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.history.snapshot import Snapshot
from opsverify.periodic.server_origin import server_origin

if TYPE_CHECKING:
    from opsverify.probes.postgres import Postgres

SUBJECT: Final = "postgres.database"
KEPT_DAYS: Final = 800
COUNTERS: Final = """
SELECT xact_commit, xact_rollback, blks_read, blks_hit, tup_returned, tup_fetched, temp_files, temp_bytes, deadlocks,
       sessions_fatal, pg_database_size(datid) AS size_bytes
  FROM pg_stat_database WHERE datname = current_database()
"""


def database_counters(postgres: Postgres) -> Snapshot:
    """The counters as they are now. Raises Inconclusive."""
    found = server_origin(postgres)
    row = postgres.row(COUNTERS)._asdict()
    return Snapshot(SUBJECT, found.now, found.origin, {found.origin.same["database"]: row}, 1.0, KEPT_DAYS)
