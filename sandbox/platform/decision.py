"""Judgment, step by step: fault, cache, rules, LLM, store, notify."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.platform.cache import SHORT_TTL_SECONDS, TTL_SECONDS
from sandbox.platform.faults import Share
from sandbox.platform.rules import CONFIDENCE_FALLBACK, CONFIDENCE_RULE, cache_key, wrong

if TYPE_CHECKING:
    from sandbox.platform.cache import Cache
    from sandbox.platform.faults import Faults
    from sandbox.platform.llm_client import LLM
    from sandbox.platform.metrics import Metrics
    from sandbox.platform.notify import Notifier
    from sandbox.platform.rules import Reading, Ruleset
    from sandbox.platform.store import Store

WRONG_VERSION = "0.0.0-unknown"
_ERROR_SHARE = 0.2
_SLOW_SHARE = 0.3
_SLOW_READS_SHARE = 0.25
_SLOW_SECONDS = 2.0


class JudgmentFailedError(Exception):
    """The fault `error_rate` hit this judgment."""


@dataclass
class Judge:
    """Makes judgments for one track; rule and prompt versions are read again by `refresh`."""

    track: str
    version: str
    store: Store
    cache: Cache
    llm: LLM
    notifier: Notifier
    metrics: Metrics
    faults: Faults

    def __post_init__(self) -> None:
        self._active: tuple[Ruleset, str, str] | None = None
        self._earlier = False
        self._errors = Share()
        self._slow = Share()
        self._slow_reads = Share()

    @property
    def reported_version(self) -> str:
        """The version this process claims to be."""
        return WRONG_VERSION if self.faults.on("wrong_version") else self.version

    async def refresh(self) -> None:
        """Read the active versions; raises StoreUnavailableError."""
        self._earlier = self.faults.on("rules_not_rolled_out")
        self._active = await self.store.versions_in_force(earlier_rules=self._earlier)

    async def rules(self) -> Ruleset:
        """The active rules; raises StoreUnavailableError if they were never read."""
        return (await self._versions())[0]

    async def serves(self) -> dict[str, str]:
        """The versions that this process serves, by kind."""
        rules, prompt, dsl = await self._versions()
        return {"rules": rules.version, "prompts": prompt, "dsl": dsl}

    async def judge(self, reading: Reading, *, rule_only: bool, tag: str | None) -> dict[str, Any]:
        """Judge, store and notify; `rule_only` uses neither cache nor LLM.

        Raises JudgmentFailedError and StoreUnavailableError.
        """
        started = time.perf_counter()
        if self.faults.on("error_rate") and self._errors.pick(_ERROR_SHARE):
            raise JudgmentFailedError("the judgment failed")
        if self.faults.on("latency") and self._slow.pick(_SLOW_SHARE):
            await asyncio.sleep(_SLOW_SECONDS)
        if self.faults.on("db_slow_reads") and self._slow_reads.pick(_SLOW_READS_SHARE):
            await self._read_statistics(reading)
        rules, prompt, _ = await self._versions()
        outcome = (
            self._fall_back(rules, reading) if rule_only else await self._cached_or_decided(rules, prompt, reading, tag)
        )
        execution_id = uuid.uuid4()
        facts = {
            "rule_version": rules.version,
            "prompt_version": prompt,
            "app_version": self.reported_version,
            "track": self.track,
            "latency_ms": round((time.perf_counter() - started) * 1000),
            "synthetic_tag": tag,
        }
        if not self.faults.on("judgment_not_stored"):
            await self.store.add_judgment(execution_id, reading, outcome | facts)
        if outcome["result"] == "ALARM" and not self.faults.on("rule_silent"):
            await self._notify(execution_id, reading, outcome["reason"], tag)
        answer = {key: facts[key] for key in ("rule_version", "prompt_version", "app_version", "track")}
        return {"execution_id": str(execution_id), **outcome, **answer}

    async def _versions(self) -> tuple[Ruleset, str, str]:
        if self._active is None or self._earlier != self.faults.on("rules_not_rolled_out"):
            await self.refresh()
        assert self._active is not None  # noqa: S101  # refresh sets it or raises
        return self._active

    async def _read_statistics(self, reading: Reading) -> None:
        aggregated = self.faults.remedied("preaggregates")
        await self.store.line_statistics(reading.line_code, aggregated=aggregated)
        self.metrics.statistics_read("preaggregate" if aggregated else "raw")

    async def _cached_or_decided(
        self, rules: Ruleset, prompt: str, reading: Reading, tag: str | None
    ) -> dict[str, Any]:
        if self.faults.remedied("cache_bypass"):
            return await self._decide(rules, reading, tag)
        key = cache_key(reading, rules.version, prompt)
        cached = None if self.faults.on("cache_miss") else await self.cache.get(key)
        self._count_errors()
        self.metrics.cache_looked_up(hit=cached is not None)
        if cached is not None:
            return cached | {"source": "CACHE"}
        outcome = await self._decide(rules, reading, tag)
        # A fallback is the best for now only: the LLM is queried again next time.
        if outcome["source"] != "RULE_ONLY" and not self.faults.on("cache_not_filled"):
            short = self.faults.remedied("cache_ttl_short")
            await self.cache.put(key, outcome, SHORT_TTL_SECONDS if short else TTL_SECONDS)
            self._count_errors()
        return outcome

    def _count_errors(self) -> None:
        self.metrics.cache_errors.inc(self.cache.errors)
        self.cache.errors = 0

    async def _decide(self, rules: Ruleset, reading: Reading, tag: str | None) -> dict[str, Any]:
        if rules.is_clear(reading):
            result, reason = rules.decide(reading)
            return {"result": result, "source": "RULE", "confidence": CONFIDENCE_RULE, "reason": reason}
        if self.faults.remedied("llm_rule_only"):
            return self._fall_back(rules, reading)
        opinion = await self.llm.ask(reading, tag)
        if opinion is None:
            return self._fall_back(rules, reading)
        return {
            "result": opinion.result,
            "source": "LLM",
            "confidence": opinion.confidence,
            "reason": opinion.reason,
        }

    def _fall_back(self, rules: Ruleset, reading: Reading) -> dict[str, Any]:
        result, reason = rules.decide(reading)
        if self.faults.on("llm_fallback"):
            result = wrong(result)
        return {"result": result, "source": "RULE_ONLY", "confidence": CONFIDENCE_FALLBACK, "reason": reason}

    async def _notify(self, execution_id: uuid.UUID, reading: Reading, reason: str, tag: str | None) -> None:
        mark = f" [{tag}]" if tag else ""
        await self.notifier.send(
            f"ALARM {reading.line_code}: {reason} (execution {execution_id}){mark}",
            {
                "line_code": reading.line_code,
                "execution_id": str(execution_id),
                "track": self.track,
                "synthetic_tag": tag,
            },
        )
