"""Replication slots: how much WAL each keeps on the server's disk, and whether it still can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opsverify.probes.postgres import Postgres

SLOTS: Final = """
SELECT slot_name AS name, active, coalesce(wal_status, 'unknown') AS status,
       greatest(0, coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                                 ELSE pg_current_wal_lsn() END, restart_lsn), 0))::bigint AS bytes
  FROM pg_replication_slots ORDER BY 4 DESC, 1
"""


@dataclass(frozen=True, slots=True)
class ReplicationSlot:
    """One slot; `status` is `lost` where the WAL that its consumer needs is gone."""

    name: str
    active: bool
    status: str
    bytes: int


def slots(postgres: Postgres) -> tuple[ReplicationSlot, ...]:
    """Every slot, the one that keeps most first. Raises Inconclusive."""
    return tuple(ReplicationSlot(*row) for row in postgres.rows(SLOTS))
