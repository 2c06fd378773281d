"""Signals: the names of the platform's metrics. PromQL is built from them; each can be replaced whole."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from opsverify.config.bucket_bound import le_matcher
from opsverify.config.matchers import parse_matchers, series_of, unquoted
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCOPE = "$scope"
_HISTOGRAM: Final = {"durations", "duration_buckets"}
_METRIC: Final = re.compile(r"""\s*(?:([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{|\{\s*("(?:[^"\\]|\\.)+")\s*(?=[,}]))""")
"""The metric that a selector begins with, before its braces, or quoted as the first of its matchers."""

Unit = Literal["s", "ms", "us", "ns"]
_PER_SECOND: Final[dict[Unit, int]] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_UNIT: Final = re.compile(
    r"_(?:(?P<s>seconds)|(?P<ms>ms|msec|millis|milliseconds)|(?P<us>us|usec|microseconds)|(?P<ns>ns|nsec|nanoseconds))"
    r"(?:_bucket)?$"
)


def named_unit(metric: str) -> Unit | None:
    """The unit that the name of a histogram ends in; None where it names none."""
    found = _UNIT.search(metric)
    return next((unit for unit in _PER_SECOND if found and found[unit]), None)


class Signal(BaseModel):
    """One counter or gauge, in one of three forms.

    `metric` plus label matchers `match`; a whole `promql` selector holding `$scope`; or `absent`, the reason why this
    platform has no such signal. `native`: a native histogram, which has no series of its own for a bucket. `same_as`:
    the signal whose series this one counts as well, where that is meant. `unit`: of the buckets' bounds (default `s`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    metric: str | None = None
    match: str = ""
    promql: str | None = None
    absent: str | None = None
    native: bool = False
    same_as: str | None = None
    unit: Unit | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Signal:
        if sum(form is not None for form in (self.metric, self.promql, self.absent)) != 1:
            raise ValueError(
                say(
                    'expected one of {{ metric = "name", match = \'code=~"5.."\' }}, {{ promql = "..." }} and {{ '
                    'absent = "the reason" }}'
                )
            )
        if self.promql is not None and (SCOPE not in self.promql or self.match):
            raise ValueError(
                say("expected promql to hold {scope} where canary or baseline are selected, and no match", scope=SCOPE)
            )
        if self.absent is not None and (not self.absent.strip() or self.match or self.native or self.same_as):
            raise ValueError(say('expected {{ absent = "the reason" }} alone, with a reason'))
        parse_matchers(self.match)
        return self

    @property
    def labels(self) -> frozenset[str]:
        """Names of the labels that `match` picks by."""
        return frozenset(label for label, _, _ in parse_matchers(self.match))

    @property
    def name(self) -> str | None:
        """The metric that its series have as name; None where a `promql` selector does not begin with it."""
        if self.promql is None:
            return self.metric
        found = _METRIC.match(self.promql)
        return unquoted(found[1] or found[2]) if found else None

    def selector(self, scope: str = "", extra: str = "") -> str:
        """The instant vector selector of this signal for `scope` (label matchers, may be empty)."""
        matchers = ",".join(part for part in (self.match, scope, extra) if part)
        if self.promql is not None:
            return self.promql.replace(SCOPE, ",".join(part for part in (scope, extra) if part))
        return series_of(self.metric or "", matchers)

    def bucket(self, bound: float, scope: str = "") -> str:
        """The selector of the bucket up to `bound` seconds, however its label spells it; native: of the histogram."""
        return self.selector(scope, "" if self.native else le_matcher(self.bound(bound)))

    def bound(self, limit_s: float) -> float:
        """A limit in seconds as the label `le` of these buckets has it."""
        return float(Decimal(repr(limit_s)) * _PER_SECOND[self.unit or "s"])

    @property
    def canonical(self) -> tuple[str, ...]:
        """What this signal selects, whatever the order and spacing of its matchers."""
        if self.promql is not None:
            return ("promql", re.sub(r"\s+", "", self.promql))
        return (
            str(self.metric),
            *sorted(f"{label}{sign}{value!r}" for label, sign, value in parse_matchers(self.match)),
        )


def _named(metric: str, match: str = "") -> Signal:
    return Signal(metric=metric, match=match)


class Signals(BaseModel):
    """Counters (monotonic, by labels) and gauges that the checks read; defaults are the platform's names."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    requests: Signal = _named("judgment_requests_total")
    request_errors: Signal = _named("judgment_requests_total", 'code=~"5.."')
    durations: Signal = _named("judgment_duration_seconds_count")
    duration_buckets: Signal = _named("judgment_duration_seconds_bucket")
    llm_calls: Signal = _named("llm_calls_total")
    llm_failures: Signal = _named("llm_calls_total", 'outcome!="ok"')
    llm_parses: Signal = _named("llm_parse_total")
    llm_parse_failures: Signal = _named("llm_parse_total", 'outcome="failed"')
    llm_cost: Signal = _named("llm_cost_usd_total")
    workflows: Signal = _named("workflow_finished_total")
    workflow_failures: Signal = _named("workflow_finished_total", 'status="failed"')
    mcp_calls: Signal = _named("mcp_calls_total")
    mcp_timeouts: Signal = _named("mcp_calls_total", 'outcome="timeout"')
    cache_lookups: Signal = _named("judgment_cache_total")
    cache_misses: Signal = _named("judgment_cache_total", 'outcome="miss"')
    process_start: Signal = _named("process_start_time_seconds")

    request_good: Signal | None = None
    llm_good: Signal | None = None
    llm_parse_good: Signal | None = None
    workflow_good: Signal | None = None
    mcp_good: Signal | None = None
    cache_hits: Signal | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Signals:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        given = {name: signal for name, signal in self if isinstance(signal, Signal) and signal.absent is None}
        for (one, first), (other, second) in combinations(given.items(), 2):
            # A bucket is picked out of what `duration_buckets` selects.
            apart = self.meant(one, other) or ({one, other} == _HISTOGRAM and first.metric is not None)
            if first.canonical == second.canonical and not apart:
                yield (
                    say(
                        "{one} and {other} select the same series ({selector}): one of them counts something "
                        'else; correct it, or say {{ absent = "the reason" }}, or same_as = "{one}" where that '
                        "is meant",
                        one=one,
                        other=other,
                        selector=first.selector(),
                    )
                )
        for name, signal in given.items():
            if signal.same_as is not None and (signal.same_as == name or signal.same_as not in given):
                known = ", ".join(one for one in given if one != name)
                yield say(
                    "{name}: same_as = {same_as!r} is no other signal of this target; expected one of {known}",
                    name=name,
                    same_as=signal.same_as,
                    known=known,
                )
        yield from self._problems_of_units(given)
        for share in SHARES.values():
            trials, bad = (getattr(self, name) for name in (share.trials, share.bad))
            if trials.absent is not None and bad.absent is None and share.bad in self.model_fields_set:
                yield say(
                    "{bad}: described, but {trials} is absent; describe both, or neither",
                    bad=share.bad,
                    trials=share.trials,
                )

    def _problems_of_units(self, given: Mapping[str, Signal]) -> Iterator[str]:
        for name, signal in given.items():
            if signal.unit is not None and (name != "duration_buckets" or signal.native):
                yield say("{name}: unit is of duration_buckets that are no native histogram; leave it out", name=name)
        buckets = given.get("duration_buckets")
        if buckets is None:
            return
        unit, named = buckets.unit or "s", named_unit(buckets.name or "")
        if named not in (None, unit):
            yield say(
                "duration_buckets: {metric} counts in {named} by its name, not in {unit}: a bucket of the same number "
                'would be another time; say unit = "{named}"',
                metric=buckets.name,
                named=named,
                unit=unit,
            )

    def meant(self, one: str, other: str) -> bool:
        """Whether two signals may count the same series: by `same_as`, or as a native histogram and its count."""
        first, second = self.of(one), self.of(other)
        if other == first.same_as or one == second.same_as:
            return True
        return {one, other} == _HISTOGRAM and (first.native or second.native)

    def absent(self, name: str) -> str | None:
        """Why this platform has no signal `name`: by its own entry, or that of the trials it is a part of."""
        signal: Signal | None = getattr(self, name, None)
        if signal is not None and signal.absent is not None:
            return signal.absent
        for share in SHARES.values():
            if name == share.bad and getattr(self, share.good) is None:
                return self.absent(share.trials)
        return None

    def counted(self, bad: str) -> tuple[str, bool]:
        """The signal that `bad` is counted by, and whether that one counts the good ones."""
        share = SHARES.get(bad)
        if share is not None and getattr(self, share.good) is not None:
            return share.good, True
        return bad, False

    def of(self, name: str) -> Signal:
        """The signal called `name`. Raises LookupError for one that the target does not describe."""
        signal: Signal | None = getattr(self, name, None)
        if signal is None or signal.absent is not None:
            raise LookupError(say("prometheus.signals.{name} is not described by the target", name=name))
        return signal


@dataclass(frozen=True)
class ShareSignals:
    """The signals of one share: bad ones out of trials, or instead of the bad ones the good ones."""

    bad: str
    trials: str
    good: str


SHARES: Final = {
    share.bad: share
    for share in (
        ShareSignals(bad="request_errors", trials="requests", good="request_good"),
        ShareSignals(bad="llm_failures", trials="llm_calls", good="llm_good"),
        ShareSignals(bad="llm_parse_failures", trials="llm_parses", good="llm_parse_good"),
        ShareSignals(bad="workflow_failures", trials="workflows", good="workflow_good"),
        ShareSignals(bad="mcp_timeouts", trials="mcp_calls", good="mcp_good"),
        ShareSignals(bad="cache_misses", trials="cache_lookups", good="cache_hits"),
    )
}
"""Every share that is counted by a selector of bad ones, by that signal's name."""
