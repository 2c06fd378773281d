"""Finished run, as the plugin writes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from opsverify.evidence.manifest import write_manifest

if TYPE_CHECKING:
    from pathlib import Path

VERDICT = {
    "schema": "opsverify.verdict/1",
    "run_id": "20261122T201233Z-prod-canary-7f3a",
    "stage": "prod-canary",
    "target": "prod",
    "outcome": "fail",
    "decision": "rollback",
    "reasons": ["canary.error_rate: 2.31% of 4,120 requests failed, limit < 1%", "<b>판단</b>: not measured"],
    "finished_at": "2026-11-22T20:24:41.118Z",
    "planned": 4,
    "executed": 4,
    "checks": [
        {"id": "health.redis", "outcome": "pass"},
        {"id": "canary.error_rate", "outcome": "fail"},
        {"id": "canary.llm_parse", "outcome": "inconclusive"},
        {"id": "canary.cost", "outcome": "waived"},
    ],
}


def finish(folder: Path, **changes: object) -> None:
    """Write manifest and verdict, in this order, as the end of a run does."""
    verdict = {**VERDICT, **changes, "evidence": {"manifest_sha256": write_manifest(folder)}}
    (folder / "verdict.json").write_text(json.dumps(verdict))
