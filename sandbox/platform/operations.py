"""Operations of the platform: the modes it reports, and the replay of judgments under another rule version."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.platform.cache import SHORT_TTL_SECONDS, TTL_SECONDS
from sandbox.platform.llm_client import CHEAP_MODEL, MODEL, SECONDS_BETWEEN_CALLS
from sandbox.platform.rules import InvalidInputError, Reading

if TYPE_CHECKING:
    from sandbox.platform.faults import Faults
    from sandbox.platform.store import Store

MOST_REPLAYED = 5000
_BEFORE = "r12"
"""The version that a rollback without effect claims to have restored."""


def reported(faults: Faults, rule_version: str) -> dict[str, Any]:
    """Every mode as the platform reports it, whether it acts on it or not."""
    remedies = faults.state().remedies
    rolled_back = "rule_rollback" in remedies and not faults.remedied("rule_rollback")
    return {
        "overrides": sorted(remedies),
        "llm": {
            "mode": "RULE_ONLY" if "llm_rule_only" in remedies else "LLM",
            "model": CHEAP_MODEL if "llm_model_switch" in remedies else MODEL,
            "calls_per_s": 1 / SECONDS_BETWEEN_CALLS if "llm_rate_limit" in remedies else None,
        },
        "mcp": {
            "node": "alternate" if "mcp_alternate" in remedies else "primary",
            "manual_upload": "announced" if "mcp_manual_upload" in remedies else "none",
        },
        "database": {
            "reads": "preaggregates" if "preaggregates" in remedies else "raw",
            "connections": "limited" if "connection_limit" in remedies else "unlimited",
        },
        "cache": {
            "mode": "bypass" if "cache_bypass" in remedies else "on",
            "ttl_s": SHORT_TTL_SECONDS if "cache_ttl_short" in remedies else TTL_SECONDS,
        },
        "rules": {"version": _BEFORE if rolled_back else rule_version},
        "learning": {"promotions": "held" if "candidates_held" in remedies else "open"},
    }


async def replay(store: Store, body: dict[str, Any]) -> dict[str, Any]:
    """Count the judgments of a time range that other versions made, and those that `version` would change."""
    try:
        since, until = (datetime.fromisoformat(str(body[name])) for name in ("from", "to"))
    except (KeyError, ValueError):
        raise InvalidInputError("from and to: expected ISO 8601 with time zone") from None
    rules = await store.ruleset(str(body.get("version")))
    if rules is None:
        raise InvalidInputError(f"version is {body.get('version')!r}: no such rule version")
    rows = await store.judged_by_others(rules, since, until, MOST_REPLAYED)
    readings = [(Reading.parse(row["input"]), row["result"]) for row in rows]
    # What the thresholds leave to the LLM is not asked again: it may have said the same.
    changed = sum(rules.is_clear(reading) and rules.decide(reading)[0] != result for reading, result in readings)
    return {"version": rules.version, "replayed": len(rows), "changed": changed}
