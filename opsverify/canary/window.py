"""Window of a canary as its checks read it: one shared observation, in the runbook's own terms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.canary.assessment import CriterionState
from opsverify.canary.criterion import P95_SLOWER, SLOW
from opsverify.canary.decision import SHARED_BREACH, GateOutcome, excused, promotable, proof_text, unproven_text
from opsverify.canary.ratio_estimate import growth, ratio
from opsverify.canary.window_setup import BASELINE, CANARY, LLM_COST, REQUESTS
from opsverify.core.results import Measurement
from opsverify.errors import Inconclusive
from opsverify.language.message import as_message, join, say
from opsverify.units import duration, quantity

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.canary.assessment import Assessment
    from opsverify.canary.criterion import Criterion
    from opsverify.canary.watch import GateWatch
    from opsverify.config.limits import Limits
    from opsverify.core.interval import Interval
    from opsverify.limits import Limit

LEAST_STEPS = 4
"""Steps in the shortest of windows."""
_WIDEST = 0.2
"""Half the widest interval of a share, relative to it, that says where the share is: as `rollout --share` has it."""


@dataclass(frozen=True)
class Estimated:
    """A ratio of two totals with its interval, and the number of trials."""

    estimate: Interval
    trials: int
    text: str


@dataclass(frozen=True)
class CanaryWindow:
    """The watched window, read for the checks; raises Inconclusive where it cannot be measured."""

    watch: GateWatch
    limits: Limits
    nothing_fires: Callable[[], str | None] = lambda: None
    """Why no alert could have fired in the window; None where one could."""

    @property
    def coverage(self) -> float:
        """Share of the watched time in which the canary was scraped."""
        return self.watch.coverage

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return self.watch.steps

    @property
    def stopped_early(self) -> bool:
        """Whether the gate decided before the longest window was over."""
        return self.watch.elapsed_s < self.watch.setup.policy.longest_s

    @property
    def observed_text(self) -> str:
        """How much was observed, and why no more."""
        watched = duration(round(self.watch.elapsed_s))
        longest = duration(self.watch.setup.policy.longest_s)
        if not self.stopped_early:
            return say("of {watched} observed", watched=watched)
        return say(
            "of {watched} observed; decided early ({outcome}), {longest} at most",
            watched=watched,
            outcome=self.watch.decision.outcome.value,
            longest=longest,
        )

    def require_coverage(self, limit: Limit) -> None:
        """Raise Inconclusive when too little of the window was observed, with the reasons of its steps."""
        if not limit.holds(self.coverage):
            reasons = join("; ", self.watch.gaps) or say("no further samples of the canary's requests")
            raise Inconclusive(
                say(
                    "only {coverage} of {watched} was observed, {limit} needed: {reasons}",
                    coverage=quantity(self.coverage, "ratio"),
                    watched=duration(round(self.watch.elapsed_s)),
                    limit=limit.text,
                    reasons=reasons,
                )
            )

    def judged(self, row: Criterion) -> Measurement:
        """The measurement of one criterion, as the gate decided; raises Inconclusive where it could not."""
        assessment = self.watch.assessment(row.name)
        policy = self.watch.setup.policy
        breach = assessment.state is CriterionState.BREACH_PROVEN
        if not breach:
            if self.watch.gaps:
                self.require_coverage(self.limits.data_coverage)
            if assessment.state is CriterionState.UNOBSERVED:
                raise Inconclusive(assessment.fault or say("not observed well enough"))
            self.require_coverage(self.limits.data_coverage)
            promoted = self.watch.decision.outcome is GateOutcome.PROMOTE
            if assessment.state is CriterionState.TOO_FEW and not (promoted and excused(assessment, policy)):
                raise Inconclusive(
                    say(
                        "{measured}; observe longer (--window) or send more traffic",
                        measured=_after_name(unproven_text(assessment)),
                    )
                )
            if assessment.worse and policy.on_worse_than_baseline == "rollback":
                return self._measurement(row, assessment, breach=False, worse=True)
            literal = policy.end_rule == "literal"
            if not literal and not self.stopped_early and not promotable(assessment, policy):
                raise Inconclusive(
                    say('{measured} (end_rule = "proof")', measured=_after_name(unproven_text(assessment)))
                )
            breach = assessment.state is CriterionState.BREACH_MEASURED
            if breach and not (literal and self.watch.decision.outcome is GateOutcome.ROLLBACK):
                raise Inconclusive(
                    say("{measured}; not proven when the window was stopped", measured=_after_name(assessment.text))
                )
        if breach and assessment.shared and policy.on_shared_breach == "hold":
            raise Inconclusive(join("; ", (_after_name(assessment.text), SHARED_BREACH)))
        if assessment.worse and not breach and policy.on_worse_than_baseline == "hold":
            raise Inconclusive(join("; ", (_after_name(assessment.text), assessment.worse)))
        return self._measurement(row, assessment, breach=breach, worse=False)

    def traffic_share(self) -> Estimated:
        """The canary's share of all requests."""
        canary, baseline = (self._grown(scope, REQUESTS) for scope in (CANARY, BASELINE))
        total = [sum(pair) for pair in zip(canary, baseline, strict=True)]
        if not sum(total):
            raise Inconclusive(say("no traffic in the window; check that the load balancer sends requests"))
        text = say("of {requests:,.0f} requests went to the canary", requests=sum(total))
        return Estimated(ratio(canary, total), round(sum(total)), text)

    def cost_growth(self) -> Estimated:
        """LLM cost per judgment, canary over baseline; `trials` are the judgments of the one with fewer."""
        cost = {scope: self._grown(scope, LLM_COST) for scope in (CANARY, BASELINE)}
        judged = {scope: self._grown(scope, REQUESTS) for scope in cost}
        each = {scope: sum(cost[scope]) / sum(judged[scope]) if sum(judged[scope]) else math.nan for scope in cost}
        return Estimated(
            growth(cost[CANARY], judged[CANARY], cost[BASELINE], judged[BASELINE]),
            round(min(map(sum, judged.values()))),
            say(
                "the baseline's cost per judgment ({canary:.3g} against {baseline:.3g} USD)",
                canary=each[CANARY],
                baseline=each[BASELINE],
            ),
        )

    def fired_alerts(self) -> tuple[str, ...]:
        """Alerts on the canary that began in the window, or went on beyond a grace of it.

        Raises Inconclusive where one still fires that began before the window, or where none could have fired.
        """
        alerts = self.watch.alert_watch
        if alerts.fired:
            return tuple(map(alerts.text, alerts.fired))
        self.require_coverage(self.limits.data_coverage)
        if alerts.earlier:
            raise Inconclusive(join("; ", alerts.earlier))
        if not alerts.names and (reason := self.nothing_fires()) is not None:
            raise Inconclusive(reason)
        return ()

    def restarts(self) -> tuple[str, ...]:
        """Restarts of canary processes in the window: which, and when."""
        restarts, most = self.watch.counting.restarts, self.watch.setup.policy.restarts
        if most is None or len(restarts) <= most:
            self.require_coverage(self.limits.data_coverage)
        return restarts

    def judged_share(self) -> Measurement:
        """The canary's share of the traffic: the agreed weight is met where the share's interval reaches it.

        Raises Inconclusive where the share is outside, and too uncertain to say so.
        """
        limit, share = self.limits.traffic_share, self.traffic_share()
        value, low, high = share.estimate.value, share.estimate.low, share.estimate.high
        text = say("{share} {what}, limit {limit}", share=quantity(value, "ratio"), what=share.text, limit=limit.text)
        holds = limit.holds(value)
        if not holds and math.isfinite(value) and limit.reaches(low, high):
            around = say(
                "by chance alone it may be {low} to {high}", low=quantity(low, "ratio"), high=quantity(high, "ratio")
            )
            if (high - low) / 2 > _WIDEST * value:
                raise Inconclusive(
                    say(
                        "{measured}; {around}: observe longer (--window) or send more traffic",
                        measured=text,
                        around=around,
                    )
                )
            holds = True
            text = say("{measured}; {around}, which the agreed weight is within", measured=text, around=around)
        return Measurement("share", value, str(limit), limit.unit, holds, share.trials, text)

    def _measurement(self, row: Criterion, assessment: Assessment, *, breach: bool, worse: bool) -> Measurement:
        proven = assessment.state in (CriterionState.BREACH_PROVEN, CriterionState.BELOW_PROVEN)
        if breach:
            how = say("breach proven") if proven else say("measured when the window was over or stopped")
            message = join("; ", filter(None, (assessment.text, how, SHARED_BREACH if assessment.shared else "")))
        elif worse:
            message = join("; ", (assessment.text, assessment.worse or ""))
        else:
            message = as_message(proof_text(assessment))
            if self.stopped_early and self.watch.decision.outcome is not GateOutcome.PROMOTE:
                message += say(" so far (stopped early)")
        share = assessment.share
        limit = P95_SLOWER if row.bad == SLOW else getattr(self.limits, row.limit)
        return Measurement(
            row.name,
            say("no trials") if share is None else 1 - share if row.inverse else share,
            str(limit),
            "text" if share is None else limit.unit,
            not (breach or worse),
            round(assessment.trials),
            _after_name(message),
            assessment.upper_bound,
            proven,
            assessment.log_e_breach if breach else assessment.log_e_below,
        )

    def _grown(self, scope: str, signal: str) -> tuple[float, ...]:
        """How much a signal grew, step by step."""
        if self.watch.gaps:
            self.require_coverage(self.limits.data_coverage)
        if self.watch.grown(scope, signal) is None:
            raise Inconclusive(
                say(
                    "{signal} of the {scope}: no such series in Prometheus; check the name in prometheus.signals and "
                    "the scope",
                    signal=signal,
                    scope=scope,
                )
            )
        fault = self.watch.invalid_series(scope, signal)
        if fault is not None:
            raise Inconclusive(say("{scope}: {problem}", scope=scope, problem=fault))
        self.require_coverage(self.limits.data_coverage)
        return self.watch.grown_by_step(scope, signal)


def _after_name(words: str) -> str:
    return as_message(words).each(lambda text: text.partition(": ")[2] or text)
