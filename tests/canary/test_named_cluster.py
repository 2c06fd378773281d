"""Signals of a target over HTTP: what their selectors matched before the window decides what it proves."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from opsverify.canary.observer import with_meanings
from opsverify.canary.policy import Policy
from opsverify.canary.window_policy import setup_of
from opsverify.canary.window_setup import Setup
from opsverify.cli.main import main
from opsverify.config.signals import Signals
from opsverify.metrics.same_series import Told, suspects, told
from opsverify.probes.prometheus import Prometheus
from tests.canary.named_cluster import NamedCluster, serving, target_at, watch
from tests.canary.named_criteria import ERRORS, MCP, SLOW, WORKFLOWS, simulated
from tests.support.http_double import ANSWER_WITHIN_S
from tests.support.target_file import SMALLEST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opsverify import Criterion
    from opsverify.canary.decision import GateDecision
    from tests.canary.cluster import Cluster

REQUESTS = "judgment_requests_total"


def decided(
    cluster: Cluster,
    criteria: tuple[Criterion, ...] = (ERRORS, SLOW),
    signals: Mapping[str, object] | None = None,
    partial: str | None = None,
) -> tuple[GateDecision, str]:
    """The decision of a window over HTTP, and every reason it has."""
    watched = watch(NamedCluster(cluster, partial), criteria, signals or {})
    return watched.decision, "\n".join([*watched.decision.reasons, *watched.faults])


@pytest.mark.parametrize(("errors", "outcome"), [(0.003, "promote"), (0.05, "rollback"), (1.0, "rollback")])
def test_the_platforms_own_signals_decide(errors: float, outcome: str) -> None:
    """Nothing of what is searched for before the window stands in the way; a canary that only fails is rolled back."""
    decision, reasons = decided(simulated(errors))
    assert decision.outcome.value == outcome, reasons


SAME: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
    "trials of two criteria": (
        {"durations": {"metric": REQUESTS, "match": 'code!="none"'}, "duration_buckets": {"metric": "x_bucket"}},
        ("requests", "durations"),
    ),
    "bad ones of one and trials of another": (
        {
            "workflows": {"metric": REQUESTS, "match": 'code!="2.."'},
            "workflow_failures": {"metric": REQUESTS, "match": 'code=~".+"'},
        },
        ("requests", "workflows"),
    ),
    "bad ones of two criteria": (
        {
            "workflows": {"metric": "judgment_duration_seconds_count", "same_as": "durations"},
            "workflow_failures": {"promql": REQUESTS + '{code="500",$scope}'},
        },
        ("request_errors", "workflow_failures"),
    ),
    "bad ones that are all trials": (
        {"request_errors": {"metric": REQUESTS, "match": 'code=~"[25].."'}},
        ("requests", "request_errors"),
    ),
    "good ones that are all trials": (
        {"request_good": {"metric": REQUESTS, "match": 'code!="5xx"'}},
        ("requests", "request_good"),
    ),
    "a bucket that is all durations": (
        {"durations": {"metric": "judgment_duration_seconds_bucket", "match": 'le=~"1.50?"'}},
        ("durations", "duration_buckets"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("errors", [0.0, 0.003, 0.5], ids=["good", "within", "half of it fails"])
@pytest.mark.parametrize("form", SAME)
def test_two_signals_of_the_same_series_hold_and_are_named(form: str, errors: float) -> None:
    """Selectors written differently, one count: neither promoted nor rolled back, and both keys are in the reason."""
    signals, names = SAME[form]
    criteria = (ERRORS, WORKFLOWS) if "workflows" in signals else (SLOW,) if "bucket" in form else (ERRORS, SLOW)
    # Good ones can only be all trials where nothing failed, or where the selector takes failed ones along.
    baseline, past = (0.0, (100_000, 0)) if errors == 0.0 and "bad ones of two" not in form else (0.003, (100_000, 100))
    decision, reasons = decided(simulated(errors, baseline, past=past), criteria, signals)
    assert decision.outcome.value == "hold", reasons
    assert "count the same series" in reasons
    for name in names:
        assert f"prometheus.signals.{name}" in reasons or f"or .{name}," in reasons


MEANT: dict[str, dict[str, object]] = {
    "said so": {"durations": {"metric": REQUESTS, "match": 'code!="none"', "same_as": "requests"}},
    "good ones picked by their value": {"request_good": {"metric": REQUESTS, "match": 'code="200"'}},
    "good ones picked by status": {"request_good": {"metric": REQUESTS, "match": 'code=~"[1234].."'}},
    "another metric": {"requests": {"metric": "judgment_duration_seconds_count", "match": 'instance!=""'},
                       "request_errors": {"metric": REQUESTS, "match": 'code=~"5.."'},
                       "durations": {"metric": "judgment_duration_seconds_count", "same_as": "requests"}},
}  # fmt: skip


@pytest.mark.parametrize("form", MEANT)
def test_what_is_meant_is_no_fault(form: str) -> None:
    """A healthy canary without any failure is promoted, however its series are shared on purpose."""
    criteria = (ERRORS,) if "requests" in MEANT[form] or "said" in form else (ERRORS, SLOW)
    made = simulated(0.0, 0.0, past=(100_000, 0 if "good" in form else 100))
    decision, reasons = decided(made, criteria, MEANT[form])
    assert decision.outcome.value == "promote", reasons


def test_bad_ones_that_are_all_trials_for_a_while_are_failures() -> None:
    """All fail now, not all in seven days: that is a canary to roll back, no wrong selector."""
    decision, reasons = decided(simulated(1.0, 1.0))
    assert decision.outcome.value == "rollback", reasons


def test_victoria_metrics_in_part_proves_nothing() -> None:
    """A storage node is away, and with it every failed request: `isPartial` without a warning holds."""
    made = simulated(0.05)
    decision, reasons = decided(made, partial='code="500"')
    assert decision.outcome.value == "hold", reasons
    assert "partial response" in reasons
    assert decided(simulated(0.05))[0].outcome.value == "rollback"


def test_a_selector_that_never_matched_holds_and_names_the_values() -> None:
    """Half of the requests fail with 500, the selector says 5xx: 0 % is no proof, over HTTP as well."""
    signals = {"request_errors": {"metric": REQUESTS, "match": 'code="5xx"'}}
    decision, reasons = decided(simulated(0.5), (ERRORS,), signals)
    assert decision.outcome.value == "hold", reasons
    assert "matched no series in 7d" in reasons
    assert "code is 200, 500" in reasons


def test_meanings_that_get_no_answer_hold_where_nothing_was_bad() -> None:
    """Whether a selector ever matched is unknown: without bad ones that is no proof, and said."""
    made = simulated()
    target = target_at("http://127.0.0.1:1", {})
    assert target.prometheus is not None
    with Prometheus(target.prometheus) as prometheus:
        setup = setup_of(target, made.policy.longest_s, (ERRORS,))
        setup = with_meanings(prometheus, target.prometheus.signals, setup, 1.5)
    assert "whether its selector ever matched is unknown" in str(setup.counted[0].unproven)
    again = Setup.loads(setup.dumps())
    assert (again.counted[0].unproven, again.alike) == (setup.counted[0].unproven, setup.alike)


def test_files_without_pairs_are_read() -> None:
    """The header of an earlier window has none."""
    target = target_at("http://127.0.0.1:1", {})
    raw = json.loads(replace(setup_of(target, 600.0, (ERRORS,)), alike=(("a", "b"),)).dumps())
    assert Setup.loads(json.dumps(raw)).alike == (("a", "b"),)
    del raw["alike"]
    assert Setup.loads(json.dumps(raw)).alike == ()


def test_doctor_names_both_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before any run: which two signals count the same series, and nothing of those that do not."""
    named = NamedCluster(simulated())
    with serving(named) as url:
        text = SMALLEST.replace('"prometheus", ', "") + f'[prometheus]\nurl = "{url}"\n'
        text += f"timeout_s = {ANSWER_WITHIN_S}\n[prometheus.signals]\n"
        path = tmp_path / "t.toml"
        path.write_text(text + f"workflows = {{ metric = '{REQUESTS}', match = 'code!=\"x\"' }}\n", encoding="utf-8")
        assert main(["doctor", "--target", str(path)]) == 10
    lines = [line for line in capsys.readouterr().out.splitlines() if "same series" in line]
    assert len(lines) == 1
    assert "signals.requests, signals.workflows" in lines[0]
    assert lines[0].startswith("FAIL")


@pytest.mark.parametrize(("canary", "found"), [('track="canary"', 0), ('track=~"canary|stable"', 1)])
def test_doctor_names_scopes_that_share_series(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], canary: str, found: int
) -> None:
    """Before any run: a selector of the canary that matches the baseline as well."""
    with serving(NamedCluster(simulated())) as url:
        text = SMALLEST.replace('"prometheus", ', "").replace('"canary", ', "") + f'[prometheus]\nurl = "{url}"\n'
        text += f"timeout_s = {ANSWER_WITHIN_S}\n[canary]\ncanary = '{canary}'\n"
        path = tmp_path / "t.toml"
        path.write_text(text, encoding="utf-8")
        main(["doctor", "--target", str(path)])
    lines = [line for line in capsys.readouterr().out.splitlines() if "in both scopes" in line]
    assert len(lines) == found, lines
    assert all(line.startswith("FAIL  canary.canary, canary.baseline") for line in lines)


def test_the_platforms_own_names_are_told_apart() -> None:
    """Of the shipped names only a share's own two may meet, and the cluster's series tell them apart."""
    named = NamedCluster(simulated())
    pairs = {(pair.one, pair.other): pair for pair in suspects(Signals(), 1.5)}
    assert all(pair.bad for pair in pairs.values())
    with serving(named) as url:
        config = target_at(url, {}).prometheus
        assert config is not None
        with Prometheus(config) as prometheus:
            assert told(prometheus, pairs["requests", "request_errors"]) is Told.APART
            assert told(prometheus, pairs["llm_calls", "llm_failures"]) is Told.UNKNOWN


def test_all_queries_of_a_look_are_under_way_at_once() -> None:
    """Each is answered once all of its look have come: a source that needs 3 s for each needs 3 s for all of them."""
    named = NamedCluster(simulated(policy=Policy(shortest_s=10, longest_s=20, step_s=5)))
    target = target_at("http://127.0.0.1:1", {})
    selectors = setup_of(target, 20.0, (ERRORS, SLOW, WORKFLOWS, MCP)).selectors
    number = sum(map(len, selectors.values()))
    assert number >= 29
    everyone = threading.Barrier(number)

    def together(query: str) -> None:
        if "ms]" in query or query.startswith("ALERTS{"):
            everyone.wait(ANSWER_WITHIN_S)

    named.before_answer = together
    watched = watch(named, (ERRORS, SLOW, WORKFLOWS, MCP), {})
    assert not watched.faults
    assert watched.elapsed_s <= 20.0
    looks = [query for query in named.queries if query.startswith("ALERTS{")]
    assert len(looks) == watched.steps
