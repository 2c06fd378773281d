"""Sparklines of a window on a terminal: one character a step, for value, bound and evidence of a criterion."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from opsverify.canary.trace import EventKind
from opsverify.units import duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opsverify.canary.trace import CriterionTrace, TraceEvent, WindowTrace
    from opsverify.canary.watch import GateWatch

_LEVELS: Final = "▁▂▃▄▅▆▇█"
_NONE: Final = "·"
WIDTH: Final = 60
_LIVE_WIDTH: Final = 12
MARKS: Final = {
    EventKind.CAME: "+",
    EventKind.WENT: "-",
    EventKind.RESTART: "R",
    EventKind.GAP: "g",
    EventKind.ALERT: "A",
    EventKind.DECISION: "D",
}
"""One character for each kind of event; where several fall on one place, the later in this order is shown."""


def sparkline(values: Sequence[float | None], highest: float, width: int = WIDTH) -> str:
    """One character a value, or for the last one of each of `width` parts; full height from `highest` on."""
    shown = values
    if len(values) > width:
        shown = [values[(index + 1) * len(values) // width - 1] for index in range(width)]
    return "".join(_NONE if value is None else _level(value, highest) for value in shown)


def lines(trace: WindowTrace) -> Iterator[str]:
    """The window as text: three sparklines a criterion, and the events on the same axis."""
    axis = min(WIDTH, max((len(one.points) for one in trace.criteria), default=1))
    for one in trace.criteria:
        yield from _criterion(one)
    yield f"  {'events':<10} {_event_line(trace, axis)}"
    yield f"  {'':<10} 0{duration(round(trace.length_s)):>{max(1, axis - 1)}}"
    for event in trace.events:
        yield f"  {MARKS[event.kind]}  +{event.at_s:6.1f}s  {event.text}"


class LiveSparklines:
    """Evidence of every criterion so far, for the live display."""

    def __init__(self) -> None:
        self._certainty: defaultdict[str, list[float | None]] = defaultdict(list)

    def text(self, watch: GateWatch) -> str:
        """The watch's line, each criterion followed by how its certainty (0 to 100 %) went."""
        parts = watch.text.split(" | ")
        for number, one in enumerate(watch.decision.assessments):
            within = one.share is None or one.criterion.holds(one.share)
            log_e, needed = (
                (one.log_e_below, -math.log(one.beta))
                if within
                else (one.log_e_breach, -math.log(watch.setup.policy.alpha / len(watch.setup.counted)))
            )
            found = self._certainty[one.criterion.name]
            found.append(None if one.share is None else max(0.0, log_e) / needed)
            parts[number] += f" {sparkline(found[-_LIVE_WIDTH:], 1.0, _LIVE_WIDTH)}"
        return " | ".join(parts)


def _criterion(one: CriterionTrace) -> Iterator[str]:
    rule, points = one.criterion, one.points
    last = points[-1] if points else None
    share = "-" if last is None or last.share is None else rule.text(last.share)
    yield f"{rule.name}  {share}, limit {rule.limit_text}: {last.state.value if last else 'no step'}"
    yield f"  {'value':<10} {sparkline([point.share for point in points], 2 * rule.limit)}  ▄ = limit"
    bounds = [point.bound if point.trials else None for point in points]
    yield f"  {'bound':<10} {sparkline(bounds, 2 * rule.limit)}  ▄ = limit"
    for word, values, needed in (
        ("e breach", [point.breach for point in points], one.breach_needed),
        ("e within", [max(0.0, point.below) for point in points], one.below_needed),
    ):
        newest = max(0.0, values[-1]) / math.log(10) if values else 0.0
        yield f"  {word:<10} {sparkline(values, needed)}  10^{newest:.1f}, █ = proven (10^{needed / math.log(10):.1f})"


def _event_line(trace: WindowTrace, width: int) -> str:
    line = [" "] * width
    order = list(MARKS)
    for event in sorted(trace.events, key=lambda event: order.index(event.kind)):
        line[_place(event, trace.length_s, width)] = MARKS[event.kind]
    return "".join(line)


def _place(event: TraceEvent, length_s: float, width: int) -> int:
    return min(width - 1, max(0, round(event.at_s / length_s * (width - 1))))


def _level(value: float, highest: float) -> str:
    part = value / highest if highest > 0 else 1.0
    return _LEVELS[min(len(_LEVELS) - 1, max(0, math.ceil(part * len(_LEVELS)) - 1))]
