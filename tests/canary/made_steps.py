"""Steps of a made-up platform without Prometheus: the counts of each step are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.canary.observation import ObservedStep
from opsverify.canary.policy import GateCriterion, Kind, Policy
from opsverify.canary.watch import GateWatch
from opsverify.canary.window_setup import Counted, Setup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

START = 1_000_000.0
ERRORS = Counted(
    criterion=GateCriterion(name="error_rate", limit=0.01, min_samples=200, counted="requests failed"),
    bad="request_errors",
    trials="requests",
    picked_by=("code",),
)
TIMEOUTS = Counted(
    criterion=GateCriterion(
        name="mcp_timeouts",
        limit=0.05,
        min_samples=200,
        kind=Kind.ROLLBACK_ONLY,
        strict=False,
        counted="timed out",
    ),
    bad="mcp_timeouts",
    trials="mcp_calls",
    picked_by=("outcome",),
)
ONE = "instance=a:1"
OTHER = "instance=s:1"
"""The process of the baseline."""

Counts = tuple[float, float]
"""Bad ones and trials of one step."""


def watched(
    canary: Sequence[Counts] | Callable[[int], Counts],
    policy: Policy | None = None,
    *,
    baseline: Counts = (0, 600),
    calls: Counts | None = None,
    alert_at: int | None = None,
    skew_s: float | None = 0.0,
) -> GateWatch:
    """Feed steps until the gate decides; `canary` gives each step's failed and all requests, `calls` MCP's."""
    policy = policy or Policy()
    of_step = canary if callable(canary) else lambda number: canary[min(number, len(canary)) - 1]
    counted = (ERRORS,) if calls is None else (ERRORS, TIMEOUTS)
    watch = GateWatch(Setup(start=START, policy=policy, counted=counted, skew_s=skew_s))
    totals = [[1000.0, 100_000.0], [1000.0, 100_000.0], [1000.0, 100_000.0]]
    number = 0
    while not watch.over:
        at = START + number * policy.step_s
        if number:
            for total, (bad, trials) in zip(totals, (of_step(number), baseline, calls or (0, 0)), strict=True):
                total[0] += bad
                total[1] += trials
        samples = {
            scope: {
                "requests": {f"code=200,{one}": {at: all_ - bad}, f"code=500,{one}": {at: bad}},
                "request_errors": {f"code=500,{one}": {at: bad}},
                "mcp_calls": {f"{one},outcome=ok": {at: totals[2][1]}},
                "mcp_timeouts": {f"{one},outcome=timeout": {at: totals[2][0]}},
            }
            for scope, one, (bad, all_) in (("canary", ONE, totals[0]), ("baseline", OTHER, totals[1]))
        }
        fires = alert_at is not None and number >= alert_at
        watch.advance(ObservedStep(at, None, samples, ("JudgmentErrorRateHigh",) if fires else ()))
        number += 1
    return watch
