"""Fields of `drill.json`: the flat names that the evidence has for a drill's parts, also in earlier versions."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from opsverify.metrics.cache_age import Cached
from opsverify.recovery.drill.parts import (
    JUDGMENTS,
    NO_ARCHIVE,
    NO_LEDGER,
    NO_PLATFORM,
    NOT_YET,
    AnswersPart,
    ArchivePart,
    BackupPart,
    DrillParts,
    LedgerPart,
    NotReached,
    PlatformPart,
    RestorePart,
    SmokeResult,
    TablePart,
    ValidationPart,
    or_none,
    own_failure,
)
from opsverify.recovery.restore.throughput import DrillStage, Extrapolated
from opsverify.recovery.rpo.measure import RpoMeasurement
from opsverify.recovery.verify.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def to_fields(parts: DrillParts, stages: Sequence[DrillStage], ended: NotReached | None) -> dict[str, Any]:
    """The fields by name, as plain data; None where a part was not reached."""
    archive, restore, validation = or_none(parts.archive), or_none(parts.restore), or_none(parts.validation)
    ledger, rpo, answers = or_none(parts.ledger), or_none(parts.rpo), or_none(parts.answers)
    table, platform = or_none(parts.table), or_none(parts.platform)
    failed = own_failure(parts.table, ended)
    return {
        "problems": parts.backup.problems,
        "continuity": archive and archive.gap,
        "segments": archive and archive.segments,
        "last_commit_at": archive and archive.last_commit_at,
        "target_time": parts.target_time,
        "looked_at": parts.archive_read_at,
        "base_backup": parts.backup.label,
        "backup_at": parts.backup.taken_at,
        "recovered_to": restore and restore.recovered_to,
        "to_target_s": restore and restore.to_target_s,
        "to_read_write_s": restore and restore.to_read_write_s,
        "to_validated_s": validation and validation.to_validated_s,
        "to_serving_s": platform and platform.to_serving_s,
        "timeline": restore and restore.timeline,
        "read": restore and restore.judgments,
        "durations": restore and dict(restore.durations),
        "stages": [asdict(stage) for stage in stages],
        "size": parts.backup.size,
        "extrapolated": asdict(validation.extrapolated) if validation and validation.extrapolated else None,
        "log_errors": validation.log_errors if validation else (),
        "log_slow": validation.log_slow if validation else (),
        "testimony": rpo and rpo.to_dict(),
        "table": table and _table_fields(table),
        "table_failure": failed.reason if failed and failed.fault == "backup" else None,
        "table_hindrance": failed.reason if failed and failed.fault == "environment" else None,
        "failure": ended.reason if ended and ended.fault == "backup" else None,
        "hindrance": ended.reason if ended and ended.fault == "environment" else None,
        "facts": ledger and dict(ledger.found),
        "answers": answers and {name: finding.to_dict() for name, finding in answers.findings.items()},
        "business": platform and _business(platform),
        "business_hindrance": platform and platform.blocked,
        **({"backup_manifest_sha256": parts.backup.manifest_sha256} if parts.backup.manifest_sha256 else {}),
        **(_added(restore) if restore else {}),
    }


def _added(restore: RestorePart) -> dict[str, Any]:
    """Fields that earlier versions did not have, where they differ from what those meant."""
    added: dict[str, Any] = {"overridden": restore.overridden} if restore.overridden else {}
    return added if restore.read_table == JUDGMENTS else added | {"read_table": restore.read_table}


def from_fields(raw: Mapping[str, Any]) -> tuple[DrillParts, tuple[DrillStage, ...], NotReached | None]:
    """Parts, stages and why the drill ended early. Raises ValueError where `raw` is no drill."""
    if missing := {"problems", "looked_at", "target_time"} - set(raw):
        raise ValueError(f"no drill: missing {', '.join(sorted(missing))}")
    ended = None
    if reason := raw.get("failure"):
        ended = NotReached(reason, "backup")
    elif reason := raw.get("hindrance"):
        ended = NotReached(reason)
    parts = _parts(raw)
    stages = tuple(DrillStage(**stage) for stage in raw.get("stages", ()))
    return parts.ended_by(ended) if ended else parts, stages, ended


def _parts(raw: Mapping[str, Any]) -> DrillParts:
    backup = BackupPart(
        tuple(raw["problems"]),
        raw.get("base_backup", ""),
        raw.get("backup_at"),
        raw.get("size"),
        raw.get("backup_manifest_sha256"),
    )
    archive = ArchivePart(raw.get("continuity"), raw.get("segments"), raw.get("last_commit_at"))
    facts, rpo, answers = raw.get("facts"), raw.get("testimony"), raw.get("answers")
    return DrillParts(
        raw["looked_at"],
        raw["target_time"],
        backup,
        archive=NOT_YET if archive == ArchivePart(None, None, None) else archive,
        restore=_restore(raw),
        ledger=NO_LEDGER if facts is None else LedgerPart(facts),
        rpo=NO_ARCHIVE if rpo is None else RpoMeasurement.from_dict(rpo),
        validation=_validation(raw),
        table=_table(raw),
        platform=_platform(raw),
        answers=NOT_YET
        if answers is None
        else AnswersPart({name: Finding.from_dict(answer) for name, answer in answers.items()}),
    )


def _restore(raw: Mapping[str, Any]) -> RestorePart | NotReached:
    if raw.get("to_target_s") is None or raw.get("to_read_write_s") is None:
        return NOT_YET
    return RestorePart(
        raw["to_target_s"],
        raw["to_read_write_s"],
        raw.get("recovered_to"),
        raw.get("timeline"),
        raw.get("read"),
        raw.get("durations") or {},
        tuple(raw.get("overridden") or ()),
        raw.get("read_table", JUDGMENTS),
    )


def _validation(raw: Mapping[str, Any]) -> ValidationPart | NotReached:
    if raw.get("to_validated_s") is None:
        return NOT_YET
    more = raw.get("extrapolated")
    return ValidationPart(
        raw["to_validated_s"],
        tuple(raw.get("log_errors", ())),
        tuple(raw.get("log_slow", ())),
        Extrapolated(**more) if more else None,
    )


def _table_fields(part: TablePart) -> dict[str, Any]:
    """As in the file: the share only where a sample was restored."""
    return {name: value for name, value in asdict(part).items() if name != "share" or value < 1}


def _table(raw: Mapping[str, Any]) -> TablePart | NotReached:
    if failure := raw.get("table_failure"):
        return NotReached(failure, "backup")
    if table := raw.get("table"):
        lists = {name: tuple(table.get(name, ())) for name in ("differences", "ledger_differences")}
        return TablePart(**{**table, **lists})
    return NotReached(blocked) if (blocked := raw.get("table_hindrance")) else NOT_YET


def _platform(raw: Mapping[str, Any]) -> PlatformPart | NotReached:
    business = raw.get("business")
    if business is None:
        return NO_PLATFORM
    smoke, cached = business.get("smoke"), business.get("cached")
    return PlatformPart(
        business.get("cleared_at"),
        _smoke(smoke) if smoke else None,
        Cached.from_dict(cached) if cached else None,
        raw.get("to_serving_s"),
        raw.get("business_hindrance"),
    )


def _smoke(raw: Mapping[str, Any]) -> SmokeResult:
    return SmokeResult(raw["run_id"], raw["outcome"], tuple(raw["reasons"]), raw["executed"], tuple(raw["passed"]))


def _business(part: PlatformPart) -> dict[str, Any]:
    values = {
        "cleared_at": part.cleared_at,
        "smoke": asdict(part.smoke) if part.smoke else None,
        "cached": asdict(part.cached) if part.cached else None,
    }
    return {name: value for name, value in values.items() if value is not None}
