"""Faults of the base backup and of the WAL archive: found by nobody until somebody restores."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from sandbox.errors import SandboxError
from sandbox.processes import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.postgres import Cluster

_SEGMENT = re.compile(r"[0-9A-F]{24}")
_BEHIND_BACKUP = 3
"""Segments that a base backup of a quiet database may span itself: the hole lies behind them."""
_ARCHIVED_DEADLINE_S = 90
_PAGE = 8192


def corrupt(cluster: Cluster, *, on: bool) -> None:
    """Flip one byte in a file of the base backup, or flip it back."""
    note = cluster.backups / "corrupted.json"
    if on and not note.exists():
        damaged = _base(cluster) / cluster.value("SELECT pg_relation_filepath('intent_logs')")
        note.write_text(json.dumps([str(damaged), damaged.stat().st_ino]), encoding="utf-8")
        _flip(damaged)
    elif not on and note.exists():
        name, inode = json.loads(note.read_text(encoding="utf-8"))
        damaged = cluster.backups / name
        # A newer backup took its place meanwhile: that one is whole.
        if damaged.exists() and damaged.stat().st_ino == inode:
            _flip(damaged)
        note.unlink()


def zero_page(cluster: Cluster, *, on: bool) -> None:
    """Overwrite one page of `llm_calls` in the base backup with zeros, or bring it back.

    A full page of old rows: nothing is written to it again, so no WAL mends it.
    """
    kept = cluster.backups / "zeroed.page"
    note = cluster.backups / "zeroed.json"
    if on and not note.exists():
        damaged = _base(cluster) / cluster.value("SELECT pg_relation_filepath('llm_calls')")
        note.write_text(json.dumps([str(damaged), damaged.stat().st_ino]), encoding="utf-8")
        content = damaged.read_bytes()
        kept.write_bytes(content[_PAGE : 2 * _PAGE])
        _overwrite(damaged, _PAGE, bytes(_PAGE))
    elif not on and note.exists():
        name, inode = json.loads(note.read_text(encoding="utf-8"))
        damaged = cluster.backups / name
        if damaged.exists() and damaged.stat().st_ino == inode:
            _overwrite(damaged, _PAGE, kept.read_bytes())
        note.unlink()
        kept.unlink()


def hide_segment(cluster: Cluster, *, on: bool) -> None:
    """Take one segment behind the base backup out of the WAL archive, or bring it back."""
    hidden = cluster.backups / "hidden"
    if on and not hidden.exists():
        wait_until(
            lambda: len(_behind_backup(cluster)) > _BEHIND_BACKUP + 1,
            _ARCHIVED_DEADLINE_S,
            "WAL segments behind the base backup to be archived",
        )
        hidden.mkdir()
        segment = _behind_backup(cluster)[_BEHIND_BACKUP]
        segment.rename(hidden / segment.name)
    elif not on and hidden.exists():
        for segment in hidden.iterdir():
            segment.rename(cluster.archive / segment.name)
        hidden.rmdir()


def _base(cluster: Cluster) -> Path:
    base = cluster.backups / "base"
    if not base.is_dir():
        raise SandboxError(f"no base backup in {base}: run 'sandbox backup' first")
    return base


def _behind_backup(cluster: Cluster) -> list[Path]:
    label = (_base(cluster) / "backup_label").read_text(encoding="utf-8")
    found = re.search(r"\(file ([0-9A-F]{24})\)", label)
    first = found[1] if found else ""
    return sorted(path for path in cluster.archive.iterdir() if _SEGMENT.fullmatch(path.name) and path.name > first)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    _overwrite(path, 0, bytes(content))


def _overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)
