"""Facts read from a base backup, and damage to it, which is found and named."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive
from opsverify.recovery.backup.base_backup import inspect, verify
from opsverify.recovery.postgres.tools import Tools
from tests.support.wreck import detach

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.wreck import Disaster


def test_a_backup_is_described(disaster: Disaster) -> None:
    """Label, positions and times (the server's zone is Seoul's, the result is exact all the same)."""
    backup = disaster.backup
    assert backup.label == "pg_basebackup base backup"
    assert (backup.major, backup.timeline, backup.segment_size) == (18, 1, 1 << 20)
    assert backup.start_lsn < backup.end_lsn
    assert backup.finished_at is not None
    assert backup.started_at <= backup.finished_at <= disaster.between
    assert disaster.between - backup.started_at < dt.timedelta(minutes=2)


def test_a_whole_backup_verifies(disaster: Disaster) -> None:
    """Without the WAL inside, as it lies in the archive; the transcript is kept."""
    integrity = verify(disaster.backup, disaster.tools)
    assert integrity.ok, integrity.run.transcript
    assert "backup successfully verified" in integrity.run.transcript


def _flip(base: Path) -> str:
    file = detach(base / "base" / "1" / "1255")
    with file.open("r+b") as content:
        content.seek(4000)
        byte = content.read(1)
        content.seek(4000)
        content.write(bytes([byte[0] ^ 1]))
    return 'checksum mismatch for file "base/1/1255"'


def _truncate(base: Path) -> str:
    file = detach(base / "base" / "1" / "1255")
    with file.open("r+b") as content:
        content.truncate(8192)
    return '"base/1/1255" has size 8192'


def _remove(base: Path) -> str:
    (base / "global" / "1262").unlink()
    return '"global/1262" is present in the manifest but not on disk'


def _add(base: Path) -> str:
    (base / "base" / "1" / "99999").write_text("smuggled")
    return '"base/1/99999" is present on disk but not in the manifest'


@pytest.mark.parametrize("damage", [_flip, _truncate, _remove, _add])
def test_damage_is_found_and_named(disaster: Disaster, base_copy: Path, damage: object) -> None:
    """A flipped byte, a truncated, a missing and an extra file: not ok, with the file's name."""
    expected = damage(base_copy)  # type: ignore[operator]
    integrity = verify(inspect(base_copy, disaster.tools), disaster.tools)
    assert not integrity.ok
    assert [problem for problem in integrity.problems if expected in problem]


def test_an_edited_manifest_is_found(disaster: Disaster, base_copy: Path) -> None:
    """The manifest has a checksum of its own."""
    manifest = detach(base_copy / "backup_manifest")
    manifest.write_text(manifest.read_text().replace('"Size": 3,', '"Size": 4,'))
    integrity = verify(inspect(base_copy, disaster.tools), disaster.tools)
    assert not integrity.ok
    assert "manifest checksum mismatch" in integrity.problems[0]


@pytest.mark.parametrize("name", ["backup_label", "backup_manifest", "PG_VERSION"])
def test_what_is_no_backup_is_inconclusive(disaster: Disaster, base_copy: Path, name: str) -> None:
    """A folder without its label, manifest or version cannot be judged, and says which file is missing."""
    (base_copy / name).unlink()
    with pytest.raises(Inconclusive, match=name):
        inspect(base_copy, disaster.tools)


def test_an_incremental_backup_is_not_taken_for_a_full_one(disaster: Disaster, base_copy: Path) -> None:
    """Restoring it alone would fail late; the message says what to do with it."""
    label = detach(base_copy / "backup_label")
    label.write_text(label.read_text() + "INCREMENTAL FROM LSN: 0/1000028\n")
    with pytest.raises(Inconclusive, match="pg_combinebackup"):
        inspect(base_copy, disaster.tools)


@pytest.mark.parametrize(
    "script",
    [
        "echo all fine",
        "echo 'backup successfully verified'; exit 1",
        "exit 0",
        "echo 'pg_verifybackup: error: x' >&2",
    ],
)
def test_output_that_is_not_understood_is_inconclusive(disaster: Disaster, scratch: Path, script: str) -> None:
    """Neither exit status 0 without the words nor the words without exit status 0 is a pass."""
    fake = scratch / "pg_verifybackup"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    with pytest.raises(Inconclusive, match="could not be parsed"):
        verify(disaster.backup, Tools(scratch, 18, "test"))


def test_a_hindrance_is_not_damage(disaster: Disaster, scratch: Path) -> None:
    """A file that may not be read says nothing about the backup."""
    fake = scratch / "pg_verifybackup"
    fake.write_text(
        "#!/bin/sh\necho 'pg_verifybackup: error: could not open file \"a\": Permission denied' >&2; exit 1\n"
    )
    fake.chmod(0o755)
    with pytest.raises(Inconclusive, match="Permission denied"):
        verify(disaster.backup, Tools(scratch, 18, "test"))
