"""A real restore from a real backup and archive, and each way in which it can go wrong."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.recovery.postgres.tools import BIN_VARIABLE, find_tools, may_enter, unprivileged
from opsverify.recovery.restore.pitr import RestorePlan, restore
from opsverify.recovery.restore.restored_server import Destination
from tests.support.wreck import damage_record

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from opsverify.recovery.restore.restored_server import RestoredServer
    from tests.support.wreck import Disaster

SMALL = {"shared_buffers": "16MB", "fsync": "off"}


def _restore(disaster: Disaster, scratch: Path, port: int, **changes: object) -> AbstractContextManager[RestoredServer]:
    """Restore to between the two commits; `changes` are fields of the plan or of its destination."""
    destination = Destination(scratch / "data", scratch / "s", port, settings=SMALL)
    plan = RestorePlan(disaster.base, disaster.archive, destination, disaster.between)
    moved = {name: changes.pop(name) for name in ("data_dir", "settings", "socket_dir", "log") if name in changes}
    return restore(replace(plan, destination=replace(destination, **moved), **changes))  # type: ignore[arg-type]


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_a_restore_holds_what_was_committed_before_its_target_and_nothing_later(
    disaster: Disaster, scratch: Path, port: int
) -> None:
    """First commit there, second not; writable, archiving nothing, on its own timeline; gone afterwards."""
    before = _listing(disaster.archive)
    stages = []
    with _restore(disaster, scratch, port, progress=lambda *step: stages.append(step)) as server:
        with psycopg.connect(server.dsn) as database:
            marks = database.execute("SELECT note FROM marks").fetchall()
            archive_mode = database.execute("SHOW archive_mode").fetchone()
            database.execute("INSERT INTO marks VALUES ('afterwards')")
        assert server.recovered_to is not None
        assert disaster.backup.started_at <= server.recovered_to <= disaster.between
        assert server.timeline == 2
        assert 0 < server.to_target_s < server.to_read_write_s
        assert set(server.durations) == {"prepare", "copy", "recover", "read_only", "promote", "write_probe"}
    assert marks == [("first",)]
    assert archive_mode == ("off",)
    copied = [step for step in stages if step[0] == "copy"]
    assert copied[-1][1] == copied[-1][2] > 1_000_000
    assert stages[-1] == ("promote", 1, 1)
    assert _listing(disaster.archive) == before
    assert list(scratch.iterdir()) == []
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.dsn)


def test_a_target_after_the_last_commit_is_told_from_missing_wal(disaster: Disaster, scratch: Path, port: int) -> None:
    """Nothing is missing, so the message names the last commit and advises an earlier target."""
    with (
        pytest.raises(Inconclusive, match=r"no WAL is missing.*after the last commit in .*choose a target"),
        _restore(disaster, scratch, port, target_time=disaster.end + dt.timedelta(hours=1)),
    ):
        pass
    assert list(scratch.iterdir()) == []


def test_missing_wal_is_named(disaster: Disaster, archive_copy: Path, scratch: Path, port: int) -> None:
    """With a segment gone in the middle, the message names it and what is lost from when on."""
    segments = sorted(path for path in archive_copy.iterdir() if len(path.name) == 24)
    gone = segments[-2]
    gone.unlink()
    with (
        pytest.raises(Inconclusive, match=rf"{gone.name} is missing: commits after .* cannot be recovered"),
        _restore(disaster, scratch, port, wal_archive=archive_copy, target_time=disaster.end),
    ):
        pass


def test_wal_that_ends_in_a_damaged_record_is_named(
    disaster: Disaster, archive_copy: Path, scratch: Path, port: int
) -> None:
    """The server starts, replays and dies where the record is: not the target is wrong, the segment is."""
    damaged = damage_record(sorted(path for path in archive_copy.iterdir() if len(path.name) == 24)[-2])
    with (
        pytest.raises(NotRestorable, match=rf"ended before its target .*{damaged.name} is unreadable"),
        _restore(disaster, scratch, port, wal_archive=archive_copy, target_time=disaster.end),
    ):
        pass


def test_a_target_before_the_end_of_the_backup_is_explained(disaster: Disaster, scratch: Path, port: int) -> None:
    """A backup cannot be brought to a moment before it was complete."""
    with (
        pytest.raises(Inconclusive, match="before the end of the base backup"),
        _restore(disaster, scratch, port, target_time=disaster.backup.started_at - dt.timedelta(hours=1)),
    ):
        pass


def test_a_server_that_dies_is_quoted(disaster: Disaster, scratch: Path, port: int) -> None:
    """The FATAL line of the server's log is the message, at once and not after the deadline."""
    with (
        pytest.raises(Inconclusive, match=r'the restored server exited: .*"no_such_library"'),
        _restore(disaster, scratch, port, settings={"shared_preload_libraries": "no_such_library"}),
    ):
        pass


def test_parameters_smaller_than_the_primarys_are_refused(disaster: Disaster, scratch: Path, port: int) -> None:
    """A server that recovers only by pausing for a parameter is not taken for one at its target."""
    with (
        pytest.raises(Inconclusive, match=r"smaller than the primary's \(max_connections = 20 is a lower setting"),
        _restore(disaster, scratch, port, settings={**SMALL, "max_connections": "20"}),
    ):
        pass


def test_a_folder_with_something_in_it_is_refused_and_left_alone(disaster: Disaster, scratch: Path, port: int) -> None:
    """Not one file of a non-empty data folder is touched."""
    precious = scratch / "data" / "precious"
    precious.parent.mkdir()
    precious.write_text("kept")
    with pytest.raises(Inconclusive, match="not empty"), _restore(disaster, scratch, port):
        pass
    assert precious.read_text() == "kept"


@pytest.mark.parametrize("where", ["base", "archive"])
def test_a_folder_inside_the_backup_or_archive_is_refused(
    disaster: Disaster, scratch: Path, port: int, where: str
) -> None:
    """A restore never writes where backups are."""
    inside = getattr(disaster, where) / "data"
    with pytest.raises(Inconclusive, match="overlaps"), _restore(disaster, scratch, port, data_dir=inside):
        pass
    assert not inside.exists()


def test_a_backup_with_links_is_refused(disaster: Disaster, base_copy: Path, scratch: Path, port: int) -> None:
    """A tablespace's link would lead the drill into the original's folder."""
    (base_copy / "pg_tblspc" / "16400").symlink_to("/var/lib")
    with (
        pytest.raises(Inconclusive, match="is a link"),
        _restore(disaster, scratch, port, base_backup=base_copy),
    ):
        pass


def test_a_backup_without_configuration_files_restores(
    disaster: Disaster, base_copy: Path, scratch: Path, port: int
) -> None:
    """Debian keeps them elsewhere; the sizes recovery needs come from pg_control."""
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        (base_copy / name).unlink()
    with _restore(disaster, scratch, port, base_backup=base_copy) as server:
        assert server.server.row("SHOW max_connections") == ["100"]


def test_a_naive_target_is_refused(disaster: Disaster, scratch: Path, port: int) -> None:
    """A time without a zone means another moment on every machine."""
    with (
        pytest.raises(Inconclusive, match="no time zone"),
        _restore(disaster, scratch, port, target_time=disaster.between.replace(tzinfo=None)),
    ):
        pass


def test_what_fails_inside_still_stops_and_removes_the_server(disaster: Disaster, scratch: Path, port: int) -> None:
    """An error of the caller, Ctrl-C included, leaves nothing running and no files."""
    with pytest.raises(KeyboardInterrupt), _restore(disaster, scratch, port) as server:
        raise KeyboardInterrupt
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.dsn)
    assert list(scratch.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has somebody else to run as")
def test_as_root_the_server_runs_as_somebody_else(disaster: Disaster, scratch: Path, port: int) -> None:
    """The files and the process belong to the unprivileged account."""
    with _restore(disaster, scratch, port) as server:
        pid = int((scratch / "data" / "postmaster.pid").read_text().split()[0])
        assert disaster.account is not None
        assert Path(f"/proc/{pid}").stat().st_uid == disaster.account.uid
        assert server.log.parent.stat().st_uid == disaster.account.uid


def test_an_ordinary_user_restores_as_himself(disaster: Disaster, port: int) -> None:
    """No account is changed, none is needed; as root, this is tried in a child that gives up its rights."""
    child = os.fork()
    if child == 0:
        os._exit(_as_ordinary_user(disaster, port))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _as_ordinary_user(disaster: Disaster, port: int) -> int:
    if disaster.account:
        os.setgroups([])
        os.setgid(disaster.account.gid)
        os.setuid(disaster.account.uid)
        # Root's environment may be closed to it, as another's always is.
        os.environ[BIN_VARIABLE] = str(disaster.tools.folder)
        find_tools.cache_clear()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="ov-") as folder,
            _restore(disaster, Path(folder), port) as server,
        ):
            himself = unprivileged(reading=disaster.archive) is None
            return 0 if himself and server.server.row("SELECT count(*) FROM marks") == ["1"] else 1
    except BaseException:  # noqa: BLE001 - nothing may leave the forked child but its exit status
        traceback.print_exc()
        return 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has somebody else to run as")
def test_an_archive_closed_to_every_usual_account_is_read_as_its_owner(
    disaster: Disaster, archive_copy: Path, scratch: Path, port: int
) -> None:
    """Root restores from an archive that only its owner may read."""
    for path in (archive_copy, *archive_copy.iterdir()):
        os.chown(path, 1, 1)
    archive_copy.chmod(0o700)
    account = unprivileged(reading=archive_copy)
    assert account is not None
    assert account.uid == 1
    assert may_enter(account, archive_copy)
    with _restore(disaster, scratch, port, wal_archive=archive_copy) as server:
        assert server.server.row("SELECT count(*) FROM marks") == ["1"]
