"""Key counts recorded before the disaster compared with those of the restored data. Pure: no database, no clock.

What is equal, a validation's header says (`recovery/ledger/validations.py`), chosen so that a healthy restore never
differs and a single lost row always does. An ended instance whose status was changed, in an hour in which another
one has just ended with its former status, cannot be found by counts.

- A key recorded and not found is lost; a key found inside the recorded window and not recorded was added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.language.message import join, say

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from opsverify.recovery.ledger.ledger import Recorded
    from opsverify.recovery.ledger.queries import Facts, Value
    from opsverify.recovery.ledger.validations import Validation


@dataclass(frozen=True)
class Difference:
    """One key that is not as it was recorded; None on a side means that the key is not there at all.

    `group` is the id under which a check gathers this key: a status, a date and line, or nothing.
    """

    table: str
    key: str
    recorded: Mapping[str, Value] | None
    found: Mapping[str, Value] | None
    group: str = ""

    def __str__(self) -> str:
        if self.found is None:
            return say(
                "{table} {key}: lost, recorded {listed}", table=self.table, key=self.key, listed=_listed(self.recorded)
            )
        if self.recorded is None:
            return say(
                "{table} {key}: not recorded, found {listed}",
                table=self.table,
                key=self.key,
                listed=_listed(self.found),
            )
        changed = [
            say(
                "{name} {recorded} recorded, {found} found",
                name=name,
                recorded=self.recorded.get(name),
                found=self.found.get(name),
            )
            for name in dict.fromkeys((*self.recorded, *self.found))
            if self.recorded.get(name) != self.found.get(name)
        ]
        return say("{table} {key}: {changed}", table=self.table, key=self.key, changed=join(", ", changed))


def compare(
    recorded: Recorded, found: Mapping[str, Facts], until: dt.datetime, validations: Mapping[str, Validation]
) -> tuple[Difference, ...]:
    """List every difference between `recorded` and what `found` holds of the same windows.

    `until` is the recovery target; what was recorded after it cannot be expected there: ValueError. Each difference
    carries the id under which a check gathers its key: a status, a date and line, or nothing.
    """
    if recorded.captured_at > until:
        raise ValueError(
            say(
                "recorded at {captured_at}, after the recovery target {until}: use newest_before",
                captured_at=recorded.captured_at,
                until=until,
            )
        )
    return tuple(
        Difference(name, key, before.get(key), found[name].get(key), validations[name].group(key))
        for name, before in recorded.tables.items()
        if name in found and name in validations
        for key in sorted({*before, *found[name]})
        if not validations[name].equal(key, before.get(key), found[name].get(key))
    )


def _listed(values: Mapping[str, Value] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (values or {}).items())
