"""Pace at which production was seen to change a table: the bound for what it may have done since it was recorded.

PostgreSQL counts updated and deleted rows. Two captures, or one and the moment from which the statistics count,
tell how many in which time. That a table sees deletes explains a few missing rows; it does not explain all of them.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opsverify.recovery.ledger.queries import Source

COUNTED_SINCE: Final = """
SELECT greatest((SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),
                (SELECT stats_reset FROM pg_stat_bgwriter))
"""
"""The moment from which PostgreSQL counts: the cluster was made, or a crash or somebody set the statistics to zero."""
AGAIN: Final = 2.0
"""How many times as much as it was ever seen to do production may do until the recovery target."""
BURST: Final = dt.timedelta(hours=1)
"""What was done in this time may have been done at once: work comes in batches."""
_SHORTEST_S: Final = 60.0
"""Seconds below which a count says nothing about the next hour."""
_FEWEST, _MOST, _SHARE = 2, 20, 20
"""Rows that may always change in a table that sees changes: 1 in `_SHARE`, at least and at most so many."""


def counted_since(source: Source) -> dt.datetime | None:
    """Return the moment from which the database's statistics count; None where it is not known."""
    ((since,),) = source(COUNTED_SINCE, {})
    return since  # type: ignore[no-any-return]


def _few(of: int) -> int:
    return min(_MOST, max(_FEWEST, of // _SHARE))


@dataclass(frozen=True)
class Speed:
    """Largest number of rows a second, and the largest number that may have been changed at once."""

    per_s: float = 0.0
    burst: float = 0.0

    @property
    def seen(self) -> bool:
        """Whether it was ever seen at all."""
        return self.burst > 0

    def grown(self, rows: int, within: dt.timedelta) -> Speed:
        """Return this, or what `rows` in `within` make, if that is more."""
        seconds = max(_SHORTEST_S, within.total_seconds())
        per_s = rows / seconds
        return Speed(max(self.per_s, per_s), max(self.burst, per_s * min(seconds, BURST.total_seconds())))

    def bound(self, elapsed: dt.timedelta, of: int) -> int:
        """Return how many rows of `of` it may have been in `elapsed`; 0 where it was never seen."""
        if not self.seen:
            return 0
        at_most = math.ceil(AGAIN * max(self.per_s * elapsed.total_seconds(), self.burst))
        return max(at_most, _few(of))


NEVER: Final = Speed()


@dataclass(frozen=True)
class Pace:
    """How fast rows of a table were updated and deleted at most, and how fast they came `late`, into closed buckets.

    `looked` is whether captures looked for late rows; until then all that were inserted may have been late.
    """

    updates: Speed = NEVER
    deletes: Speed = NEVER
    late: Speed = NEVER
    looked: bool = False

    def grown(self, updates: tuple[int, int], deletes: tuple[int, int], within: dt.timedelta) -> Pace:
        """Return the pace after counts went from the first to the second of each pair in `within`.

        A count that went down was set to zero in between: at least the second was done since.
        """
        grown_by = self.updates.grown(_more(*updates), within), self.deletes.grown(_more(*deletes), within)
        return replace(self, updates=grown_by[0], deletes=grown_by[1])

    def with_inserted(self, rows: int, within: dt.timedelta) -> Pace:
        """Return the pace of a first record, after `rows` were inserted in `within`: late or not is not known."""
        return replace(self, late=self.late.grown(rows, within))

    def with_late(self, rows: int, within: dt.timedelta) -> Pace:
        """Return the pace after a capture that found `rows` late ones of those inserted in `within`."""
        return replace(self, late=(self.late if self.looked else NEVER).grown(rows, within), looked=True)

    def late_bound(self, elapsed: dt.timedelta, of: int) -> int:
        """Return how many late rows there may be after `elapsed`, of a table of `of`; 1 in 20 until one looked."""
        limit = self.late.bound(elapsed, of)
        return limit if self.looked else max(_few(of), min(limit, of // _SHARE))


def _more(before: int, now: int) -> int:
    return now - before if now >= before else now
