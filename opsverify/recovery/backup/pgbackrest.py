"""Backups of pgBackRest: listed, verified, restored and their WAL fetched by `pgbackrest` itself.

Its `verify` ends with status 0 on a corrupted backup, and does not count a deleted WAL segment as missing: its
output is parsed, and the fetched WAL is followed segment by segment.
"""

from __future__ import annotations

import datetime as dt
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import join, say
from opsverify.recovery.backup import base_backup as backups
from opsverify.recovery.backup.base_backup import BackupDamaged, CatalogEntry, Integrity
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
from opsverify.recovery.postgres.tools import find_tools, unprivileged
from opsverify.recovery.wal.lsn import parse_lsn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from opsverify.config.backups import PgBackRest
    from opsverify.recovery.postgres.tools import ToolRun

_HOURS_S: Final = 4 * 3600.0
_KINDS: Final = {"full": "full", "diff": "differential", "incr": "incremental"}
_STORED: Final = re.compile(r"([0-9A-F]{24})-[0-9a-f]{40}(?:\.\w+)?|([0-9A-F]{8}\.history)")
_COUNTS: Final = (
    r"\n\s+missing: (?P<missing>\d+), checksum invalid: (?P<sum>\d+), "
    r"size invalid: (?P<size>\d+), other: (?P<other>\d+)"
)
_WAL: Final = re.compile(r"archiveId: (?P<id>\S+), total WAL checked: \d+, total valid WAL: \d+" + _COUNTS)
_BACKUP: Final = re.compile(rf"backup: (?P<id>\S+), status: (?P<status>[^,\n]+)(?:,[^\n]*)?(?:{_COUNTS})?")
_UNFINISHED: Final = "in-progress"
_DAMAGE: Final = frozenset({26, 28, 29, 55})
"""Exit codes of `restore` that are about the repository's files: checksum, invalid, format, missing file."""
_INSIDE_ONLY: Final = ("--reset-tablespace-map", "--reset-link-map", "--no-link-all")
"""Options that undo what a configuration sets for folders outside of the one that `restore` is given."""
_ABSENT: Final = 1
"""Exit code of `archive-get` for a file that the archive does not have."""


@dataclass(frozen=True)
class PgBackRestSource:
    """A stanza's backups; the newest one before `until` is the one selected."""

    config: PgBackRest
    until: dt.datetime | None = None

    def list_backups(self) -> BackupList:
        """See `BackupSource`; from `info` and `repo-ls`."""
        info = self._info()
        names = self._archived(info)
        newest = max((name for name in names if not name.endswith(".history")), default=None)
        wal = ArchivedWal(newest, dt.datetime.fromtimestamp(names[newest], dt.UTC)) if newest else None
        return BackupList(tuple(sorted(map(_entry, self._backups(info)), key=lambda one: one.taken_at)), wal)

    def verify(self) -> Integrity:
        """Read what `pgbackrest verify` prints of every file in the repository; its exit status tells nothing."""
        selected = self._selected(self._info())["label"]
        run = self._run("verify", "--output=text", "--verbose", timeout_s=_HOURS_S)
        lists = list(_BACKUP.finditer(run.stdout))
        problems = tuple(line for match in (*_WAL.finditer(run.stdout), *lists) if (line := _problem(match)))
        status = re.search(r"^\s*status: (\w+)$", run.stdout, re.MULTILINE)
        clean = status is not None and status[1] == "ok" and run.exit_code == 0
        # The summary may be "ok" for a backup whose manifest is missing: the lines decide.
        if not (clean or problems) or selected not in {match["id"] for match in lists}:
            raise Inconclusive(
                say(
                    "pgbackrest verify: output could not be parsed, or is not of backup {selected}: {line!r} "
                    "(exit {exit_code})",
                    selected=selected,
                    line=run.last_line,
                    exit_code=run.exit_code,
                )
            )
        return Integrity(ok=not problems, problems=problems, run=run)

    @contextmanager
    def unpacked(self, scratch: Path) -> Iterator[Unpacked]:
        """See `PhysicalSource`; by `pgbackrest restore`, its WAL by `archive-get`, all into `scratch`."""
        info = self._info()
        selected = self._selected(info)
        base, spaces_folder = scratch / "base", scratch / TABLESPACES
        for folder in (base, spaces_folder):
            folder.mkdir(mode=0o700)
        options = (f"--set={selected['label']}", f"--pg1-path={base}", "--type=none", f"--lock-path={scratch / 'lock'}")
        done = self._run(
            "restore", *options, f"--tablespace-map-all={spaces_folder}", *_INSIDE_ONLY, timeout_s=_HOURS_S
        )
        if done.exit_code in _DAMAGE:
            raise BackupDamaged(
                say("pgbackrest restore of {label}: {error}", label=selected["label"], error=_first_error(done))
            )
        if done.exit_code != 0:
            raise Inconclusive(
                say(
                    "pgbackrest restore: {error} (exit {exit_code})", error=_first_error(done), exit_code=done.exit_code
                )
            )
        change_owner(spaces_folder, unprivileged())
        tools = find_tools(backups.major_of(base))
        try:
            # pgBackRest cuts off fractions: a backup completed within that second is complete in the next one.
            started, finished = (
                dt.datetime.fromtimestamp(selected["timestamp"][key], dt.UTC) for key in ("start", "stop")
            )
            made = CatalogEntry(started, finished + dt.timedelta(seconds=1), parse_lsn(selected["lsn"]["stop"]))
        except (KeyError, TypeError, ValueError) as error:
            raise Inconclusive(
                say(
                    "pgbackrest info: backup {label} could not be parsed ({error})",
                    label=selected["label"],
                    error=repr(error),
                )
            ) from error
        backup = backups.inspect(base, tools, catalog_entry=made)
        wal = scratch / "wal"
        wal.mkdir(mode=0o700)
        needed = [name for name in self._archived(info) if name[8:] >= backup.first_segment[8:] or len(name) < 24]  # noqa: PLR2004 - a history file
        problems = tuple(line for name in sorted(needed) if (line := self._fetch(name, wal, base)))
        yield Unpacked(backup, change_owner(wal, unprivileged()), movable=True, problems=problems)

    def _fetch(self, name: str, folder: Path, base: Path) -> str | None:
        done = self._run("archive-get", f"--pg1-path={base}", name, str(folder / name), timeout_s=_HOURS_S)
        if done.exit_code in (0, _ABSENT):
            return None
        (folder / name).unlink(missing_ok=True)
        return f"WAL {name}: {_first_error(done)}"

    def _info(self) -> Mapping[str, Any]:
        said = read_json(self._run("info", "--output=json"))
        entry = next((entry for entry in said if entry["name"] == self.config.stanza), None)
        if entry is None or not entry.get("db"):
            raise Inconclusive(
                say("pgbackrest info: no stanza {stanza}; see [recovery.pgbackrest]", stanza=self.config.stanza)
            )
        found: Mapping[str, Any] = entry
        return found

    def _backups(self, info: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        repo = self.config.repo
        return [entry for entry in info["backup"] if repo is None or entry["database"]["repo-key"] == repo]

    def _selected(self, info: Mapping[str, Any]) -> Mapping[str, Any]:
        by_age = sorted(self._backups(info), key=lambda entry: entry["timestamp"]["stop"])
        whole = [entry for entry in by_age if not entry["error"]]
        if not whole:
            raise Inconclusive(say("pgbackrest has no usable backup of {stanza}: make one", stanza=self.config.stanza))
        until = self.until
        early = [entry for entry in whole if until is None or entry["timestamp"]["stop"] + 1 <= until.timestamp()]
        return (early or whole[:1])[-1]

    def _archived(self, info: Mapping[str, Any]) -> dict[str, float]:
        """Return the names of archived segments and history files, each with its time (epoch)."""
        newest = info["archive"][-1]["id"] if info["archive"] else ""
        listed = read_json(self._run("repo-ls", "--recurse", "--output=json", f"archive/{self.config.stanza}"))
        found = {}
        for path, entry in listed.items():
            match = _STORED.fullmatch(PurePosixPath(path).name)
            if match and PurePosixPath(path).parts[0] == newest:
                found[match[1] or match[2]] = float(entry["time"])
        return found

    def _run(self, command: str, *args: str, timeout_s: float = 60.0) -> ToolRun:
        config = self.config
        options = [f"--stanza={config.stanza}", "--log-level-file=off", "--log-level-console=off"]
        options += [f"--config={config.config}"] if config.config else []
        options += [f"--repo={config.repo}"] if config.repo else []
        argv = (config.program, *options, "--log-level-stderr=error", command, *args)
        return run_manager(argv, timeout_s=timeout_s)


def _entry(entry: Mapping[str, Any]) -> BackupEntry:
    problem = say("pgBackRest found pages with wrong checksums while it was made") if entry["error"] else None
    taken_at = dt.datetime.fromtimestamp(entry["timestamp"]["stop"], dt.UTC)
    return BackupEntry(entry["label"], _KINDS.get(entry["type"], entry["type"]), taken_at, problem)


def _problem(match: re.Match[str]) -> str | None:
    found = match.groupdict()
    wrong = {
        "missing": say("missing"),
        "sum": say("with wrong checksum"),
        "size": say("with wrong size"),
        "other": say("unreadable"),
    }
    counts = join(
        ", ",
        (say("{count} {words}", count=found[key], words=words) for key, words in wrong.items() if int(found[key] or 0)),
    )
    status = found.get("status", "valid").strip()
    if not counts and status in ("valid", _UNFINISHED):
        return None
    what = say("backup") if "status" in found else say("WAL of")
    return say(
        "{what} {id}: {state}",
        what=what,
        id=found["id"],
        state=say("{counts} files", counts=counts) if counts else status,
    )


def _first_error(done: ToolRun) -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[0].removeprefix("ERROR: ") if lines else say("no output (exit {exit_code})", exit_code=done.exit_code)
