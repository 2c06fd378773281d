"""Paired test of two prompt versions on the same cases: exact, one-sided (McNemar 1947, in its binomial form).

Only cases on which the versions differ say anything: under no difference each of them favours the new version with
probability 1/2. 28 of 30 to 29 of 30 proves nothing, however it is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import comb
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ALPHA: Final = 0.05
_MOST: Final = 20_000


@dataclass(frozen=True)
class PairedResult:
    """Cases that only the new version answers rightly (`gained`), only the old one (`lost`), both, and neither."""

    gained: int
    lost: int
    both: int
    never: tuple[str, ...]

    @property
    def cases(self) -> int:
        """How many cases both versions were tried on."""
        return self.gained + self.lost + self.both + len(self.never)

    @cached_property
    def p_better(self) -> float:
        """The probability of at least so many gains if the versions were equally good."""
        return at_least(self.gained, self.gained + self.lost)

    @cached_property
    def p_worse(self) -> float:
        """The probability of at least so many losses if they were."""
        return at_least(self.lost, self.gained + self.lost)

    @property
    def decision(self) -> str:
        """`promote` where it is proven better, `rollback` where it is proven worse, else `hold`."""
        if self.p_better <= ALPHA:
            return "promote"
        return "rollback" if self.p_worse <= ALPHA else "hold"

    @property
    def needed(self) -> int | None:
        """Cases with which the same shares would prove it better.

        None where it is not better, or it would take too many.
        """
        if self.gained <= self.lost:
            return None
        low, high = 0, 1
        while not self._proven(high):
            low, high = high, 2 * high
            if self.cases * high > _MOST:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._proven(middle) else (middle, high)
        return self.cases * high

    def _proven(self, factor: int) -> bool:
        return at_least(self.gained * factor, (self.gained + self.lost) * factor) <= ALPHA


def at_least(successes: int, trials: int) -> float:
    """P(X >= successes) for X ~ Binomial(trials, 1/2), exactly; 1 without trials."""
    term, total = comb(trials, successes), 0
    for count in range(successes, trials + 1):
        total += term
        term = term * (trials - count) // (count + 1)
    return float(Fraction(total, 1 << trials))


def compare(old: Mapping[str, bool], new: Mapping[str, bool]) -> PairedResult:
    """Compare what each version got right, by case; cases that only one was tried on are left out."""
    shared = sorted(old.keys() & new.keys())
    return PairedResult(
        gained=sum(new[case] and not old[case] for case in shared),
        lost=sum(old[case] and not new[case] for case in shared),
        both=sum(old[case] and new[case] for case in shared),
        never=tuple(case for case in shared if not old[case] and not new[case]),
    )
