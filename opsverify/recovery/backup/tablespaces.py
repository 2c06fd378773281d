"""Tablespaces of a base backup: where their files lie, and the guard that keeps a drill inside its own folders.

In a base backup `pg_tblspc` holds a link for each, named by its OID. On the machine that made the backup the links,
or the file `tablespace_map`, may lead into folders that production writes to; and replaying a CREATE TABLESPACE
makes PostgreSQL empty the folder it names (create_tablespace_directories, src/backend/commands/tablespace.c).
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.recovery.model import segment_name
from opsverify.recovery.wal.archive import UnreadableArchiveFile, write_plain
from opsverify.recovery.wal.commits import read_commits
from opsverify.recovery.wal.lsn import format_lsn, parse_lsn

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from opsverify.recovery.model import BaseBackup, Segment
    from opsverify.recovery.postgres.tools import Tools

TABLESPACES: Final = "tablespaces"
"""The folder beside a drill's data directory that holds all tablespaces."""
LINKS: Final = "pg_tblspc"
MAP: Final = "tablespace_map"
"""The file from which a recovering server makes the links anew."""

_ENTRY: Final = re.compile(r"^(\d+) (.+)$", re.MULTILINE)
_CREATE: Final = re.compile(r'lsn: ([0-9A-F]+/[0-9A-F]+),.*?desc: CREATE (\d+) "(.+)"$', re.MULTILINE)
_ERROR: Final = "pg_waldump: error: "
_WINDOW_BYTES: Final = 1 << 28


@dataclass(frozen=True)
class Tablespace:
    """One tablespace outside of the data directory: `location` is what its link leads to."""

    oid: str
    location: Path


def tablespaces_of(base: Path) -> tuple[Tablespace, ...]:
    """Return the tablespaces that `base` links to, by OID; those made in place are part of it and not returned.

    Raises Inconclusive for a link that leads nowhere, and for a tablespace of `tablespace_map` that is not there.
    """
    folder = base / LINKS
    links = sorted(path for path in folder.iterdir() if path.is_symlink()) if folder.is_dir() else []
    for path in links:
        if not path.is_dir():
            raise Inconclusive(
                f"{path} leads to {path.readlink()}, which is missing: the tablespace is not in the backup"
            )
    recorded = base / MAP
    for oid, location in _ENTRY.findall(recorded.read_text(encoding="utf-8")) if recorded.exists() else ():
        if not (folder / oid).is_dir():
            raise Inconclusive(
                f"{recorded} names tablespace {oid} at {location}, and {folder} has no {oid}: "
                f"extract {oid}.tar into a folder of its own and link it there"
            )
    return tuple(Tablespace(path.name, path.resolve()) for path in links)


def require_links_inside(data_dir: Path) -> None:
    """Raise Inconclusive when a link in the drill's `data_dir` leads out of the folder `TABLESPACES` beside it."""
    spaces_folder = data_dir.with_name(TABLESPACES).resolve()
    for tablespace in tablespaces_of(data_dir):
        if not tablespace.location.is_relative_to(spaces_folder):
            raise Inconclusive(
                f"tablespace {tablespace.oid} of the drill's server lies in {tablespace.location}, outside of the "
                "drill's folder: the restore was stopped"
            )


def refuse_new_tablespaces(backup: BaseBackup, run: Sequence[Segment], tools: Tools, target: dt.datetime) -> None:
    """Raise Inconclusive when recovery of `backup` along `run` to `target` would replay a CREATE TABLESPACE.

    Every segment of `run` is read by pg_waldump, compressed ones unpacked a few at a time.
    """
    for lsn, oid, location in _created(backup, run, tools):
        before = (segment for segment in run if segment.number * backup.segment_size < lsn)
        commits = (commit for segment in before for commit in read_commits(segment, tools).commits)
        if any(commit.at > target and commit.lsn < lsn for commit in commits):
            return
        raise Inconclusive(
            f"tablespace {oid} was made in {location} after the base backup (WAL {format_lsn(lsn)}): PostgreSQL would "
            "empty that folder on this machine to recover it; take a new base backup, or choose an earlier target"
        )


def _created(backup: BaseBackup, run: Sequence[Segment], tools: Tools) -> Iterator[tuple[int, str, str]]:
    """Yield position, OID and folder of each tablespace that is made in `run`, as far as it can be read."""
    each = max(1, _WINDOW_BYTES // backup.segment_size)
    for first in range(0, len(run), each):
        # One segment more, which the next window begins with: a record may go on in it.
        window = run[first : first + each + 1]
        with tempfile.TemporaryDirectory(prefix="opsverify-wal-") as folder:
            output, stopped_early = _dumped(Path(folder), window, backup.segment_size, tools)
        for at, oid, location in _CREATE.findall(output):
            if (lsn := parse_lsn(at)) >= backup.start_lsn:
                yield lsn, oid, location
        if stopped_early:
            return  # what cannot be read is not replayed either


def _dumped(folder: Path, window: Sequence[Segment], size: int, tools: Tools) -> tuple[str, bool]:
    """Run pg_waldump once over `window`; its output, and whether it stopped early."""
    # It follows one timeline only; the one in a page's header is not compared.
    names = [segment_name(window[-1].timeline, segment.number, size) for segment in window]
    for name, segment in zip(names, window, strict=True):
        try:
            write_plain(segment.path, folder / name)
        except UnreadableArchiveFile:
            return "", True
        except OSError as error:
            raise Inconclusive(f"{segment.path} cannot be read: {error.strerror}") from error
    done = tools.run("pg_waldump", "-p", folder, "-r", "Tablespace", names[0], names[-1], timeout_s=3600.0)
    if done.exit_code != 0 and not done.stderr.startswith(_ERROR):
        raise Inconclusive(f"pg_waldump {names[0]}: output could not be parsed: {done.last_line!r}")
    return done.stdout, done.exit_code != 0
