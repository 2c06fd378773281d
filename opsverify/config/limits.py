"""Limits of a target, with the runbook's values as defaults (each description names the section)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetPydanticSchema, model_validator
from pydantic_core import core_schema

from opsverify.language.message import say
from opsverify.limits import Limit


def _kind(unit: str) -> Any:  # noqa: ANN401 - pydantic's own annotation type is private
    """Annotate a field as a limit of kind `unit`, written in TOML as text such as `"< 1 %"`."""

    def read(value: object) -> Limit:
        if isinstance(value, Limit):
            return value
        if not isinstance(value, str):
            raise ValueError(say('expected text such as "<= 5", not {value!r}', value=value))  # noqa: TRY004 - pydantic's protocol
        return Limit.parse(value, unit)

    return GetPydanticSchema(lambda _source, _handler: core_schema.no_info_plain_validator_function(read))


Ratio = Annotated[Limit, _kind("ratio")]
Seconds = Annotated[Limit, _kind("s")]
Count = Annotated[Limit, _kind("count")]
Times = Annotated[Limit, _kind("times")]
Usd = Annotated[Limit, _kind("usd")]
Size = Annotated[Limit, _kind("bytes")]


def _limit(default: str, unit: str, why: str) -> Any:  # noqa: ANN401 - mirrors pydantic.Field
    return Field(default=Limit.parse(default, unit), description=why)


_GATED = {
    "error_rate": ("<", "<="),
    "llm_parse_failure_rate": ("<", "<="),
    "workflow_failure_rate": ("<", "<="),
    "mcp_timeout_rate": ("<", "<="),
    "cache_hit_rate": (">", ">="),
}
"""Limits that the canary gate proves statistically: one-sided, on a share that is neither never nor always."""


class Limits(BaseModel):
    """Limits of one target; a key left out keeps the runbook's value."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    # Runbook 8: promote while all of these hold, roll back when one is exceeded.
    error_rate: Ratio = _limit("< 1 %", "ratio", "8: share of judgments answered with an error")
    judgment_p95: Seconds = _limit("< 1.5 s", "s", "8: 95 % of judgments are faster than this")
    llm_parse_failure_rate: Ratio = _limit("< 0.5 %", "ratio", "8: LLM answers that do not parse")
    workflow_failure_rate: Ratio = _limit("< 1 %", "ratio", "8: workflows that end failed")
    mcp_timeout_rate: Ratio = _limit("<= 5 %", "ratio", "8: MCP calls that time out (rollback only)")
    cache_hit_rate: Ratio = _limit(">= 20 %", "ratio", "8: judgments answered from cache (rollback only)")
    traffic_share: Ratio = _limit("10..20 %", "ratio", "8: share of traffic that the canary receives")
    llm_cost_growth: Times = _limit("<= 1.2 x", "times", "2-2: LLM cost per judgment, canary over baseline")
    firing_alerts: Count = _limit("== 0", "count", "8: no alert while observing")
    restarts: Count = _limit("<= 1", "count", "8: restarts of canary processes in the window")
    min_samples: Count = _limit(">= 200", "count", "8: fewer trials than this decide nothing")
    data_coverage: Ratio = _limit(">= 90 %", "ratio", "8: share of the window that was really observed")

    # After a rollback (runbook 2-4).
    share_outside_baseline: Ratio = _limit(
        "== 0 %", "ratio", "2-4: share of requests that anything but the baseline still serves"
    )
    alerts_end: Seconds = _limit("<= 5 m", "s", "2-4: alerts end within this after a rollback")

    # Times that the run's own machine measures, in every stage.
    run_delay: Seconds = _limit(
        "<= 1 s", "s", "every stage: how late the run's process is woken while it measures a time; later, it holds"
    )

    # Health of services and stores (runbook 1 daily, 5-3, 5-4).
    service_latency: Seconds = _limit("< 1 s", "s", "5-4: a health endpoint answers within this")
    tls_validity: Seconds = _limit(">= 14 d", "s", "1 quarterly: time left on a TLS certificate")
    postgres_latency: Seconds = _limit("< 500 ms", "s", "1 daily: a trivial read answers within this")
    postgres_connections: Ratio = _limit("<= 80 %", "ratio", "1 daily: connections used of max_connections")
    replication_lag: Seconds = _limit("<= 30 s", "s", "1 daily: the slowest replica's replay lag")
    redis_memory: Ratio = _limit("<= 90 %", "ratio", "1 daily: memory used of maxmemory")
    redis_evictions: Count = _limit("== 0", "count", "1 daily: keys evicted while Redis is looked at")
    targets_down: Count = _limit("== 0", "count", "1 daily: scrape targets that are down")
    archive_delay: Seconds = _limit("<= 5 m", "s", "5: how long the oldest WAL segment waits to be archived")
    archive_failures: Count = _limit("== 0", "count", "5: WAL segments whose archiving fails now")

    transaction_age: Ratio = _limit(
        "<= 25 %", "ratio", "1 daily: age of the oldest transaction id or multixact, of the ids until the wraparound"
    )
    slot_bytes: Size = _limit("<= 5 GB", "bytes", "1 daily: WAL that a replication slot keeps")
    blocked_session: Seconds = _limit("<= 1 m", "s", "1 daily: longest wait of a session for a lock")
    idle_transaction: Seconds = _limit("<= 10 m", "s", "1 daily: longest transaction that does nothing")
    long_transaction: Seconds = _limit("<= 1 h", "s", "1 daily: longest transaction of a client")
    deadlocks: Count = _limit("<= 5", "count", "1 daily: deadlocks since the run of a day before")
    redis_evicted: Count = _limit("<= 1000", "count", "1 daily: keys evicted since the run of a day before")
    redis_rejected: Count = _limit("== 0", "count", "1 daily: connections rejected since the run of a day before")
    redis_wasted: Size = _limit("<= 256 MB", "bytes", "1 daily: memory that Redis' allocator wastes")
    redis_fragmentation: Times = _limit(
        "<= 1.5 x", "times", "1 daily: allocator's memory over its use, where more than redis_wasted is wasted"
    )
    redis_latency: Seconds = _limit("<= 500 ms", "s", "1 daily: newest slow event of the last 24 hours in Redis")
    silence_age: Seconds = _limit("<= 1 d", "s", "1 daily: how long a silence lasts, with its renewals")

    # Daily operation (runbook 1).
    llm_failure_rate: Ratio = _limit("<= 5 %", "ratio", "1 daily: LLM calls that fail or time out")
    llm_cost_per_day: Usd = _limit("<= 100 usd", "usd", "1 daily: LLM cost of the last 24 hours")
    llm_cost_weekday: Times = _limit("<= 2 x", "times", "1 daily: LLM cost, over that of the same weekday before")
    dead_letters: Count = _limit("<= 20", "count", "1 daily: unresolved dead letters")
    dead_letter_age: Seconds = _limit("<= 1 h", "s", "1 daily: age of the oldest unresolved dead letter")

    waivers: Count = _limit("<= 5", "count", "waivers that are in force at once")

    # Periodic reviews (runbook 1).
    history_distance: Seconds = _limit(
        ">= 1 d", "s", "1 weekly: time between two snapshots of counters that are compared"
    )

    statements_covered: Ratio = _limit(
        ">= 90 %", "ratio", "1 weekly: share of the sessions' active time that known statements explain"
    )
    slow_query_mean: Seconds = _limit("<= 1 s", "s", "1 weekly: mean time of a statement that runs often")
    slow_query_added: Seconds = _limit(
        "<= 1 h", "s", "1 weekly: seconds a week that one statement, now slower than before, adds"
    )
    index_history: Seconds = _limit(">= 30 d", "s", "1 weekly: time that counters cover before an index is unused")
    unused_indexes: Size = _limit("<= 100 MB", "bytes", "1 weekly: size of all indexes that nothing uses")
    index_bloat: Ratio = _limit("<= 60 %", "ratio", "1 weekly: share of an index that rebuilding it would free")
    full_scans: Count = _limit("<= 100", "count", "1 weekly: how often a day a large table is read from end to end")

    storage_free: Ratio = _limit(">= 10 %", "ratio", "1 weekly: free share of a volume")
    storage_exhaustion: Seconds = _limit(">= 30 d", "s", "1 weekly: time until a volume is full, by its trend")
    storage_history: Seconds = _limit(">= 14 d", "s", "1 weekly: days of daily lows before there is a trend")

    login_expiry: Seconds = _limit(">= 14 d", "s", "1 monthly: time until the password of a database role ends")

    # Smoke (runbook 2-1).
    journey_wait: Seconds = _limit("<= 30 s", "s", "2-1: a journey's asynchronous effect is visible within this")

    # Recovery objectives (runbook 5).
    rpo: Seconds = _limit("<= 30 m", "s", "5: data lost, in time before the disaster")
    backup_age: Seconds = _limit("<= 7 d", "s", "5: time since the newest backup; rehearsed weekly, so made weekly")
    rto: Seconds = _limit("<= 4 h", "s", "5: time from declaring to validated service")

    # Quarterly reviews (runbook 1).
    rehearsal_age: Seconds = _limit("<= 92 d", "s", "1 quarterly: time since the last rehearsal of a recovery ended")
    breaker_not_closed: Seconds = _limit("<= 10 m", "s", "1 quarterly: how long a circuit breaker is not closed")
    key_age: Seconds = _limit("<= 90 d", "s", "1 quarterly: age of a secret or key")

    # On-call (runbook 4).
    on_call_uncovered: Seconds = _limit("<= 0 s", "s", "4: time of the coming period that nobody on a level covers")
    on_call_overlap: Seconds = _limit("<= 30 m", "s", "4: time that two persons of one level share at handovers")

    @model_validator(mode="after")
    def _restarts_at_most(self) -> Limits:
        if self.restarts.op not in ("<", "<=", "=="):
            raise ValueError(
                say("restarts: {restarts}: expected at most some number, such as <= 1", restarts=self.restarts.text)
            )
        if self.run_delay.op not in ("<", "<="):
            raise ValueError(
                say("run_delay: {run_delay}: expected at most some time, such as <= 1 s", run_delay=self.run_delay.text)
            )
        return self

    @model_validator(mode="after")
    def _can_be_proven(self) -> Limits:
        for name, operators in _GATED.items():
            limit: Limit = getattr(self, name)
            if limit.op not in operators or not 0 < limit.bound < 1:
                expected = say(
                    "{first} or {second} and a share between 0 % and 100 %", first=operators[0], second=operators[1]
                )
                raise ValueError(
                    say(
                        "{name}: {limit} cannot be a canary's limit: expected {expected}",
                        name=name,
                        limit=limit.text,
                        expected=expected,
                    )
                )
        return self
