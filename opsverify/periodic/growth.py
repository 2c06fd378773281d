"""Growth of a server's counters from one day to the next, for checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.history.compare import NotComparable
from opsverify.language.message import say
from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.history.run_history import RunHistory
    from opsverify.history.snapshot import Snapshot
    from opsverify.language.message import Message

DAY_S: Final = 86400.0


@dataclass(frozen=True)
class CounterGrowth:
    """Growth by counter, and the time in which it happened."""

    grown: Mapping[str, float]
    span: Message

    def __getitem__(self, name: str) -> float:
        return self.grown[name]


def growth_of_a_day(now: Snapshot, history: RunHistory, *names: str, restarted_s: float | None = None) -> CounterGrowth:
    """Growth of counters of the one row of a snapshot since the run of about a day before.

    `restarted_s`: how long ago the source began to count from nothing, where it tells; after a restart all of it is
    the growth since then. Raises Inconclusive where nothing is comparable.
    """
    (key,) = now.rows
    span = min(DAY_S, history.span_s)
    found = history.look_back(now, span_s=span)
    if isinstance(found, NotComparable):
        if found.kind == "reset" and restarted_s is not None and restarted_s <= 2 * span:
            row = now.rows[key]
            return CounterGrowth(
                {name: float(row[name] or 0) for name in names}, say("{age} since a restart", age=elapsed(restarted_s))
            )
        raise Inconclusive(history.explain(now.subject, found, span_s=span))
    grown = found.growth(key, *names)
    if grown is None:
        raise Inconclusive(
            say("{subject}: its counters were reset since the run before; the baseline begins now", subject=now.subject)
        )
    return CounterGrowth(grown, say("{age}", age=elapsed(found.span_s)))
