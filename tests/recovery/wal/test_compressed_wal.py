"""A WAL archive as compressing archive commands leave it: read, counted and restored from, and never written to."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.config.recovery import Recovery
from opsverify.errors import Inconclusive
from opsverify.recovery.backup.adapters import source_of
from opsverify.recovery.postgres.tools import find_tools, run_tool
from opsverify.recovery.wal.archive import PROGRAMS, find_file, restore_command
from opsverify.recovery.wal.continuity import continuity, tail
from opsverify.recovery.wal.timelines import branches, timeline_path
from tests.support.drills import rehearse
from tests.support.primary import listing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.wreck import Disaster

FORMS = tuple(PROGRAMS)
MIB = 1 << 20


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    """Provide the suffix of each form whose program is installed."""
    suffix: str = request.param
    if shutil.which(PROGRAMS[suffix]) is None:
        pytest.skip(f"{PROGRAMS[suffix]} is not installed")
    return suffix


def compress(path: Path, form: str) -> Path:
    """Replace `path` by its compressed form, as `gzip < %p > %f.gz` would have made it."""
    packed = path.with_name(path.name + form)
    done = run_tool(("/bin/sh", "-c", f"{PROGRAMS[form]} -cq < {path} > {packed}"))
    assert done.exit_code == 0, done.transcript
    shutil.copystat(path, packed)
    shutil.chown(packed, path.stat().st_uid, path.stat().st_gid)
    path.unlink()
    return packed


def compress_all(archive: Path, form: str) -> list[Path]:
    """Compress every file of `archive`; the segments, oldest first."""
    packed = [compress(path, form) for path in sorted(archive.iterdir())]
    return [path for path in packed if len(path.name) == 24 + len(form)]


def described(disaster: Disaster, archive: Path, scratch: Path, until: dt.datetime | None = None) -> Recovery:
    """A target's section on a base backup and `archive`."""
    where: dict[str, Any] = {"base_backup": str(disaster.base), "wal_archive": str(archive)}
    return Recovery(**where, ledger="unused", scratch=str(scratch), recovery_target=until)


def test_a_compressed_archive_is_rehearsed(disaster: Disaster, archive_copy: Path, scratch: Path, form: str) -> None:
    """Followed to its end, restored from, its commits counted; its history file of the backup read; unchanged."""
    plain = continuity(disaster.backup, disaster.archive, disaster.tools)
    newest = compress_all(archive_copy, form)[-1]
    before = listing(archive_copy)
    recovery = described(disaster, archive_copy, scratch, disaster.between)
    drill = rehearse(recovery)
    assert (drill.backup.problems, drill.archive.gap, drill.failure, drill.blocked) == ((), None, None, None)
    assert drill.archive.segments == plain.segments
    assert drill.restore.judgments == 600
    assert dt.datetime.fromisoformat(str(drill.archive.last_commit_at)) == plain.last_commit_at
    lost = tail(disaster.backup, archive_copy, disaster.tools, disaster.between)
    assert lost == tail(disaster.backup, disaster.archive, disaster.tools, disaster.between)
    stock = source_of(recovery).list_backups()
    assert stock.newest_wal is not None
    assert stock.newest_wal.name == newest.name[:24]
    assert stock.newest_wal.archived_at.timestamp() == pytest.approx(newest.stat().st_mtime)
    assert stock.usable[0].taken_at == disaster.backup.finished_at
    assert listing(archive_copy) == before


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_truncate, _flip])
def test_a_damaged_file_is_named(
    disaster: Disaster, archive_copy: Path, form: str, damage: Callable[[Path], None]
) -> None:
    """Its segment, and the time from which data is lost; the segments before it still count."""
    segments = compress_all(archive_copy, form)
    damage(segments[-2])
    reach = continuity(disaster.backup, archive_copy, disaster.tools, disaster.end)
    assert reach.problem is not None
    assert f"WAL segment {segments[-2].name[:24]} cannot be unpacked from {segments[-2].name}: " in reach.problem
    assert reach.last_commit_at is not None
    assert reach.problem.endswith(f"commits after {reach.last_commit_at.isoformat()} cannot be recovered")
    assert reach.last == segments[-3].name[:24]
    assert reach.reaches is False


def test_a_drill_fails_on_a_damaged_file(disaster: Disaster, archive_copy: Path, scratch: Path) -> None:
    """That is a finding about the archive, and no hindrance of ours."""
    segments = compress_all(archive_copy, ".gz")
    _truncate(segments[-2])
    drill = rehearse(described(disaster, archive_copy, scratch, disaster.end))
    assert drill.blocked is None
    assert segments[-2].name in (drill.failure or "")
    assert segments[-2].name in (drill.archive.gap or "")


def test_a_whole_file_with_half_a_segment_is_truncated(disaster: Disaster, archive_copy: Path) -> None:
    """What was cut before it was compressed unpacks without complaint: its size tells."""
    segment = sorted(path for path in archive_copy.iterdir() if len(path.name) == 24)[-2]
    os.truncate(segment, MIB // 2)
    compress(segment, ".gz")
    reach = continuity(disaster.backup, archive_copy, disaster.tools)
    assert f"{segment.name} is truncated: 524,288 of 1,048,576 bytes" in (reach.problem or "")


def test_of_two_files_the_plain_one_counts(disaster: Disaster, archive_copy: Path, scratch: Path) -> None:
    """For the sequence check as for the restore: one that is being compressed just now has half a twin."""
    for segment in sorted(path for path in archive_copy.iterdir() if len(path.name) == 24):
        segment.with_name(f"{segment.name}.gz").write_bytes(b"half")
    drill = rehearse(described(disaster, archive_copy, scratch, disaster.between))
    assert (drill.archive.gap, drill.failure, drill.blocked) == (None, None, None)


def test_only_what_is_on_the_way_is_unpacked(disaster: Disaster, archive_copy: Path) -> None:
    """Garbage of another timeline, or from before the backup, is nothing to a recovery."""
    compress_all(archive_copy, ".gz")
    for name in ("000000010000000000000000", "000000070000000000000004"):
        (archive_copy / f"{name}.gz").write_bytes(b"garbage")
    assert continuity(disaster.backup, archive_copy, disaster.tools).unbroken


def test_timeline_histories_may_be_compressed(disaster: Disaster, archive_copy: Path) -> None:
    """The archive command compresses them as well."""
    history = archive_copy / "00000002.history"
    history.write_text("1\t0/7F000000\tno recovery target specified\n")
    compress(history, ".gz")
    assert [branch.timeline for branch in branches(archive_copy, disaster.backup)] == [1, 2]
    assert timeline_path(archive_copy, 2).ancestors == ((1, 0x7F000000),)
    _truncate(archive_copy / "00000002.history.gz")
    with pytest.raises(Inconclusive, match=r"00000002.history.gz cannot be read: "):
        branches(archive_copy, disaster.backup)


def test_a_missing_program_says_what_to_install(
    disaster: Disaster, archive_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a hole nor a pass; plain archives need no program, and Python reads three forms without."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert restore_command(archive_copy).startswith("cp ")
    segments = sorted(path for path in archive_copy.iterdir() if len(path.name) == 24)
    for path, form, package in ((segments[-1], ".zst", "zstd"), (segments[-2], ".xz", "xz-utils")):
        path.rename(path.with_name(path.name + form))
        with pytest.raises(Inconclusive, match=rf"is not installed.*: install .*{package}"):
            restore_command(archive_copy)
        if form == ".zst":
            with pytest.raises(Inconclusive, match="install zstd"):
                continuity(disaster.backup, archive_copy, find_tools(disaster.backup.major))
            path.with_name(path.name + form).rename(path)
    assert find_file(archive_copy, "0000000100000000000000FF") is None
