"""Plan of a canary window before it begins: how long the gate's own e-process needs at the baseline's traffic.

Assumed: the canary gets `weight` of the traffic that the baseline serves now; its bad ones come at the baseline's rate
and cluster as the baseline's do (dispersion); the rate goes on. A healthy canary is proven where the e-process of its
expected counts passes 1 / beta. A regression begins with the window; it counts as found where the e-process of a breach
passes its threshold in `FOUND` of `WINDOWS` simulated windows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

from opsverify.canary.counting import Counting
from opsverify.canary.e_process import EProcess, EProcessState, trials_to_prove
from opsverify.canary.observation import ObservedStep
from opsverify.canary.policy import Kind
from opsverify.canary.window_setup import BASELINE, CANARY, PROCESS_START, UP, WITHIN_LIMIT
from opsverify.probes.together import ask_together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opsverify.canary.observation import Samples
    from opsverify.canary.policy import GateCriterion, Policy
    from opsverify.canary.sample_columns import Points
    from opsverify.canary.window_setup import Setup
    from opsverify.probes.prometheus import Prometheus

WINDOWS: Final = 25
FOUND: Final = 0.8
_BISECTIONS: Final = 8
_ANSWER_WITHIN_S: Final = 60.0
_FEW: Final = 40


@dataclass(frozen=True)
class CriterionPlan:
    """What a window can prove of one criterion.

    `rate`: trials/s into the canary; `share` of bad ones of the baseline, None without trials; `prove_s`: seconds until
    a canary like it is proven healthy, None: never; `found`: the smallest share of bad ones that is found in the
    longest window, None: none.
    """

    criterion: GateCriterion
    rate: float
    share: float | None
    dispersion: float
    prove_s: float | None
    found: float | None

    @property
    def must_be_proven(self) -> bool:
        """Whether it keeps from an early promotion while it is not proven."""
        return self.criterion.kind is Kind.PROMOTE


def observed_before(
    prometheus: Prometheus, setup: Setup, back_s: float, at: float, latency_limit_s: float
) -> list[ObservedStep]:
    """The last `back_s` seconds as steps of a window that ends `at`; one query a signal, nothing is written."""
    names = {name for one in setup.counted for name in (one.bad, one.trials)} | {PROCESS_START, UP}
    questions: dict[tuple[str, str], Callable[[Prometheus], Mapping[str, Points]]] = {}
    for scope in (CANARY, BASELINE):
        for name in sorted(names & setup.selectors[scope].keys()):
            questions[scope, name] = _question(name, setup.selectors[scope][name], back_s, at, latency_limit_s)
    answers = ask_together(prometheus, questions, _ANSWER_WITHIN_S)
    step_s = setup.policy.step_s
    count = max(1, math.ceil(back_s / step_s))
    samples: list[Samples] = [{CANARY: {}, BASELINE: {}} for _ in range(count)]
    for (scope, name), series in answers.items():
        for key, points in series.items():
            for moment, value in points.items():
                number = min(count - 1, max(0, math.ceil((moment - at + back_s) / step_s) - 1))
                samples[number][scope].setdefault(name, {}).setdefault(key, {})[moment] = value
    return [ObservedStep(at - back_s + (number + 1) * step_s, None, one) for number, one in enumerate(samples)]


def plan_of(setup: Setup, steps: Sequence[ObservedStep], weight: float, policy: Policy) -> tuple[CriterionPlan, ...]:
    """What a window by `policy` proves at the traffic of `steps`, of which the canary gets the share `weight`."""
    counting = Counting(setup)
    histories = [EProcessState(one.criterion.limit, policy.starts) for one in setup.counted]
    served = [0.0] * len(histories)
    for number, step in enumerate(steps):
        counts = counting.advance(step)
        if not number:
            continue  # the first samples only anchor the counters
        for index, (history, one) in enumerate(zip(histories, counts[BASELINE], strict=True)):
            history.advance(one.bad, one.trials)
            served[index] += one.trials + counts[CANARY][index].trials
    seconds = max(setup.policy.step_s, (len(steps) - 1) * setup.policy.step_s)
    return tuple(
        _planned(one.criterion, history, weight * total / seconds, policy, len(histories))
        for one, history, total in zip(setup.counted, histories, served, strict=True)
    )


def smallest_found(rate: float, limit: float, dispersion: float, policy: Policy, criteria: int) -> float | None:
    """The smallest share above `limit` that is found in the longest window in `FOUND` of all simulated ones."""
    if not _found(rate, 1.0, limit, dispersion, policy, criteria):
        return None
    low, high = math.log(limit), 0.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (
            (low, middle) if _found(rate, math.exp(middle), limit, dispersion, policy, criteria) else (middle, high)
        )
    return math.exp(high)


def _planned(
    criterion: GateCriterion, history: EProcessState, rate: float, policy: Policy, criteria: int
) -> CriterionPlan:
    share, dispersion = history.share, history.dispersion
    prove_s = None
    if share is not None and rate > 0:
        needed = trials_to_prove(share, criterion.limit, policy.beta, dispersion) if share < criterion.limit else None
        if needed is not None:
            prove_s = math.ceil(max(needed, criterion.min_samples) / rate / policy.step_s) * policy.step_s
    found = smallest_found(rate, criterion.limit, dispersion, policy, criteria) if rate > 0 else None
    return CriterionPlan(criterion, rate, share, dispersion, prove_s, found)


def _found(rate: float, share: float, limit: float, dispersion: float, policy: Policy, criteria: int) -> bool:
    needed, steps = -math.log(policy.alpha / criteria), policy.starts.horizon
    trials = max(1, round(rate * policy.step_s / dispersion)) if rate * policy.step_s >= dispersion else 1
    every = max(1, round(dispersion / (rate * policy.step_s)))
    found = 0
    for seed in range(WINDOWS):
        random = Random(seed)  # noqa: S311 - a simulation, seeded
        evidence = EProcess(policy.starts)
        for number in range(steps):
            if number % every:
                evidence.skip()
                continue
            evidence.advance(_drawn(random, trials, share) / trials, limit)
            if evidence.peak >= needed:
                found += 1
                break
    return found >= FOUND * WINDOWS


def _drawn(random: Random, trials: int, share: float) -> float:
    """Bad ones out of trials: exact for few, by the normal approximation for many."""
    if trials * min(share, 1 - share) < _FEW / 4 and trials <= 100 * _FEW:
        return sum(random.random() < share for _ in range(trials))
    drawn = random.gauss(trials * share, math.sqrt(trials * share * (1 - share)))
    return min(float(trials), max(0.0, drawn))


def _question(
    name: str, selector: str, back_s: float, at: float, latency_limit_s: float
) -> Callable[[Prometheus], Mapping[str, Points]]:
    def ask(prometheus: Prometheus) -> dict[str, Points]:
        found: dict[str, Points] = {}
        for series in prometheus.history(selector, back_s, at):
            native = name == WITHIN_LIMIT and series.histograms
            points = series.within(latency_limit_s) if native else series.points
            if points:
                found[series.key] = dict(points)
        return found

    return ask
