"""Key counts recorded before the disaster compared with those of the restored data. Pure: no database, no clock.

The rules, chosen so that a healthy restore never differs and a single lost row always does:

- Counts and sums of judgments and production: equal, key by key. Their rows do not change once a bucket is
closed.
- Workflows: an instance never leaves the hour it was started in, so all instances of an hour together (`ALL`)
  are equal: one row lost or added shows there. One that was still running when recorded may have ended
  before the recovery target, so of each terminal status *at least* the recorded number is found; an ended
  one does not reopen, so fewer means lost or changed rows. (An ended instance whose status was changed, in
  an hour in which another one has just ended with its former status, cannot be found by counts.)
- A key recorded and not found is lost; a key found inside the recorded window and not recorded was added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.recovery.ledger.queries import TERMINAL, Facts, Value, table

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from opsverify.recovery.ledger.ledger import Recorded


@dataclass(frozen=True)
class Difference:
    """One key that is not as it was recorded; None on a side means that the key is not there at all."""

    table: str
    key: str
    recorded: Mapping[str, Value] | None
    found: Mapping[str, Value] | None

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.table} {self.key}: lost, recorded {_listed(self.recorded)}"
        if self.recorded is None:
            return f"{self.table} {self.key}: not recorded, found {_listed(self.found)}"
        changed = [
            f"{name} {self.recorded.get(name)} recorded, {self.found.get(name)} found"
            for name in dict.fromkeys((*self.recorded, *self.found))
            if self.recorded.get(name) != self.found.get(name)
        ]
        return f"{self.table} {self.key}: {', '.join(changed)}"

    @property
    def group(self) -> str:
        """The id under which a check gathers this key: a status, a date and line, or nothing."""
        return table(self.table).group(self.key)


def compare(recorded: Recorded, found: Mapping[str, Facts], until: dt.datetime) -> tuple[Difference, ...]:
    """List every difference between `recorded` and what `found` holds of the same windows.

    `until` is the recovery target; what was recorded after it cannot be expected there: ValueError.
    """
    if recorded.captured_at > until:
        raise ValueError(f"recorded at {recorded.captured_at}, after the recovery target {until}: use newest_before")
    return tuple(
        Difference(name, key, before.get(key), found[name].get(key))
        for name, before in recorded.tables.items()
        for key in sorted({*before, *found[name]})
        if not _equal(key, before.get(key), found[name].get(key))
    )


def _equal(key: str, before: Mapping[str, Value] | None, after: Mapping[str, Value] | None) -> bool:
    if key.partition("@")[0] in TERMINAL:
        return _rows(after) >= _rows(before)
    return before == after


def _rows(values: Mapping[str, Value] | None) -> int:
    return int(values["rows"] or 0) if values else 0


def _listed(values: Mapping[str, Value] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (values or {}).items())
