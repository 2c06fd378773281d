"""Platforms without some signals: planned as not applicable with the reason, and promoted on what they have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from opsverify.cli.main import main
from opsverify.config.signals import SHARES, Signals
from opsverify.core.stages import CANARY
from tests.canary.cluster import ERRORS as COUNTED
from tests.canary.named_cluster import NamedCluster, watch
from tests.canary.named_criteria import ERRORS, MCP, SLOW, WORKFLOWS, simulated
from tests.support.target_file import SMALLEST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PARTS = {
    "llm_calls": "no LLM", "llm_parses": "no LLM", "llm_cost": "no LLM", "workflows": "no workflow engine",
    "mcp_calls": "no connectors", "cache_lookups": "no cache",
}  # fmt: skip
LEFT = {
    "canary.error_rate", "canary.judgment_p95", "canary.traffic_share",
    "canary.coverage", "canary.alerts", "canary.restarts",
}  # fmt: skip


def target_without(folder: Path, signals: Mapping[str, str]) -> Path:
    """A target with Prometheus and a canary that declares `signals` absent, each with its reason."""
    text = (
        SMALLEST.replace('"prometheus", ', "").replace('"canary", ', "")
        + '[canary]\n[prometheus]\nurl = "http://127.0.0.1:9"\n'
    )
    lines = [f'{name} = {{ absent = "{reason}" }}' for name, reason in signals.items()]
    path = folder / "t.toml"
    path.write_text(text + "[prometheus.signals]\n" + "\n".join(lines), encoding="utf-8")
    return path


def test_what_a_platform_has_not_is_planned_as_not_applicable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """HTTP metrics only: what is left out stays in the plan with the target's reason, the rest is to be executed."""
    assert main(["plan", "prod-canary", "--target", str(target_without(tmp_path, PARTS)), "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    reasons = {check["id"]: check.get("not_applicable") for check in checks}
    assert {check for check, reason in reasons.items() if not reason} == LEFT
    left_out = {check: reason for check, reason in reasons.items() if reason}
    assert {reason.rpartition("(")[2].rstrip(")") for reason in left_out.values()} == set(PARTS.values())


@pytest.mark.parametrize("stage", CANARY)
def test_a_canary_without_an_error_rate_is_not_promoted(
    stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Restarts are counted as well, and are none: the plan says that the error rate is what decides."""
    target = target_without(tmp_path, {"request_errors": "not counted"})
    assert main(["plan", stage, "--target", str(target)]) == 0
    assert f"the stage will hold: 8/errors is what {stage} decides by" in capsys.readouterr().out


@pytest.mark.parametrize("errors", [0.003, 0.05])
def test_it_is_decided_on_what_it_has(errors: float) -> None:
    """No query for an absent signal, promoted early and proven when good, rolled back when not."""
    named = NamedCluster(simulated(errors))
    absent = {name: {"absent": reason} for name, reason in PARTS.items()}
    signals = Signals.model_validate(absent)
    criteria = tuple(
        row for row in (ERRORS, SLOW, WORKFLOWS, MCP) if all(signals.absent(name) is None for name in row.spec.signals)
    )
    assert [row.name for row in criteria] == [COUNTED.criterion.name, "judgment_p95"]
    watched = watch(named, criteria, absent)
    assert watched.decision.outcome.value == ("promote" if errors < 0.01 else "rollback")
    assert watched.decision.proven
    names = {*PARTS, *(share.bad for share in SHARES.values() if share.trials in PARTS)}
    metrics = {str(Signals().of(name).metric) for name in names}
    assert not [query for query in named.queries if any(metric in query for metric in metrics)]
