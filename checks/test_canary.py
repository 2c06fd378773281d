"""Runbook 8: the canary is promoted while every criterion holds, and rolled back when one does not.

All checks read one shared observation of the window; a criterion counts bad ones out of trials.
"""

from functools import partial
from operator import attrgetter

import pytest

from opsverify import CANARY, Criterion, listed, runbook, say

OBSERVED = partial(runbook, stages=CANARY, needs=("prometheus", "canary"))
CRITERIA = (
    Criterion(
        name="error_rate", line="8/errors", bad="request_errors", trials="requests", limit="error_rate",
        counted=say("requests failed"), ko="카나리 에러율", en="Canary error rate",
    ),
    Criterion(
        name="judgment_p95", line="8/latency", bad="slow_judgments", trials="durations", limit="judgment_p95",
        counted=say("judgments were slower than the limit"),
        ko="카나리 판단 p95 지연", en="Canary judgment p95 latency",
    ),
    Criterion(
        name="llm_parse_failures", line="8/parsing", bad="llm_parse_failures", trials="llm_parses",
        limit="llm_parse_failure_rate", counted=say("LLM answers did not parse"),
        ko="카나리 LLM 파싱 실패율", en="Canary LLM parse failures",
    ),
    Criterion(
        name="workflow_failures", line="8/workflows", bad="workflow_failures", trials="workflows",
        limit="workflow_failure_rate", counted=say("workflows failed"),
        ko="카나리 WF 실패율", en="Canary workflow failures",
    ),
    Criterion(
        name="mcp_timeouts", line="8/mcp", bad="mcp_timeouts", trials="mcp_calls", limit="mcp_timeout_rate",
        rollback_only=True, counted=say("MCP calls timed out"), ko="카나리 MCP 타임아웃률", en="Canary MCP timeouts",
    ),
    Criterion(
        name="cache_hits", line="8/cache", bad="cache_misses", trials="cache_lookups", limit="cache_hit_rate",
        inverse=True, rollback_only=True, counted=say("lookups hit the cache"),
        ko="카나리 캐시 적중률", en="Canary cache hit rate",
    ),
)  # fmt: skip


@pytest.mark.parametrize("criterion", CRITERIA, ids=attrgetter("name"))
def test_criterion(check, canary, criterion):
    """The canary's share of bad ones is proven or measured to stay within the runbook's limit."""
    check.record(canary.judged(criterion))


@OBSERVED(
    "8/window",
    id="canary.traffic_share",
    severity="sev2",
    ko="카나리가 트래픽의 10~20%를 받는가",
    en="The canary receives 10 to 20 % of the traffic",
)
def test_traffic_share(check, canary):
    """Too little traffic proves nothing; too much puts more customers at risk than was agreed."""
    check.record(canary.judged_share())


@OBSERVED(
    "8/window",
    id="canary.coverage",
    severity="sev1",
    ko="관찰 구간의 데이터가 충분한가",
    en="The window was really observed",
)
def test_coverage(check, canary):
    """What happened in the gaps of a window is unknown: that is no verdict on the canary."""
    canary.require_coverage(check.limits.data_coverage)
    check.measure(
        say("coverage"), canary.coverage, check.limits.data_coverage, samples=canary.steps, of=canary.observed_text
    )


@OBSERVED(
    "8/alerts",
    id="canary.alerts",
    severity="sev1",
    ko="카나리 관찰 중 알람이 없는가",
    en="No alert fires while the canary is observed",
)
def test_alerts(check, canary):
    """An alert that begins in the window counts, also one that has ended."""
    fired = canary.fired_alerts()
    check.measure(
        say("alerts"), len(fired), check.limits.firing_alerts, of=listed(say("alerts fired on the canary"), fired)
    )


@OBSERVED(
    "8/window",
    id="canary.restarts",
    severity="sev1",
    ko="카나리 프로세스가 재시작하지 않는가",
    en="Canary processes do not restart",
)
def test_restarts(check, canary):
    """What a process counted stays counted when it restarts; a canary that crashes again and again is no good one."""
    restarts = canary.restarts()
    check.measure(
        say("restarts"), len(restarts), check.limits.restarts, of=listed(say("restarts in the window"), restarts)
    )


@OBSERVED(
    "2-2/cost",
    id="canary.llm_cost",
    signals=("llm_cost", "requests"),
    severity="sev2",
    ko="카나리의 판단당 LLM 비용이 기준 대비 늘지 않았는가",
    en="The canary's LLM cost per judgment has not grown over the baseline's",
)
def test_llm_cost(check, canary):
    """A prompt change that doubles the bill passes every other criterion."""
    cost = canary.cost_growth()
    check.enough(say("judgments"), cost.trials, say("observe longer (--window)"))
    check.measure_estimate(
        say("LLM cost"), cost.estimate, check.limits.llm_cost_growth, samples=cost.trials, of=cost.text
    )
