"""Limits of a target, with the runbook's values as defaults (each description names the section)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetPydanticSchema, ValidationInfo, field_validator
from pydantic_core import core_schema

from opsverify.config.limit_form import LimitForm
from opsverify.limits import Limit

if TYPE_CHECKING:
    from collections.abc import Callable


def _read_by(read: Callable[[object], Limit]) -> Any:  # noqa: ANN401 - pydantic's own annotation type is private
    return GetPydanticSchema(lambda _source, _handler: core_schema.no_info_plain_validator_function(read))


def _as_read(value: object) -> Limit:
    """What the field's own form has read already (`Limits.form_of`): direction and range depend on the default."""
    if not isinstance(value, Limit):
        raise TypeError(value)
    return value


Value = Annotated[Limit, _read_by(_as_read)]
Latency = Annotated[Limit, _read_by(LimitForm(Limit.parse("< 1 s", "s")).read)]
"""A limit of time that a service has of its own."""


def _limit(default: str, unit: str, why: str) -> Any:  # noqa: ANN401 - mirrors pydantic.Field
    return Field(default=Limit.parse(default, unit), description=why)


_GATED = frozenset(
    {"error_rate", "llm_parse_failure_rate", "workflow_failure_rate", "mcp_timeout_rate", "cache_hit_rate"}
)
"""Limits that the canary gate proves statistically: one-sided, on a share that is neither never nor always."""
_MOST = {"waivers": 50.0}
"""Limits that reach less far than their unit: so many waivers at once are no exceptions any more."""


class Limits(BaseModel):
    """Limits of one target; a key left out keeps the runbook's value."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    # Runbook 8: promote while all of these hold, roll back when one is exceeded.
    error_rate: Value = _limit("< 1 %", "ratio", "8: share of judgments answered with an error")
    judgment_p95: Value = _limit("< 1.5 s", "s", "8: 95 % of judgments are faster than this")
    llm_parse_failure_rate: Value = _limit("< 0.5 %", "ratio", "8: LLM answers that do not parse")
    workflow_failure_rate: Value = _limit("< 1 %", "ratio", "8: workflows that end failed")
    mcp_timeout_rate: Value = _limit("<= 5 %", "ratio", "8: MCP calls that time out (rollback only)")
    cache_hit_rate: Value = _limit(">= 20 %", "ratio", "8: judgments answered from cache (rollback only)")
    traffic_share: Value = _limit("10..20 %", "ratio", "8: share of traffic that the canary receives")
    llm_cost_growth: Value = _limit("<= 1.2 x", "times", "2-2: LLM cost per judgment, canary over baseline")
    firing_alerts: Value = _limit("== 0", "count", "8: no alert while observing")
    restarts: Value = _limit("<= 1", "count", "8: restarts of canary processes in the window")
    min_samples: Value = _limit(">= 200", "count", "8: fewer trials than this decide nothing")
    data_coverage: Value = _limit(">= 90 %", "ratio", "8: share of the window that was really observed")

    # After a rollback (runbook 2-4).
    share_outside_baseline: Value = _limit(
        "== 0 %", "ratio", "2-4: share of requests that anything but the baseline still serves"
    )
    alerts_end: Value = _limit("<= 5 m", "s", "2-4: alerts end within this after a rollback")

    # Times that the run's own machine measures, in every stage.
    run_delay: Value = _limit(
        "<= 1 s", "s", "every stage: how late the run's process is woken while it measures a time; later, it holds"
    )

    # Health of services and stores (runbook 1 daily, 5-3, 5-4).
    service_latency: Value = _limit("< 1 s", "s", "5-4: a health endpoint answers within this")
    tls_validity: Value = _limit(">= 14 d", "s", "1 quarterly: time left on a TLS certificate")
    postgres_latency: Value = _limit("< 500 ms", "s", "1 daily: a trivial read answers within this")
    postgres_connections: Value = _limit("<= 80 %", "ratio", "1 daily: connections used of max_connections")
    replication_lag: Value = _limit("<= 30 s", "s", "1 daily: the slowest replica's replay lag")
    redis_memory: Value = _limit("<= 90 %", "ratio", "1 daily: memory used of maxmemory")
    redis_evictions: Value = _limit("== 0", "count", "1 daily: keys evicted while Redis is looked at")
    targets_down: Value = _limit("== 0", "count", "1 daily: scrape targets that are down")
    archive_delay: Value = _limit("<= 5 m", "s", "5: how long the oldest WAL segment waits to be archived")
    archive_failures: Value = _limit("== 0", "count", "5: WAL segments whose archiving fails now")

    transaction_age: Value = _limit(
        "<= 25 %", "ratio", "1 daily: age of the oldest transaction id or multixact, of the ids until the wraparound"
    )
    slot_bytes: Value = _limit("<= 5 GB", "bytes", "1 daily: WAL that a replication slot keeps")
    blocked_session: Value = _limit("<= 1 m", "s", "1 daily: longest wait of a session for a lock")
    idle_transaction: Value = _limit("<= 10 m", "s", "1 daily: longest transaction that does nothing")
    long_transaction: Value = _limit("<= 1 h", "s", "1 daily: longest transaction of a client")
    deadlocks: Value = _limit("<= 5", "count", "1 daily: deadlocks since the run of a day before")
    redis_evicted: Value = _limit("<= 1000", "count", "1 daily: keys evicted since the run of a day before")
    redis_rejected: Value = _limit("== 0", "count", "1 daily: connections rejected since the run of a day before")
    redis_wasted: Value = _limit("<= 256 MB", "bytes", "1 daily: memory that Redis' allocator wastes")
    redis_fragmentation: Value = _limit(
        "<= 1.5 x", "times", "1 daily: allocator's memory over its use, where more than redis_wasted is wasted"
    )
    redis_latency: Value = _limit("<= 500 ms", "s", "1 daily: newest slow event of the last 24 hours in Redis")
    silence_age: Value = _limit("<= 1 d", "s", "1 daily: how long a silence lasts, with its renewals")

    # Daily operation (runbook 1).
    llm_failure_rate: Value = _limit("<= 5 %", "ratio", "1 daily: LLM calls that fail or time out")
    llm_cost_per_day: Value = _limit("<= 100 usd", "usd", "1 daily: LLM cost of the last 24 hours")
    llm_cost_weekday: Value = _limit("<= 2 x", "times", "1 daily: LLM cost, over that of the same weekday before")
    dead_letters: Value = _limit("<= 20", "count", "1 daily: unresolved dead letters")
    dead_letter_age: Value = _limit("<= 1 h", "s", "1 daily: age of the oldest unresolved dead letter")

    waivers: Value = _limit("<= 5", "count", "waivers that are in force at once")

    # Periodic reviews (runbook 1).
    history_distance: Value = _limit(
        ">= 1 d", "s", "1 weekly: time between two snapshots of counters that are compared"
    )

    statements_covered: Value = _limit(
        ">= 90 %", "ratio", "1 weekly: share of the sessions' active time that known statements explain"
    )
    slow_query_mean: Value = _limit("<= 1 s", "s", "1 weekly: mean time of a statement that runs often")
    slow_query_added: Value = _limit(
        "<= 1 h", "s", "1 weekly: seconds a week that one statement, now slower than before, adds"
    )
    index_history: Value = _limit(">= 30 d", "s", "1 weekly: time that counters cover before an index is unused")
    unused_indexes: Value = _limit("<= 100 MB", "bytes", "1 weekly: size of all indexes that nothing uses")
    index_bloat: Value = _limit("<= 60 %", "ratio", "1 weekly: share of an index that rebuilding it would free")
    full_scans: Value = _limit("<= 100", "count", "1 weekly: how often a day a large table is read from end to end")

    storage_free: Value = _limit(">= 10 %", "ratio", "1 weekly: free share of a volume")
    storage_exhaustion: Value = _limit(">= 30 d", "s", "1 weekly: time until a volume is full, by its trend")
    storage_history: Value = _limit(">= 14 d", "s", "1 weekly: days of daily lows before there is a trend")

    login_expiry: Value = _limit(">= 14 d", "s", "1 monthly: time until the password of a database role ends")

    # Smoke (runbook 2-1).
    journey_wait: Value = _limit("<= 30 s", "s", "2-1: a journey's asynchronous effect is visible within this")

    # Recovery objectives (runbook 5).
    rpo: Value = _limit("<= 30 m", "s", "5: data lost, in time before the disaster")
    backup_age: Value = _limit("<= 7 d", "s", "5: time since the newest backup; rehearsed weekly, so made weekly")
    rto: Value = _limit("<= 4 h", "s", "5: time from declaring to validated service")

    # Quarterly reviews (runbook 1).
    rehearsal_age: Value = _limit("<= 92 d", "s", "1 quarterly: time since the last rehearsal of a recovery ended")
    breaker_not_closed: Value = _limit("<= 10 m", "s", "1 quarterly: how long a circuit breaker is not closed")
    key_age: Value = _limit("<= 90 d", "s", "1 quarterly: age of a secret or key")

    # On-call (runbook 4).
    on_call_uncovered: Value = _limit("<= 0 s", "s", "4: time of the coming period that nobody on a level covers")
    on_call_overlap: Value = _limit("<= 30 m", "s", "4: time that two persons of one level share at handovers")

    @field_validator("*", mode="before")
    @classmethod
    def _directed(cls, value: object, info: ValidationInfo) -> Limit:
        return cls.form_of(str(info.field_name)).read(value)

    @classmethod
    def form_of(cls, key: str) -> LimitForm:
        """What the limit `key` may be: its default says the kind of quantity, and which end it limits."""
        return LimitForm(cls.model_fields[key].default, _MOST.get(key), key in _GATED)
