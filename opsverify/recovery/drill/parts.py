"""Parts of a drill's result, frozen; a part that the drill did not reach is a `NotReached`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from opsverify.errors import CheckFailed, Inconclusive
from opsverify.language.message import say
from opsverify.recovery.ledger.absent import NOTHING_RECORDED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.metrics.cache_age import Cached
    from opsverify.recovery.ledger.queries import Facts
    from opsverify.recovery.restore.throughput import Extrapolated
    from opsverify.recovery.rpo.measure import RpoMeasurement
    from opsverify.recovery.verify.finding import Finding

P = TypeVar("P")


@dataclass(frozen=True)
class NotReached:
    """A part without values: one line why, and whether the backup or the environment (machine, target) is at fault."""

    reason: str
    fault: Literal["backup", "environment"] = "environment"

    def error(self) -> CheckFailed | Inconclusive:
        """What a check ends with: a failure where the backup is at fault, else inconclusive."""
        return CheckFailed(self.reason) if self.fault == "backup" else Inconclusive(self.reason)


NOT_YET: Final = NotReached(say("drill.json has no such part: rerun the rehearsal"))
NO_LEDGER: Final = NotReached(NOTHING_RECORDED)
NO_ARCHIVE: Final = NotReached(say("pg_dump has no WAL archive: the data lost cannot be measured"))
NO_PLATFORM: Final = NotReached(say("missing [recovery.platform]"))
JUDGMENTS: Final = "judgment_executions"
"""The judgment log: the table that is read first, where a database has it."""
DEFAULTS: Final = (NOT_YET, NO_LEDGER, NO_ARCHIVE, NO_PLATFORM)
"""Parts before the drill reaches them."""


@dataclass(frozen=True)
class BackupPart:
    """The backup: `problems` of the verifying tools, label, start (ISO 8601), bytes to restore, sum of its manifest.

    All but `problems` are empty until the backup is unpacked; a dump has no manifest.
    """

    problems: tuple[str, ...] = ()
    label: str = ""
    taken_at: str | None = None
    size: int | None = None
    manifest_sha256: str | None = None


@dataclass(frozen=True)
class ArchivePart:
    """The WAL archive after the backup: its first gap, number of segments, last commit (ISO 8601).

    A dump has no archive: no segments, and its own time is the last commit.
    """

    gap: str | None
    segments: int | None
    last_commit_at: str | None


@dataclass(frozen=True)
class RestorePart:
    """The restored server, promoted. Seconds count from the drill's beginning, integrity and continuity included.

    `judgments` are the rows that could be read of `read_table`, the judgment log or else a large one (None: no table);
    `durations` are seconds for each restore stage;
    `overridden` are lines of the backup's configuration that the drill did not take over.
    """

    to_target_s: float
    to_read_write_s: float
    recovered_to: str | None
    timeline: int | None
    judgments: int | None
    durations: Mapping[str, float]
    overridden: tuple[str, ...] = ()
    read_table: str | None = JUDGMENTS


@dataclass(frozen=True)
class LedgerPart:
    """Facts of the restored database, by table, queried as the ledger recorded them."""

    found: Mapping[str, Facts]


@dataclass(frozen=True)
class ValidationPart:
    """Validated data: seconds from the drill's beginning, the server's log, and production's size extrapolated."""

    to_validated_s: float
    log_errors: tuple[str, ...] = ()
    log_slow: tuple[str, ...] = ()
    extrapolated: Extrapolated | None = None


@dataclass(frozen=True)
class TablePart:
    """One random table, restored alone: differences from the original, and from the ledger where that recorded it.

    `share` is the share of its pages that was restored: all, or a sample of a large table.
    """

    table: str
    seed: int
    candidates: int
    size: int
    rows: int
    differences: tuple[str, ...]
    ledger_keys: int | None = None
    ledger_differences: tuple[str, ...] = ()
    share: float = 1.0

    @property
    def sample(self) -> str:
        """Words on the sample; '' where the table was restored whole."""
        if self.share >= 1:
            return ""
        return say(" ({share:.1%} of its pages, drawn: [recovery] random_table_max)", share=self.share)


@dataclass(frozen=True)
class AnswersPart:
    """One finding for each question to the restored server, by name."""

    findings: Mapping[str, Finding]


@dataclass(frozen=True)
class SmokeResult:
    """The smoke's verdict on the restored platform, in brief; `reasons` name the checks that failed."""

    run_id: str
    outcome: str
    reasons: tuple[str, ...]
    executed: int
    passed: tuple[str, ...]


@dataclass(frozen=True)
class PlatformPart:
    """The platform on the restored database, as far as it got; `blocked` is why it got no further.

    `to_serving_s` counts to the end of the smoke, without the verification after `to_validated_s`.
    """

    cleared_at: str | None = None
    smoke: SmokeResult | None = None
    cached: Cached | None = None
    to_serving_s: float | None = None
    blocked: str | None = None


@dataclass(frozen=True)
class DrillParts:
    """Parts of a drill as far as it got, in the order in which they are reached. Times are ISO 8601.

    `archive_read_at` is when the archive was read, before the restore; until then, when the drill began.
    """

    archive_read_at: str
    target_time: str | None
    backup: BackupPart = field(default_factory=BackupPart)
    archive: ArchivePart | NotReached = NOT_YET
    restore: RestorePart | NotReached = NOT_YET
    ledger: LedgerPart | NotReached = NO_LEDGER
    rpo: RpoMeasurement | NotReached = NO_ARCHIVE
    validation: ValidationPart | NotReached = NOT_YET
    table: TablePart | NotReached = NOT_YET
    platform: PlatformPart | NotReached = NO_PLATFORM
    answers: AnswersPart | NotReached = NOT_YET

    def ended_by(self, ended: NotReached) -> DrillParts:
        """These parts; the ones that the drill did not reach are `ended`."""

        def after(part: P | NotReached) -> P | NotReached:
            return ended if isinstance(part, NotReached) and part in DEFAULTS else part

        return DrillParts(
            self.archive_read_at,
            self.target_time,
            self.backup,
            archive=after(self.archive),
            restore=after(self.restore),
            ledger=after(self.ledger),
            rpo=after(self.rpo),
            validation=after(self.validation),
            table=after(self.table),
            platform=after(self.platform),
            answers=after(self.answers),
        )


def or_none(part: P | NotReached) -> P | None:
    """The part's values; None where it was not reached."""
    return None if isinstance(part, NotReached) else part


def own_failure(part: object, ended: NotReached | None) -> NotReached | None:
    """`part` where it failed by itself; None where it has values, or the drill ended before it."""
    return part if isinstance(part, NotReached) and part not in (*DEFAULTS, ended) else None
