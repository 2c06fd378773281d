"""Drawings of the page, as coordinates: bars against the RTO, and columns of the last rehearsals.

`templates/drawings.svg.j2` writes them without script and font: bars as boxes that follow the page's width, columns as
light SVG.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.report.model import UNKNOWN, Text
from opsverify.units import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.report.model import Bar

_COLUMN: Final = 218
_CHART: Final = 64
_SHOWN: Final = 12
_LEAST_COLUMNS: Final = 6
_MARKED_FROM: Final = 0.05
"""The RTO's line is drawn once the bars use this share of it; below, every bar would be too thin to see."""


@dataclass(frozen=True)
class TimelineRow:
    """One bar of a timeline, `left` and `width` in percent of the common scale."""

    label: Text
    value: Text
    left: float
    width: float
    marked: bool


@dataclass(frozen=True)
class Timeline:
    """Bars on a common scale; the RTO's line at `limit_left` percent of it, None where it is not drawn."""

    rows: tuple[TimelineRow, ...]
    limit: str
    limit_left: float | None


@dataclass(frozen=True)
class ShareBar:
    """The used share of a limit, in percent of the bar's width; `over` when it is more than all of it."""

    width: float
    over: bool


@dataclass(frozen=True)
class ChartColumn:
    """One rehearsal of a chart; height None where it did not measure."""

    x: float
    height: float | None
    passed: bool


@dataclass(frozen=True)
class Columns:
    """The last rehearsals' values as columns, `step` apart; `newest` is the last one's figure."""

    label: Text
    columns: tuple[ChartColumn, ...]
    step: float
    newest: str
    width: int = _COLUMN
    height: int = _CHART + 20
    axis_y: int = _CHART + 18
    right: int = _COLUMN - 8
    unknown: str = UNKNOWN


def timeline(bars: Sequence[Bar], rto_s: float | None = None) -> Timeline:
    """Bars from left to right in their order, on a common scale; the RTO as a line from `_MARKED_FROM` of it on."""
    end = max((bar.begins_s + bar.seconds for bar in bars), default=0.0)
    limit_s = rto_s if rto_s is not None and end >= rto_s * _MARKED_FROM else None
    scale = max(end, limit_s or 0.0) or 1.0
    rows = tuple(
        TimelineRow(
            label=bar.label,
            value=bar.value,
            left=100 * bar.begins_s / scale,
            width=100 * bar.seconds / scale,
            marked=bar.marked,
        )
        for bar in bars
    )
    if limit_s is None:
        return Timeline(rows, "", None)
    return Timeline(rows, f"RTO {duration(limit_s)}", 100 * limit_s / scale)


def share_bar(share: float) -> ShareBar:
    """The used share of a limit; more than all of it is drawn as all, in the colour of a failure."""
    return ShareBar(max(1.0, 100 * min(share, 1.0)), share > 1)


def columns(label: Text, values: Sequence[float | None], passed: Sequence[bool], shown: Sequence[str]) -> Columns:
    """The last rehearsals' values as columns, oldest first, the newest with its figure; a dash for none."""
    values, passed = values[-_SHOWN:], passed[-_SHOWN:]
    highest = max((value for value in values if value is not None), default=0.0) or 1.0
    step = (_COLUMN - 8) / max(len(values), _LEAST_COLUMNS)
    drawn = tuple(
        ChartColumn(index * step, None if value is None else max(1.0, (_CHART - 14) * value / highest), accepted)
        for index, (value, accepted) in enumerate(zip(values, passed, strict=True))
    )
    return Columns(label, drawn, step, shown[-1] if shown else "")
