"""Backups of barman: listed, verified, recovered and their WAL fetched by `barman` itself.

Its `recover` brings a corrupted backup back with exit status 0: what it brought is held against PostgreSQL's
manifest, and the WAL is followed by ourselves. `barman check-backup` is not called: it answers 0 in either
case, and marks backups as failed in barman's own catalogue, which a rehearsal must leave alone.
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
from opsverify.recovery.backup import base_backup as backups
from opsverify.recovery.backup.base_backup import Catalogued, Integrity
from opsverify.recovery.backup.source import ArchivedWal, Held, Stock, Unpacked, hand_over, read_json, run_manager
from opsverify.recovery.backup.tablespaces import ROOM
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
_ADDED: Final = ".barman-recover.info"
_ABSENT: Final = re.compile(r"WAL file \S+ not found|No such file", re.IGNORECASE)


@dataclass(frozen=True)
class BarmanSource:
    """A server's backups; the newest one before `until` is the one meant."""

    config: Barman
    until: dt.datetime | None = None

    def stock(self) -> Stock:
        """See `BackupSource`; a segment counts as archived when barman's cron has filed it."""
        held = self._held()
        paths = self._archived(held[-1:])
        listed = sorted(path for path in paths if path.suffix != ".history")
        there = [path for path in listed if path.is_file()]
        if listed and not there:
            raise Inconclusive(f"{listed[-1]} is listed by barman and not here: run on barman's machine")
        if not there:
            return Stock(held, None)
        filed_at = dt.datetime.fromtimestamp(there[-1].stat().st_mtime, dt.UTC)
        return Stock(held, ArchivedWal(there[-1].name, filed_at))

    def verify(self) -> Integrity:
        """Run `barman verify-backup`, which has pg_verifybackup look at the backup where it lies."""
        meant = self._meant().name
        run = self._run("verify-backup", self.config.server, meant, timeout_s=_HOURS_S)
        problems = tuple(
            line.partition(_FINDING)[2] for line in (run.stdout + run.stderr).splitlines() if _FINDING in line
        )
        if run.exit_code == 0 and not problems and "backup successfully verified" in run.stdout:
            return Integrity(ok=True, problems=(), run=run)
        if run.exit_code != 0 and problems and not any(map(backups.is_hindrance, problems)):
            return Integrity(ok=False, problems=problems, run=run)
        raise Inconclusive(
            f"barman verify-backup {self.config.server} {meant}: output not understood: {run.last_line!r} "
            f"(exit {run.exit_code}); a backup by rsync has no manifest: see barman generate-manifest"
        )

    @contextmanager
    def unpacked(self, scratch: Path) -> Iterator[Unpacked]:
        """Recovered by `barman recover --get-wal`, its WAL fetched by `get-wal`, all into `scratch`."""
        meant = self._meant().name
        account = self._account()
        home, wal, room = scratch / "barman", scratch / "wal", scratch / ROOM
        for folder in (home, wal, room):
            folder.mkdir(mode=0o700)
            if account is not None:
                os.chown(folder, account.uid, account.gid)
        base = home / "base"
        # Without a place of its own barman brings a tablespace to where production has it.
        moved = [part for name, oid in self._tablespaces(meant) for part in ("--tablespace", f"{name}:{room / oid}")]
        done = self._run("recover", "--get-wal", *moved, self.config.server, meant, str(base), timeout_s=_HOURS_S)
        if done.exit_code != 0:
            raise Inconclusive(f"barman recover {self.config.server} {meant}: {_error(done)} (exit {done.exit_code})")
        _take_back_changes(base, meant)
        hand_over(room, unprivileged())
        made = self._catalogued(meant)
        backup = backups.inspect(base, find_tools(backups.major_of(base)), catalogued=made)
        later = tuple(held for held in self._held() if held.name >= meant)
        problems = tuple(line for path in self._archived(later) if (line := self._fetch(path.name, wal)))
        yield Unpacked(backup, hand_over(wal, unprivileged()), ours=True, problems=problems)

    def _fetch(self, name: str, folder: Path) -> str | None:
        done = self._run("get-wal", "--output-directory", str(folder), self.config.server, name, timeout_s=_HOURS_S)
        if done.exit_code == 0 and (folder / name).exists():
            return None
        (folder / name).unlink(missing_ok=True)
        # What barman lists and no longer has leaves a hole, which the sequence check names.
        return None if _ABSENT.search(done.stdout + done.stderr) else f"WAL {name}: {_error(done)}"

    def _held(self) -> tuple[Held, ...]:
        said = read_json(self._run("-f", "json", "list-backups", self.config.server))
        try:
            held = [_held(entry) for entry in said[self.config.server]]
        except (KeyError, TypeError, ValueError) as error:
            raise Inconclusive(
                f"barman list-backups {self.config.server}: output not understood ({error!r})"
            ) from error
        return tuple(sorted(held, key=lambda entry: entry.taken_at))

    def _meant(self) -> Held:
        usable = [held for held in self._held() if held.problem is None]
        if not usable:
            raise Inconclusive(f"barman has no usable backup of {self.config.server}: make one")
        early = [held for held in usable if self.until is None or held.taken_at < self.until]
        return (early or usable[:1])[-1]

    def _tablespaces(self, name: str) -> list[tuple[str, str]]:
        """Return name and OID of the tablespaces of the backup `name`."""
        shown = self._shown(name)
        try:
            found = [(entry["name"], str(entry["oid"])) for entry in shown.get("tablespaces") or ()]
        except (KeyError, TypeError, AttributeError) as error:
            raise Inconclusive(f"barman show-backup {name}: output not understood ({error!r})") from error
        if unnamed := next((entry for entry, _ in found if ":" in entry), None):
            raise Inconclusive(f"barman recover cannot be told where to bring tablespace {unnamed!r}: rename it")
        return found

    def _shown(self, name: str) -> Any:  # noqa: ANN401 - JSON
        said = read_json(self._run("-f", "json", "show-backup", self.config.server, name))
        try:
            return said[self.config.server]
        except (KeyError, TypeError) as error:
            raise Inconclusive(f"barman show-backup {name}: output not understood ({error!r})") from error

    def _catalogued(self, name: str) -> Catalogued:
        shown = self._shown(name)
        try:
            base = shown["base_backup_information"]
            begun, ended = (dt.datetime.fromisoformat(base[key]) for key in ("begin_time", "end_time"))
            return Catalogued(begun, ended, parse_lsn(base["end_lsn"]))
        except (KeyError, TypeError, ValueError) as error:
            raise Inconclusive(f"barman show-backup {name}: output not understood ({error!r})") from error

    def _archived(self, backups_since: tuple[Held, ...]) -> list[Path]:
        """Return the archived files behind each of the backups: barman lists them up to the next backup only."""
        paths: dict[Path, None] = {}
        for held in backups_since:
            said = self._run("list-files", "--target", "wal", self.config.server, held.name)
            if said.exit_code != 0:
                raise Inconclusive(f"barman list-files {self.config.server} {held.name}: {_error(said)}")
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
            raise Inconclusive(f"no account {self.config.user} to run barman as; see [recovery.barman] user") from error
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _archived_file(path: Path) -> bool:
    return _ARCHIVED.fullmatch(path.name) is not None


def _held(entry: dict[str, Any]) -> Held:
    name, status = entry["backup_id"], entry["status"]
    if status != _DONE:
        begun = dt.datetime.strptime(name[:15], "%Y%m%dT%H%M%S").astimezone()
        return Held(name, "full", begun, f"barman says {status}")
    return Held(name, "full", dt.datetime.fromtimestamp(float(entry["end_time_timestamp"]), dt.UTC))


def _take_back_changes(base: Path, name: str) -> None:
    """Undo what `barman recover` does to the files it brought: the manifest is to describe them again."""
    for original in base.glob("*.origin"):
        original.replace(original.with_suffix(""))
    manifest = base / f"backup_manifest.{name}"
    if manifest.exists():
        manifest.replace(base / "backup_manifest")
    (base / _ADDED).unlink(missing_ok=True)


def _error(done: ToolRun) -> str:
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines()]
    return next((line for line in lines if line.startswith(("ERROR", "EXCEPTION"))), done.last_line)
