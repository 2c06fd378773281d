"""Chains of incremental backups, archives of pg_dump, and the inventory of what there is."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.config.recovery import Recovery
from opsverify.errors import Inconclusive
from opsverify.recovery.backup.adapters import physical_source_of, source_of
from opsverify.recovery.backup.base_backup import BackupDamaged
from opsverify.recovery.backup.inventory import Inventory, take_inventory
from opsverify.recovery.restore.recoverable import newest_recoverable
from tests.support.drills import rehearse
from tests.support.primary import PORT, commit_and_archive, owned, primary, server_tools
from tests.support.wreck import detach

if TYPE_CHECKING:
    from collections.abc import Callable

MAJOR = 18
ROWS = 3000


@dataclass(frozen=True)
class Works:
    """A full backup and two incremental ones in `chain`, their WAL, and the same database in two dumps."""

    chain: Path
    archive: Path
    dumps: Path


@pytest.fixture(scope="module")
def works(open_folder: Path) -> Works:
    """Run a primary, back it up in every way that PostgreSQL has, stop it."""
    tools, account = server_tools(MAJOR, open_folder)
    home = owned(open_folder / "works", account)
    chain, archive, dumps = (owned(home / name, account) for name in ("chain", "archive", "dumps"))
    where = ("-h", home, "-p", str(PORT), "-U", "postgres")
    copy = f"cp %p {archive}/%f.tmp && mv {archive}/%f.tmp {archive}/%f"
    settings = {"archive_command": copy, "summarize_wal": "on", "wal_summary_keep_time": "0"}
    with primary(tools, account, home, settings) as server:
        before: tuple[str | Path, ...] = ()
        for number, name in enumerate(("1-full", "2-incremental", "3-incremental"), start=1):
            options = ("-D", chain / name, "-X", "none", "-c", "fast", "--no-sync", *before)
            tools.succeed("pg_basebackup", *where, *options, account=account)
            before = ("--incremental", chain / name / "backup_manifest")
            commit_and_archive(server, *range(10_000 * number, 10_000 * number + 2))
        for form, name in (("c", "custom.dump"), ("d", "folder")):
            tools.succeed("pg_dump", *where, "-F", form, "-f", dumps / name, "postgres", account=account)
    shutil.rmtree(home / "data")
    return Works(chain, archive, dumps)


@pytest.fixture
def described(works: Works, scratch: Path) -> Callable[..., Recovery]:
    """Make a target's section for copies of what `works` holds; the files are links."""
    for folder in (works.chain, works.dumps):
        shutil.copytree(folder, scratch / folder.name, copy_function=os.link)
    (scratch / "drill").mkdir(mode=0o755)

    def section(method: str, **more: Any) -> Recovery:  # noqa: ANN401 - keys of [recovery]
        keys: dict[str, dict[str, Any]] = {
            "incremental": {"base_backup": str(scratch / "chain"), "wal_archive": str(works.archive)},
            "pg_dump": {"pg_dump": {"archive": str(scratch / "dumps"), "major": MAJOR}},
        }
        ours = {"ledger": str(scratch / "ledger"), "scratch": str(scratch / "drill")}
        return Recovery.model_validate({"method": method, **keys[method], **ours} | more)

    return section


def test_a_chain_is_joined_and_rehearsed(described: Callable[..., Recovery]) -> None:
    """Three backups verified, joined in the scratch folder, carried on by WAL, read and written, removed."""
    recovery = described("incremental")
    drill = rehearse(recovery)
    assert (drill.backup.problems, drill.archive.gap, drill.failure) == ((), None, None)
    assert drill.restore.judgments == ROWS + 3 * 2 - 1  # recovery ends where a later commit begins: the last one
    assert drill.restore.durations["unpack"] > 0
    assert not list(Path(str(recovery.scratch)).iterdir())


def test_an_earlier_target_takes_a_shorter_chain(described: Callable[..., Recovery]) -> None:
    """What was made after the recovery target is left out."""
    second = source_of(described("incremental")).list_backups().usable[1]
    source = physical_source_of(described("incremental", recovery_target=second.taken_at))
    verified = source.verify()
    assert verified.ok
    assert str(verified.run.argv[-1]).endswith("1-full")


def test_damage_below_an_incremental_backup_is_named(described: Callable[..., Recovery], scratch: Path) -> None:
    """A chain is as good as its full backup: the finding says in which folder."""
    file = detach(scratch / "chain" / "1-full" / "base" / "1" / "1255")
    with file.open("r+b") as content:
        content.truncate(8192)
    integrity = source_of(described("incremental")).verify()
    assert not integrity.ok
    assert '1-full: "base/1/1255" has size 8192' in integrity.problems[0]


def test_a_chain_without_its_root_is_damage(described: Callable[..., Recovery], scratch: Path) -> None:
    """Nothing of it can be restored, and that is a finding about the backups."""
    shutil.rmtree(scratch / "chain" / "1-full")
    with pytest.raises(BackupDamaged, match="2-incremental builds upon a backup that starts at LSN"):
        source_of(described("incremental")).verify()
    drill = rehearse(described("incremental"))
    assert drill.failure is not None
    assert drill.backup.problems


def test_the_inventory_lists_and_counts(described: Callable[..., Recovery], works: Works, scratch: Path) -> None:
    """Kinds, ages and the newest segment survive being kept; what is not understood is listed and does not count."""
    (scratch / "chain" / "2-incremental" / "backup_manifest").unlink()
    kept = scratch / "backups.json"
    with kept.open("w") as file:
        take_inventory(described("incremental"), file)
    inventory = Inventory.load(kept)
    assert [held.kind for held in inventory.listing.usable] == ["full", "incremental"]
    assert inventory.newest.name == "3-incremental"
    assert inventory.oldest.name == "1-full"
    assert 0 < inventory.age_s(inventory.newest.taken_at) <= inventory.age_s(inventory.oldest.taken_at)
    assert len(inventory.problems) == 1
    assert inventory.problems[0].startswith("2-incremental: ")
    newest = max(path.name for path in works.archive.iterdir() if len(path.name) == 24)
    assert inventory.listing.newest_wal is not None
    assert inventory.listing.newest_wal.name == newest
    assert not inventory.empty


def test_a_foreign_timelines_wal_is_not_ours(described: Callable[..., Recovery], works: Works, scratch: Path) -> None:
    """A timeline that left before the backup was complete may archive for years: our newest WAL stays old."""
    archive = scratch / "archive"
    shutil.copytree(works.archive, archive, copy_function=os.link)
    newest = max(path.name for path in archive.iterdir() if len(path.name) == 24)
    (archive / "00000002.history").write_text("1\t0/1000028\tno recovery target specified\n")
    (archive / "0000000200000000000000FF").write_bytes(bytes(1 << 20))
    stock = source_of(described("incremental", wal_archive=str(archive))).list_backups()
    assert stock.newest_wal is not None
    assert stock.newest_wal.name == newest


def test_only_backups_that_are_not_understood_is_inconclusive(
    described: Callable[..., Recovery], scratch: Path
) -> None:
    """Three folders without a manifest may be backups that are being made: neither none nor some."""
    for path in (scratch / "chain").glob("*/backup_manifest"):
        path.unlink()
    kept = scratch / "backups.json"
    with kept.open("w") as file:
        take_inventory(described("incremental"), file)
    with pytest.raises(Inconclusive, match="no usable backup among 3"):
        assert Inventory.load(kept).empty


@pytest.mark.parametrize("name", ["custom.dump", "folder"])
def test_a_dump_is_rehearsed(described: Callable[..., Recovery], scratch: Path, name: str) -> None:
    """Read through, restored into a new cluster, read and written, removed."""
    recovery = described("pg_dump", pg_dump={"archive": str(scratch / "dumps" / name), "major": MAJOR})
    drill = rehearse(recovery)
    assert (drill.backup.problems, drill.failure) == ((), None)
    assert drill.restore.judgments == ROWS + 3 * 2
    taken_at = source_of(recovery).list_backups().usable[0].taken_at.isoformat()
    assert drill.archive.last_commit_at == drill.parts.target_time == taken_at
    assert not list(Path(str(recovery.scratch)).iterdir())


def test_the_newest_dump_restores_the_moment_at_which_it_began(described: Callable[..., Recovery]) -> None:
    """`opsverify rehearse` names it, selects this very dump by it, and compares what was recorded until then."""
    recovery = described("pg_dump")
    newest = max(entry.taken_at for entry in source_of(recovery).list_backups().usable)
    assert newest_recoverable(recovery, newest + dt.timedelta(days=1)) == newest
    drill = rehearse(recovery.model_copy(update={"recovery_target": newest}))
    assert drill.failure is None
    assert drill.backup.taken_at == newest.isoformat()


def _halve(path: Path) -> None:
    os.truncate(detach(path), path.stat().st_size // 2)


def _flip(path: Path) -> None:
    content = bytearray(detach(path).read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_halve, _flip], ids=["truncated", "flipped"])
def test_a_damaged_dump_is_found(
    described: Callable[..., Recovery], scratch: Path, damage: Callable[[Path], None]
) -> None:
    """Its contents still list with status 0; reading it through finds the damage, and so does restoring it."""
    dump = scratch / "dumps" / "custom.dump"
    damage(dump)
    recovery = described("pg_dump", pg_dump={"archive": str(dump), "major": MAJOR})
    assert len(source_of(recovery).list_backups().usable) == 1
    drill = rehearse(recovery)
    assert drill.backup.problems
    assert drill.backup.problems[0].startswith("custom.dump: could not ")
    assert drill.failure is not None
    assert "pg_restore" in drill.failure


def test_a_missing_file_of_a_dump_is_found(described: Callable[..., Recovery], scratch: Path) -> None:
    """A folder of pg_dump lacks the data of a table."""
    next((scratch / "dumps" / "folder").glob("*.dat.gz")).unlink()
    recovery = described("pg_dump", pg_dump={"archive": str(scratch / "dumps" / "folder"), "major": MAJOR})
    assert not source_of(recovery).verify().ok


def test_sums_are_held_against_what_was_recorded(described: Callable[..., Recovery], scratch: Path) -> None:
    """A file changed, missing, or added since is named; a dump without a recorded sum is inconclusive."""
    folder, sums = scratch / "dumps" / "folder", scratch / "dumps" / "SHA256SUMS"
    files = sorted(folder.iterdir())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  folder/{path.name}" for path in files]
    sums.write_text("\n".join(lines) + "\n")
    recovery = described("pg_dump", pg_dump={"archive": str(folder), "major": MAJOR, "sha256": str(sums)})
    assert source_of(recovery).verify().ok
    (folder / "smuggled").write_text("x")
    sums.write_text("\n".join(["0" * 64 + f"  folder/{files[0].name}", *lines[1:], "1" * 64 + "  folder/gone"]))
    assert sorted(problem.split(": ")[0] for problem in source_of(recovery).verify().problems) == sorted(
        [files[0].name, "gone", "smuggled"]
    )
    sums.write_text("")
    with pytest.raises(Inconclusive, match="records no SHA-256 sum of folder"):
        source_of(recovery).verify()


def test_a_dump_has_no_wal_and_says_so(described: Callable[..., Recovery], scratch: Path) -> None:
    """Asking for a point in time is a mistake in the target; text that is no archive is inconclusive."""
    with pytest.raises(Inconclusive, match="no WAL follows"):
        physical_source_of(described("pg_dump"))
    (scratch / "dumps" / "plain").mkdir()
    with pytest.raises(Inconclusive, match="no archive of pg_dump"):
        source_of(
            described("pg_dump", pg_dump={"archive": str(scratch / "dumps" / "plain"), "major": MAJOR})
        ).list_backups()
