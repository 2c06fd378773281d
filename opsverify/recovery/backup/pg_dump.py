"""Archives of pg_dump, in custom or directory format; no WAL follows them."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.backup.base_backup import BackupDamaged, Integrity
from opsverify.recovery.backup.roles_dump import ClusterDump, nearest_file, read_cluster_dump
from opsverify.recovery.backup.source import BackupEntry, BackupList
from opsverify.recovery.postgres.tools import find_tools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.recovery.postgres.tools import ToolRun, Tools

_HOURS_S: Final = 4 * 3600.0
_ERROR: Final = "pg_restore: error: "
_CREATED: Final = re.compile(r"^;\s+(?:Archive|archive) created at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC$", re.MULTILINE)
_SUM: Final = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_READ_FAILURES: Final = ("Permission denied", "unsupported version", "out of memory")


@dataclass(frozen=True)
class DumpSource:
    """`archive` is one dump, or a folder of dumps; the newest one that was begun by `until` is selected.

    `sums` holds recorded SHA-256 sums as `sha256sum` writes them, with paths relative to its own folder; `roles`
    is the file that pg_dumpall wrote, or a pattern of such.
    """

    archive: Path
    major: int
    sums: Path | None = None
    until: dt.datetime | None = None
    roles: Path | None = None

    def list_backups(self) -> BackupList:
        """See `BackupSource`; a file that pg_restore cannot list is a dump that was not finished."""
        tools = find_tools(self.major)
        entries = (self._entry(path, tools) for path in self._found())
        return BackupList(tuple(sorted(entries, key=lambda entry: entry.taken_at)), None)

    def newest(self) -> tuple[Path, dt.datetime]:
        """Return the selected dump and the time that it restores."""
        found = self.list_backups()
        if not found.usable:
            raise Inconclusive(
                say(
                    "no dump in {archive} can be read: {problem}",
                    archive=self.archive,
                    problem=found.backups[-1].problem,
                )
            )
        early = [entry for entry in found.usable if self.until is None or entry.taken_at <= self.until]
        chosen = (early or found.usable[:1])[-1]
        return next(path for path in self._found() if path.name == chosen.name), chosen.taken_at

    def verify(self) -> Integrity:
        """Read the whole archive with pg_restore; compare its files, and the roles file, with the recorded sums.

        A list of contents proves nothing: a truncated archive still has one.
        """
        path, taken_at = self.newest()
        run = find_tools(self.major).run("pg_restore", "-f", "/dev/null", path, timeout_s=_HOURS_S)
        problems = tuple(line.removeprefix(_ERROR) for line in run.stderr.splitlines() if line.startswith(_ERROR))
        if any(failure in problem for problem in problems for failure in _READ_FAILURES):
            raise Inconclusive(
                say("pg_restore could not read all of {path}: {problems}", path=path, problems=problems[0])
            )
        if (run.exit_code == 0) != (not problems):
            raise Inconclusive(
                say(
                    "pg_restore {path}: output could not be parsed: {line!r} (exit {exit_code})",
                    path=path,
                    line=run.last_line,
                    exit_code=run.exit_code,
                )
            )
        found = Integrity(ok=not problems, problems=tuple(f"{path.name}: {problem}" for problem in problems), run=run)
        more = [] if self.sums is None else [*self._changed(path, self.sums)]
        try:
            if (roles := self.roles_at(taken_at)) is not None:
                more += [] if self.sums is None else self._changed(roles.path, self.sums)
        except BackupDamaged as damaged:
            more.append(str(damaged))
        return replace(found, ok=found.ok and not more, problems=(*found.problems, *more))

    def roles_at(self, taken_at: dt.datetime) -> ClusterDump | None:
        """Return the roles that belong to the dump of `taken_at`; None where the target names none.

        Raises BackupDamaged when they are missing, empty or cut off.
        """
        return None if self.roles is None else read_cluster_dump(nearest_file(self.roles, taken_at))

    def _found(self) -> list[Path]:
        try:
            if self.archive.is_file() or (self.archive / "toc.dat").exists():
                return [self.archive]
            inside = [path for path in self.archive.iterdir() if (path / "toc.dat").exists() or _is_dump(path)]
        except OSError as error:
            raise Inconclusive(
                say("{archive} cannot be read: {error}", archive=self.archive, error=error.strerror)
            ) from error
        if not inside:
            raise Inconclusive(
                say(
                    "{archive} holds no archive of pg_dump: expected custom or directory format (-Fc, -Fd)",
                    archive=self.archive,
                )
            )
        return sorted(inside)

    def _entry(self, path: Path, tools: Tools) -> BackupEntry:
        answer = tools.run("pg_restore", "--list", path)
        if any(failure in answer.stderr for failure in _READ_FAILURES):
            raise Inconclusive(
                say(
                    "pg_restore --list {path}: {line}; is major = {major} right?",
                    path=path,
                    line=answer.last_line,
                    major=self.major,
                )
            )
        created = _created(answer)
        if created is not None:
            return BackupEntry(path.name, "dump", created)
        written = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
        return BackupEntry(path.name, "dump", written, say("pg_restore cannot list it: {line}", line=answer.last_line))

    def _changed(self, path: Path, sums: Path) -> Iterator[str]:
        try:
            lines = sums.read_text(encoding="utf-8").splitlines()
            recorded = {sums.parent / match[2]: match[1] for line in lines if (match := _SUM.fullmatch(line))}
            of_this = {name: digest for name, digest in recorded.items() if name == path or path in name.parents}
            if not of_this:
                raise Inconclusive(
                    say(
                        "{sums} records no SHA-256 sum of {name}: record one when the dump is made",
                        sums=sums,
                        name=path.name,
                    )
                )
            there = {path} if path.is_file() else {file for file in path.rglob("*") if file.is_file()}
            for name in sorted(there | of_this.keys()):
                if name not in there:
                    yield say("{name}: recorded in {name_2}, and missing", name=name.name, name_2=sums.name)
                elif name not in of_this:
                    yield say("{name}: not recorded in {name_2}", name=name.name, name_2=sums.name)
                elif (digest := _sha256(name)) != of_this[name]:
                    yield say(
                        "{name}: SHA-256 {digest}..., recorded {of_this}...",
                        name=name.name,
                        digest=digest[:12],
                        of_this=of_this[name][:12],
                    )
        except OSError as error:
            raise Inconclusive(
                say("{filename} cannot be read: {error}", filename=error.filename, error=error.strerror)
            ) from error


def _created(answer: ToolRun) -> dt.datetime | None:
    match = _CREATED.search(answer.stdout)
    if answer.exit_code != 0 or match is None:
        return None
    return dt.datetime.fromisoformat(match[1]).replace(tzinfo=dt.UTC)


def _is_dump(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(5) == b"PGDMP"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
