"""pgBackRest and barman for real, on PostgreSQL 15: what they say of damage, and what we make of it.

Debian's packages: apt-get install postgresql-15 pgbackrest barman. Where one is missing its tests are skipped.
"""

from __future__ import annotations

import datetime as dt
import getpass
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.errors import Inconclusive
from opsverify.recovery.backup.adapters import physical_source_of
from opsverify.recovery.backup.base_backup import verify
from opsverify.recovery.drill.parts import NotReached
from opsverify.recovery.postgres.tools import find_tools, run_tool
from opsverify.recovery.wal.continuity import continuity
from tests.support.drills import rehearse
from tests.support.managers import (
    MAJOR,
    MANAGERS,
    Keeper,
    Lab,
    configure,
    open_shop,
    record_shop,
    ten_lines,
)
from tests.support.paths import REPOSITORY
from tests.support.primary import commit_and_archive, listing, owned, primary, server_tools, spread_out
from tests.support.wreck import detach

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 3000


@pytest.fixture(scope="module")
def lab(open_folder: Path) -> Lab:
    """Run PostgreSQL 15, back it up twice with every manager there is, commit behind it, stop it."""
    try:
        tools, account = server_tools(MAJOR, open_folder)
    except Inconclusive as missing:
        pytest.skip(str(missing))
    present = tuple(name for name in MANAGERS if shutil.which(name))
    if not present:
        pytest.skip("neither pgbackrest nor barman is installed: apt-get install pgbackrest barman")
    user = account.name if account else getpass.getuser()
    home = owned(open_folder / "lab", account)
    configure(home, tools.folder, user, account)
    keeper = Keeper(home, account, present)
    made = Lab(home, account, user)
    with primary(tools, account, home, {"archive_command": keeper.archive_command}) as server:
        keeper.prepare()
        spread_out(server, owned(home / "slow", account))
        open_shop(server, home)
        record_shop(made)
        commit_and_archive(server, 10_001)
        keeper.file(backups=False)
        for number, kind in enumerate(("full", "incr"), start=2):
            keeper.back_up(kind)
            commit_and_archive(server, *range(10_000 * number, 10_000 * number + 4))
            keeper.file(backups=True)
    shutil.rmtree(home / "data")
    # What the server handed over when it stopped: barman would file it in the midst of a test.
    for path in (home / "barman" / "lab" / "incoming").glob("*"):
        path.unlink()
    return made


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
    names = [str(lab.home / name) for name in ("repo", "barman")]
    copied = run_tool(("/bin/cp", "-al", *names, str(scratch)))
    assert copied.exit_code == 0, copied.transcript
    configure(scratch, find_tools(MAJOR).folder, lab.user, lab.account)
    shutil.copy(lab.home / "ledger.sqlite", scratch)
    return scratch


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


def _backed_up_file(stored: Path, manager: str) -> Path:
    """Return the file of pg_proc in the newest backup, or the one that it refers to."""
    pattern = (
        "repo/backup/lab/*F/pg_data/base/1/1255.gz" if manager == "pgbackrest" else "barman/lab/base/*/data/base/1/1255"
    )
    return max(stored.glob(pattern))


def _flip(path: Path) -> None:
    content = bytearray(detach(path).read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _truncate(path: Path) -> None:
    os.truncate(detach(path), path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [_flip, _truncate, Path.unlink], ids=["flipped", "truncated", "missing"])
def test_a_damaged_backup_is_found(lab: Lab, stored: Path, manager: str, damage: Callable[[Path], None]) -> None:
    """`pgbackrest verify` ends with status 0 on it; what it prints says what is wrong."""
    damage(_backed_up_file(stored, manager))
    integrity = physical_source_of(lab.recovery(manager, stored)).verify()
    assert not integrity.ok
    assert ("1255" if manager == "barman" else "1 ") in integrity.problems[0]


def test_barman_brings_damage_back_and_is_not_believed(lab: Lab, stored: Path) -> None:
    """What `barman recover` brought with status 0 is held against the manifest once more."""
    if shutil.which("barman") is None:
        pytest.skip("barman is not installed: apt-get install barman")
    _flip(_backed_up_file(stored, "barman"))
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


def _rehearsed(lab: Lab, manager: str, stored: Path) -> dict[str, Any]:
    target = ten_lines(lab, manager, stored)
    assert len(target.read_text().splitlines()) == 10
    argv = [sys.executable, "-m", "opsverify", "rehearse", "--target", str(target), "--report-dir", str(stored / "run")]
    subprocess.run(argv, check=False, cwd=REPOSITORY, env=os.environ, timeout=240)
    verdict: dict[str, Any] = json.loads((stored / "run" / "verdict.json").read_text())
    return verdict


def test_ten_lines_of_target_are_accepted(lab: Lab, stored: Path, manager: str) -> None:
    """A plain PostgreSQL with its backup manager and nothing else; its damaged backup is rejected."""
    healthy = _rehearsed(lab, manager, stored)
    assert {
        one["id"]: one["message"] for one in healthy["checks"] if one["outcome"] not in ("pass", "not_applicable")
    } == {}
    assert healthy["decision"] == "accept"
    assert healthy.get("remarks", []) == []
    shutil.rmtree(stored / "run")
    _flip(_backed_up_file(stored, manager))
    damaged = _rehearsed(lab, manager, stored)
    assert damaged["decision"] == "reject"
    assert {one["id"] for one in damaged["checks"] if one["outcome"] == "fail"} >= {"restore.integrity"}
