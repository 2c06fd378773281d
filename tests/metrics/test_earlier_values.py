"""Earlier values of series that appear in mid-range, on a real Prometheus: an exporter that drops quiet series."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.config.model import PrometheusConfig
from opsverify.metrics.after_rollback import BASELINE, AfterRollback
from opsverify.metrics.lookback import Lookback
from opsverify.playbook.observation import IncidentWindow
from opsverify.probes.prometheus import Prometheus
from tests.canary.named_cluster import target_at
from tests.support.http_double import ANSWER_WITHIN_S
from tests.support.real_prometheus import holding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MINUTE = 60
HOUR = 60 * MINUTE
PAST = 40
"""Failures before the look-back, the last of them four hours ago."""
INSTANCES = ("expiring", "restarted", "new")


def _samples(now: int, instance: str) -> Iterator[tuple[dict[str, str], list[tuple[float, float]]]]:
    """Ten calls a minute for six hours, and a failure half an hour ago, whose series is shown for ten minutes.

    The process `restarted` two hours ago, and has had 41 failures half an hour ago.
    """
    began = now - 6 * HOUR
    restart = now - 2 * HOUR if instance == "restarted" else began
    # Into the future, so that a look-back of some minutes later holds a whole hour as well.
    moments = range(began, now + 30 * MINUTE, MINUTE)
    calls = [(at, 10.0 * (at - (began if at < restart else restart)) / MINUTE) for at in moments]
    failed = [(at, PAST + 1.0) for at in range(now - 30 * MINUTE, now - 20 * MINUTE, MINUTE)]
    if instance != "new":
        failed = [*((at, float(PAST)) for at in range(now - 4 * HOUR, now - 4 * HOUR + 5 * MINUTE, MINUTE)), *failed]
    for outcome, samples in (("ok", calls), ("error", failed)):
        labels = {"__name__": "llm_calls_total", "outcome": outcome, "instance": instance, "job": instance}
        yield labels, [(float(at), value) for at, value in samples]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with six hours of each instance."""
    now = round(time.time())
    stored = [series for instance in INSTANCES for series in _samples(now, instance)]
    with holding(tmp_path_factory.mktemp("prometheus"), stored) as found:
        yield found


@pytest.mark.parametrize(("instance", "failures"), [("expiring", 1), ("restarted", PAST + 1), ("new", PAST + 1)])
def test_only_what_happened_in_the_look_back_counts(url: str, instance: str, failures: int) -> None:
    """One failure of an hour, not the 40 of before; of a process that started since, or of a label's first use, all."""
    of = f'job="{instance}"'
    signals = {"llm_calls": {"metric": "llm_calls_total", "match": of}}
    signals["llm_failures"] = {"metric": "llm_calls_total", "match": f'{of},outcome="error"'}
    config = PrometheusConfig.model_validate(
        {"url": url, "timeout_s": ANSWER_WITHIN_S, "lookback": "1h", "signals": signals}
    )
    with Prometheus(config) as prometheus:
        look = Lookback(prometheus, config)
        share = look.rate("llm_failures", "llm_calls")
        assert share.share * share.trials == pytest.approx(failures)
        assert share.trials == pytest.approx(600 + failures, abs=25)
        assert look.growth("llm_calls").value == pytest.approx(600 + failures, abs=25)


def test_what_was_counted_before_is_kept_with_an_observation(tmp_path: Path) -> None:
    """After a rollback and in an incident: one failure of 100 calls, and not the 40 of before."""
    series = {"requests": {"code=200,instance=a:1": {2.0: 1000.0, 58.0: 1099.0}}}
    series["request_errors"] = {"code=500,instance=a:1": {58.0: PAST + 1.0}}
    series["requests"] |= series["request_errors"]
    before = {"code=500,instance=a:1": float(PAST)}
    kept: dict[str, Any] = {"start": 0.0, "end": 60.0, "samples": {BASELINE: series}, "unproven": None}
    kept["earlier"] = {BASELINE: dict.fromkeys(series, before)}
    path = tmp_path / "observed.json"
    path.write_text(json.dumps(kept), encoding="utf-8")
    share = AfterRollback.load(path, target_at("http://p", {})).errors()
    assert (share.share, share.trials) == (pytest.approx(0.01), 100)

    kept |= {
        "since": 0.0,
        "samples": series,
        "earlier": kept["earlier"][BASELINE],
        "reported": [{}, {}],
        "unproven": [],
    }
    path.write_text(json.dumps(kept), encoding="utf-8")
    window = IncidentWindow.load(path)
    failed, called = (sum(window.grown("x", name, [0.0, 60.0], series)) for name in ("request_errors", "requests"))
    assert (failed, called) == (1, 100)
