"""Hear the witnesses of a recovery: of a drill's restored server, or of the target's own database after a disaster."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from opsverify.config.model import require
from opsverify.errors import Inconclusive
from opsverify.recovery.backup.adapters import physical_source_of
from opsverify.recovery.postgres.identifiers import qualified
from opsverify.recovery.postgres.scratch import scratch_folder
from opsverify.recovery.postgres.tools import find_tools
from opsverify.recovery.rpo.heartbeat_log import HeartbeatLog, compare_beats
from opsverify.recovery.rpo.sources import RpoSource, agree, from_archive, from_heartbeat, from_server
from opsverify.recovery.verify.rows import recovery_target
from opsverify.recovery.wal.continuity import tail
from opsverify.recovery.wal.timelines import branches
from opsverify.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from opsverify.config.model import Heartbeat, Recovery, Target
    from opsverify.probes.postgres import Postgres
    from opsverify.recovery.model import BaseBackup, Branch
    from opsverify.recovery.postgres.tools import Tools
    from opsverify.recovery.rpo.heartbeat_log import Beat
    from opsverify.recovery.rpo.sources import RpoLoss

    Numbers = Callable[[str], Iterable[int]]
    """Gives the numbers in the heartbeat's table, whose name it is told."""

NAME = "testimony.json"
"""Where a run of post-dr keeps what its witnesses said; a rehearsal keeps it with its drill."""
_TIMES = ("recovered_to", "newest")
RESTARTED = "pg_last_xact_replay_timestamp() is NULL: the server was restarted since its recovery, or never recovered"
_STATE = """
    SELECT pg_is_in_recovery() AS in_recovery, pg_last_xact_replay_timestamp() AS replayed,
           CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline
"""


@dataclass(frozen=True)
class RpoMeasurement:
    """What the witnesses said; `problem` is what one of them said that nobody can overrule."""

    witnesses: tuple[RpoSource, ...]
    tolerance_s: float
    problem: str | None = None

    def loss(self) -> RpoLoss:
        """What was lost, as they agree. Raises Inconclusive where they do not, or a `problem` stands."""
        if self.problem:
            raise Inconclusive(self.problem)
        return agree(self.witnesses, self.tolerance_s)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for the evidence."""
        rows = [
            {name: value.isoformat() if isinstance(value, dt.datetime) else value for name, value in vars(said).items()}
            for said in self.witnesses
        ]
        return {"witnesses": rows, "tolerance_s": self.tolerance_s, "problem": self.problem}

    @classmethod
    def from_dict(cls, wire: dict[str, Any]) -> Self:
        """The other end of `to_dict`."""

        def moments(row: dict[str, Any]) -> dict[str, Any]:
            times = {name: dt.datetime.fromisoformat(row[name]) for name in _TIMES if row[name]}
            return {**row, **times}

        return cls(tuple(RpoSource(**moments(row)) for row in wire["witnesses"]), wire["tolerance_s"], wire["problem"])


@dataclass(frozen=True)
class Hearing:
    """The means to hear witnesses: the heartbeat of the target's `recovery`, a backup, and the archive behind it."""

    recovery: Recovery
    backup: BaseBackup
    archive: Path
    tools: Tools

    def acknowledged(self) -> tuple[Beat, ...] | None:
        """The heartbeat's log, to be read before the database is; None without one. Raises Inconclusive."""
        heartbeat = self.recovery.heartbeat
        return HeartbeatLog(Path(heartbeat.log)).read() if heartbeat else None

    def of_drill(
        self, replayed: dt.datetime | None, until: dt.datetime, looked_at: dt.datetime, numbers: Numbers
    ) -> RpoMeasurement:
        """What would be lost if the disaster had been at `looked_at` and the recovery went `until`.

        `replayed` is what the restored server says, `numbers` asks it.
        """
        way = branches(self.archive, self.backup)
        why = "pg_last_xact_replay_timestamp() is NULL: nothing was committed between backup and recovery target"
        return self._hear(replayed, why, until, way, numbers, looked_at)

    def of_recovered(
        self, replayed: dt.datetime | None, timeline: int, until: dt.datetime, numbers: Numbers
    ) -> RpoMeasurement:
        """What was lost in the disaster: the database runs on `timeline` now, and was recovered `until`.

        On the backup's own timeline no recovery took place: then nothing may have been left behind.
        """
        way = branches(self.archive, self.backup, timeline)
        if len(way) > 1:
            return self._hear(replayed, RESTARTED, until, way[:-1], numbers)
        end_of_time = dt.datetime.max.replace(tzinfo=dt.UTC)
        return self._hear(replayed, RESTARTED, end_of_time, way, numbers, left_behind=False)

    def _hear(
        self,
        replayed: dt.datetime | None,
        why_null: str,
        until: dt.datetime,
        way: Sequence[Branch],
        numbers: Numbers,
        disaster_at: dt.datetime | None = None,
        *,
        left_behind: bool = True,
    ) -> RpoMeasurement:
        sources: list[RpoSource] = []
        problem = None
        try:
            sources.append(self._heartbeat(way, until, numbers, disaster_at))
            archived = tail(self.backup, self.archive, self.tools, until, way[-1].timeline, disaster_at)
            sources.append(from_archive(archived, left_behind=left_behind))
            sources.append(from_server(replayed, until, why_null))
        except Inconclusive as error:
            said = "; ".join(map(str, sources))
            problem = f"{error}; {said}" if said else str(error)
        return RpoMeasurement(tuple(sources), parse_duration(self.recovery.witness_tolerance), problem)

    def _heartbeat(
        self, way: Sequence[Branch], until: dt.datetime, numbers: Numbers, disaster_at: dt.datetime | None
    ) -> RpoSource:
        heartbeat: Heartbeat | None = self.recovery.heartbeat
        acknowledged = self.acknowledged()
        if heartbeat is None or acknowledged is None:
            return RpoSource("heartbeat", absent="the target has no [recovery.heartbeat]")
        present = frozenset(numbers(heartbeat.table))
        return from_heartbeat(compare_beats(acknowledged, present, way, until, disaster_at), heartbeat.every_s)


def of_target(target: Target, postgres: Postgres) -> RpoMeasurement:
    """Hear the witnesses of the recovery of the target's own database. Raises Inconclusive where that cannot be."""
    recovery, until = require(target.recovery), recovery_target(target)
    state = postgres.row(_STATE)
    if state.in_recovery:
        raise Inconclusive("the database is still in recovery: promote it, or ask the primary")

    def numbers(table: str) -> Iterable[int]:
        return (row.number for row in postgres.rows(f"SELECT number FROM {qualified(table)}"))  # noqa: S608 - quoted

    with scratch_folder(recovery) as scratch, physical_source_of(recovery).unpacked(scratch) as unpacked:
        hearing = Hearing(recovery, unpacked.backup, unpacked.archive, find_tools(unpacked.backup.major))
        return hearing.of_recovered(state.replayed, int(state.timeline, 16), until, numbers)
