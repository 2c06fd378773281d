"""Ratio of two totals with its interval: the canary's traffic share, its cost per judgment against the baseline's.

Money is not a count of bad ones out of trials, so `e_process` does not apply to it. These ratios are compared
with their limits once, when the window is over, and an ordinary interval does: steps are the sampling units, so
bursts inside a step widen it.
  Cochran, "Sampling Techniques", 3rd edition 1977, section 6.4 (variance of a ratio estimate).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from opsverify.core.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGMAS: Final = 3.0
"""Half the width of an interval in standard errors: one-sided 99.9 % with many steps, 99 % with eight (Student's t)."""


def ratio(parts: Sequence[float], wholes: Sequence[float]) -> Interval:
    """Estimate sum(parts) / sum(wholes) from one pair a step; NaN without any whole.

    Raises ValueError for sequences of unequal length.
    """
    value, error = _estimate(parts, wholes)
    return Interval(value, max(0.0, value - SIGMAS * error), value + SIGMAS * error)


def growth(
    parts: Sequence[float], wholes: Sequence[float], base_parts: Sequence[float], base_wholes: Sequence[float]
) -> Interval:
    """Estimate how many times one ratio is the other (delta method on the logarithm); NaN where that is zero."""
    (value, error), (base, base_error) = _estimate(parts, wholes), _estimate(base_parts, base_wholes)
    if not (0 < base < math.inf and 0 <= value / base < math.inf):
        return Interval(math.nan, 0.0, math.inf)
    if value == 0:
        return Interval(0.0, 0.0, 0.0 if error == 0 else math.inf)
    spread = SIGMAS * math.hypot(error / value, base_error / base)
    times = value / base
    high = times * math.exp(spread) if spread < math.log(1e300) else math.inf
    return Interval(times, min(times, times * math.exp(-spread)), max(times, high))


def _estimate(parts: Sequence[float], wholes: Sequence[float]) -> tuple[float, float]:
    """The ratio of the sums, and its standard error (infinite for a single step)."""
    pairs = [(part, whole) for part, whole in zip(parts, wholes, strict=True) if part or whole]
    total = math.fsum(whole for _, whole in pairs)
    if not total > 0:
        return math.nan, math.inf
    value = math.fsum(part for part, _ in pairs) / total
    if len(pairs) == 1:
        return value, math.inf
    squares = math.fsum((part - value * whole) ** 2 for part, whole in pairs)
    error = math.sqrt(squares * len(pairs) / (len(pairs) - 1)) / total
    return value, math.inf if math.isnan(error) else error
