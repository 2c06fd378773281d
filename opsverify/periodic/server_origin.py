"""Origin of PostgreSQL's counters: the cluster, its version, and since when it counts.

Statistics belong to a node: a standby made from a base backup, and a server that crashed, begin anew. Neither changes
`stats_reset` of a database; both change the reset time of the statistics that a server always has.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.history.snapshot import Origin

if TYPE_CHECKING:
    from opsverify.probes.postgres import Postgres

ORIGIN: Final = """
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS cluster,
       current_setting('server_version_num')::int / 10000 AS major,
       current_database() AS database,
       (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()) AS reset_at,
       greatest(least((SELECT stats_reset FROM pg_stat_bgwriter), (SELECT stats_reset FROM pg_stat_archiver)),
                (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database())) AS since,
       least((SELECT stats_reset FROM pg_stat_bgwriter), (SELECT stats_reset FROM pg_stat_archiver)) AS discarded_at,
       pg_is_in_recovery() AS in_recovery,
       now() AS now
"""


@dataclass(frozen=True, slots=True)
class ServerOrigin:
    """One node: since when its database counts, what it is, and what its clock shows."""

    origin: Origin
    major: int
    since: dt.datetime | None
    in_recovery: bool
    now: dt.datetime

    @property
    def counted_s(self) -> float | None:
        """Seconds that the database's counters cover; None where that is not known."""
        return None if self.since is None else (self.now - self.since).total_seconds()


def server_origin(postgres: Postgres) -> ServerOrigin:
    """The origin of the counters of the probe's database. Raises Inconclusive."""
    found = postgres.row(ORIGIN)
    same = {"system_identifier": found.cluster, "server version": str(found.major), "database": found.database}
    began = {"stats_reset": _mark(found.reset_at), "statistics of the server": _mark(found.discarded_at)}
    now: dt.datetime = found.now
    return ServerOrigin(Origin(same, began), found.major, found.since, found.in_recovery, now.astimezone(dt.UTC))


def _mark(moment: dt.datetime | None) -> str:
    return "never" if moment is None else moment.astimezone(dt.UTC).isoformat()
