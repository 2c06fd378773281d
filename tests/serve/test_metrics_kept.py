"""Metrics over restarts, retention and an older file: no counter ever falls, and a real Prometheus takes the alerts."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import httpx
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from opsverify.serve.gate_run import RunState
from opsverify.serve.run_totals import BUCKETS_S, DurationTotal
from opsverify.serve.store import RunStore
from tests.support.gate_server import FAR, LONGEST_S, GateProject, LiveGate, RealProject, project_in, served, until
from tests.support.metric_samples import samples
from tests.support.paths import REPOSITORY
from tests.support.pipelines import NO_TLS
from tests.support.real_prometheus import running

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

RULES: Final = REPOSITORY / "deploy" / "prometheus" / "opsverify.rules.yaml"
COUNTERS: Final = ("opsverify_runs_total", "opsverify_run_duration_seconds")
CONFIG: Final = """\
global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: opsverify
    static_configs: [{{ targets: ["{address}"] }}]
"""


def counters(live: LiveGate) -> dict[str, float]:
    """The counters' samples."""
    return {series: value for series, value in samples(live).items() if series.startswith(COUNTERS)}


def ended(live: LiveGate, stage: str, checksum: str, target: str = "prod") -> None:
    """A run, to its end."""
    body = {"stage": stage, "target": target, "release": {"name": "judgment", "checksum": checksum}}
    live.ended(live.call("POST", "/v1/runs", body).json()["id"])


def test_no_counter_falls(project: GateProject) -> None:
    """Over the end of more runs, a restart, and the removal of every run from the file."""
    file = project.settings.state / "runs.sqlite"
    for checksum, code in (("c1", 0), ("c2", 1), ("c3", 10)):
        project.decide(checksum, code)
    with served(project) as live:
        ended(live, "prod-canary", "c1")
        ended(live, "prod-canary", "c2")
        before = counters(live)
        assert before["opsverify_runs_total{decision='promote',stage='prod-canary',target='prod'}"] == 1
        assert before["opsverify_run_duration_seconds_count{stage='prod-canary',target='prod'}"] == 2
    with served(project) as live:
        assert counters(live) == before
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("DELETE FROM run")
    database.close()
    with served(project) as live:
        assert live.call("GET", "/v1/runs").json() == {"runs": []}
        assert counters(live) == before
        ended(live, "prod-canary", "c2")
        ended(live, "staging", "c3")
        after = counters(live)
    assert all(after[series] >= value for series, value in before.items())
    assert after["opsverify_runs_total{decision='rollback',stage='prod-canary',target='prod'}"] == 2
    assert after["opsverify_runs_total{decision='hold',stage='staging',target='prod'}"] == 1


def test_an_older_file_is_counted_once(project: GateProject) -> None:
    """One without totals, as servers before this one left it: its runs are counted when it is opened first."""
    project.decide("c1", 0)
    file = project.settings.state / "runs.sqlite"
    with served(project) as live:
        ended(live, "staging", "c1")
        before = counters(live)
    with closing(sqlite3.connect(file)) as database, database:
        database.executescript("DROP TABLE total; DROP TABLE duration; PRAGMA user_version = 0;")
    database.close()
    for _ in range(2):
        with served(project) as live:
            assert counters(live) == before


def test_an_end_that_is_not_recorded_is_not_counted(project: GateProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are one transaction: a full disk between them leaves neither, and once there is room, one of each."""
    project.decide("c1", 0)
    tries: list[str] = []
    with served(project) as live:

        def full(*_: object) -> bool:
            tries.append("end")
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(live.gate.queue._events, "wants", lambda _stage: True)
        body = {"stage": "staging", "target": "prod", "release": {"name": "judgment", "checksum": "c1"}}
        execute = RunStore._run

        def failing(self: RunStore, statement: str, *values: object) -> bool:
            return full() if "INTO unsent" in statement else execute(self, statement, *values)

        with monkeypatch.context() as while_full:
            while_full.setattr(RunStore, "_run", failing)
            run = live.call("POST", "/v1/runs", body).json()["id"]
            until(lambda: tries, "a try to record the end")
            assert live.run(run)["state"] == RunState.RUNNING
            assert counters(live) == {}
        assert live.ended(run)["decision"] == "promote"
        assert counters(live)["opsverify_runs_total{decision='promote',stage='staging',target='prod'}"] == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 50_000), max_size=12))
def test_buckets_hold_what_keeps_to_them(durations: list[float]) -> None:
    """Each bucket is as many as took no longer, whatever they were counted in."""
    total = DurationTotal()
    for seconds in durations:
        bound = next((float(bound) for bound in BUCKETS_S if seconds <= bound), float("inf"))
        total.by_bound[bound] = total.by_bound.get(bound, 0) + 1
    for bound in (*BUCKETS_S, float("inf")):
        assert total.within(bound) == sum(seconds <= bound for seconds in durations)


def test_a_real_prometheus_sees_no_reset_and_takes_the_alerts(tmp_path: Path) -> None:
    """Real runs, `evidence prune`, a restart: no counter is reset; the shipped rules are evaluated, and are pending."""
    project = RealProject(project_in(tmp_path / "project"))
    (project.folder / "targets" / "far.toml").write_text(FAR, encoding="utf-8")
    folder = tmp_path / "prometheus"
    folder.mkdir()
    with served(project) as live:
        address = urlsplit(live.url)
        for checksum in ("c1", "c2"):
            ended(live, "weekly", checksum, "far")
    with running(folder, CONFIG.format(rules=RULES, address=address.netloc)) as url:
        with served(project, port=address.port or 0) as live:
            until(lambda: _value(url, "sum(opsverify_runs_total)") == 2, "a scrape of the first server")
            prune = [sys.executable, "-m", "opsverify", "evidence", "prune", "--keep=1", "--older-than=0s"]
            pruned = subprocess.run(prune, cwd=project.folder, capture_output=True, text=True, check=True)
            assert "removed" in pruned.stdout, pruned.stdout
        until(lambda: _value(url, 'up{job="opsverify"}') == 0, "the end of the first server")
        with served(project, port=address.port or 0) as live:
            ended(live, "daily", "c3", "far")
            until(lambda: _value(url, "sum(opsverify_runs_total)") == 3, "a scrape of the second server")
            for counter in ("opsverify_runs_total", "opsverify_run_duration_seconds_count"):
                assert _value(url, f"max(resets({counter}[5m]))") == 0
            rules = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
            due = {"OpsverifyRehearsalStopped": "pending", "OpsverifyServerDown": "inactive"}
            until(lambda: due.items() <= _alerts(url).items(), "the alerts")
            assert _alerts(url).keys() == rules


def _get(url: str, path: str) -> Any:  # noqa: ANN401 - any JSON value
    return httpx.get(f"{url}{path}", timeout=LONGEST_S, trust_env=False, verify=NO_TLS).json()["data"]


def _value(url: str, query: str) -> float | None:
    found = _get(url, f"/api/v1/query?query={quote(query)}")["result"]
    return float(found[0]["value"][1]) if found else None


def _alerts(url: str) -> dict[str, str]:
    rules = [rule for group in _get(url, "/api/v1/rules")["groups"] for rule in group["rules"]]
    return {rule["name"]: rule["state"] for rule in rules if rule["health"] == "ok"}
