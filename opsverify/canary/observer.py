"""Observer of canary and baseline: one query a step, every answer kept, until the gate has decided."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from opsverify.canary.late_series import LateSeries
from opsverify.canary.observation import ObservedStep
from opsverify.canary.sample_columns import SampleColumns, rows_of
from opsverify.canary.sparkline import LiveSparklines
from opsverify.canary.watch import SCOPES, GateWatch
from opsverify.canary.window_setup import BASELINE, CANARY, LLM_COST, PROCESS_START, REQUESTS, UP, WITHIN_LIMIT, Setup
from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.metrics.same_series import BUCKETS, Told, suspects, told_if_answered
from opsverify.metrics.signal_meaning import unproven
from opsverify.probes.prometheus_session import garbage_kept
from opsverify.probes.prometheus_values import SourceFault
from opsverify.probes.together import ask_together
from opsverify.units import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opsverify.canary.sample_columns import Points
    from opsverify.config.model import Canary
    from opsverify.config.signals import Signals
    from opsverify.metrics.same_series import SignalPair
    from opsverify.probes.prometheus import Prometheus

COUNTERS = (
    REQUESTS,
    "request_errors",
    "durations",
    "llm_parses",
    "llm_parse_failures",
    LLM_COST,
    "workflows",
    "workflow_failures",
    "mcp_calls",
    "mcp_timeouts",
    "cache_lookups",
    "cache_misses",
)
_LOOK_BACK_S = 65.0
"""Of every query, before the last one that was answered: longer than one scrape a minute.

So far back its samples anchor the window's counters. And samples are stored after the time that they carry: by up to a
scrape's timeout, by a remote write longer. A pod that answers slowly is there beside others that do not: no newest
sample says how late the next one comes.
"""
_WIDE_LOOK_BACK_S = 600.0
"""Of the first query, where the look-back has no sample of the canary: to say how late they come."""
_MEANING_WITHIN_S = 30.0
"""Seconds in which it must be found out whether the selectors ever matched."""


@dataclass(frozen=True)
class Clock:
    """Time of the observer (Unix seconds, never going back); tests replace it."""

    now: Callable[[], float]
    wait: Callable[[float], object]


@dataclass
class Observer:
    """Queries of every step; `show` receives the progress, `keep` the lines of evidence."""

    prometheus: Prometheus
    clock: Clock
    show: Callable[[str], None]
    keep: Callable[[str], object]
    latency_limit_s: float = float("nan")
    """The limit up to which native histograms are counted, which have no series of their own for it."""
    look_within_s: float = 1.0
    """Seconds that the queries of a step have at least, however short the step."""
    shown: Callable[[str], str] = str
    """Texts from outside as the evidence may show them."""
    in_parts: bool = False
    """Whether `keep` receives a line part by part, the last one with its newline, and not as a whole."""
    _known: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    """By scope, signal and series: the time of its newest answered sample."""
    _late: LateSeries = field(default_factory=LateSeries)
    _live: LiveSparklines = field(default_factory=LiveSparklines)

    def observe(self, setup: Setup) -> GateWatch:
        """Query once a step until the gate decides, at the longest window's end at the latest.

        All times are Prometheus' own, whose clock is read first; `setup.start` is set here. A query that fails loses
        nothing by itself: the next one fetches all samples since the last good one.
        """
        skew_s = self._skew()
        ahead_s = skew_s or 0.0
        setup = replace(setup, start=self.clock.now() + ahead_s, skew_s=skew_s)
        self._keep([self.shown(setup.dumps())])
        watch = GateWatch(setup)
        step_s, since, due = setup.policy.step_s, setup.start - _LOOK_BACK_S, setup.start
        while not watch.over:
            self.clock.wait(due - ahead_s - self.clock.now())
            at = self.clock.now() + ahead_s
            with garbage_kept():
                if self._step(watch, setup, at, since):
                    since = at - _LOOK_BACK_S
            # A query that took longer than a step skips those it missed; the window never gets longer by it.
            late_s = max(0.0, self.clock.now() + ahead_s - due)
            due = min(due + step_s * (1 + late_s // step_s), setup.end)
        return watch

    def _step(self, watch: GateWatch, setup: Setup, at: float, since: float) -> bool:
        """Query, keep and judge one step; whether it was answered."""
        step = self._query(setup, at, since)
        if not watch.steps and step.fault is None and not step.samples[CANARY].get(REQUESTS):
            step = self._query(setup, at, at - _WIDE_LOOK_BACK_S)
        if step.fault is None:
            within_s = max(setup.policy.step_s, self.look_within_s)
            step = replace(step, earlier=self._late.earlier(self.prometheus, setup, step, self._known, within_s))
        self._mark_known(step.samples)
        self._keep(step.parts(self.shown))
        watch.advance(step)
        self._show(watch, step)
        return step.fault is None

    def _keep(self, parts: Iterable[str]) -> None:
        if not self.in_parts:
            self.keep("".join(parts))
            return
        for part in parts:
            self.keep(part)
        self.keep("\n")

    def _skew(self) -> float | None:
        before = self.clock.now()
        try:
            server = self.prometheus.now()
        except Inconclusive as error:
            self.show(say("clock of Prometheus unknown, this machine's is used: {error}", error=error))
            return None
        return server - (before + self.clock.now()) / 2

    def _query(self, setup: Setup, at: float, since: float) -> ObservedStep:
        """One step: all its queries at once, answered within a step of time."""
        questions: dict[tuple[str, str], Callable[[Prometheus], Any]] = {
            (scope, name): self._question((scope, name), selector, at - since, at)
            for scope in SCOPES
            for name, selector in setup.selectors[scope].items()
        }
        alerts = setup.selectors["alerts"][""]
        questions["alerts", ""] = lambda prometheus: prometheus.firing_alerts(alerts)
        try:
            answers = ask_together(self.prometheus, questions, max(setup.policy.step_s, self.look_within_s))
        except SourceFault as error:
            return ObservedStep(at, fault=say("{reason}: {error}", reason=error.reason.text, error=error))
        except Inconclusive as error:
            return ObservedStep(at, fault=str(error))
        firing = answers.pop(("alerts", ""))
        samples: dict[str, dict[str, SampleColumns]] = {scope: {} for scope in SCOPES}
        for (scope, name), found in answers.items():
            samples[scope][name] = found
        active: dict[str, float] = {}
        for alert in firing:
            if alert.active_since is not None:
                active[alert.name] = max(alert.active_since.timestamp(), active.get(alert.name, 0.0))
        return ObservedStep(at, None, samples, tuple(alert.name for alert in firing), active)

    def _question(
        self, where: tuple[str, str], selector: str, span_s: float, at: float
    ) -> Callable[[Prometheus], SampleColumns]:
        """Samples that no earlier step had, by series."""
        seen = self._known.setdefault(where, {})

        def ask(prometheus: Prometheus) -> SampleColumns:
            new = SampleColumns()
            found = prometheus.history(selector, span_s, at)
            if where[1] == WITHIN_LIMIT:
                within = self.latency_limit_s
                new.add_new(((one.key, one.within(within) if one.histograms else one.points) for one in found), seen)
            else:
                new.add_new(((one.key, one.points) for one in found), seen)
            return new

        return ask

    def _mark_known(self, samples: Mapping[str, Mapping[str, Mapping[str, Points]]]) -> None:
        for scope, signals in samples.items():
            for signal, series in signals.items():
                newest = ((key, times[-1]) for key, times, _ in rows_of(series))
                self._known.setdefault((scope, signal), {}).update(newest)

    def _show(self, watch: GateWatch, step: ObservedStep) -> None:
        left = duration(round(max(0.0, watch.setup.end - step.at)))
        outcome = say("no answer ({fault})", fault=step.fault) if step.fault else self._live.text(watch)
        self.show(say("{left} left | {outcome}", left=left, outcome=outcome))


def selectors(canary: Canary, signals: Signals, latency_limit_s: float, more: set[str]) -> dict[str, dict[str, str]]:
    """Selectors by scope and signal: the counters of every window, and `more` of the target's signals."""
    names = sorted(name for name in {*COUNTERS, PROCESS_START, *more} - {WITHIN_LIMIT} if signals.absent(name) is None)
    found: dict[str, dict[str, str]] = {"alerts": {"": canary.alerts}}
    for scope, matchers in ((CANARY, canary.canary), (BASELINE, canary.baseline)):
        found[scope] = {name: signals.of(name).selector(matchers) for name in names}
        found[scope][UP] = f"{UP}{{{matchers}}}"
        if signals.absent("duration_buckets") is None and signals.absent("durations") is None:
            found[scope][WITHIN_LIMIT] = signals.duration_buckets.bucket(latency_limit_s, matchers)
    return found


def with_meanings(prometheus: Prometheus, signals: Signals, setup: Setup, latency_limit_s: float) -> Setup:
    """The setup, with what was found of its signals before the window.

    A selector of bad ones that never matched proves nothing; nor do two signals that count the same series.
    """
    observed = {name for scope in SCOPES for name in setup.selectors[scope]}
    pairs: dict[tuple[str, str], SignalPair] = {}
    for pair in suspects(signals, latency_limit_s):
        one, other = (WITHIN_LIMIT if name == BUCKETS else name for name in (pair.one, pair.other))
        if {one, other} <= observed:
            pairs[one, other] = pair
    questions: dict[tuple[str, ...], Callable[[Prometheus], Any]] = {
        (counted.bad,): (lambda probe, bad=counted.bad: unproven(probe, signals, bad))  # type: ignore[misc]
        for counted in setup.counted
        if not counted.good_counted
    }
    questions |= {names: (lambda probe, pair=pair: told_if_answered(probe, pair)) for names, pair in pairs.items()}  # type: ignore[misc]
    try:
        found = ask_together(prometheus, questions, _MEANING_WITHIN_S) if questions else {}
    except Inconclusive as error:
        found = {key: say("whether its selector ever matched is unknown ({error})", error=error) for key in questions}
        found |= dict.fromkeys(pairs, Told.UNKNOWN)
    return replace(
        setup,
        counted=tuple(replace(one, unproven=found.get((one.bad,))) for one in setup.counted),
        alike=tuple(names for names, pair in pairs.items() if pair.possible(found[names])),
    )
