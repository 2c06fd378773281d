"""What the canary checks ask of the shared observation, in the runbook's own terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.gate.observe import WITHIN_LIMIT
from opsverify.limits import Limit, quantity

if TYPE_CHECKING:
    from opsverify.criteria import Criterion
    from opsverify.gate.observation import Observation
    from opsverify.target import Limits, Signals

P95_SLOWER = Limit("<", 0.05, "ratio")
"""p95 below a limit means that fewer than 5 % are slower: counted in buckets, never interpolated."""


@dataclass(frozen=True)
class Rate:
    """A share of trials with the limit it is held against."""

    share: float
    trials: int
    limit: Limit
    in_words: str


@dataclass(frozen=True)
class CostGrowth:
    """LLM cost per judgment, canary over baseline."""

    growth: float
    canary_judgments: int
    baseline_judgments: int
    in_words: str


@dataclass(frozen=True)
class CanaryWindow:
    """The observation, read for the checks; raises Inconclusive wherever it holds no answer."""

    observation: Observation
    limits: Limits
    signals: Signals

    @property
    def coverage(self) -> float:
        """Share of the window in which the canary's requests were seen."""
        return self.observation.coverage("canary", "requests")

    @property
    def steps(self) -> int:
        """How many looks were taken."""
        return len(self.observation.steps)

    def require_coverage(self, limit: Limit) -> None:
        """Raise Inconclusive when too little of the window was observed, with the reasons the looks gave."""
        if not limit.holds(self.coverage):
            reasons = "; ".join(self.observation.faults) or "the canary sent no samples"
            raise Inconclusive(
                f"only {quantity(self.coverage, 'ratio')} of the window was observed, {limit.for_people} needed: {reasons}"
            )

    def rate(self, criterion: Criterion) -> Rate:
        """The canary's share of bad ones, or of good ones where the limit is on these."""
        limit: Limit = getattr(self.limits, criterion.limit)
        trials = self._grown("canary", criterion.trials)
        words = f"of {trials:,.0f} {criterion.counted}"
        if criterion.bad == "slow_judgments":
            bad = trials - self._grown("canary", WITHIN_LIMIT)
            words, limit = f"{words} ({quantity(limit.bound, limit.unit)})", P95_SLOWER
        else:
            bad = self._bad(criterion)
        share = bad / trials if trials else float("nan")
        return Rate(1 - share if criterion.inverse else share, round(trials), limit, words)

    def traffic_share(self) -> Rate:
        """The canary's share of all requests."""
        canary, baseline = (self._grown(scope, "requests") for scope in ("canary", "baseline"))
        total = canary + baseline
        if not total:
            raise Inconclusive("no traffic at all in the window: is the load balancer sending any?")
        return Rate(
            canary / total,
            round(total),
            self.limits.traffic_share,
            f"of {total:,.0f} requests went to the canary",
        )

    def cost_growth(self) -> CostGrowth:
        """LLM cost per judgment, canary over baseline."""
        cost = {scope: self._grown(scope, "llm_cost") for scope in ("canary", "baseline")}
        judged = {scope: self._grown(scope, "requests") for scope in cost}
        each = {scope: cost[scope] / judged[scope] if judged[scope] else float("nan") for scope in cost}
        growth = each["canary"] / each["baseline"] if each["baseline"] else float("nan")
        words = f"the baseline's cost per judgment ({each['canary']:.3g} against {each['baseline']:.3g} USD)"
        return CostGrowth(growth, round(judged["canary"]), round(judged["baseline"]), words)

    def fired_alerts(self) -> tuple[str, ...]:
        """Alerts on the canary that fired at any time in the window."""
        if not self.observation.alerts:
            self.require_coverage(self.limits.data_coverage)
        return self.observation.alerts

    def _bad(self, criterion: Criterion) -> float:
        # Many clients export a label value only once it happened: no failed series beside counted trials means none
        # failed, but only if the trials do carry the labels that the failures are picked by (else it is a misspelling).
        bad, trials = (getattr(self.signals, name) for name in (criterion.bad, criterion.trials))
        if (
            not self.observation.series("canary", criterion.bad)
            and bad.metric
            and bad.metric == trials.metric
        ):
            carried = {
                pair.partition("=")[0]
                for key in self.observation.series("canary", criterion.trials)
                for pair in key.split(",")
            }
            if bad.labels and bad.labels <= carried:
                return 0.0
        return self._grown("canary", criterion.bad)

    def _grown(self, scope: str, signal: str) -> float:
        self.require_coverage(self.limits.data_coverage)
        try:
            grown = self.observation.increase(scope, signal)
        except ValueError as error:
            raise Inconclusive(f"{signal} of the {scope}: {error}; look at the service's /metrics") from error
        if grown is None:
            raise Inconclusive(
                f"{signal} of the {scope}: no such series in Prometheus; check the name in prometheus.signals and the scope"
            )
        return grown
