"""Backups of pg_basebackup, whole or incremental, in plain form, with a WAL archive."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.backup import base_backup as backups
from opsverify.recovery.backup.base_backup import BackupDamaged, CatalogEntry, Integrity
from opsverify.recovery.backup.source import (
    DAMAGED,
    UNCLEAR,
    ArchivedWal,
    BackupEntry,
    BackupList,
    Unpacked,
    change_owner,
)
from opsverify.recovery.backup.tablespaces import TABLESPACES, tablespaces_of
from opsverify.recovery.postgres.tools import find_tools, unprivileged
from opsverify.recovery.wal.lsn import format_lsn
from opsverify.recovery.wal.segments import archive_segments
from opsverify.recovery.wal.timelines import branches, on_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.recovery.model import BaseBackup
    from opsverify.recovery.postgres.tools import Tools

_HOURS_S = 4 * 3600.0


@dataclass(frozen=True)
class PlainSource:
    """`base` is a backup, or a folder of backups; of several the newest before `until` is the one selected.

    With the method `incremental` backups may build upon each other; they all lie in `base`.
    """

    method: str
    base: Path
    archive: Path
    until: dt.datetime | None = None

    def list_backups(self) -> BackupList:
        """See `BackupSource`; a folder that is no complete backup is listed with its problem."""
        found = self._found()
        entries = [self._entry(path) for path in found]
        entries.sort(key=lambda entry: entry[0].taken_at)
        whole = [backup for _, backup in entries if backup is not None]
        return BackupList(tuple(entry for entry, _ in entries), self._newest_wal(whole[-1]) if whole else None)

    def verify(self) -> Integrity:
        """Verify the newest backup, and every one that it builds upon, against their manifests."""
        chain, tools = self._chain()
        done = [backups.verify(backup, tools) for backup in chain]
        problems = tuple(
            problem if len(chain) == 1 else f"{backup.path.name}: {problem}"
            for backup, integrity in zip(chain, done, strict=True)
            for problem in integrity.problems
        )
        return replace(done[-1], ok=all(integrity.ok for integrity in done), problems=problems)

    @contextmanager
    def unpacked(self, scratch: Path) -> Iterator[Unpacked]:
        """See `PhysicalSource`: a whole one as it is; an incremental one joined with its predecessors in `scratch`."""
        chain, tools = self._chain()
        newest = chain[-1]
        if len(chain) == 1:
            yield Unpacked(newest, self.archive, movable=False)
            return
        spaces = tablespaces_of(newest.path)
        joined, spaces_folder = scratch / "base", scratch / TABLESPACES
        spaces_folder.mkdir(mode=0o700)
        moved = [
            f"--tablespace-mapping={_escaped(space.location)}={_escaped(spaces_folder / space.oid)}" for space in spaces
        ]
        paths = [backup.path for backup in chain]
        run = tools.run("pg_combinebackup", *moved, *paths, "-o", joined, "--no-sync", timeout_s=_HOURS_S)
        if run.exit_code != 0:
            raise BackupDamaged(
                say(
                    "pg_combinebackup cannot join {path} with its predecessors: {line}",
                    path=newest.path,
                    line=run.last_line,
                )
            )
        change_owner(spaces_folder, unprivileged(reading=self.archive))
        # pg_combinebackup writes a label with the present time: the times are the incremental backup's own.
        made = CatalogEntry(newest.started_at, newest.finished_at, newest.end_lsn)
        yield Unpacked(backups.inspect(joined, tools, catalog_entry=made), self.archive, movable=True)

    def _newest_wal(self, backup: BaseBackup) -> ArchivedWal | None:
        # An abandoned timeline may have segments with higher numbers, and a drill younger ones.
        path, size = branches(self.archive, backup), backup.segment_size
        segments = [found for found in archive_segments(self.archive, size) if on_path(path, found, size)]
        return ArchivedWal(segments[-1].name, segments[-1].modified_at) if segments else None

    def _found(self) -> list[Path]:
        if _is_backup(self.base) or not self.base.is_dir():
            return [self.base]
        try:
            found = [path for path in self.base.iterdir() if _is_backup(path)]
        except OSError as error:
            raise Inconclusive(say("{base} cannot be read: {error}", base=self.base, error=error.strerror)) from error
        return sorted(found) or [self.base]

    def _entry(self, path: Path) -> tuple[BackupEntry, BaseBackup | None]:
        try:
            tools = find_tools(backups.major_of(path))
            backup = backups.inspect(path, tools, self.archive, incremental=self.method == "incremental")
        except Inconclusive as error:
            kind = DAMAGED if isinstance(error, BackupDamaged) else UNCLEAR
            return BackupEntry(path.name, kind, _written_at(path), str(error)), None
        kind = "full" if backup.builds_on_lsn is None else "incremental"
        return BackupEntry(path.name, kind, backup.finished_at or backup.started_at), backup

    def _chain(self) -> tuple[list[BaseBackup], Tools]:
        """Return the newest backup preceded by all that it builds upon, the full one first."""
        found = self._found()
        if len(found) == 1:
            tools = find_tools(backups.major_of(found[0]))
            return [backups.inspect(found[0], tools, self.archive)], tools
        entries = [self._entry(path) for path in found]
        whole = [backup for _, backup in entries if backup is not None]
        whole.sort(key=lambda backup: (backup.started_at, backup.start_lsn))
        if not whole:
            newest = max((entry for entry, _ in entries), key=lambda entry: entry.taken_at)
            error = BackupDamaged if newest.kind == DAMAGED else Inconclusive
            raise error(say("no complete backup in {base}: {problem}", base=self.base, problem=newest.problem))
        tools = find_tools(whole[-1].major)
        early = [backup for backup in whole if not self.until or _complete_by(backup, self.until)]
        chain = [(early or whole[:1])[-1]]
        while (builds_on := chain[0].builds_on_lsn) is not None:
            below = [backup for backup in whole if backup.start_lsn == builds_on]
            if not below:
                raise BackupDamaged(
                    say(
                        "{path} builds upon a backup that starts at LSN {lsn}, which is missing in {base}: "
                        "nothing of the chain can be restored",
                        path=chain[0].path,
                        lsn=format_lsn(builds_on),
                        base=self.base,
                    )
                )
            chain.insert(0, below[-1])
        return chain, tools


def _is_backup(folder: Path) -> bool:
    return any((folder / name).exists() for name in backups.MARKS)


def _written_at(folder: Path) -> dt.datetime:
    """When a backup that cannot be read was written: the time of its newest part."""
    times = [(folder / name).stat().st_mtime for name in backups.MARKS if (folder / name).exists()]
    return dt.datetime.fromtimestamp(max(times, default=folder.stat().st_mtime if folder.exists() else 0.0), dt.UTC)


def _complete_by(backup: BaseBackup, until: dt.datetime) -> bool:
    """Whether `backup` was complete before `until`; its history file cuts off the fractions of a second."""
    if backup.finished_at is None:
        return backup.started_at < until
    return backup.finished_at + backups.SECOND <= until


def _escaped(path: Path) -> str:
    return str(path).replace("=", "\\=")
