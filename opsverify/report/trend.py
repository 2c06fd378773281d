"""Trend of rehearsals as charts: RTO, RPO, and the rate at which the backup was copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.report.draw import columns
from opsverify.report.model import UNKNOWN, Text
from opsverify.units import elapsed, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opsverify.report.draw import Columns
    from opsverify.report.model import Point


def trend_charts(points: Sequence[Point]) -> Iterator[Columns]:
    """One chart each, the oldest rehearsal first."""
    passed = [point.passed for point in points]
    for label, values, unit in (
        (Text("RTO", "RTO"), [point.rto_s for point in points], "s"),
        (Text("RPO", "RPO"), [point.rpo_s for point in points], "s"),
        (Text("복사 GB/s", "copy GB/s"), [point.gb_per_s for point in points], ""),
    ):
        yield columns(label, values, passed, [_shown(value, unit) for value in values])


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return UNKNOWN
    return elapsed(value) if unit == "s" else quantity(value, "count")
