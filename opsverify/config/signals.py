"""Signals: the names of the platform's metrics. PromQL is built from them; each can be replaced whole."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, model_validator

SCOPE = "$scope"


class Signal(BaseModel):
    """One counter or gauge: `metric` plus label matchers `match`, or a whole `promql` selector holding `$scope`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    metric: str | None = None
    match: str = ""
    promql: str | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Signal:
        if (self.metric is None) == (self.promql is None):
            raise ValueError('expected either { metric = "name", match = \'code=~"5.."\' } or { promql = "..." }')
        if self.promql is not None and (SCOPE not in self.promql or self.match):
            raise ValueError(f"expected promql to hold {SCOPE} where canary or baseline are selected, and no match")
        return self

    @property
    def labels(self) -> frozenset[str]:
        """Names of the labels that `match` picks by."""
        return frozenset(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", self.match))

    def selector(self, scope: str = "", extra: str = "") -> str:
        """The instant vector selector of this signal for `scope` (label matchers, may be empty)."""
        matchers = ",".join(part for part in (self.match, scope, extra) if part)
        if self.promql is not None:
            return self.promql.replace(SCOPE, ",".join(part for part in (scope, extra) if part))
        return f"{self.metric}{{{matchers}}}"


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
