"""Native histogram: one sample of it, with exact counts at the boundaries of its buckets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from opsverify.language.message import say
from opsverify.probes.source_fault import FaultReason, SourceFault

_SAME: Final = 1e-3
"""Relative distance at which a written limit (1.414) is a boundary (1.41421...)."""


@dataclass(frozen=True, slots=True)
class NativeHistogram:
    """Observations counted so far: all of them, and by bucket (lower and upper boundary, count)."""

    count: float
    buckets: tuple[tuple[float, float, float], ...]

    def within(self, bound: float) -> float:
        """How many observations were `bound` or less.

        Raises SourceFault where they fall into one bucket with slower ones.
        """
        total = 0.0
        for lower, upper, count in self.buckets:
            if upper <= bound or math.isclose(upper, bound, rel_tol=_SAME):
                total += count
            elif lower < bound and not math.isclose(lower, bound, rel_tol=_SAME):
                raise SourceFault(
                    FaultReason.AMBIGUOUS,
                    say(
                        "native histogram: {bound:g} s lies inside a bucket from {lower:.6g} to {upper:.6g} s, "
                        "what is slower cannot be counted; set limits.judgment_p95 to {lower:.4g} s or "
                        "{upper:.4g} s, or export classic buckets with this limit",
                        bound=bound,
                        lower=lower,
                        upper=upper,
                    ),
                )
        return total


def read_histogram(raw: Any) -> NativeHistogram:  # noqa: ANN401 - any JSON value
    """Read a histogram of Prometheus' JSON; KeyError, TypeError or ValueError where it is malformed."""
    return NativeHistogram(
        float(raw["count"]),
        tuple((float(lower), float(upper), float(count)) for _, lower, upper, count in raw.get("buckets") or ()),
    )
