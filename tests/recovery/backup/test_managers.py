"""pgBackRest and barman for real, on PostgreSQL 15: what they say of damage, and what we make of it.

Debian's packages: apt-get install postgresql-15 pgbackrest barman. Where one is missing its tests are skipped.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive
from opsverify.recovery.backup.adapters import physical_source_of
from opsverify.recovery.backup.base_backup import verify
from opsverify.recovery.drill.parts import NotReached
from opsverify.recovery.postgres.tools import find_tools
from opsverify.recovery.wal.continuity import continuity
from tests.support.drills import rehearse
from tests.support.managers import (
    MAJOR,
    MANAGERS,
    Lab,
    backed_up_file,
    copy_of,
    flip,
    make_lab,
    not_passed,
    rehearse_ten_lines,
)
from tests.support.primary import listing
from tests.support.wreck import detach

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 3000


@pytest.fixture(scope="module")
def lab(open_folder: Path) -> Lab:
    """Provide two backups of every manager there is, with commits after each."""
    return make_lab(open_folder)


@pytest.fixture(params=MANAGERS)
def manager(request: pytest.FixtureRequest) -> str:
    """Provide each of the two that is installed."""
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed: apt-get install {name}")
    return name


@pytest.fixture
def stored(lab: Lab, scratch: Path) -> Path:
    """Provide the repositories, to be spoiled: their files are links, so `detach` one before writing into it."""
    return copy_of(lab, scratch)


def test_a_healthy_repository_is_rehearsed(lab: Lab, stored: Path, manager: str) -> None:
    """The newest backup is verified, restored by its manager, carried to the last commit, read and written.

    Its table lies in a tablespace, of which production's folder is still there and is left alone.
    """
    before = listing(lab.home / "slow")
    drill = rehearse(lab.recovery(manager, stored))
    assert listing(lab.home / "slow") == before
    assert drill.backup.problems == ()
    assert drill.archive.gap is None
    assert (drill.failure, drill.blocked, drill.table_problem) == (None, None, None)
    assert (drill.archive.segments or 0) >= 4
    assert drill.restore.judgments == ROWS + 2 * 4  # recovery ends where a later commit begins: the ninth
    assert drill.restore.durations["unpack"] > 0
    assert not list((stored / "drill").iterdir())


def test_an_earlier_target_takes_an_earlier_backup(lab: Lab, stored: Path, manager: str) -> None:
    """A target before the newest backup is reached from the one before it."""
    stock = physical_source_of(lab.recovery(manager, stored)).list_backups()
    first, second = stock.usable
    assert stock.newest_wal is not None
    assert stock.newest_wal.archived_at >= second.taken_at
    drill = rehearse(lab.recovery(manager, stored, recovery_target=second.taken_at - dt.timedelta(milliseconds=1)))
    assert first.taken_at < second.taken_at
    assert drill.failure is None, drill
    assert drill.restore.judgments is not None
    assert ROWS < drill.restore.judgments <= ROWS + 1 + 4


def _truncate(path: Path) -> None:
    os.truncate(detach(path), path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [flip, _truncate, Path.unlink], ids=["flipped", "truncated", "missing"])
def test_a_damaged_backup_is_found(lab: Lab, stored: Path, manager: str, damage: Callable[[Path], None]) -> None:
    """`pgbackrest verify` ends with status 0 on it; what it prints says what is wrong."""
    damage(backed_up_file(stored, manager))
    integrity = physical_source_of(lab.recovery(manager, stored)).verify()
    assert not integrity.ok
    assert ("1255" if manager == "barman" else "1 ") in integrity.problems[0]


def test_barman_brings_damage_back_and_is_not_believed(lab: Lab, stored: Path) -> None:
    """What `barman recover` brought with status 0 is held against the manifest once more."""
    if shutil.which("barman") is None:
        pytest.skip("barman is not installed: apt-get install barman")
    flip(backed_up_file(stored, "barman"))
    source = physical_source_of(lab.recovery("barman", stored))
    with source.unpacked(stored / "drill") as unpacked:
        integrity = verify(unpacked.backup, find_tools(MAJOR))
    assert integrity.problems == ('checksum mismatch for file "base/1/1255"',)


def test_pgbackrest_refuses_to_restore_damage(lab: Lab, stored: Path) -> None:
    """That is a finding about the backup, and no hindrance of ours; it names what is missing."""
    if shutil.which("pgbackrest") is None:
        pytest.skip("pgbackrest is not installed: apt-get install pgbackrest")
    for path in stored.glob("repo/backup/lab/*/backup.manifest*"):
        path.unlink()
    drill = rehearse(lab.recovery("pgbackrest", stored))
    assert drill.backup.problems
    assert drill.failure is not None
    assert "backup.manifest" in drill.failure
    assert isinstance(drill.parts.archive, NotReached)


def _segment(stored: Path, manager: str, back: int) -> Path:
    folder = "repo/archive/lab/15-1/0000000100000000" if manager == "pgbackrest" else "barman/lab/wals/0000000100000000"
    segments = sorted(path for path in (stored / folder).iterdir() if ".backup" not in path.name)
    return segments[-back]


@pytest.mark.parametrize("damage", [Path.unlink, _truncate], ids=["missing", "truncated"])
def test_a_hole_in_the_wal_is_found(lab: Lab, stored: Path, manager: str, damage: Callable[[Path], None]) -> None:
    """`pgbackrest verify` says missing: 0, barman lists it still; the sequence check names it."""
    segment = _segment(stored, manager, 2)
    damage(segment)
    source = physical_source_of(lab.recovery(manager, stored))
    with source.unpacked(stored / "drill") as unpacked:
        reach = continuity(unpacked.backup, unpacked.archive, find_tools(MAJOR))
    assert reach.problem is not None
    assert f"WAL segment {segment.name[:24]} is missing" in reach.problem
    unreadable = [problem for problem in unpacked.problems if segment.name[:24] in problem]
    assert len(unreadable) == (damage is _truncate)


def test_nonsense_is_inconclusive(lab: Lab, stored: Path, manager: str) -> None:
    """Output that cannot be parsed is named; for a manager that is not installed the message is `install it`."""
    fake = stored / "fake"
    fake.write_text("#!/bin/sh\necho fine\n")
    fake.chmod(0o755)
    recovery = lab.recovery(manager, stored)
    for program, said in ((str(fake), "could not be parsed"), ("/no/such/manager", "install it")):
        changed = getattr(recovery, manager).model_copy(update={"program": program})
        with pytest.raises(Inconclusive, match=said):
            physical_source_of(recovery.model_copy(update={manager: changed})).verify()


def test_an_unknown_name_is_inconclusive(lab: Lab, stored: Path, manager: str) -> None:
    """A stanza or server that does not exist is a mistake in the target, no finding about backups."""
    recovery = lab.recovery(manager, stored)
    key = "stanza" if manager == "pgbackrest" else "server"
    changed = getattr(recovery, manager).model_copy(update={key: "nowhere"})
    with pytest.raises(Inconclusive):
        physical_source_of(recovery.model_copy(update={manager: changed})).list_backups()


def test_ten_lines_of_target_are_accepted(lab: Lab, stored: Path) -> None:
    """A plain PostgreSQL with pgBackRest and nothing else; tests/proof has barman, and a damaged backup."""
    if shutil.which("pgbackrest") is None:
        pytest.skip("pgbackrest is not installed: apt-get install pgbackrest")
    assert not_passed(rehearse_ten_lines(lab, "pgbackrest", stored)) == {"decision": "accept"}
