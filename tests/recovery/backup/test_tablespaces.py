"""Tablespaces: restored into the drill's own folder, while production's stand beside it and are left alone."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opsverify.config.recovery import Recovery
from opsverify.errors import Inconclusive
from opsverify.recovery.backup.adapters import physical_source_of
from opsverify.recovery.backup.base_backup import inspect, verify
from opsverify.recovery.backup.tablespaces import TABLESPACES, require_links_inside, tablespaces_of
from opsverify.recovery.postgres.tools import find_tools, run_tool, unprivileged
from opsverify.recovery.restore.copy_backup import listing as contents
from opsverify.recovery.restore.pitr import RestorePlan, restore
from opsverify.recovery.restore.restored_server import Destination
from tests.support.closed_folders import close
from tests.support.drills import rehearse
from tests.support.primary import PORT, commit_and_archive, listing, owned, primary, server_tools, spread_out, succeed
from tests.support.wreck import detach

MAJOR = 18
ROWS = 3000


@dataclass(frozen=True)
class Spread:
    """A full and an incremental backup in `chain`, with a tablespace each; the primary has its own in `production`.

    At `late`, after all backups, another tablespace was made in production's folder `late`.
    """

    home: Path
    chain: Path
    archive: Path
    production: Path
    late: dt.datetime


@pytest.fixture(scope="module")
def spread(open_folder: Path) -> Spread:
    """Run a primary whose table lies in a tablespace, back it up, make another tablespace, stop it."""
    tools, account = server_tools(MAJOR, open_folder)
    home = owned(open_folder / "spread", account)
    chain, archive, production, late = (owned(home / name, account) for name in ("chain", "archive", "slow", "late"))
    where = ("-h", home, "-p", str(PORT), "-U", "postgres")
    copy = f"cp %p {archive}/%f.tmp && mv {archive}/%f.tmp {archive}/%f"
    settings = {"archive_command": copy, "summarize_wal": "on", "wal_summary_keep_time": "0"}
    with primary(tools, account, home, settings) as server:
        spread_out(server, production)
        before: tuple[str | Path, ...] = ()
        for number, name in enumerate(("1-full", "2-incremental"), start=1):
            mapping = f"--tablespace-mapping={production}={home}/of=={name}".replace("==", "\\=")
            options = ("-D", chain / name, "-X", "none", "-c", "fast", "--no-sync", mapping, *before)
            tools.succeed("pg_basebackup", *where, *options, account=account)
            before = ("--incremental", chain / name / "backup_manifest")
            commit_and_archive(server, *range(10_000 * number, 10_000 * number + 3))
        ended = server.row("SELECT date_trunc('second', clock_timestamp())")[0]
        over = f"SELECT clock_timestamp() > '{ended}'::timestamptz + interval '1 s'"
        server.wait_for(over, "t", within_s=60, what="end of the second in which the newest backup ended")
        at = dt.datetime.fromisoformat(server.row("SELECT to_json(clock_timestamp()) #>> '{}'")[0])
        commit_and_archive(server, 50_000)
        succeed(server, f"CREATE TABLESPACE late LOCATION '{late}'")
        succeed(server, "CREATE TABLE later TABLESPACE late AS SELECT generate_series(1, 100) n")
        commit_and_archive(server, 50_001, 50_002)
    return Spread(home, chain, archive, production, at)


@pytest.fixture
def base(spread: Spread, scratch: Path) -> Path:
    """Provide the full backup and its tablespace, to be spoiled: their files are links, so `detach` one first."""
    own = scratch / "of=1-full"
    shutil.copytree(spread.home / "of=1-full", own, copy_function=os.link)
    copy = shutil.copytree(spread.chain / "1-full", scratch / "base", copy_function=os.link, symlinks=True)
    link = next((copy / "pg_tblspc").iterdir())
    link.unlink()
    link.symlink_to(own)
    return copy


def described(spread: Spread, scratch: Path, **more: Any) -> Recovery:  # noqa: ANN401 - keys of [recovery]
    """A target's section on the chain, up to the moment before the late tablespace."""
    (scratch / "drill").mkdir(mode=0o755)
    where = {"base_backup": str(spread.chain), "wal_archive": str(spread.archive), "recovery_target": spread.late}
    ours = {"ledger": "unused", "scratch": str(scratch / "drill")}
    return Recovery(**{"method": "incremental", **where, **ours, **more})


@pytest.mark.parametrize("method", ["basebackup", "incremental"])
def test_a_spread_backup_is_rehearsed(spread: Spread, scratch: Path, method: str) -> None:
    """Verified, brought into the drill's folder with its tablespace, read, examined; production's is unchanged."""
    alone = {"base_backup": str(spread.chain / "1-full")} if method == "basebackup" else {}
    before = listing(spread.home)
    drill = rehearse(described(spread, scratch, method=method, **alone))
    assert (drill.backup.problems, drill.archive.gap, drill.failure, drill.blocked) == ((), None, None, None)
    assert drill.restore.judgments == ROWS + 2 * 3
    assert drill.answers.findings["checksums"].problems == ()
    assert listing(spread.home) == before
    assert list((scratch / "drill").iterdir()) == []


def _plan(spread: Spread, scratch: Path, port: int) -> RestorePlan:
    destination = Destination(
        scratch / "data", scratch / "s", port, settings={"shared_buffers": "16MB", "fsync": "off"}
    )
    return RestorePlan(spread.chain / "1-full", spread.archive, destination, spread.late)


def test_every_link_of_the_running_server_leads_into_scratch(spread: Spread, scratch: Path, port: int) -> None:
    """Asked of the server itself; the folder beside its data directory is gone afterwards."""
    with restore(_plan(spread, scratch, port)) as restored:
        said = restored.server.row("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'slow disk'")
        (tablespace,) = tablespaces_of(scratch / "data")
        assert said == [str(tablespace.location)]
        assert tablespace.location.parent == scratch / TABLESPACES
        require_links_inside(scratch / "data")
        (scratch / "data" / "pg_tblspc" / "99999").symlink_to(spread.production)
        with pytest.raises(Inconclusive, match=r"tablespace 99999 .* outside of the drill's folder"):
            require_links_inside(scratch / "data")
    assert list(scratch.iterdir()) == []


def test_a_tablespace_made_after_the_backup_is_refused(spread: Spread, scratch: Path) -> None:
    """Replaying its making would empty production's folder: nothing is started, and the message says what to do."""
    before = listing(spread.home)
    drill = rehearse(described(spread, scratch, recovery_target=None))
    assert drill.failure is None
    assert drill.blocked is not None
    assert f"was made in {spread.home / 'late'} after the base backup" in drill.blocked
    assert "take a new base backup, or choose an earlier target" in drill.blocked
    assert listing(spread.home) == before


def test_a_tablespace_made_on_another_timeline_is_refused(spread: Spread, scratch: Path, port: int) -> None:
    """Segments of several timelines are read as one log: the way leads from the backup's to the newest."""
    archive = Path(shutil.copytree(spread.archive, scratch / "archive", copy_function=os.link))
    with restore(_plan(spread, scratch, port)) as restored:
        made = owned(scratch / "made", unprivileged())
        succeed(restored.server, f"CREATE TABLESPACE elsewhere LOCATION '{made}'")
        succeed(restored.server, "SELECT pg_switch_wal()")
        for path in (scratch / "data" / "pg_wal").glob("00000002*"):
            shutil.copy(path, archive)
    if (account := unprivileged()) is not None:
        run_tool(("/bin/chown", "-R", account.name, str(archive)))
    drill = rehearse(described(spread, scratch, recovery_target=None, wal_archive=str(archive)))
    assert f"was made in {made} after the base backup" in (drill.blocked or "")


def test_a_compressed_archive_hides_no_tablespace(spread: Spread, scratch: Path) -> None:
    """Segments are unpacked to look for it."""
    archive = scratch / "archive"
    shutil.copytree(spread.archive, archive)
    run_tool(("/bin/sh", "-c", f"gzip -q {archive}/*"))
    if (account := unprivileged()) is not None:
        for path in (archive, *archive.iterdir()):
            os.chown(path, account.uid, account.gid)
    drill = rehearse(described(spread, scratch, recovery_target=None, wal_archive=str(archive)))
    assert "after the base backup" in (drill.blocked or "")


def test_damage_in_a_tablespace_is_found(base: Path) -> None:
    """pg_verifybackup follows the links: a changed file and a missing one are named."""
    tools = find_tools(MAJOR)
    backup = inspect(base, tools)
    assert verify(backup, tools).ok
    (tablespace,) = tablespaces_of(base)
    one, other = sorted(path for path in tablespace.location.rglob("*") if path.is_file())[:2]
    detach(one).write_bytes(bytes(one.stat().st_size))
    other.unlink()
    found = "\n".join(verify(backup, tools).problems)
    assert f"/{one.name}" in found
    assert f"/{other.name}" in found


def test_the_size_counts_tablespaces(base: Path) -> None:
    """What the preflight holds against the disk's room."""
    found = contents(base)
    (tablespace,) = found.tablespaces
    inside = sum(path.stat().st_size for path in tablespace.location.rglob("*") if path.is_file())
    without = sum(path.stat().st_size for path in base.rglob("*") if path.is_file() and "pg_tblspc" not in path.parts)
    assert inside > 0
    assert found.size == inside + without


def test_a_tablespace_that_is_not_there_is_inconclusive(base: Path) -> None:
    """A link that leads nowhere, and a map of an extracted archive whose tablespaces nobody extracted."""
    (tablespace,) = tablespaces_of(base)
    link = base / "pg_tblspc" / tablespace.oid
    shutil.rmtree(tablespace.location)
    with pytest.raises(Inconclusive, match="is not in the backup"):
        contents(base)
    link.unlink()
    (base / "tablespace_map").write_text(f"{tablespace.oid} /srv/production\n")
    with pytest.raises(Inconclusive, match=rf"names tablespace {tablespace.oid} at /srv/production"):
        contents(base)


def test_a_folder_that_cannot_be_listed_is_inconclusive(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files would be missing from the copy, as if the backup had lost them."""
    close(base / "global", monkeypatch)
    with pytest.raises(Inconclusive, match=r"global cannot be read .* right to read the backup"):
        contents(base)


def test_a_joined_chain_keeps_to_scratch(spread: Spread, scratch: Path) -> None:
    """pg_combinebackup is told where every tablespace goes, whatever its folder is called."""
    source = physical_source_of(described(spread, scratch))
    with source.unpacked(scratch / "drill") as unpacked:
        (tablespace,) = tablespaces_of(unpacked.backup.path)
        assert tablespace.location.parent == scratch / "drill" / TABLESPACES
