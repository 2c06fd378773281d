"""Continuity of a real WAL archive, whole and spoiled, and the names of segments."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.errors import Inconclusive
from opsverify.recovery.model import segment_name
from opsverify.recovery.wal.continuity import continuity
from opsverify.recovery.wal.lsn import format_lsn, parse_lsn, parse_segment_name
from opsverify.recovery.wal.segments import archive_segments
from opsverify.recovery.wal.timelines import branches
from tests.support.wreck import damage_record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.wreck import Disaster

MIB = 1 << 20


@given(st.integers(0, 2**64 - 1))
def test_lsns_read_back(lsn: int) -> None:
    """What is written is what was read."""
    assert parse_lsn(format_lsn(lsn)) == lsn


@given(st.integers(1, 2**32 - 1), st.integers(0, 2**32 - 1), st.sampled_from([1, 16, 64, 1024]))
def test_segment_names_read_back(timeline: int, number: int, size: int) -> None:
    """For every segment size, with the same 24 digits PostgreSQL uses."""
    name = segment_name(timeline, number, size * MIB)
    assert len(name) >= 24
    if len(name) == 24:
        assert parse_segment_name(name, size * MIB) == (timeline, number)


def _segments(archive: Path) -> list[Path]:
    return sorted(path for path in archive.iterdir() if len(path.name) == 24)


def test_a_whole_archive_is_unbroken(disaster: Disaster) -> None:
    """From the backup's segment to the newest, with the time of the last commit."""
    reach = continuity(disaster.backup, disaster.archive, disaster.tools, disaster.between)
    assert reach.unbroken
    assert reach.problem is None
    assert reach.first == disaster.backup.first_segment
    assert reach.last == _segments(disaster.archive)[-1].name
    assert reach.last_commit_at is not None
    assert disaster.between < reach.last_commit_at < disaster.end
    assert reach.reaches


def test_a_target_after_the_last_commit_is_not_reached(disaster: Disaster) -> None:
    """The run is unbroken and still does not lead there."""
    reach = continuity(disaster.backup, disaster.archive, disaster.tools, disaster.end + dt.timedelta(hours=1))
    assert reach.unbroken
    assert reach.reaches is False


def test_a_position_is_reached_or_not(disaster: Disaster) -> None:
    """An LSN as target is compared with the end of the last segment."""
    inside = continuity(disaster.backup, disaster.archive, disaster.tools, disaster.backup.end_lsn)
    beyond = continuity(disaster.backup, disaster.archive, disaster.tools, disaster.backup.end_lsn + 900 * MIB)
    assert inside.reaches
    assert beyond.reaches is False


def test_a_missing_segment_is_a_hole(disaster: Disaster, archive_copy: Path) -> None:
    """It is named, and what follows it does not count."""
    segments = _segments(archive_copy)
    segments[-2].unlink()
    reach = continuity(disaster.backup, archive_copy, disaster.tools, disaster.end)
    assert reach.gaps == (segments[-2].name,)
    assert reach.last == segments[-3].name
    assert reach.reaches is False
    assert reach.problem is not None
    assert f"{segments[-2].name} is missing" in reach.problem


def test_a_missing_first_segment_leaves_nothing(disaster: Disaster, archive_copy: Path) -> None:
    """Without the segment the backup needs there is no run at all."""
    (archive_copy / disaster.backup.first_segment).unlink()
    reach = continuity(disaster.backup, archive_copy, disaster.tools)
    assert reach.last is None
    assert reach.gaps == (disaster.backup.first_segment,)
    assert reach.reaches is None


def test_an_empty_archive_is_a_problem(disaster: Disaster, scratch: Path) -> None:
    """Nothing archived since the backup: its first segment is said to be missing."""
    reach = continuity(disaster.backup, scratch, disaster.tools)
    assert not reach.unbroken
    assert reach.problem is not None
    assert disaster.backup.first_segment in reach.problem


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes()[: MIB // 2]),
            "is truncated: 524,288 of 1,048,576 bytes",
        ),
        (lambda path: path.write_bytes(bytes(MIB)), "is zeroed"),
        (lambda path: path.write_bytes(b"?" * MIB), "does not begin with a WAL page header"),
        (lambda path: path.write_bytes((path.parent / "spare").read_bytes()), "was renamed or recycled"),
    ],
    ids=["truncated", "zeroed", "garbage", "renamed"],
)
def test_a_spoiled_segment_is_named(disaster: Disaster, archive_copy: Path, spoil: object, words: str) -> None:
    """By its size and page header, without reading it through."""
    segments = _segments(archive_copy)
    (archive_copy / "spare").write_bytes(segments[-1].read_bytes())
    spoil(segments[-2])  # type: ignore[operator]
    reach = continuity(disaster.backup, archive_copy, disaster.tools)
    assert reach.damaged[0].startswith(segments[-2].name)
    assert words in reach.damaged[0]
    assert reach.last == segments[-3].name


def test_a_last_segment_that_cannot_be_read_is_left_out(disaster: Disaster, archive_copy: Path) -> None:
    """Its header is right and its records are not: pg_waldump says so, the run ends before it."""
    last = _segments(archive_copy)[-1]
    content = last.read_bytes()
    last.write_bytes(content[:40] + b"\xff" * (MIB - 40))
    reach = continuity(disaster.backup, archive_copy, disaster.tools, disaster.end)
    assert not reach.unbroken
    assert last.name in reach.damaged[0]
    assert reach.last == _segments(archive_copy)[-2].name


def test_a_foreign_segment_is_told_by_its_system(disaster: Disaster, archive_copy: Path) -> None:
    """A segment of another database in the same archive is damage, not WAL."""
    last = _segments(archive_copy)[-1]
    content = bytearray(last.read_bytes())
    content[24] ^= 1
    last.write_bytes(content)
    reach = continuity(disaster.backup, archive_copy, disaster.tools)
    assert "another database system" in reach.damaged[0]


def test_timelines_that_left_before_the_backup_are_not_followed(disaster: Disaster, archive_copy: Path) -> None:
    """Only a timeline that branched off after the backup's end leads on from it."""
    early = format_lsn(disaster.backup.start_lsn - 1)
    late = format_lsn(disaster.backup.end_lsn + 2 * MIB)
    (archive_copy / "00000002.history").write_text(f"1\t{late}\tno recovery target specified\n")
    (archive_copy / "00000003.history").write_text(f"1\t{early}\tno recovery target specified\n")
    assert [branch.timeline for branch in branches(archive_copy, disaster.backup)] == [1, 2]
    with pytest.raises(Inconclusive, match="timeline 3 does not descend"):
        branches(archive_copy, disaster.backup, 3)
    reach = continuity(disaster.backup, archive_copy, disaster.tools, timeline=1)
    assert reach.unbroken


def test_a_history_that_no_wal_followed_is_a_break(disaster: Disaster, archive_copy: Path) -> None:
    """Recovery would follow the foreign timeline and end where it begins: its first segment is said to be missing."""
    begins = disaster.backup.end_lsn + MIB
    (archive_copy / "00000002.history").write_text(f"1\t{format_lsn(begins)}\tbefore a time\n")
    reach = continuity(disaster.backup, archive_copy, disaster.tools)
    assert reach.gaps == (segment_name(2, begins // MIB, MIB),)
    assert "is missing: commits after" in (reach.problem or "")


def test_a_history_at_the_end_of_the_archive_is_a_promotion(disaster: Disaster, archive_copy: Path) -> None:
    """A moment ago: its first segment is not full yet, and nothing of the old timeline goes on behind it."""
    newest = archive_segments(archive_copy, MIB)[-1]
    (archive_copy / "00000002.history").write_text(f"1\t{format_lsn(newest.number * MIB + 100)}\tpromoted\n")
    assert continuity(disaster.backup, archive_copy, disaster.tools).unbroken


def test_a_record_damaged_in_the_middle_is_found(disaster: Disaster, archive_copy: Path) -> None:
    """Headers are right and the last commit is there: every record is read, so the run ends before it."""
    path = damage_record(_segments(archive_copy)[-2])
    reach = continuity(disaster.backup, archive_copy, disaster.tools, disaster.end)
    assert reach.reaches is False
    assert f"{path.name} is unreadable" in str(reach.problem)
    assert reach.last == _segments(archive_copy)[-3].name


def test_two_servers_that_archive_into_one_place_are_told(disaster: Disaster, archive_copy: Path) -> None:
    """A timeline that was left and is archived all the same: whose is the newer one? One that ended is no rival."""
    history = archive_copy / "00000002.history"
    history.write_text(f"1\t{format_lsn(disaster.backup.end_lsn + MIB)}\tno recovery target specified\n")
    last = _segments(archive_copy)[-1]
    for seconds, rival in ((-1, True), (1, False)):
        moment = last.stat().st_mtime + seconds
        os.utime(history, (moment, moment))
        reach = continuity(disaster.backup, archive_copy, disaster.tools)
        assert (reach.second_archiver is not None) is rival
        if rival:
            assert f"{last.name} was archived after that: two servers archive here" in str(reach.second_archiver)
