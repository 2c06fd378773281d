"""A restore drill: the actual backup, restored beside production on this machine, asked, thrown away.

What the drill saw is one JSON file of the run's evidence; the checks of the `rehearsal` stage read that file.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TextIO

from opsverify.errors import NotRestorable
from opsverify.recovery.backup.adapters import source_of
from opsverify.recovery.backup.source import BackupDamaged
from opsverify.recovery.drill.steps import DrillSteps, RestoreBlocked
from opsverify.recovery.drill.timing import StageTimer
from opsverify.recovery.postgres.scratch import scratch_folder
from opsverify.units import elapsed, quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from opsverify.config.model import Recovery
    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.ledger import Recorded
    from opsverify.recovery.ledger.queries import Source


@dataclass(frozen=True)
class Drill:
    """Facts of one drill. Times are ISO 8601; `problems` are what the verifying tools say of the backup.

    `looked_at` is when the archive was read, before the restore took its time. `to_target_s`, `to_read_write_s` and
    `to_validated_s` count from the drill's beginning, integrity and continuity included; `to_serving_s` goes on to a
    platform whose smoke has ended, without the examinations in between. `failure` is why the backup cannot be
    restored, `hindrance` why this drill could not find that out, `business_hindrance` why no platform was smoked.
    Everything else: docs/dr.md.
    """

    problems: tuple[str, ...]
    continuity: str | None
    segments: int | None
    last_commit_at: str | None
    target_time: str | None
    looked_at: str
    base_backup: str = ""
    backup_at: str | None = None
    recovered_to: str | None = None
    to_target_s: float | None = None
    to_read_write_s: float | None = None
    to_validated_s: float | None = None
    to_serving_s: float | None = None
    timeline: int | None = None
    read: int | None = None
    durations: Mapping[str, float] | None = None
    stages: tuple[Mapping[str, Any], ...] = ()
    size: int | None = None
    extrapolated: Mapping[str, Any] | None = None
    log_errors: tuple[str, ...] = ()
    log_slow: tuple[str, ...] = ()
    testimony: Mapping[str, Any] | None = None
    table: Mapping[str, Any] | None = None
    table_failure: str | None = None
    table_hindrance: str | None = None
    failure: str | None = None
    hindrance: str | None = None
    facts: Mapping[str, Any] | None = None
    answers: Mapping[str, Any] | None = None
    business: Mapping[str, Any] | None = None
    business_hindrance: str | None = None

    @classmethod
    def load(cls, path: Path) -> Drill:
        """The drill kept in `path`."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        lists: dict[str, Any] = {name: tuple(value) for name, value in raw.items() if isinstance(value, list)}
        return cls(**{**raw, **lists})

    @property
    def took_s(self) -> float | None:
        """Seconds to the last point that was reached of a recovery: serving, or validated data."""
        return self.to_validated_s if self.to_serving_s is None else self.to_serving_s

    @property
    def why_not(self) -> str:
        """Why there is no answer to a question about the restored server."""
        return f"nothing was restored: {self.failure or self.hindrance}"

    @property
    def pace(self) -> str:
        """How fast it went, and how long production's size would take, in words."""
        speed = {stage["name"]: stage for stage in self.stages}
        said = []
        if (copy := speed.get("copy")) and copy["bytes"] and copy["seconds"]:
            said.append(f"copy {copy['bytes'] / copy['seconds'] / 1e9:.3g} GB/s")
        if (recover := speed.get("recover")) and recover["segments"] and recover["seconds"]:
            said.append(f"{recover['segments'] / recover['seconds']:.3g} WAL segments/s")
        if (more := self.extrapolated) is not None:
            low, high = (elapsed(more[end]) for end in ("low_s", "high_s"))
            said.append(f"production's {quantity(more['size'], 'bytes')} would take {low} to {high}")
        return ", ".join(said) or "nothing was copied"


def run_drill(
    recovery: Recovery,
    dbname: str,
    recorded: Recorded | None,
    queries: Mapping[str, str],
    keep: TextIO,
    say: Callable[[str], None],
    evidence: Path,
    history: History | None = None,
    live: Callable[[], Source] | None = None,
) -> None:
    """Verify the backup, follow its WAL, restore it, read and write, ask for the ledger's facts; write a `Drill`.

    Of the restored server everything in `restored_data` is asked as well, against `history`; `live` opens the original.
    Where the target says how, a platform is started on it and smoked, that run's evidence in the folder `evidence`.
    Raises Inconclusive where backup or archive cannot even be looked at.
    """
    source = source_of(recovery)
    course = StageTimer(say)
    facts: dict[str, Any] = {"problems": (), "continuity": None, "segments": None, "last_commit_at": None}
    facts["looked_at"] = dt.datetime.now(dt.UTC).isoformat()
    facts["target_time"] = recovery.recovery_target.isoformat() if recovery.recovery_target else None
    with scratch_folder(recovery) as scratch:
        work = DrillSteps(recovery, dbname, recorded, queries, course, facts, scratch, evidence, history, live)
        try:
            with course.stage("integrity"):
                facts["problems"] = source.verify().problems
            work.bring_back(source)
        except NotRestorable as error:
            facts["failure"] = str(error)
            if isinstance(error, BackupDamaged):
                facts["problems"] = facts["problems"] or (str(error),)
        except RestoreBlocked as error:
            facts["hindrance"] = str(error.__cause__)
    facts["stages"] = [asdict(stage) for stage in course.stages]
    json.dump(asdict(Drill(**facts)), keep, indent=1)


def age_s(moment: str, now: str) -> float:
    """Seconds from `moment` to `now`, both ISO 8601."""
    return (dt.datetime.fromisoformat(now) - dt.datetime.fromisoformat(moment)).total_seconds()
