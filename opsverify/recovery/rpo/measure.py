"""RPO of one recovery, from three independent sources: heartbeat, WAL archive, server.

The recovery is a drill's, on its restored server, or the target's own database after a disaster.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from opsverify.config.model import require
from opsverify.errors import Inconclusive
from opsverify.language.kept import revive
from opsverify.language.message import join, say
from opsverify.recovery.backup.adapters import physical_source_of
from opsverify.recovery.postgres.identifiers import qualified
from opsverify.recovery.postgres.scratch import scratch_folder
from opsverify.recovery.postgres.tools import find_tools
from opsverify.recovery.rpo.heartbeat_log import HeartbeatLog, compare_beats
from opsverify.recovery.rpo.sources import (
    RpoSource,
    agreed_loss,
    from_archive,
    from_heartbeat,
    from_server,
    unchanged,
)
from opsverify.recovery.verify.rows import recovery_target
from opsverify.recovery.wal.continuity import tail
from opsverify.recovery.wal.timelines import branches
from opsverify.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from opsverify.config.model import Target
    from opsverify.config.recovery import Heartbeat, Recovery
    from opsverify.probes.postgres import Postgres
    from opsverify.recovery.model import BaseBackup, Branch
    from opsverify.recovery.postgres.tools import Tools
    from opsverify.recovery.rpo.heartbeat_log import Beat
    from opsverify.recovery.rpo.sources import RpoLoss

    Numbers = Callable[[str], Iterable[int]]
    """Returns the numbers in the heartbeat's table of that name."""

NAME = "testimony.json"
"""File in which a run of post-dr keeps what its RPO sources reported; a rehearsal keeps it in its `drill.json`."""
_TIMES = ("recovered_to", "newest")
RESTARTED = say(
    "pg_last_xact_replay_timestamp() is NULL: the server was restarted since its recovery, or never recovered"
)
_STATE = """
    SELECT pg_is_in_recovery() AS in_recovery, pg_last_xact_replay_timestamp() AS replayed,
           CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline
"""


@dataclass(frozen=True)
class RpoMeasurement:
    """Reports of the RPO sources; a `problem` that one of them found outweighs the others."""

    sources: tuple[RpoSource, ...]
    tolerance_s: float
    problem: str | None = None

    def loss(self) -> RpoLoss:
        """The loss on which the sources agree. Raises Inconclusive where they differ, or there is a `problem`."""
        if self.problem:
            raise Inconclusive(self.problem)
        return agreed_loss(self.sources, self.tolerance_s)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for the evidence."""
        rows = [
            {name: value.isoformat() if isinstance(value, dt.datetime) else value for name, value in vars(one).items()}
            for one in self.sources
        ]
        return {"witnesses": rows, "tolerance_s": self.tolerance_s, "problem": self.problem}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """The measurement that `to_dict` wrote."""

        def moments(row: Mapping[str, Any]) -> dict[str, Any]:
            times = {name: dt.datetime.fromisoformat(row[name]) for name in _TIMES if row.get(name)}
            return {**row, **times}

        return cls(tuple(RpoSource(**moments(row)) for row in raw["witnesses"]), raw["tolerance_s"], raw["problem"])

    @classmethod
    def load(cls, path: Path) -> Self:
        """The measurement in a `testimony.json`. Raises OSError, and ValueError where it is none."""
        return cls.from_dict(revive(json.loads(path.read_text(encoding="utf-8"))))


@dataclass(frozen=True)
class RpoInputs:
    """Inputs of an RPO measurement: the heartbeat of the target's `recovery`, a backup, and its WAL archive."""

    recovery: Recovery
    backup: BaseBackup
    archive: Path
    tools: Tools

    def acknowledged(self) -> tuple[Beat, ...] | None:
        """The heartbeat's log, to be read before the database; None where there is none.

        Raises Inconclusive where it cannot be read.
        """
        heartbeat = self.recovery.heartbeat
        return HeartbeatLog(Path(heartbeat.log)).read() if heartbeat else None

    def of_drill(
        self, replayed: dt.datetime | None, until: dt.datetime, archive_read_at: dt.datetime, numbers: Numbers
    ) -> RpoMeasurement:
        """The loss if the disaster had been at `archive_read_at` and the recovery went to `until`.

        `replayed` is the restored server's last replayed commit, `numbers` queries that server.
        """
        path = branches(self.archive, self.backup)
        why = say("pg_last_xact_replay_timestamp() is NULL: nothing was committed between backup and recovery target")
        return self._measure(replayed, why, until, path, numbers, archive_read_at, first_start=True)

    def of_recovered(
        self, replayed: dt.datetime | None, timeline: int, until: dt.datetime, numbers: Numbers
    ) -> RpoMeasurement:
        """The loss in the disaster: the database runs on `timeline` now, and was recovered to `until`.

        On the backup's own timeline no recovery took place, and no history was left.
        """
        path = branches(self.archive, self.backup, timeline)
        if len(path) > 1:
            return self._measure(replayed, RESTARTED, until, path[:-1], numbers)
        end_of_time = dt.datetime.max.replace(tzinfo=dt.UTC)
        return self._measure(replayed, RESTARTED, end_of_time, path, numbers, left_behind=False)

    def _measure(
        self,
        replayed: dt.datetime | None,
        why_null: str,
        until: dt.datetime,
        path: Sequence[Branch],
        numbers: Numbers,
        disaster_at: dt.datetime | None = None,
        *,
        left_behind: bool = True,
        first_start: bool = False,
    ) -> RpoMeasurement:
        """As the public ones; `first_start`: the server has not been restarted, so that its NULL means no commit."""
        reports: list[RpoSource] = []
        problem = None
        try:
            reports.append(self._heartbeat(path, until, numbers, disaster_at))
            archived = tail(self.backup, self.archive, self.tools, until, path[-1].timeline, disaster_at)
            if first_start and replayed is None and archived.recovered_to is None:
                reports += unchanged(archived, until)
            else:
                reports.append(from_archive(archived, left_behind=left_behind))
                reports.append(from_server(replayed, until, why_null))
        except Inconclusive as error:
            others = join("; ", map(str, reports))
            problem = join("; ", (str(error), others)) if others else str(error)
        return RpoMeasurement(tuple(reports), parse_duration(self.recovery.witness_tolerance), problem)

    def _heartbeat(
        self, path: Sequence[Branch], until: dt.datetime, numbers: Numbers, disaster_at: dt.datetime | None
    ) -> RpoSource:
        heartbeat: Heartbeat | None = self.recovery.heartbeat
        acknowledged = self.acknowledged()
        if heartbeat is None or acknowledged is None:
            return RpoSource("heartbeat", absent=say("missing [recovery.heartbeat]"))
        present = frozenset(numbers(heartbeat.table))
        return from_heartbeat(compare_beats(acknowledged, present, path, until, disaster_at), heartbeat.every_s)


def of_target(target: Target, postgres: Postgres) -> RpoMeasurement:
    """The data lost in the recovery of the target's own database. Raises Inconclusive where it cannot be measured."""
    recovery, until = require(target.recovery), recovery_target(target)
    state = postgres.row(_STATE)
    if state.in_recovery:
        raise Inconclusive(say("the database is still in recovery: promote it, or query the primary"))

    def numbers(table: str) -> Iterable[int]:
        return (row.number for row in postgres.rows(f"SELECT number FROM {qualified(table)}"))  # noqa: S608 - quoted

    with scratch_folder(recovery) as scratch, physical_source_of(recovery).unpacked(scratch) as unpacked:
        inputs = RpoInputs(recovery, unpacked.backup, unpacked.archive, find_tools(unpacked.backup.major))
        return inputs.of_recovered(state.replayed, int(state.timeline, 16), until, numbers)
