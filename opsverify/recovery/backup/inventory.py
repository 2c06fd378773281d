"""The inventory of backups: looked up once in a run, kept as evidence, read by the checks of their age.

Nothing is restored for it, so it takes seconds whatever the size of the database.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TextIO

from opsverify.errors import Inconclusive
from opsverify.recovery.backup.adapters import source_of
from opsverify.recovery.backup.source import UNCLEAR, ArchivedWal, Held, Stock

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.config.model import Recovery


@dataclass(frozen=True)
class Inventory:
    """What there was at `looked_at` (an aware time, as all times here); ages are seconds before it."""

    looked_at: dt.datetime
    method: str
    stock: Stock

    @property
    def empty(self) -> bool:
        """Whether there surely is no usable backup. Raises Inconclusive when one of the others is not understood."""
        unclear = next((held for held in self.stock.backups if held.kind == UNCLEAR), None)
        if not self.stock.usable and unclear is not None:
            raise Inconclusive(f"no usable backup among {len(self.stock.backups)}: {unclear.name}: {unclear.problem}")
        return not self.stock.usable

    @property
    def newest(self) -> Held:
        """The newest usable backup; there must be one."""
        return self.stock.usable[-1]

    @property
    def oldest(self) -> Held:
        """The oldest usable backup, of which there must be one: the past before it cannot be brought back."""
        return self.stock.usable[0]

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the other backups do not count, one line each."""
        return tuple(f"{held.name}: {held.problem}" for held in self.stock.backups if held.problem)

    def age_s(self, moment: dt.datetime) -> float:
        """Seconds from `moment` to the look at the backups."""
        return (self.looked_at - moment).total_seconds()

    @classmethod
    def load(cls, path: Path) -> Inventory:
        """The inventory kept in `path`."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        wal = raw["stock"]["newest_wal"]
        held = tuple(Held(**{**entry, "taken_at": _moment(entry["taken_at"])}) for entry in raw["stock"]["backups"])
        newest = wal and ArchivedWal(wal["name"], _moment(wal["archived_at"]))
        return cls(_moment(raw["looked_at"]), raw["method"], Stock(held, newest))


def take_inventory(recovery: Recovery, keep: TextIO) -> None:
    """Look the target's backups up and write an `Inventory`. Raises Inconclusive where they cannot be listed."""
    found = Inventory(dt.datetime.now(dt.UTC), recovery.method, source_of(recovery).stock())
    json.dump(asdict(found), keep, indent=1, default=_text)


def _text(value: Any) -> str:  # noqa: ANN401 - json's protocol
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
