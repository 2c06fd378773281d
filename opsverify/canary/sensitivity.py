"""Sensitivity of a decision: the gate's own rule applied again at the same moment, with one thing changed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from opsverify.canary.decision import decide
from opsverify.canary.progress import NOTHING, Counts, Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.canary.decision import GateOutcome
    from opsverify.canary.policy import Policy
    from opsverify.canary.watch import GateWatch

_MOST: Final = 10**7


class Sensitivity:
    """What another course of a window would have been decided as; the window itself is not changed."""

    def __init__(self, watch: GateWatch) -> None:
        self._policy = watch.setup.policy
        self._window = watch.window
        self.outcome = watch.decision.outcome  # brings faults and unseen of the progress up to date
        self._progress = watch.progress

    def with_more_bad(self, number: int, more: float) -> GateOutcome:
        """The outcome with `more` bad trials of criterion `number` (negative: fewer), spread over the window."""
        changed = list(self._progress)
        changed[number] = _again(self._progress[number], _spread(self._progress[number], more), self._policy)
        return decide(self._policy, changed, self._window).outcome

    def fewest(self, number: int, sign: int) -> tuple[int, GateOutcome] | None:
        """The fewest more (`sign` 1) or fewer (-1) bad trials that change the outcome, and to what; None: no number."""
        canary = self._progress[number].canary
        most = min(int(canary.trials - canary.bad if sign > 0 else canary.bad), _MOST)
        low, high = 0, 1
        while high < most and self.with_more_bad(number, sign * high) is self.outcome:
            low, high = high, 2 * high
        high = min(high, most)
        if most < 1 or self.with_more_bad(number, sign * high) is self.outcome:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            if self.with_more_bad(number, sign * middle) is self.outcome:
                low = middle
            else:
                high = middle
        return high, self.with_more_bad(number, sign * high)

    def without_alerts(self) -> GateOutcome:
        """The outcome had no alert fired."""
        return decide(self._policy, self._progress, replace(self._window, alerts=(), earlier_alerts=())).outcome

    def without_restarts(self) -> GateOutcome:
        """The outcome had no process restarted."""
        return decide(self._policy, self._progress, replace(self._window, restarts=())).outcome

    def with_everything_seen(self) -> GateOutcome:
        """The outcome had nothing been missed, and everything missed been as what was seen."""
        changed = [_again(one, [canary for canary, _ in one.history], self._policy) for one in self._progress]
        for one in changed:
            one.fault, one.distorted, one.unseen = None, False, NOTHING
        return decide(self._policy, changed, replace(self._window, coverage=1.0, gaps=())).outcome


def _again(progress: Progress, canary: Sequence[Counts], policy: Policy) -> Progress:
    """The same course with other counts of the canary."""
    changed = Progress(progress.criterion, policy)
    for counts, (_, baseline) in zip(canary, progress.history, strict=True):
        changed.advance(counts, baseline)
    if progress.left_out:
        changed.leave_out(set(progress.left_out))
    changed.fault, changed.distorted = progress.fault, progress.distorted
    changed.unseen, changed.most_unseen, changed.notes = progress.unseen, progress.most_unseen, progress.notes
    changed.shared_since, changed.waited = progress.shared_since, progress.waited
    return changed


def _spread(progress: Progress, more: float) -> list[Counts]:
    """Bad trials added in proportion to a step's good ones, or taken away in proportion to its bad ones."""
    judged = [
        (NOTHING if number in progress.left_out else canary) for number, (canary, _) in enumerate(progress.history)
    ]
    room = [one.trials - one.bad if more > 0 else one.bad for one in judged]
    part = more / total if (total := math.fsum(room)) else 0.0
    return [
        replace(canary, bad=min(canary.trials, max(0.0, canary.bad + part * free)))
        for (canary, _), free in zip(progress.history, room, strict=True)
    ]
