"""Base backup in plain form: its label, manifest and pg_control read, its files verified against the manifest."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.language.message import say
from opsverify.recovery.model import BaseBackup, segment_name
from opsverify.recovery.wal.archive import find_file, read_text
from opsverify.recovery.wal.lsn import parse_lsn

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.recovery.postgres.tools import ToolRun, Tools

MARKS: Final = ("PG_VERSION", "backup_label", "backup_manifest", "global/pg_control", "base")
"""Parts of a base backup by which it is recognised where others are missing."""
SECOND: Final = dt.timedelta(seconds=1)
"""By how much a backup's recorded end may be too early: label and history file hold whole seconds."""
_QUARTER_S: Final = 900
_FORMAT_OPTION_SINCE: Final = 18  # the first pg_verifybackup with --format; older ones know plain only
_VERIFIED: Final = "backup successfully verified"
_FINDING: Final = "pg_verifybackup: error: "
_COMPLAINT: Final = re.compile(r"^(?:pg_controldata: )?(?:warning|error|fatal):", re.IGNORECASE)
_TAR: Final = "base.tar*"
_UNREADABLE: Final = ("Permission denied", "Too many open files", "out of memory")


class BackupDamaged(NotRestorable):
    """The backup is damaged: its own tool could not bring it into plain form.

    A drill reports it as a fault of the backup, every other Inconclusive as one of the environment.
    """


@dataclass(frozen=True)
class CatalogEntry:
    """What a backup manager's catalogue records of a backup that has no manifest (`finished_at` may be unknown)."""

    started_at: dt.datetime
    finished_at: dt.datetime | None
    end_lsn: int


@dataclass(frozen=True)
class Integrity:
    """Whether every file is as recorded; `problems` as the verifying tool prints them, one a line."""

    ok: bool
    problems: tuple[str, ...]
    run: ToolRun


def major_of(base_backup: Path) -> int:
    """Return the major version of the server that was backed up.

    Raises BackupDamaged where its PG_VERSION is missing or no number, Inconclusive when the folder is no backup.
    """
    text = _read(base_backup / "PG_VERSION").strip()
    if not text.isdigit():
        raise BackupDamaged(
            say("{base_backup} holds {text!r}, not a major version", base_backup=base_backup / "PG_VERSION", text=text)
        )
    return int(text)


def inspect(
    base_backup: Path,
    tools: Tools,
    archive: Path | None = None,
    *,
    incremental: bool = False,
    catalog_entry: CatalogEntry | None = None,
) -> BaseBackup:
    """Read backup_label, backup_manifest and pg_control of `base_backup`, and its history file in `archive`.

    `catalog_entry` replaces the manifest. Raises BackupDamaged when one of them is missing or cannot be parsed,
    Inconclusive where it cannot be read, and for an incremental backup unless `incremental` is set.
    """
    major = major_of(base_backup)
    label = dict(re.findall(r"^([A-Z ]+): (.*)$", _read(base_backup / "backup_label"), re.MULTILINE))
    builds_on = label.get("INCREMENTAL FROM LSN")
    if builds_on and not incremental:
        raise Inconclusive(
            say(
                '{base_backup} is an incremental backup: join it with pg_combinebackup, or set method = "incremental"',
                base_backup=base_backup,
            )
        )
    try:
        made = catalog_entry or _manifested(base_backup)
        start_text = label["START WAL LOCATION"].split()[0]
        control = control_data(base_backup, tools)
        offset = _offset(label["START TIME"], made.started_at)
        segment_size = int(control["Bytes per WAL segment"])
        start_lsn = parse_lsn(start_text)
        timeline = int(label["START TIMELINE"])
        first = segment_name(timeline, start_lsn // segment_size, segment_size)
        history = find_file(archive, f"{first}.{start_lsn % segment_size:08X}.backup") if archive else None
        stopped = _stop_time(history, offset) if history else None
        return BaseBackup(
            path=base_backup,
            major=major,
            label=label["LABEL"],
            start_lsn=start_lsn,
            end_lsn=made.end_lsn,
            timeline=timeline,
            system_identifier=int(control["Database system identifier"]),
            segment_size=segment_size,
            started_at=made.started_at,
            finished_at=made.finished_at or stopped,
            builds_on_lsn=parse_lsn(builds_on) if builds_on else None,
        )
    except (KeyError, IndexError, StopIteration, ValueError) as error:
        raise BackupDamaged(
            say(
                "{base_backup}: backup_label, backup_manifest or pg_control could not be parsed "
                "({error}); expected a plain base backup made by pg_basebackup with a manifest",
                base_backup=base_backup,
                error=repr(error),
            )
        ) from error


def control_data(base_backup: Path, tools: Tools) -> dict[str, str]:
    """Return what pg_controldata reads from the backup's pg_control.

    Raises BackupDamaged when the file is missing or its checksum is wrong, Inconclusive when it cannot be read.
    """
    answer = tools.run("pg_controldata", base_backup)
    complaints = [line for line in (answer.stderr + answer.stdout).splitlines() if _COMPLAINT.search(line)]
    if answer.exit_code != 0 or complaints:
        reason = complaints[0].strip() if complaints else answer.last_line
        error = Inconclusive if is_read_failure(reason) else BackupDamaged
        raise error(
            say(
                "{base_backup}: {reason} (exit {exit_code})",
                base_backup=base_backup / "global" / "pg_control",
                reason=reason,
                exit_code=answer.exit_code,
            )
        )
    pairs = (line.split(":", 1) for line in answer.stdout.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def verify(backup: BaseBackup, tools: Tools, *, timeout_s: float = 4 * 3600.0) -> Integrity:
    """Verify every file of the backup against its manifest with pg_verifybackup.

    WAL inside the backup is parsed as well; when the WAL is in an archive, `wal.continuity` is what checks
    it. Has to run before the backup is first started. Raises Inconclusive when the output cannot be parsed,
    or files could not be read.
    """
    options = ["--format=plain"] if backup.major >= _FORMAT_OPTION_SINCE else []
    if not (backup.path / "pg_wal" / backup.first_segment).exists():
        options.append("--no-parse-wal")
    run = tools.run("pg_verifybackup", *options, backup.path, timeout_s=timeout_s)
    lines = run.stderr.splitlines()
    problems = tuple(line.removeprefix(_FINDING) for line in lines if line.startswith(_FINDING))
    failure = next(filter(is_read_failure, problems), None)
    if failure is not None:
        raise Inconclusive(
            say("pg_verifybackup could not read all of {path}: {failure}", path=backup.path, failure=failure)
        )
    if run.exit_code == 0 and not problems and _VERIFIED in run.stdout:
        return Integrity(ok=True, problems=(), run=run)
    if run.exit_code == 1 and problems:
        return Integrity(ok=False, problems=problems, run=run)
    raise Inconclusive(
        say(
            "pg_verifybackup {path}: output could not be parsed: {line!r} (exit {exit_code})",
            path=backup.path,
            line=run.last_line,
            exit_code=run.exit_code,
        )
    )


def is_read_failure(problem: str) -> bool:
    """Whether a problem of pg_verifybackup is that it could not read a file, and not damage of the backup."""
    return problem.endswith(_UNREADABLE)


def _manifested(base_backup: Path) -> CatalogEntry:
    manifest = json.loads(_read(base_backup / "backup_manifest"))
    written = next(file["Last-Modified"] for file in manifest["Files"] if file["Path"] == "backup_label")
    # The label's zone is an ambiguous abbreviation (CST); the manifest has the same moment in GMT.
    started_at = dt.datetime.strptime(written, "%Y-%m-%d %H:%M:%S GMT").replace(tzinfo=dt.UTC)
    return CatalogEntry(started_at, None, parse_lsn(manifest["WAL-Ranges"][-1]["End-LSN"]))


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        folder = path.parent
        if folder.is_dir() and any(folder.glob(_TAR)):
            raise Inconclusive(
                say("{folder} is a backup in tar format: extract it, and name the folder", folder=folder)
            ) from error
        if folder.is_dir() and any((folder / name).exists() for name in MARKS):
            raise BackupDamaged(say("{path} is missing: the backup is incomplete", path=path)) from error
        raise Inconclusive(
            say(
                "{path} cannot be read: {error}; expected a plain base backup made by pg_basebackup",
                path=path,
                error=error.strerror,
            )
        ) from error
    except OSError as error:
        raise Inconclusive(
            say(
                "{path} cannot be read: {error}; expected a plain base backup made by pg_basebackup",
                path=path,
                error=error.strerror,
            )
        ) from error
    except Inconclusive as error:
        raise BackupDamaged(str(error)) from error


def _naive(text: str) -> dt.datetime:
    return dt.datetime.strptime(text.rsplit(" ", 1)[0], "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - the zone is computed from it


def _offset(label_time: str, moment: dt.datetime) -> dt.timedelta:
    offset_s = (_naive(label_time) - moment.replace(tzinfo=None)).total_seconds()
    return dt.timedelta(seconds=round(offset_s / _QUARTER_S) * _QUARTER_S)


def _stop_time(history: Path, offset: dt.timedelta) -> dt.datetime:
    match = re.search(r"^STOP TIME: (.*)$", _read(history), re.MULTILINE)
    if match is None:
        raise ValueError(say("{name} has no STOP TIME", name=history.name))
    return (_naive(match[1]) - offset).replace(tzinfo=dt.UTC)
