"""Tablespaces of a base backup: where their files lie, and the guard that keeps a drill inside its own folders.

In a base backup `pg_tblspc` holds a link for each, named by its OID. On the machine that made the backup the links,
or the file `tablespace_map`, may lead into folders that production writes to; and replaying a CREATE TABLESPACE
makes PostgreSQL empty the folder it names (create_tablespace_directories, src/backend/commands/tablespace.c).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.wal.commits import read_commits
from opsverify.recovery.wal.lsn import format_lsn
from opsverify.recovery.wal.records import read_through

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

    from opsverify.recovery.model import BaseBackup, Segment
    from opsverify.recovery.postgres.tools import Tools

TABLESPACES: Final = "tablespaces"
"""The folder beside a drill's data directory that holds all tablespaces."""
LINKS: Final = "pg_tblspc"
MAP: Final = "tablespace_map"
"""The file from which a recovering server makes the links anew."""

_ENTRY: Final = re.compile(r"^(\d+) (.+)$", re.MULTILINE)


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
                say(
                    "{path} leads to {readlink}, which is missing: the tablespace is not in the backup",
                    path=path,
                    readlink=path.readlink(),
                )
            )
    recorded = base / MAP
    for oid, location in _ENTRY.findall(recorded.read_text(encoding="utf-8")) if recorded.exists() else ():
        if not (folder / oid).is_dir():
            raise Inconclusive(
                say(
                    "{recorded} names tablespace {oid} at {location}, and {folder} has no {oid}: extract "
                    "{oid}.tar into a folder of its own and link it there",
                    recorded=recorded,
                    oid=oid,
                    location=location,
                    folder=folder,
                )
            )
    return tuple(Tablespace(path.name, path.resolve()) for path in links)


def require_links_inside(data_dir: Path) -> None:
    """Raise Inconclusive when a link in the drill's `data_dir` leads out of the folder `TABLESPACES` beside it."""
    spaces_folder = data_dir.with_name(TABLESPACES).resolve()
    for tablespace in tablespaces_of(data_dir):
        if not tablespace.location.is_relative_to(spaces_folder):
            raise Inconclusive(
                say(
                    "tablespace {oid} of the drill's server lies in {location}, outside of the drill's "
                    "folder: the restore was stopped",
                    oid=tablespace.oid,
                    location=tablespace.location,
                )
            )


def refuse_new_tablespaces(
    backup: BaseBackup, run: Sequence[Segment], tools: Tools, target: dt.datetime | None
) -> None:
    """Raise Inconclusive when recovery of `backup` along `run` to `target` would replay a CREATE TABLESPACE.

    Without a target only what makes the backup consistent is replayed.
    """
    for made in read_through(run, backup, tools).tablespaces:
        before = (segment for segment in run if segment.number * backup.segment_size < made.lsn)
        commits = (commit for segment in before for commit in read_commits(segment, tools).commits)
        if target is None and made.lsn >= backup.end_lsn:
            return
        if target is not None and any(commit.at > target and commit.lsn < made.lsn for commit in commits):
            return
        raise Inconclusive(
            say(
                "tablespace {oid} was made in {location} after the base backup (WAL {lsn}): PostgreSQL "
                "would empty that folder on this machine to recover it; take a new base backup, or "
                "choose an earlier target",
                oid=made.oid,
                location=made.location,
                lsn=format_lsn(made.lsn),
            )
        )
