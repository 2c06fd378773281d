"""Metrics of the server, and the alerts on them: verification that has stopped is seen."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import yaml
from promql_parser import parse

from opsverify.core.stages import STAGES
from opsverify.evidence.target_state import TargetState
from opsverify.serve.metrics import HELP
from tests.support.gate_server import GateProject, LiveGate, served
from tests.support.metric_samples import samples
from tests.support.paths import REPOSITORY

RULES: list[dict[str, Any]] = yaml.safe_load(
    (REPOSITORY / "deploy" / "prometheus" / "opsverify.rules.yaml").read_text(encoding="utf-8")
)["groups"][0]["rules"]


def test_verdicts_durations_and_queue(live: LiveGate, project: GateProject) -> None:
    """Counted as they end; a hold waits until a person has decided."""
    project.decide("c1", 10)
    run = live.call("POST", "/v1/runs", {"stage": "staging", "target": "prod",
                                         "release": {"name": "j", "checksum": "c1"}}).json()  # fmt: skip
    live.ended(run["id"])
    found = samples(live)
    assert found["opsverify_runs_total{decision='hold',stage='staging',target='prod'}"] == 1
    assert found["opsverify_run_duration_seconds_bucket{le='+Inf',stage='staging',target='prod'}"] == 1
    assert (
        found["opsverify_queue_length{}"],
        found["opsverify_runs_running{}"],
        found["opsverify_holds_waiting{}"],
    ) == (
        0,
        0,
        1,
    )
    live.call("POST", f"/v1/runs/{run['id']}/approval", {"who": "Kim", "why": "by hand"}, "approver")
    assert samples(live)["opsverify_holds_waiting{}"] == 0


def test_age_of_the_last_accepted_rehearsal(project: GateProject) -> None:
    """Whoever ran it; a later one that was rejected does not renew it, and a target without any is +Inf."""
    with served(project) as live:
        assert samples(live)["opsverify_last_accepted_age_seconds{stage='rehearsal',target='prod'}"] == float("inf")
        state = TargetState.of(project.folder / "reports", "prod")
        for number, decision in enumerate(("accept", "reject")):
            state.begin(f"r{number}", "rehearsal", project.folder)
            state.finish(f"r{number}", "rehearsal", decision, "0" * 64)
        live.now = dt.datetime.now(dt.UTC) + dt.timedelta(days=9)
        found = samples(live)
    assert (
        9 * 86400 - 60 < found["opsverify_last_accepted_age_seconds{stage='rehearsal',target='prod'}"] < 9 * 86400 + 60
    )
    assert found["opsverify_target_readable{target='prod'}"] == 1


def test_a_damaged_record_is_seen(project: GateProject) -> None:
    """Nothing is known of that target then: +Inf, and unreadable."""
    state = TargetState.of(project.folder / "reports", "prod")
    state.begin("r", "daily", project.folder)
    state.runs.write_text('{"altered": true}\n', encoding="utf-8")
    with served(project) as live:
        found = samples(live)
    assert found["opsverify_target_readable{target='prod'}"] == 0
    assert found["opsverify_last_accepted_age_seconds{stage='rehearsal',target='prod'}"] == float("inf")


def test_every_alert_is_on_a_metric_that_exists() -> None:
    """Its expression parses, names only metrics and stages of ours, and says what to look at."""
    for rule in RULES:
        parse(rule["expr"])
        names = set(re.findall(r"\bopsverify_\w+", rule["expr"]))
        assert names <= HELP.keys(), rule["alert"]
        assert names or "up{" in rule["expr"]
        assert set(re.findall(r'stage="([^"]+)"', rule["expr"])) <= STAGES.keys()
        assert rule["annotations"]["summary"]
    assert {"OpsverifyServerDown", "OpsverifyRehearsalStopped"} <= {rule["alert"] for rule in RULES}
