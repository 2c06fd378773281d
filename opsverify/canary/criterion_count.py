"""Count of one criterion in one scope: bad ones out of trials, step by step, and what keeps them from being decided."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from opsverify.canary.buckets import Buckets
from opsverify.canary.duplicates import Duplicates
from opsverify.canary.fault import Fault
from opsverify.canary.label_values import LabelValues
from opsverify.canary.progress import Counts
from opsverify.canary.series_growth import GrowthTally
from opsverify.canary.unseen import Unseen, fell_text, invalid_text, label, shown, unseen
from opsverify.canary.window_setup import WITHIN_LIMIT
from opsverify.language.message import say
from opsverify.metrics.counted_elsewhere import counts_more
from opsverify.metrics.identity import labels_of
from opsverify.units import quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opsverify.canary.instance import Instance, InstanceStatus
    from opsverify.canary.instances import Instances
    from opsverify.canary.policy import Policy
    from opsverify.canary.sample_columns import Points
    from opsverify.canary.window_setup import Counted


class CriterionCount:
    """Counts one criterion in one scope."""

    def __init__(self, counted: Counted, instances: Instances, policy: Policy) -> None:
        self._counted = counted
        self._excuse_quiet = policy.excuse_quiet
        self.tally = GrowthTally((counted.bad, counted.trials), instances, policy.warm_up_s, counted.picked_by)
        self._strict = policy.strict_series
        self._duplicates = Duplicates((counted.bad, counted.trials), instances.label, by_value=policy.finds_scrapers)
        self.tally.left_out = self._duplicates.left_out
        self._keys = self._duplicates.keys
        self._buckets = Buckets() if policy.strict_series and counted.bad == WITHIN_LIMIT else None
        self.values = LabelValues(counted, instances.start)
        self._carried = 0.0
        self.trials = 0.0

    def advance(self, signals: Mapping[str, Mapping[str, Points]]) -> Counts:
        """Add the samples of one step (which the instances have already); counts that are complete by now."""
        self._add_new(signals)
        grown = self.tally.advance(signals)
        trials = grown.known.get(self._counted.trials, 0.0)
        bad = grown.known.get(self._counted.bad, 0.0)
        hidden = grown.hidden.get(self._counted.trials, 0.0)
        if self._counted.good_counted:
            # Good ones that a gap hides are not bad for being missing.
            bad = trials - bad - grown.hidden.get(self._counted.bad, 0.0)
        self._carried += bad
        self.trials += trials
        counted = min(max(self._carried, 0.0), trials)
        self._carried -= counted
        return Counts(counted, trials, max(0.0, hidden))

    def faults(self, selectors: Mapping[str, str], tolerated_s: float) -> Iterator[Fault]:
        """Faults of the series at this step; invalid samples for up to `tolerated_s` are none."""
        yield from self._absent(selectors)
        yield from self._without_bucket(selectors)
        for series, lag in self.tally.invalid(tolerated_s):
            never = series.rate == 0 and series.intervals == 0
            yield Fault(
                say("{problem}; check the service's /metrics", problem=invalid_text(series, lag)), distorts=never
            )
        yield from map(Fault, self._duplicates.texts)
        yield from (Fault(fell_text(series)) for series in self.tally.unlikely())
        for series, instance in self.tally.delta_like():
            yield Fault(
                say(
                    "{signal} {{{series}}} fell {falls} times in {intervals} scrapes, instance {name} goes on: no "
                    "cumulative counter of one process; export cumulative temporality, or name the label that tells "
                    "processes apart (canary.instance_label)",
                    signal=series.signal,
                    series=shown(series.key),
                    falls=series.falls,
                    intervals=series.intervals,
                    name=label(instance),
                )
            )
        yield from self.counted_elsewhere(selectors)

    def counted_elsewhere(self, selectors: Mapping[str, str]) -> Iterator[Fault]:
        """The fault of bad (or good) ones that are more than their trials: no share has these."""
        # What is carried is bad ones without a trial; where good ones are counted, less than none.
        if counts_more(self.trials + abs(self._carried), self.trials):
            bad, trials = self._counted.bad, self._counted.trials
            yield Fault(
                say(
                    "{bad}{bad_selector} counts {more:,.0f} more than {trials}{trials_selector}: it is counted "
                    "elsewhere than its trials; correct one of them in prometheus.signals",
                    bad=bad,
                    bad_selector=_among(bad, selectors),
                    more=abs(self._carried),
                    trials=trials,
                    trials_selector=_among(trials, selectors),
                )
            )

    def unseen(self, status: Callable[[Instance], InstanceStatus], at: float) -> tuple[Unseen, ...]:
        """What was not seen of this criterion until `at`, at most; the largest first."""
        parts = unseen(self.tally, self._counted, status, at, excuse_quiet=self._excuse_quiet)
        found = (one for one in parts if one.trials or one.bad or not one.bounded)
        return tuple(sorted(found, key=lambda one: -max(one.trials, one.bad)))

    def too_much_unseen(self, parts: tuple[Unseen, ...], least_share: float) -> Fault | None:
        """The fault of a scope of which less than `least_share` (0..1) of all was seen, or of what a judgment takes."""
        unbounded = next((part for part in parts if not part.bounded), None)
        if unbounded is not None:
            return Fault(
                say("{part}; no process was seen for long enough to tell how much", part=unbounded.text), distorts=False
            )
        most = math.fsum(max(one.trials, one.bad) for one in parts)
        rule, needed = self._counted.criterion, self.trials + most
        if self._excuse_quiet and not any(one.worse_than(rule.limit) for one in parts):
            needed = max(needed, rule.min_samples)
        if most <= (1 - least_share) * needed:
            return None
        share = quantity(most / (self.trials + most), "ratio")
        limit = quantity(1 - least_share, "ratio")
        return Fault(
            say(
                "{part}; up to {share} of {trials} unseen, limit <= {limit}",
                part=parts[0].text,
                share=share,
                trials=self._counted.trials,
                limit=limit,
            ),
            distorts=False,
        )

    def unknown_values(self, baseline: CriterionCount) -> Iterator[Fault]:
        """The fault of label values that are neither picked as bad nor known to be good: bad ones seen stay bad."""
        if self._strict and not self._counted.good_counted:
            text = self.values.text(baseline.values, self.tally, self.trials)
            if text is not None:
                yield Fault(text, distorts=False)

    def _add_new(self, signals: Mapping[str, Mapping[str, Points]]) -> None:
        for name, new in self._duplicates.add(signals).items():
            if self._strict:
                self.values.add(name, new, signals[name])
            if self._buckets is not None:
                self._buckets.add(new, buckets=name == WITHIN_LIMIT)

    def _without_bucket(self, selectors: Mapping[str, str]) -> Iterator[Fault]:
        missing = set() if self._buckets is None else set(self._buckets.missing())
        if not missing:
            return
        for one in self.tally.of.values():
            for series in one.series:
                if series.signal == self._counted.trials and series.key in missing and series.rate:
                    yield Fault(
                        say(
                            "missing bucket: {trials} {{{series}}} has none at the limit, others have{selector}; "
                            "export the same buckets everywhere, or select what has them",
                            trials=self._counted.trials,
                            series=shown(series.key),
                            selector=_among(WITHIN_LIMIT, selectors),
                        )
                    )
                    return

    def _absent(self, selectors: Mapping[str, str]) -> Iterator[Fault]:
        bad, trials = self._counted.bad, self._counted.trials
        if not self._keys[trials]:
            yield Fault(_no_series(trials, selectors))
        elif not self._keys[bad]:
            if self._counted.good_counted:
                yield Fault(say("missing bucket: {problem}", problem=_no_series(bad, selectors)))
            elif self._counted.unproven is not None:
                yield Fault(self._counted.unproven)
            elif not self._no_series_means_none(trials):
                yield Fault(_no_series(bad, selectors))

    def _no_series_means_none(self, trials: str) -> bool:
        picked = set(self._counted.picked_by)
        carried = {label for key in self._keys[trials] for label in labels_of(key)}
        return bool(picked) and picked <= carried


def _among(signal: str, selectors: Mapping[str, str]) -> str:
    return f" ({selectors[signal]})" if signal in selectors else ""


def _no_series(signal: str, selectors: Mapping[str, str]) -> str:
    return say(
        "{signal}: no such series in Prometheus{selector}; check the name in prometheus.signals and the scope",
        signal=signal,
        selector=_among(signal, selectors),
    )
