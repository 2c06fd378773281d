"""The right moment: timelines that were abandoned, histories that are missing or stray, WAL that ends too early."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.recovery.model import Branch, segment_name
from opsverify.recovery.restore.preflight import preflight
from opsverify.recovery.restore.recoverable import newest_recoverable
from opsverify.recovery.wal.continuity import continuity
from opsverify.recovery.wal.lsn import format_lsn
from opsverify.recovery.wal.pages import PAGE, page_fault
from opsverify.recovery.wal.segments import archive_segments
from opsverify.recovery.wal.timelines import branches, on_path
from tests.support.drills import recovery, rehearse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.wreck import Disaster

MIB = 1 << 20


def _segments(archive: Path) -> list[Path]:
    return sorted(path for path in archive.iterdir() if len(path.name) == 24)


def _renamed(archive: Path, timeline: int) -> Path:
    """Copy the newest segment as one of another timeline."""
    last = _segments(archive)[-1]
    target = archive / f"{timeline:08X}{last.name[8:]}"
    shutil.copy2(last, target)
    return target


def test_segments_of_a_timeline_without_a_history_are_a_break(disaster: Disaster, archive_copy: Path) -> None:
    """Recovery stays on the old timeline without an error, and production is on the new one."""
    _renamed(archive_copy, 2)
    reach = continuity(disaster.backup, archive_copy, disaster.tools)
    assert not reach.gaps
    assert "1 WAL segments of timeline 2 are archived" in str(reach.problem)
    assert "00000002.history is missing" in str(reach.problem)


def test_a_backup_on_an_abandoned_stretch_is_a_break(disaster: Disaster, archive_copy: Path) -> None:
    """Timeline 2 left timeline 1 before the backup was complete: nothing of the backup is in production's history."""
    early = format_lsn(disaster.backup.start_lsn - 1)
    (archive_copy / "00000002.history").write_text(f"1\t{early}\tno recovery target specified\n")
    reach = continuity(disaster.backup, archive_copy, disaster.tools)
    assert reach.timeline == 1
    assert "timeline 2 abandoned" in str(reach.problem)


def test_a_history_of_another_family_is_a_break(disaster: Disaster, archive_copy: Path) -> None:
    """A history that does not name the backup's timeline is of another cluster, or abandoned that timeline."""
    (archive_copy / "00000005.history").write_text("3\t0/3000000\tno recovery target specified\n")
    reach = continuity(disaster.backup, archive_copy, disaster.tools)
    assert "00000005.history does not descend from it" in str(reach.problem)


def test_an_unreadable_history_is_the_archives_fault(disaster: Disaster, archive_copy: Path) -> None:
    """PostgreSQL would refuse it: the drill fails instead of following an older timeline."""
    (archive_copy / "00000002.history").write_text("1\tnonsense\n")
    with pytest.raises(NotRestorable, match=r"00000002\.history could not be parsed"):
        continuity(disaster.backup, archive_copy, disaster.tools)


def _promoted(archive: Path, segment: Path, fork: int, start: int) -> Path:
    """Write the file with which timeline 2 begins at `fork`: a copy of the parent's up to there, nothing after it."""
    content = bytearray(segment.read_bytes())
    content[fork - start :] = bytes(len(content) - (fork - start))
    target = archive / f"00000002{segment.name[8:]}"
    target.write_bytes(content)
    target.chmod(0o644)
    (archive / "00000002.history").write_text(f"1\t{format_lsn(fork)}\tbefore a time\n")
    return target


def test_a_target_on_an_abandoned_stretch_is_named(disaster: Disaster, archive_copy: Path) -> None:
    """Commits of the old timeline after the fork are not restored, though they are older than the target."""
    left = archive_segments(archive_copy, MIB)[-2]
    _promoted(archive_copy, left.path, left.number * MIB + 40, left.number * MIB)
    target = disaster.end - dt.timedelta(microseconds=1)
    reach = continuity(disaster.backup, archive_copy, disaster.tools, target)
    assert reach.timeline == 2
    assert "lies on a stretch of timeline 1 that timeline 2 abandoned" in str(reach.abandoned)
    with pytest.raises(Inconclusive, match="abandoned"):
        preflight(disaster.backup, reach, disaster.tools, archive_copy, target)
    assert continuity(disaster.backup, archive_copy, disaster.tools, disaster.between).abandoned is None


def test_the_newest_segment_is_the_timelines_own(disaster: Disaster, archive_copy: Path) -> None:
    """An abandoned timeline with higher numbers does not make the archive look younger."""
    fork = archive_segments(archive_copy, MIB)[-2].number * MIB + PAGE
    (archive_copy / "00000002.history").write_text(f"1\t{format_lsn(fork)}\tbefore a time\n")
    first = archive_copy / segment_name(2, fork // MIB, MIB)
    shutil.copy2(_segments(archive_copy)[-2], first)
    path = branches(archive_copy, disaster.backup)
    followed = [one.name for one in archive_segments(archive_copy, MIB) if on_path(path, one, MIB)]
    assert followed[-1] == first.name


def test_a_middle_segment_copied_while_it_was_written_is_named(disaster: Disaster, archive_copy: Path) -> None:
    """Its tail is zeros from a record's end on, which in the last segment is the end of the WAL and here is a break."""
    victim = _segments(archive_copy)[-2]
    _zeroed(victim)
    reach = continuity(disaster.backup, archive_copy, disaster.tools, disaster.end)
    assert reach.reaches is False
    assert victim.name in str(reach.problem)
    assert "commits after" in str(reach.problem)
    assert reach.last == _segments(archive_copy)[-3].name


def test_a_hole_in_the_last_segment_is_no_end(disaster: Disaster, archive_copy: Path) -> None:
    """WAL goes on after the zeros: its commits would be lost without a word."""
    last = _segments(archive_copy)[-1]
    start = archive_segments(archive_copy, MIB)[-1].number * MIB
    content = bytearray(last.read_bytes())
    second = content[:PAGE]
    second[8:16] = (start + 2 * PAGE).to_bytes(8, "little")
    content[2 * PAGE : 3 * PAGE] = second
    content[PAGE : 2 * PAGE] = bytes(PAGE)
    last.write_bytes(content)
    assert "has a hole from" in str(page_fault(last, start, lambda _address: None))
    assert "has a hole from" in continuity(disaster.backup, archive_copy, disaster.tools).damaged[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root restores as another account")
def test_a_segment_closed_to_the_servers_account_is_named(disaster: Disaster, archive_copy: Path) -> None:
    """PostgreSQL would stop before it as if it were missing."""
    victim = _segments(archive_copy)[-2]
    _closed(victim)
    reach = continuity(disaster.backup, archive_copy, disaster.tools, disaster.end)
    assert f"{victim.name} is closed to" in str(reach.problem)
    assert reach.reaches is False


def _zeroed(segment: Path) -> None:
    """The tail from a record's end on, as of a segment that was copied while it was written."""
    content = segment.read_bytes()
    segment.write_bytes(content[: 48 + 8] + bytes(len(content) - 48 - 8))


def _closed(segment: Path) -> None:
    os.chown(segment, 1, 1)
    segment.chmod(0o600)


@pytest.mark.parametrize(
    "damage",
    [_zeroed, pytest.param(_closed, marks=pytest.mark.skipif(os.geteuid() != 0, reason="of another account"))],
)
def test_no_moment_after_the_damage_is_promised(
    disaster: Disaster, archive_copy: Path, scratch: Path, damage: Callable[[Path], None]
) -> None:
    """What `dr target` promises is reached by a drill: it lies before the segment that recovery cannot read."""
    where = recovery(disaster, scratch, disaster.end, wal_archive=str(archive_copy), heartbeat=None)
    whole = newest_recoverable(where)
    damage(_segments(archive_copy)[-2])
    promised = newest_recoverable(where)
    assert promised < whole
    drill = rehearse(where.model_copy(update={"recovery_target": promised}))
    assert (drill.ended, drill.failure) == (None, None)
    drill = rehearse(where.model_copy(update={"recovery_target": whole}))
    assert _segments(archive_copy)[-2].name in str(drill.archive.gap)
    assert drill.failure is not None


def test_a_page_of_another_timeline_is_named(disaster: Disaster) -> None:
    """pg_waldump does not compare it with the history; the server would stop there."""
    segment = archive_segments(disaster.archive, MIB)[-1]
    path = (Branch(1, 0), Branch(2, segment.number * MIB))
    fault = page_fault(segment.path, segment.number * MIB, lambda _address: path[-1].timeline)
    assert "holds WAL of timeline 1" in str(fault)


def test_commits_before_the_backup_are_no_target(disaster: Disaster) -> None:
    """The first segment holds older ones; only what was committed since the backup began counts."""
    late = replace(disaster.backup, start_lsn=archive_segments(disaster.archive, MIB)[-1].number * MIB + 40)
    reach = continuity(late, disaster.archive, disaster.tools)
    assert reach.segments == 1
