"""Policy of a canary window: what the target and its limits make of it, before the first query."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from opsverify.canary.criterion import P95_SLOWER, SLOW
from opsverify.canary.observer import selectors
from opsverify.canary.policy import GateCriterion, Kind, Policy
from opsverify.canary.window_setup import WITHIN_LIMIT, Counted, Setup
from opsverify.language.message import say
from opsverify.units import parse_duration, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opsverify.canary.criterion import Criterion
    from opsverify.config.limits import Limits
    from opsverify.config.model import Canary, Target
    from opsverify.limits import Limit

LEAST_STEPS = 4
"""Steps in the shortest of windows."""
_WIDEST = 0.2
"""Half the widest interval of a share, relative to it, that says where the share is: as `rollout --share` has it."""


def setup_of(target: Target, window_s: float, criteria: Iterable[Criterion]) -> Setup:
    """What a window of `window_s` seconds is observed for; LookupError where the target lacks a part."""
    canary, prometheus = target.canary, target.prometheus
    if canary is None or prometheus is None:
        raise LookupError("a canary is observed on a target without canary or prometheus")
    counted = tuple(_counted(row, target) for row in criteria)
    more = {name for one in counted for name in (one.bad, one.trials)}
    found = selectors(canary, prometheus.signals, target.limits.judgment_p95.bound, more)
    policy = policy_of(canary, target.limits, window_s)
    return Setup(start=0.0, policy=policy, counted=counted, selectors=found, instance_label=canary.instance_label or "")


def policy_of(canary: Canary, limits: Limits, window_s: float) -> Policy:
    """The target's policy for a longest window of `window_s` seconds.

    A window shorter than the runbook's (a demonstration, a rehearsal) has its shortest window halfway.
    """
    shortest = parse_duration(canary.shortest_window)
    return Policy(
        shortest_s=shortest if window_s >= shortest else window_s / 2,
        longest_s=window_s,
        step_s=min(parse_duration(canary.step), window_s / LEAST_STEPS),
        alpha=canary.alpha,
        beta=canary.beta,
        min_coverage=limits.data_coverage.bound,
        end_rule=canary.end_rule,
        on_shared_breach=canary.on_shared_breach,
        on_worse_than_baseline=canary.on_worse_than_baseline,
        breach_evidence=canary.breach_evidence,
        warm_up_s=parse_duration(canary.warm_up),
        restarts=math.floor(limits.restarts.bound) - (limits.restarts.op == "<"),
    )


def _counted(row: Criterion, target: Target) -> Counted:
    limit: Limit = getattr(target.limits, row.limit)
    slow = row.bad == SLOW
    words = row.counted
    if slow:
        words = say("{counted} ({limit})", counted=row.counted, limit=quantity(limit.bound, limit.unit))
    bound = P95_SLOWER.bound if slow else 1 - limit.bound if row.inverse else limit.bound
    least = target.limits.min_samples
    criterion = GateCriterion(
        name=row.name,
        limit=float(f"{bound:.12g}"),  # 1 - 20 % is 80 %, not 0.8000000000000000444
        min_samples=math.ceil(least.bound) + (least.op == ">"),
        kind=Kind.ROLLBACK_ONLY if row.rollback_only else Kind.PROMOTE,
        strict=slow or limit.op in ("<", ">"),
        counted=words,
        inverse=row.inverse,
    )
    if slow:
        return Counted(criterion=criterion, bad=WITHIN_LIMIT, trials=row.trials, good_counted=True)
    if target.prometheus is None:
        raise LookupError("a criterion is counted on a target without prometheus")
    signals = target.prometheus.signals
    name, good = signals.counted(row.bad)
    bad, trials = signals.of(name), signals.of(row.trials)
    picked = bad.labels if bad.metric and bad.metric == trials.metric and not good else ()
    return Counted(criterion=criterion, bad=name, trials=row.trials, good_counted=good, picked_by=tuple(sorted(picked)))
