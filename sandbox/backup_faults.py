"""Faults of the base backup and of the WAL archive, which show only in a restore.

Each damages a single file; a copy is kept next to the backups, and switching off puts it back.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.sql import SQL, Identifier

from opsverify.language.message import say
from sandbox.errors import SandboxError
from sandbox.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.postgres import Cluster

_SEGMENT = re.compile(r"[0-9A-F]{24}")
_AFTER_BACKUP = 3
"""Segments that a base backup of a quiet database may span itself: the gap comes after them."""
_ARCHIVED_DEADLINE_S = 90
_PAGE = 8192
_FROM_END = 20
_LABELLED_START = re.compile(r"START WAL LOCATION: (\S+)")


@dataclass(frozen=True, slots=True)
class Damage:
    """Which file a fault damages, and how; the file need not exist."""

    victim: Callable[[Cluster], Path]
    spoil: Callable[[Path], object]

    def inflict(self, _cluster: Cluster, victim: Path) -> None:
        """Damage `victim`."""
        self.spoil(victim)


@dataclass(frozen=True, slots=True)
class PageDamage:
    """A full page of a table that nothing has written to since the backup: no WAL restores it.

    A read may write: the first one that sees a row's transaction ended sets a hint bit, whose page goes into the WAL.
    """

    table: str
    spoil: Callable[[bytes], bytes]

    def victim(self, cluster: Cluster) -> Path:
        """The file of the table in the base backup."""
        return _file_of(self.table)(cluster)

    def inflict(self, cluster: Cluster, victim: Path) -> None:
        """Damage the page next to the middle. Raises SandboxError where all were written to."""
        with cluster.superuser() as connection:
            connection.execute(SQL("SELECT count(whole.*) FROM {} AS whole").format(Identifier(self.table)))
        cluster.checkpoint()
        base = _base(cluster)
        began = _lsn(_LABELLED_START.findall((base / "backup_label").read_text(encoding="utf-8"))[0])
        backed_up, live = victim.read_bytes(), (cluster.data / victim.relative_to(base)).read_bytes()
        pages = len(backed_up) // _PAGE
        for page in sorted(range(pages), key=lambda number: abs(number - pages // 2)):
            offset = page * _PAGE
            if _page_lsn(live[offset : offset + _PAGE]) < began:
                _overwrite(victim, offset, self.spoil(backed_up[offset : offset + _PAGE]))
                return
        raise SandboxError(
            say(
                "all {pages} pages of {table} were written since the backup: run 'sandbox backup' again",
                pages=pages,
                table=self.table,
            )
        )


@dataclass(frozen=True, slots=True)
class ForeignTimeline:
    """The history of a timeline that no server is on, as a rehearsal leaves it that archives where it restores from.

    It begins right after the backup: before any recovery target, however much WAL was archived since that was chosen.
    """

    def victim(self, cluster: Cluster) -> Path:
        """The history file, which does not exist yet."""
        return cluster.archive / "00000002.history"

    def inflict(self, cluster: Cluster, victim: Path) -> None:
        """Write the history."""
        first = _segment(cluster).name
        start = int(first[16:], 16) << 20  # segments of 1 MB, all in the first log
        victim.write_text(f"1\t{int(first[8:16], 16):X}/{start:X}\tbefore 2026-11-20 10:15:00+00\n", encoding="utf-8")
        owner = victim.parent.stat()
        os.chown(victim, owner.st_uid, owner.st_gid)


def carry_out(cluster: Cluster, name: str, *, on: bool) -> None:
    """Damage the file of the fault `name`, or put it back; what is so already stays so."""
    note = cluster.backups / f"{name}.json"
    if on and not note.exists():
        damage = DAMAGES[name]
        victim = damage.victim(cluster)
        kept = cluster.backups / f"{name}.kept"
        if victim.exists():
            shutil.copy2(victim, kept)
        note.write_text(json.dumps({"victim": str(victim), "folder": _mark(victim.parent)}), encoding="utf-8")
        damage.inflict(cluster, victim)
    elif not on and note.exists():
        noted = json.loads(note.read_text(encoding="utf-8"))
        _put_back(Path(noted["victim"]), noted["folder"], cluster.backups / f"{name}.kept")
        note.unlink()


def _put_back(victim: Path, folder: int, kept: Path) -> None:
    # A newer backup may have taken the folder's place meanwhile: that one is undamaged.
    if victim.parent.exists() and _mark(victim.parent) == folder:
        if kept.exists():
            victim.write_bytes(kept.read_bytes())  # in place: its owner stays
            owner = victim.parent.stat()
            os.chown(victim, owner.st_uid, owner.st_gid)
        else:
            victim.unlink(missing_ok=True)
    kept.unlink(missing_ok=True)


def _mark(folder: Path) -> int:
    return folder.stat().st_ino


def _file_of(table: str) -> Callable[[Cluster], Path]:
    """The file of `table` in the base backup."""

    def found(cluster: Cluster) -> Path:
        with cluster.superuser() as connection:
            row = connection.execute("SELECT pg_relation_filepath(%s::regclass)", [table]).fetchone()
        return _base(cluster) / str(row[0] if row else "")

    return found


def _in_backup(name: str) -> Callable[[Cluster], Path]:
    return lambda cluster: _base(cluster) / name


def _base(cluster: Cluster) -> Path:
    base = cluster.backups / "base"
    if not base.is_dir():
        raise SandboxError(say("no base backup in {folder}: run 'sandbox backup' first", folder=base))
    return base


def _segment(cluster: Cluster) -> Path:
    """A segment of the archive that follows the base backup, with others after it."""
    wait_until(
        lambda: len(_after_backup(cluster)) > _AFTER_BACKUP + 1,
        _ARCHIVED_DEADLINE_S,
        say("WAL segments after the base backup to be archived"),
    )
    return _after_backup(cluster)[_AFTER_BACKUP]


def _after_backup(cluster: Cluster) -> list[Path]:
    label = (_base(cluster) / "backup_label").read_text(encoding="utf-8")
    found = re.search(r"\(file ([0-9A-F]{24})\)", label)
    first = found[1] if found else ""
    return sorted(path for path in cluster.archive.iterdir() if _SEGMENT.fullmatch(path.name) and path.name > first)


def _lsn(text: str) -> int:
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def _page_lsn(page: bytes) -> int:
    """LSN of the last WAL record of a page: `pd_lsn`, the first eight bytes."""
    high, low = struct.unpack("=II", page[:8])
    return int(high << 32 | low)


def _flip(page: bytes) -> bytes:
    """One byte of the last row: rows fill a page from its end."""
    content = bytearray(page)
    content[-_FROM_END] ^= 0xFF
    return bytes(content)


def _zero_page(page: bytes) -> bytes:
    return bytes(len(page))


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _halve(path: Path) -> None:
    """To a page's boundary: only its size tells."""
    os.truncate(path, path.stat().st_size // 2 // _PAGE * _PAGE)


def _cut_to_a_page(path: Path) -> None:
    """To a page's boundary, of a table that is not written: the file is well-formed and the rows are gone."""
    os.truncate(path, _PAGE)


def _edit_manifest(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'"Size": (\d)', r'"Size": 1\1', text, count=1), encoding="utf-8")


def _misconfigure(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("\nthis is = no setting\n")


def _add(path: Path) -> None:
    path.write_text("not part of the backup\n", encoding="utf-8")


def _overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


DAMAGES: dict[str, Damage | PageDamage | ForeignTimeline] = {
    "backup_corrupted": PageDamage("intent_logs", _flip),
    "backup_page_zeroed": PageDamage("llm_calls", _zero_page),
    "backup_tail_lost": Damage(_file_of("fact_daily_production"), _cut_to_a_page),
    # Comments: written by initdb alone, so that no WAL restores their pages, and read by no check.
    "backup_file_truncated": Damage(_file_of("pg_description"), _halve),
    "backup_file_missing": Damage(_file_of("llm_calls_created_at"), Path.unlink),
    "backup_file_extra": Damage(_in_backup("stranger"), _add),
    "backup_manifest_edited": Damage(_in_backup("backup_manifest"), _edit_manifest),
    "backup_unstartable": Damage(_in_backup("postgresql.conf"), _misconfigure),
    "wal_segment_missing": Damage(_segment, Path.unlink),
    "wal_segment_truncated": Damage(_segment, _halve),
    "wal_segment_zeroed": Damage(_segment, _zero),
    "wal_timeline_foreign": ForeignTimeline(),
}
"""Every fault of backup and archive."""
