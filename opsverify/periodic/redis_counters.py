"""Counters of Redis: hits, misses, evictions, rejections, since its start."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from opsverify.history.snapshot import Origin, Snapshot

if TYPE_CHECKING:
    from opsverify.probes.redis import Redis

SUBJECT: Final = "redis"
KEPT_DAYS: Final = 800
COUNTED: Final = (
    "keyspace_hits", "keyspace_misses", "evicted_keys", "expired_keys", "rejected_connections", "total_error_replies",
    "total_commands_processed", "total_connections_received",
)  # fmt: skip
GAUGED: Final = ("used_memory", "maxmemory", "uptime_in_seconds", "connected_clients")


def redis_counters(redis: Redis) -> Snapshot:
    """The counters as they are now; `run_id` changes at every start. Raises Inconclusive."""
    found = redis.counters()
    # A CONFIG RESETSTAT changes no mark: a counter that fell shows it.
    origin = Origin({"version": str(found["redis_version"]).partition(".")[0]}, {"run_id": str(found["run_id"])})
    row = {name: int(found[name]) for name in (*COUNTED, *GAUGED) if name in found}
    return Snapshot(SUBJECT, dt.datetime.now(dt.UTC), origin, {"server": row}, 1.0, KEPT_DAYS)
