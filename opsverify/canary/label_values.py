"""Values of the labels by which bad ones are picked: which of a canary's are neither picked nor known to be good.

A release that writes `FAILED` where the one before wrote `failed` fails unseen: its selector picks nothing, and what it
does not pick is good. A value that the baseline has is good where it is not picked, and so is an HTTP status below 500
among HTTP statuses; any other is unknown.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from opsverify.canary.unseen import shown
from opsverify.canary.window_setup import BASELINE
from opsverify.config.signals import SHARES
from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.metrics.identity import labels_of
from opsverify.metrics.signal_meaning import LOOKED_BACK
from opsverify.probes.together import ask_together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from opsverify.canary.sample_columns import Points
    from opsverify.canary.series_growth import GrowthTally
    from opsverify.canary.window_setup import Counted, Setup
    from opsverify.probes.prometheus import Prometheus

Pair = tuple[str, str]
"""A label and its value."""
_STATUS: Final = re.compile(r"([1-5])([0-9]{2}|[xX]{2})")
"""An HTTP status (`404`) or its class (`4xx`)."""
_SERVER_ERROR: Final = "5"
_WITHIN_S: Final = 30.0
"""Seconds in which the values of the days before must be found out."""
_NEGLIGIBLE: Final = 0.1
"""Share of what the limit allows that may be of unknown values."""


def with_known_values(prometheus: Prometheus, setup: Setup) -> Setup:
    """The setup, with the values that the baseline had in the days before; without an answer with none of them."""
    trials = setup.selectors[BASELINE]
    questions: dict[tuple[str, str], Callable[[Prometheus], tuple[str, ...]]] = {
        (counted.trials, label): (
            lambda probe, name=counted.trials, label=label: probe.label_values(label, trials[name], LOOKED_BACK)  # type: ignore[misc]
        )
        for counted in setup.counted
        for label in counted.picked_by
        if not counted.good_counted
    }
    try:
        found = ask_together(prometheus, questions, _WITHIN_S) if questions else {}
    except Inconclusive:
        return setup
    counted = (
        replace(one, seen=tuple((label, v) for label in one.picked_by for v in found.get((one.trials, label), ())))
        for one in setup.counted
    )
    return replace(setup, counted=tuple(counted))


class LabelValues:
    """Values that the trials of one scope have, and what of them was counted."""

    def __init__(self, counted: Counted, start: float) -> None:
        self._counted = counted
        self._start = start
        self._labels = set(counted.picked_by)
        self._keys: defaultdict[Pair, set[str]] = defaultdict(set)
        self._first: dict[str, float] = {}
        self._picked: set[Pair] = set()

    def add(self, signal: str, keys: Iterable[str], series: Mapping[str, Points]) -> None:
        """Add series that are new."""
        for key in keys if self._labels else ():
            pairs = [(label, value) for label, value in labels_of(key).items() if label in self._labels]
            if signal == self._counted.bad:
                self._picked.update(pairs)
                continue
            for pair in pairs:
                self._keys[pair].add(key)
            points = series[key]
            at = min(points, default=math.inf)
            self._first[key] = points[at] if at <= self._start else 0.0

    @property
    def pairs(self) -> frozenset[Pair]:
        """Every value of the trials."""
        return frozenset(self._keys)

    def unknown(self, baseline: LabelValues) -> Iterator[Pair]:
        """Values of this scope that may be bad ones: not picked, and not known from the baseline."""
        known = set(self._counted.seen) | baseline.pairs
        for pair in sorted(self._keys.keys() - known - self._picked):
            usual = {value for label, value in known if label == pair[0]}
            status = _STATUS.fullmatch(pair[1])
            understood = status is not None and status[1] != _SERVER_ERROR and all(map(_STATUS.fullmatch, usual))
            # Without any of the baseline there is nothing that is usual.
            if usual and not understood:
                yield pair

    def text(self, baseline: LabelValues, tally: GrowthTally, trials: float) -> str | None:
        """What to say of unknown values that count for something; None where there are none."""
        unknown = list(self.unknown(baseline))
        if not unknown:
            return None
        keys = set().union(*(self._keys[pair] for pair in unknown))
        grown = dict.fromkeys(keys, 0.0)
        for one in tally.of.values():
            for series in one.series:
                if series.signal == self._counted.trials and series.key in keys and series.value > 0:
                    grown[series.key] = max(0.0, series.value - self._first.get(series.key, 0.0))
        total = math.fsum(grown.values())
        if not total or total <= _NEGLIGIBLE * self._counted.criterion.limit * trials:
            return None
        most = max(sorted(grown), key=grown.__getitem__)
        share = SHARES.get(self._counted.bad)
        return say(
            "{trials} {{{series}}} counts {total:,.0f} with {label} = {value}, which the baseline never had: good or "
            "bad? Add it to the match of prometheus.signals.{bad}, or count the good ones (prometheus.signals.{good})",
            trials=self._counted.trials,
            series=shown(most),
            total=total,
            label=unknown[0][0],
            value=", ".join(value or '""' for label, value in unknown if label == unknown[0][0]),
            bad=self._counted.bad,
            good="..." if share is None else share.good,
        )
