"""Backups of barman: listed, verified, recovered and their WAL fetched by `barman` itself.

Its `recover` ends with exit status 0 on a corrupted backup: the recovered files are verified against PostgreSQL's
manifest, and the WAL is followed segment by segment. `barman check-backup` is not called: it ends with 0 in either
case, and marks backups as failed in barman's own catalogue, which a rehearsal must not change.
"""

from __future__ import annotations

import datetime as dt
import os
import pwd
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.backup import base_backup as backups
from opsverify.recovery.backup.base_backup import CatalogEntry, Integrity
from opsverify.recovery.backup.source import (
    ArchivedWal,
    BackupEntry,
    BackupList,
    Unpacked,
    change_owner,
    read_json,
    run_manager,
)
from opsverify.recovery.backup.tablespaces import TABLESPACES
from opsverify.recovery.postgres.tools import Account, find_tools, unprivileged
from opsverify.recovery.wal.lsn import parse_lsn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.config.backups import Barman
    from opsverify.recovery.postgres.tools import ToolRun

_HOURS_S: Final = 4 * 3600.0
_ARCHIVED: Final = re.compile(r"[0-9A-F]{24}|[0-9A-F]{8}\.history")
_FINDING: Final = "pg_verifybackup: error: "
_DONE: Final = "DONE"
_ADDED_FILE: Final = ".barman-recover.info"
_ABSENT: Final = re.compile(r"WAL file \S+ not found|No such file", re.IGNORECASE)


@dataclass(frozen=True)
class BarmanSource:
    """A server's backups; the newest one before `until` is the one selected."""

    config: Barman
    until: dt.datetime | None = None

    def list_backups(self) -> BackupList:
        """See `BackupSource`; a segment counts as archived when barman's cron has filed it."""
        entries = self._entries()
        paths = self._archived(entries[-1:])
        listed = sorted(path for path in paths if path.suffix != ".history")
        there = [path for path in listed if path.is_file()]
        if listed and not there:
            raise Inconclusive(
                say("{listed} is listed by barman and not on this machine: run on barman's machine", listed=listed[-1])
            )
        if not there:
            return BackupList(entries, None)
        filed_at = dt.datetime.fromtimestamp(there[-1].stat().st_mtime, dt.UTC)
        return BackupList(entries, ArchivedWal(there[-1].name, filed_at))

    def verify(self) -> Integrity:
        """Run `barman verify-backup`, which has pg_verifybackup look at the backup where it lies."""
        selected = self._selected().name
        run = self._run("verify-backup", self.config.server, selected, timeout_s=_HOURS_S)
        problems = tuple(
            line.partition(_FINDING)[2] for line in (run.stdout + run.stderr).splitlines() if _FINDING in line
        )
        if run.exit_code == 0 and not problems and "backup successfully verified" in run.stdout:
            return Integrity(ok=True, problems=(), run=run)
        if run.exit_code != 0 and problems and not any(map(backups.is_read_failure, problems)):
            return Integrity(ok=False, problems=problems, run=run)
        raise Inconclusive(
            say(
                "barman verify-backup {server} {selected}: output could not be parsed: {line!r} (exit "
                "{exit_code}); a backup by rsync has no manifest: see barman generate-manifest",
                server=self.config.server,
                selected=selected,
                line=run.last_line,
                exit_code=run.exit_code,
            )
        )

    @contextmanager
    def unpacked(self, scratch: Path) -> Iterator[Unpacked]:
        """See `PhysicalSource`; by `barman recover --get-wal`, its WAL fetched by `get-wal`, all into `scratch`."""
        selected = self._selected().name
        account = self._account()
        home, wal, spaces_folder = scratch / "barman", scratch / "wal", scratch / TABLESPACES
        for folder in (home, wal, spaces_folder):
            folder.mkdir(mode=0o700)
            if account is not None:
                os.chown(folder, account.uid, account.gid)
        base = home / "base"
        # Without a location of its own barman restores a tablespace to where production has it.
        moved = [
            part
            for name, oid in self._tablespaces(selected)
            for part in ("--tablespace", f"{name}:{spaces_folder / oid}")
        ]
        done = self._run("recover", "--get-wal", *moved, self.config.server, selected, str(base), timeout_s=_HOURS_S)
        if done.exit_code != 0:
            raise Inconclusive(
                say(
                    "barman recover {server} {selected}: {error} (exit {exit_code})",
                    server=self.config.server,
                    selected=selected,
                    error=_error(done),
                    exit_code=done.exit_code,
                )
            )
        _undo_changes(base, selected)
        change_owner(spaces_folder, unprivileged())
        made = self._catalogued(selected)
        backup = backups.inspect(base, find_tools(backups.major_of(base)), catalog_entry=made)
        later = tuple(held for held in self._entries() if held.name >= selected)
        problems = tuple(line for path in self._archived(later) if (line := self._fetch(path.name, wal)))
        yield Unpacked(backup, change_owner(wal, unprivileged()), movable=True, problems=problems)

    def _fetch(self, name: str, folder: Path) -> str | None:
        done = self._run("get-wal", "--output-directory", str(folder), self.config.server, name, timeout_s=_HOURS_S)
        if done.exit_code == 0 and (folder / name).exists():
            return None
        (folder / name).unlink(missing_ok=True)
        # What barman lists and no longer has leaves a gap, which `continuity` names.
        return None if _ABSENT.search(done.stdout + done.stderr) else f"WAL {name}: {_error(done)}"

    def _entries(self) -> tuple[BackupEntry, ...]:
        said = read_json(self._run("-f", "json", "list-backups", self.config.server))
        try:
            entries = [_entry(entry) for entry in said[self.config.server]]
        except (KeyError, TypeError, ValueError) as error:
            raise Inconclusive(
                say(
                    "barman list-backups {server}: output could not be parsed ({error})",
                    server=self.config.server,
                    error=repr(error),
                )
            ) from error
        return tuple(sorted(entries, key=lambda entry: entry.taken_at))

    def _selected(self) -> BackupEntry:
        usable = [held for held in self._entries() if held.problem is None]
        if not usable:
            raise Inconclusive(say("barman has no usable backup of {server}: make one", server=self.config.server))
        early = [held for held in usable if self.until is None or held.taken_at < self.until]
        return (early or usable[:1])[-1]

    def _tablespaces(self, name: str) -> list[tuple[str, str]]:
        """Return name and OID of the tablespaces of the backup `name`."""
        shown = self._shown(name)
        try:
            found = [(entry["name"], str(entry["oid"])) for entry in shown.get("tablespaces") or ()]
        except (KeyError, TypeError, AttributeError) as error:
            raise Inconclusive(
                say("barman show-backup {name}: output could not be parsed ({error})", name=name, error=repr(error))
            ) from error
        if unnamed := next((entry for entry, _ in found if ":" in entry), None):
            raise Inconclusive(
                say(
                    "tablespace {unnamed!r}: `barman recover --tablespace` accepts no name with a colon; rename it",
                    unnamed=unnamed,
                )
            )
        return found

    def _shown(self, name: str) -> Any:  # noqa: ANN401 - JSON
        said = read_json(self._run("-f", "json", "show-backup", self.config.server, name))
        try:
            return said[self.config.server]
        except (KeyError, TypeError) as error:
            raise Inconclusive(
                say("barman show-backup {name}: output could not be parsed ({error})", name=name, error=repr(error))
            ) from error

    def _catalogued(self, name: str) -> CatalogEntry:
        shown = self._shown(name)
        try:
            base = shown["base_backup_information"]
            begun, ended = (dt.datetime.fromisoformat(base[key]) for key in ("begin_time", "end_time"))
            return CatalogEntry(begun, ended, parse_lsn(base["end_lsn"]))
        except (KeyError, TypeError, ValueError) as error:
            raise Inconclusive(
                say("barman show-backup {name}: output could not be parsed ({error})", name=name, error=repr(error))
            ) from error

    def _archived(self, backups_since: tuple[BackupEntry, ...]) -> list[Path]:
        """Return the archived files after each of the backups: barman lists them up to the next backup only."""
        paths: dict[Path, None] = {}
        for held in backups_since:
            said = self._run("list-files", "--target", "wal", self.config.server, held.name)
            if said.exit_code != 0:
                raise Inconclusive(
                    say(
                        "barman list-files {server} {name}: {error}",
                        server=self.config.server,
                        name=held.name,
                        error=_error(said),
                    )
                )
            paths |= dict.fromkeys(path for line in said.stdout.splitlines() if _archived_file(path := Path(line)))
        return list(paths)

    def _run(self, *args: str, timeout_s: float = 60.0) -> ToolRun:
        config = ("-c", self.config.config) if self.config.config else ()
        return run_manager((self.config.program, *config, *args), account=self._account(), timeout_s=timeout_s)

    def _account(self) -> Account | None:
        if os.geteuid() != 0:
            return None
        try:
            entry = pwd.getpwnam(self.config.user)
        except KeyError as error:
            raise Inconclusive(
                say("no account {user} to run barman as; see [recovery.barman] user", user=self.config.user)
            ) from error
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _archived_file(path: Path) -> bool:
    return _ARCHIVED.fullmatch(path.name) is not None


def _entry(entry: dict[str, Any]) -> BackupEntry:
    name, status = entry["backup_id"], entry["status"]
    if status != _DONE:
        begun = dt.datetime.strptime(name[:15], "%Y%m%dT%H%M%S").astimezone()
        return BackupEntry(name, "full", begun, say("status {status} in barman", status=status))
    return BackupEntry(name, "full", dt.datetime.fromtimestamp(float(entry["end_time_timestamp"]), dt.UTC))


def _undo_changes(base: Path, name: str) -> None:
    """Undo what `barman recover` changes in the files it restores, so that the manifest describes them again."""
    for original in base.glob("*.origin"):
        original.replace(original.with_suffix(""))
    manifest = base / f"backup_manifest.{name}"
    if manifest.exists():
        manifest.replace(base / "backup_manifest")
    (base / _ADDED_FILE).unlink(missing_ok=True)


def _error(done: ToolRun) -> str:
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines()]
    return next((line for line in lines if line.startswith(("ERROR", "EXCEPTION"))), done.last_line)
