"""Result of a drill: its parts, its timed stages, and why it ended early.

One JSON file of the run's evidence, `drill.json`, keeps it. Checks read `drill.restore.to_target_s`: a part that was
not reached ends the check with its reason. Reports read `drill.parts`, where every part is a value.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from opsverify.errors import Inconclusive
from opsverify.language.kept import keep, revive
from opsverify.language.message import join, say
from opsverify.recovery.drill.fields import from_fields, to_fields
from opsverify.recovery.drill.parts import NotReached, or_none, own_failure
from opsverify.units import elapsed, quantity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opsverify.recovery.drill.parts import (
        AnswersPart,
        ArchivePart,
        BackupPart,
        DrillParts,
        LedgerPart,
        PlatformPart,
        RestorePart,
        TablePart,
        ValidationPart,
    )
    from opsverify.recovery.restore.throughput import DrillStage, Extrapolated
    from opsverify.recovery.rpo.measure import RpoMeasurement

P = TypeVar("P")


@dataclass(frozen=True)
class Drill:
    """One drill: its parts, its timed stages, and why it `ended` early (None: it did not).

    A property that names a part raises Inconclusive where the drill ended before that part. Where the part itself
    failed, it raises CheckFailed (the backup is at fault) or Inconclusive (the environment is).
    """

    parts: DrillParts
    stages: tuple[DrillStage, ...] = ()
    ended: NotReached | None = None

    @property
    def backup(self) -> BackupPart:
        """The backup; always reached."""
        return self.parts.backup

    @property
    def archive(self) -> ArchivePart:
        """The WAL archive."""
        return self._reached(self.parts.archive)

    @property
    def restore(self) -> RestorePart:
        """The restored server."""
        return self._reached(self.parts.restore)

    @property
    def ledger(self) -> LedgerPart:
        """Facts of the restored database."""
        return self._reached(self.parts.ledger)

    @property
    def rpo(self) -> RpoMeasurement:
        """The data lost, as the RPO sources reported it."""
        return self._reached(self.parts.rpo)

    @property
    def validation(self) -> ValidationPart:
        """The validated data."""
        return self._reached(self.parts.validation)

    @property
    def table(self) -> TablePart:
        """The random table."""
        return self._reached(self.parts.table)

    @property
    def platform(self) -> PlatformPart:
        """The platform on the restored database."""
        return self._reached(self.parts.platform)

    @property
    def answers(self) -> AnswersPart:
        """One finding for each question."""
        return self._reached(self.parts.answers)

    def require_restored(self) -> None:
        """Raise CheckFailed where the backup could not be restored, Inconclusive where the restore was blocked."""
        if self.ended is not None:
            raise self.ended.error()

    @property
    def failure(self) -> str | None:
        """Why the backup cannot be restored."""
        return self.ended.reason if self.ended and self.ended.fault == "backup" else None

    @property
    def blocked(self) -> str | None:
        """Why the restore was blocked: nothing is known about the backup."""
        return self.ended.reason if self.ended and self.ended.fault == "environment" else None

    @property
    def exposure_s(self) -> float | None:
        """Seconds from the last commit in the archive to the moment when the archive was read."""
        last = self.archive.last_commit_at
        return None if last is None else (_moment(self.parts.archive_read_at) - _moment(last)).total_seconds()

    @property
    def since_target_s(self) -> float | None:
        """Seconds from the recovery target to the moment when the archive was read; None without a target."""
        target = self.parts.target_time
        return None if target is None else (_moment(self.parts.archive_read_at) - _moment(target)).total_seconds()

    @property
    def to_serving_s(self) -> float | None:
        """Seconds to a platform whose smoke has ended; None where there is none."""
        part = or_none(self.parts.platform)
        return part.to_serving_s if part else None

    @property
    def took_s(self) -> float | None:
        """Seconds to the last point that was reached of a recovery: serving, or validated data."""
        if self.to_serving_s is not None:
            return self.to_serving_s
        part = or_none(self.parts.validation)
        return part.to_validated_s if part else None

    @property
    def table_problem(self) -> str | None:
        """Why the random table could not be restored alone; None where it was, or the drill ended before it."""
        failed = own_failure(self.parts.table, self.ended)
        return failed.reason if failed else None

    @property
    def extrapolated(self) -> Extrapolated | None:
        """How long production's size would take; None where it is not known."""
        part = or_none(self.parts.validation)
        return part.extrapolated if part else None

    @property
    def copy_bytes_per_s(self) -> float | None:
        """Bytes a second of the backup's copy; None where nothing was copied."""
        return next((stage.bytes_per_s or None for stage in self.stages if stage.name == "copy"), None)

    @property
    def pace(self) -> str:
        """Copy rate, replay rate, and how long production's size would take, as text."""
        texts = [say("copy {rate:.3g} GB/s", rate=rate / 1000000000.0)] if (rate := self.copy_bytes_per_s) else []
        replay = next((stage.segments_per_s for stage in self.stages if stage.name == "recover"), None)
        if replay:
            texts.append(say("{replay:.3g} WAL segments/s", replay=replay))
        if (more := self.extrapolated) is not None:
            low, high = elapsed(more.low_s), elapsed(more.high_s)
            texts.append(
                say(
                    "production's {size} would take {low} to {high}",
                    size=quantity(more.size, "bytes"),
                    low=low,
                    high=high,
                )
            )
        return join(", ", texts) if texts else say("nothing was copied")

    def to_dict(self) -> dict[str, Any]:
        """Plain data with the field names of `drill.json`; None where a part was not reached."""
        return to_fields(self.parts, self.stages, self.ended)

    def dumps(self) -> str:
        """The text of a `drill.json`."""
        return json.dumps(keep(self.to_dict()), indent=1)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """The drill that `to_dict` wrote, also as an earlier version. Raises ValueError where it is none."""
        return cls(*from_fields(raw))

    @classmethod
    def loads(cls, text: str) -> Self:
        """The drill in the text of a `drill.json`. Raises ValueError where it is none."""
        return cls.from_dict(revive(json.loads(text)))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The drill kept in `path`. Raises OSError, and ValueError where it is none."""
        return cls.loads(path.read_text(encoding="utf-8"))

    def _reached(self, part: P | NotReached) -> P:
        if not isinstance(part, NotReached):
            return part
        if self.ended is not None and part == self.ended:
            raise Inconclusive(say("nothing was restored: {reason}", reason=part.reason).caused_by(part.reason))
        raise part.error()


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
