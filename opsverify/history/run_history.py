"""History as a running check uses it: it records its snapshot, and gets the pair to judge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from opsverify.errors import EvidenceError, Inconclusive
from opsverify.history.compare import NotComparable, Pair
from opsverify.language.message import say
from opsverify.units import quantity

if TYPE_CHECKING:
    import datetime as dt

    from opsverify.history.snapshot import Snapshot
    from opsverify.history.store import HistoryStore
    from opsverify.limits import Limit

DAY_S: Final = 86400.0
WEEK_S: Final = 7 * DAY_S


@dataclass(frozen=True)
class RunHistory:
    """The store of a target, for one run; `distance` is the least time between two snapshots that are compared."""

    store: HistoryStore
    run_id: str
    distance: Limit
    span_s: float = WEEK_S

    def record(self, snapshot: Snapshot) -> Snapshot:
        """Keep a snapshot of this run. Raises Inconclusive where the history cannot be written."""
        try:
            return self.store.record(replace(snapshot, run_id=self.run_id))
        except EvidenceError as error:
            raise Inconclusive(say("history: {error}", error=error)) from error

    def compare(self, snapshot: Snapshot, *, span_s: float | None = None) -> Pair:
        """Keep a snapshot; it, with the comparable one nearest to `span_s` (the target's) before.

        Raises Inconclusive where none is comparable, saying why and from when on one will be.
        """
        kept = self.record(snapshot)
        found = self._before(kept, span_s or self.span_s)
        if isinstance(found, NotComparable):
            raise Inconclusive(self.explain(snapshot.subject, found, span_s=span_s))
        return found

    def look_back(self, snapshot: Snapshot, *, span_s: float | None = None) -> Pair | NotComparable:
        """As `compare`, for a check that knows what to do without a pair."""
        return self._before(self.record(snapshot), span_s or self.span_s)

    def _before(self, kept: Snapshot, span_s: float) -> Pair | NotComparable:
        try:
            return self.store.before(kept, at_least_s=self._least_s(span_s), span_s=span_s)
        except EvidenceError as error:
            raise Inconclusive(say("history: {error}", error=error)) from error

    def _least_s(self, span_s: float) -> float:
        # From day to day no whole day may lie between: today's run may come earlier than yesterday's.
        return min(self.distance.bound, span_s / 4)

    def explain(self, subject: str, found: NotComparable, *, span_s: float | None = None) -> str:
        """Why there is no comparison, and what makes one possible: `span_s` as the comparison was asked for."""
        if found.kind == "young":
            return say(
                "{subject}: not comparable yet: {reason}; run again later",
                subject=subject,
                reason=found.reason,
            )
        return say(
            "{subject}: not comparable: {reason}; the baseline begins now, compare again in {distance}",
            subject=subject,
            reason=found.reason,
            distance=quantity(self._least_s(span_s or self.span_s), "s"),
        )

    def series(self, subject: str, since: dt.datetime) -> tuple[Snapshot, ...]:
        """The snapshots of `subject` since then, oldest first. Raises Inconclusive where they cannot be read."""
        try:
            return self.store.snapshots(subject, since=since)
        except EvidenceError as error:
            raise Inconclusive(say("history: {error}", error=error)) from error
