"""A backup that lacks a part: whose fault it is, which part it was, and that an older backup is not used in silence."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive
from opsverify.recovery.backup.base_backup import SECOND, BackupDamaged, inspect
from opsverify.recovery.backup.basebackup import PlainSource
from opsverify.recovery.backup.inventory import Inventory
from opsverify.recovery.backup.source import DAMAGED
from opsverify.recovery.drill.parts import NotReached
from opsverify.recovery.restore.recoverable import end_of, newest_recoverable
from tests.support.drills import recovery, rehearse
from tests.support.wreck import detach

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.wreck import Disaster


def _gone(name: str) -> Callable[[Path], None]:
    return lambda base: (base / name).unlink()


def _flip(base: Path) -> None:
    path = detach(base / "global" / "pg_control")
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


DAMAGES: tuple[tuple[str, Callable[[Path], None], str], ...] = (
    ("label", _gone("backup_label"), r"backup_label is missing"),
    ("manifest", _gone("backup_manifest"), r"backup_manifest is missing"),
    ("version", _gone("PG_VERSION"), r"PG_VERSION is missing"),
    ("control", _gone("global/pg_control"), r"global/pg_control: .*could not open file"),
    ("bit", _flip, r"global/pg_control: .*CRC checksum"),
    ("label-empty", lambda base: _empty(base / "backup_label"), r"backup_label, .* could not be parsed"),
    ("manifest-cut", lambda base: _halved(base / "backup_manifest"), r"backup_manifest .* could not be parsed"),
    ("version-garbage", lambda base: _empty(base / "PG_VERSION"), r"PG_VERSION holds ''"),
)


def _empty(path: Path) -> None:
    detach(path).write_text("")


def _halved(path: Path) -> None:
    path = detach(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(("damage", "said"), [row[1:] for row in DAMAGES], ids=[row[0] for row in DAMAGES])
def test_a_part_that_is_missing_is_the_backups_fault(
    disaster: Disaster, base_copy: Path, scratch: Path, damage: Callable[[Path], None], said: str
) -> None:
    """The drill ends as failed, `restore.integrity` names the part, and the listing counts the backup as damaged."""
    damage(base_copy)
    drill = rehearse(recovery(disaster, scratch, disaster.between, base_backup=str(base_copy)))
    assert drill.failure
    assert len(drill.backup.problems) == 1
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(drill.backup.problems[0])
    (entry,) = PlainSource("basebackup", base_copy, disaster.archive).list_backups().backups
    assert (entry.kind, bool(entry.problem)) == (DAMAGED, True)


def test_what_cannot_be_read_is_no_damage(disaster: Disaster, scratch: Path) -> None:
    """A folder that is not there, or in tar format, tells nothing about the backup."""
    with pytest.raises(Inconclusive, match="cannot be read") as raised:
        inspect(scratch / "nowhere", disaster.tools)
    assert not isinstance(raised.value, BackupDamaged)
    (scratch / "base.tar.gz").touch()
    with pytest.raises(Inconclusive, match="is a backup in tar format"):
        inspect(scratch, disaster.tools)


def test_the_first_segment_missing_fails_by_name(disaster: Disaster, archive_copy: Path, scratch: Path) -> None:
    """Without it the backup cannot be made consistent: not a database without commits."""
    (archive_copy / disaster.backup.first_segment).unlink()
    where = recovery(disaster, scratch, disaster.between, wal_archive=str(archive_copy), recovery_target=None)
    drill = rehearse(where)
    assert f"{disaster.backup.first_segment} is missing, with which recovery begins" in str(drill.failure)
    assert disaster.backup.first_segment in str(drill.archive.gap)
    with pytest.raises(Inconclusive, match="with which recovery begins"):
        newest_recoverable(where)


def _two(disaster: Disaster, scratch: Path) -> tuple[PlainSource, Path]:
    folder = scratch / "backups"
    folder.mkdir()
    for name in ("monday", "tuesday"):
        shutil.copytree(disaster.base, folder / name, copy_function=os.link)
    return PlainSource("basebackup", folder, disaster.archive), folder / "tuesday"


def test_a_newest_backup_that_is_half_there_is_said(disaster: Disaster, scratch: Path) -> None:
    """The older one is used, and the newer one is named as passed over."""
    source, tuesday = _two(disaster, scratch)
    assert _inventory(source).passed_over is None
    (tuesday / "backup_manifest").unlink()
    next_day = (disaster.end + dt.timedelta(days=1)).timestamp()
    os.utime(detach(tuesday / "backup_label"), (next_day, next_day))
    passed_over = _inventory(source).passed_over
    assert passed_over is not None
    assert passed_over.name == "tuesday"
    assert "backup_manifest is missing" in str(passed_over.problem)


def _inventory(source: PlainSource) -> Inventory:
    return Inventory(dt.datetime.now(dt.UTC), "basebackup", source.list_backups())


def test_a_target_within_a_backups_last_second_uses_the_backup_before(disaster: Disaster, scratch: Path) -> None:
    """Its end is known to the second: within it the backup may not have been complete."""
    source, tuesday = _two(disaster, scratch)
    finished = disaster.backup.finished_at
    assert finished is not None
    later = detach(tuesday / "backup_label")
    later.write_text(later.read_text())
    chosen = [replace(source, until=finished + offset)._chain()[0][0].path.name for offset in (SECOND / 2, SECOND)]
    assert chosen == ["monday", "tuesday"]


def test_a_database_without_commits_since_its_backup_is_healthy(
    disaster: Disaster, archive_copy: Path, scratch: Path
) -> None:
    """It is restored as it was at the end of the backup; integrity and WAL are measured."""
    for path in archive_copy.iterdir():
        if len(path.name) == 24 and path.name > disaster.backup.first_segment:
            path.unlink()
    where = recovery(
        disaster, scratch, disaster.between, wal_archive=str(archive_copy), recovery_target=None, heartbeat=None
    )
    assert newest_recoverable(where) == end_of(disaster.backup)
    ended = disaster.backup.finished_at
    assert ended is not None
    assert newest_recoverable(where, ended - SECOND / 2) == end_of(disaster.backup)
    # What was seen later in the second in which the backup ended may have been committed after that end.
    assert newest_recoverable(where, ended + SECOND / 2) == ended + SECOND / 2
    for until in (None, end_of(disaster.backup)):
        drill = rehearse(where.model_copy(update={"recovery_target": until}))
        assert drill.ended is None, drill.ended
        assert (drill.backup.problems, drill.archive.gap, drill.archive.segments) == ((), None, 1)
        assert drill.restore.judgments == 600
        assert not isinstance(drill.parts.answers, NotReached)
