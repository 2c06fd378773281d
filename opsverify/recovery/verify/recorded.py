"""Restored data compared with what the ledger recorded before the disaster."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.limits import NONE
from opsverify.recovery.verify.key_counts import compare
from opsverify.units import listed

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from opsverify.core.check import Check
    from opsverify.recovery.ledger.ledger import Recorded
    from opsverify.recovery.ledger.queries import Facts
    from opsverify.recovery.ledger.validations import Validation


@dataclass(frozen=True)
class RecordedData:
    """Recorded and found facts of the same windows, read by the same queries."""

    recorded: Recorded
    found: Mapping[str, Facts]
    validations: Mapping[str, Validation]
    until: dt.datetime

    def compare(self, check: Check, table: str, group: str = "") -> None:
        """Measure on `check` how many of the group's keys are not as recorded, naming the first of them."""
        if table not in self.recorded.tables or table not in self.found:
            raise Inconclusive(
                say(
                    "{table} was not recorded before the recovery target: `opsverify ledger capture` records it",
                    table=table,
                )
            )
        in_group = self.validations[table].group
        before = {key: values for key, values in self.recorded.tables[table].items() if in_group(key) == group}
        after = {key: values for key, values in self.found[table].items() if in_group(key) == group}
        different = [
            str(difference)
            for difference in compare(self.recorded, self.found, self.until, self.validations)
            if difference.table == table and difference.group == group
        ]
        check.attach("query", self.validations[table].sql)
        check.attach("recorded and found", _recorded_and_found(before, after), "json")
        rows = sum(int(values.get("rows") or 0) for values in before.values())
        check.measure(
            say("keys that differ"),
            len(different),
            NONE,
            samples=rows,
            of=listed(say("of {count} recorded keys ({rows:,} rows) differ", count=len(before), rows=rows), different),
        )


def _recorded_and_found(before: Facts, after: Facts) -> str:
    keys = sorted({*before, *after})
    table: dict[str, Any] = {key: {"recorded": before.get(key), "found": after.get(key)} for key in keys}
    return json.dumps(table, indent=1)
