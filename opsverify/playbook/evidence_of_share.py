"""Evidence of a share: bad ones and trials step by step, judged as the canary gate judges them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from opsverify.canary.e_process import EProcessState, StartWeights

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BETA: Final = 0.05
_ENDING: Final = 3
"""The last third of a window has to be within the limit by itself: a fault that comes back is not stable."""
_STARTS: Final = 20
"""A fault may begin at so many moments of the time that is looked at."""


@dataclass(frozen=True)
class ShareEvidence:
    """Counts of each step, and what the gate's statistics prove of them.

    `peak`: the most evidence of a breach at any step (natural log of an e-value); `upper`: the share that is proven not
    to be reached, at the confidence of the gate.
    """

    steps: tuple[tuple[float, float], ...]
    peak: float
    upper: float

    @classmethod
    def of(cls, steps: Sequence[tuple[float, float]], limit: float) -> ShareEvidence:
        """Judge (bad, trials) of consecutive steps against `limit`."""
        state = EProcessState(limit, StartWeights(max(1, len(steps)), max(1, len(steps) // _STARTS)))
        for bad, trials in steps:
            state.advance(min(bad, trials), trials)
        return cls(tuple(steps), state.peak_log_e_breach, state.upper_bound(_BETA))

    @property
    def bad(self) -> float:
        """Bad ones in all."""
        return math.fsum(bad for bad, _ in self.steps)

    @property
    def trials(self) -> float:
        """Trials in all."""
        return math.fsum(trials for _, trials in self.steps)

    @property
    def share(self) -> float:
        """Bad ones out of all trials; NaN without trials."""
        return min(1.0, self.bad / self.trials) if self.trials else math.nan

    @property
    def worst(self) -> tuple[float, float]:
        """The step with the largest share; (0, 0) where none has trials."""
        return max(((bad, n) for bad, n in self.steps if n), key=lambda step: step[0] / step[1], default=(0.0, 0.0))

    @property
    def ending(self) -> ShareEvidence:
        """The last third of the steps."""
        return ShareEvidence(self.steps[-max(1, len(self.steps) // _ENDING) :], 0.0, 1.0)

    def breached(self, alpha: float) -> bool:
        """Whether a share above the limit is proven at some step, at a false alarm rate of at most `alpha`."""
        return self.peak >= -math.log(alpha)


def edges_between(first: float, last: float, step_s: float) -> list[float]:
    """Edges of steps of `step_s` from `first` to `last`; the last step may be shorter."""
    count = max(1, math.ceil((last - first) / step_s - 1e-9))
    return [*(first + number * step_s for number in range(count)), last]


def binned(rows: Iterable[tuple[float, float, float]], edges: Sequence[float]) -> list[tuple[float, float]]:
    """(at, bad, trials) of rows, summed up in the steps between `edges`."""
    found = list(rows)
    last = len(edges) - 2
    return [
        (
            math.fsum(bad for at, bad, _ in found if _within(at, low, high, number, last)),
            math.fsum(trials for at, _, trials in found if _within(at, low, high, number, last)),
        )
        for number, (low, high) in enumerate(pairwise(edges))
    ]


def _within(at: float, low: float, high: float, number: int, last: int) -> bool:
    """Whether a second belongs to the step; what lies outside all of them, to the first or the last one."""
    return (low <= at or number == 0) and (at < high or number == last)
