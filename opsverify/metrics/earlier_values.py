"""Earlier values of series that appear within a range: what they had counted before it, where that is known.

An exporter that leaves out quiet series (OpenTelemetry's expires them) shows one again with its whole count at its next
event. Taken for a label's first use, all of it would have happened within the range.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from opsverify.metrics.identity import process_of
from opsverify.probes.prometheus_values import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opsverify.probes.prometheus import Prometheus
    from opsverify.probes.prometheus_values import Vector

BACK_S: Final = 86400.0
"""How long before the range a series is looked for."""
_METRIC: Final = re.compile(r"(^|,)__name__=[^,]*,?")


def earlier_values(
    prometheus: Prometheus,
    selector: str,
    series: Mapping[str, Mapping[float, float]],
    scraped: Mapping[str, float],
    span: tuple[float, float],
    trials: str | None = None,
    named: Callable[[str], str] = process_of,
) -> dict[str, float]:
    """The latest values before `span` (Unix seconds) of series whose instance was scraped before they appeared in it.

    `scraped`: each process' first scrape in the span. `trials`: the selector of what the series are a part of. There
    is none of a series that had been gone for minutes, if a counter of its instance fell in that day: a new process
    counts from zero. `named` gives the process of a series. Raises as `Prometheus.whole`.
    """
    start, end = span
    late = {
        key: _METRIC.sub(r"\1", key)
        for key, points in series.items()
        if points and min(points) > scraped.get(named(key), math.inf)
    }
    if not late:
        return {}
    found = _by_labels(prometheus.whole(selector, start))
    known = {key: found[bare] for key, bare in late.items() if bare in found}
    if len(known) == len(late):
        return known
    found = _by_labels(prometheus.whole(f"last_over_time({selector}[{round(BACK_S)}s])", start))
    gone = {key: found[bare] for key, bare in late.items() if bare in found and key not in known}
    if not gone:
        return known
    fallen = f"resets({trials or selector}[{math.ceil(BACK_S + end - start)}s]) > 0"
    restarted = {named(labels) for labels in _by_labels(prometheus.whole(fallen, end))}
    return known | {key: value for key, value in gone.items() if named(key) not in restarted}


def _by_labels(vector: Vector) -> dict[str, float]:
    """Values by labels without the metric's name, which some sources leave out of what they compute."""
    return {_METRIC.sub(r"\1", Series(sample.labels, ()).key): sample.value for sample in vector.samples}
