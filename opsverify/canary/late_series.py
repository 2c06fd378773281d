"""Late series: those that appear in mid-window although their process was scraped before, and what they had counted.

An exporter that leaves out quiet series shows one again with its whole count at its next event. Asked once for each.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from opsverify.canary.sample_columns import rows_of
from opsverify.canary.window_setup import PROCESS_START, UP
from opsverify.errors import Inconclusive
from opsverify.metrics.earlier_values import earlier_values
from opsverify.metrics.identity import process_of
from opsverify.probes.together import ask_together

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from opsverify.canary.observation import ObservedStep
    from opsverify.canary.sample_columns import Points
    from opsverify.canary.window_setup import Setup
    from opsverify.probes.prometheus import Prometheus

Earlier = dict[str, dict[str, dict[str, float]]]
"""Values before the window by scope, signal and series."""


class LateSeries:
    """Knows since when each process of a window is scraped, and asks for the past of series that come later."""

    def __init__(self) -> None:
        self._scraped: dict[str, dict[str, float]] = {}

    def earlier(
        self,
        prometheus: Prometheus,
        setup: Setup,
        step: ObservedStep,
        known: Mapping[tuple[str, str], Container[str]],
        within_s: float,
    ) -> Earlier:
        """What the new series of a step had counted before the window, where that is known; nothing without answer.

        `known`: by scope and signal the series of earlier steps.
        """
        named = partial(process_of, instance_label=setup.instance_label)
        trials = {one.bad: one.trials for one in setup.counted}
        questions: dict[tuple[str, str], Callable[[Prometheus], Any]] = {}
        for scope, signals in step.samples.items():
            scraped = self._scraped.setdefault(scope, {})
            first = not scraped
            for name, series in signals.items():
                late = _late(series, known.get((scope, name), ()), scraped, named)
                if late and not first and name not in (PROCESS_START, UP):
                    selectors = setup.selectors[scope]
                    whole = selectors.get(trials[name]) if name in trials else None
                    span = setup.start, step.at
                    questions[scope, name] = partial(
                        earlier_values, selector=selectors[name], series=late, scraped=scraped, span=span,
                        trials=whole, named=named,
                    )  # fmt: skip
        try:
            answers = ask_together(prometheus, questions, within_s) if questions else {}
        except Inconclusive:
            return {}
        found: Earlier = {}
        for (scope, name), values in answers.items():
            if values:
                found.setdefault(scope, {})[name] = values
        return found


def _late(
    series: Mapping[str, Points], known: Container[str], scraped: dict[str, float], named: Callable[[str], str]
) -> dict[str, dict[float, float]]:
    """Samples of the series that are not `known` and came after others of their process, which `scraped` then has."""
    late = {}
    for key, times, values in rows_of(series):
        if key not in known:
            name = named(key)
            if scraped.setdefault(name, times[0]) < times[0]:
                late[key] = dict(zip(times, values, strict=True))
            scraped[name] = min(scraped[name], times[0])
    return late
