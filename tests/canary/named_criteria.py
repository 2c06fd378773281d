"""Criteria under the platform's own metric names, and a simulated platform that has them."""

from __future__ import annotations

from opsverify import Criterion
from opsverify.canary.policy import Policy
from tests.canary.cluster import Cluster, pods


def criterion(name: str, bad: str, trials: str, limit: str, *, rollback_only: bool = False) -> Criterion:
    """A row of the canary's table."""
    return Criterion(
        name=name, line="8/errors", bad=bad, trials=trials, limit=limit, counted="were bad", ko=name, en=name,
        rollback_only=rollback_only,
    )  # fmt: skip


ERRORS = criterion("error_rate", "request_errors", "requests", "error_rate")
SLOW = criterion("judgment_p95", "slow_judgments", "durations", "judgment_p95")
WORKFLOWS = criterion("workflow_failures", "workflow_failures", "workflows", "workflow_failure_rate")
MCP = criterion("mcp_timeouts", "mcp_timeouts", "mcp_calls", "mcp_timeout_rate", rollback_only=True)


def simulated(
    errors: float = 0.003, baseline: float = 0.003, policy: Policy | None = None, past: tuple[int, int] = (100_000, 100)
) -> Cluster:
    """Two pods of the canary, two of the baseline; `past`: what each has counted, and how much of it was bad."""
    found = [*pods(2, past=past), *pods(2, "baseline", past=past)]
    return Cluster(
        found,
        seed=3,
        errors={"canary": errors, "baseline": baseline},
        rates={"canary": 20.0, "baseline": 20.0},
        policy=policy or Policy(shortest_s=300, longest_s=600),
    )
