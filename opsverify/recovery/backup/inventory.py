"""Inventory of backups: listed once in a run, kept as evidence, read by the checks of their age.

Nothing is restored for it, so it takes seconds whatever the size of the database.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TextIO

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.backup.adapters import source_of
from opsverify.recovery.backup.source import DAMAGED, UNCLEAR, ArchivedWal, BackupEntry, BackupList

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.config.recovery import Recovery


@dataclass(frozen=True)
class Inventory:
    """The backups listed at `looked_at` (an aware time, as all times here); ages are seconds before it."""

    looked_at: dt.datetime
    method: str
    listing: BackupList

    @property
    def empty(self) -> bool:
        """Whether there is no usable backup. Raises Inconclusive when one may still be being made."""
        unclear = next((entry for entry in self.listing.backups if entry.kind in (UNCLEAR, DAMAGED)), None)
        if not self.listing.usable and unclear is not None:
            raise Inconclusive(
                say(
                    "no usable backup among {count}: {name}: {problem}",
                    count=len(self.listing.backups),
                    name=unclear.name,
                    problem=unclear.problem,
                )
            )
        return not self.listing.usable

    @property
    def newest(self) -> BackupEntry:
        """The newest usable backup; there must be one."""
        return self.listing.usable[-1]

    @property
    def oldest(self) -> BackupEntry:
        """The oldest usable backup, of which there must be one: nothing before it can be restored."""
        return self.listing.usable[0]

    @property
    def passed_over(self) -> BackupEntry | None:
        """The newest backup, where it is younger than the newest usable one and cannot be used; None otherwise."""
        last = self.listing.backups[-1]
        return last if last.problem and last.taken_at >= self.newest.taken_at else None

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the other backups do not count, one line each."""
        return tuple(f"{entry.name}: {entry.problem}" for entry in self.listing.backups if entry.problem)

    def age_s(self, moment: dt.datetime) -> float:
        """Seconds from `moment` to the listing."""
        return (self.looked_at - moment).total_seconds()

    @classmethod
    def load(cls, path: Path) -> Inventory:
        """The inventory kept in `path`."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        wal = raw["stock"]["newest_wal"]
        entries = tuple(
            BackupEntry(**{**entry, "taken_at": _moment(entry["taken_at"])}) for entry in raw["stock"]["backups"]
        )
        newest = wal and ArchivedWal(wal["name"], _moment(wal["archived_at"]))
        return cls(_moment(raw["looked_at"]), raw["method"], BackupList(entries, newest))


def take_inventory(recovery: Recovery, keep: TextIO) -> None:
    """List the target's backups and write an `Inventory`. Raises Inconclusive where they cannot be listed."""
    found = Inventory(dt.datetime.now(dt.UTC), recovery.method, source_of(recovery).list_backups())
    raw = {"looked_at": found.looked_at, "method": found.method, "stock": asdict(found.listing)}
    json.dump(raw, keep, indent=1, default=_text)


def _text(value: Any) -> str:  # noqa: ANN401 - json's protocol
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
