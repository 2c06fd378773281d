"""Events within a canary's window: a replaced pod, a regression, a restart of the canary, an outage of Prometheus."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.canary.observation import read_observation
from opsverify.canary.trace import EventKind, trace
from tests.support.paths import REPOSITORY
from tests.support.standin import RUN_DEADLINE_S, Verified, verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.standin import Standin

LONG_WINDOW_S = 90
"""Service discovery tells Prometheus of a pod that comes or goes within six seconds each. Once restarted, Prometheus
needs some six seconds to its first scrape on an idle machine.
"""
LEAST_SEEN = ">= 50%"
"""Not the usual 90 %: on a busy machine Prometheus is away for longer, and the burst of requests that follows a stall
of the platform raises the bound on what a pod served between its last scrape and its end.
"""
OF_A_FEW = "< 10%"
"""Seventy workflows end in the window: what is not known of four of them is more than the usual 1 %."""
FAULTS = ("llm_unparsable", "target_down", "prometheus_down")


@pytest.fixture(autouse=True)
def _quiet(standin: Standin) -> Iterator[None]:
    """Every test begins on a healthy platform, and leaves no fault on."""
    standin.await_quiet("prod-canary")
    yield
    for name in FAULTS:
        standin.sandbox.fault(name, off=True)


@pytest.fixture(scope="module")
def _one_pod_afterwards(standin: Standin) -> Iterator[None]:
    """What other tests of this platform find: one pod of the canary."""
    yield
    standin.sandbox.scale(1)


def test_a_canary_that_restarts_more_often_than_allowed_is_rolled_back(standin: Standin) -> None:
    """Its counters start over: what they counted stays counted, and the restart itself is judged by its limit."""
    # Where the restart takes long an alert is raised, which is a rollback of its own.
    target = standin.write_target(
        "alerts-unseen", {"canary": {"alerts": 'track="none"'}, "limits": {"restarts": "== 0"}}
    )
    # It is over as soon as the restart is seen; a busy machine needs long to start the canary again.
    with window(standin, "restart", LONG_WINDOW_S, target) as running:
        running.await_looks(5)
        standin.sandbox.fault("target_down", "canary")
        standin.sandbox.fault("target_down", off=True)
    assert running.ended.exit_code == 1, running.ended.story
    assert any("restarts in the window" in reason for reason in running.ended.verdict["reasons"])


@pytest.mark.usefixtures("_one_pod_afterwards")
def test_neither_pods_that_come_and_go_nor_a_short_outage_of_prometheus_cost_anything(standin: Standin) -> None:
    """A pod comes, another is replaced, then Prometheus is away for a part of the window: promoted.

    Counters are cumulative, and what a pod counted stays counted.
    """
    target = standin.write_target(
        "outage-allowed", {"limits": {"data_coverage": LEAST_SEEN, "workflow_failure_rate": OF_A_FEW}}
    )
    standin.sandbox.scale(1, spare=True)
    with window(standin, "outage", LONG_WINDOW_S, target) as running:
        running.await_looks(3)
        standin.sandbox.scale(2, spare=True)
        standin.sandbox.replace_pod()
        running.await_looks(running.looks + 2)
        standin.sandbox.fault("prometheus_down")
        running.await_looks(running.looks + 2)
        standin.sandbox.fault("prometheus_down", off=True)
    assert running.ended.exit_code == 0, running.ended.story
    assert any(step["fault"] for step in steps(running.folder)), "the outage was not seen: it proves nothing"
    assert {EventKind.CAME, EventKind.WENT, EventKind.GAP} <= events(running.folder)


@pytest.mark.usefixtures("_one_pod_afterwards")
def test_a_regression_after_a_pod_was_replaced_is_found_before_the_window_is_over(standin: Standin) -> None:
    """The canary's LLM answers stop parsing once a pod was replaced: rolled back by proof, with time left."""
    target = standin.write_target("deciding-early", {"canary": {"alpha": 0.05}})
    standin.sandbox.scale(2, spare=True)
    with window(standin, "regression", LONG_WINDOW_S, target) as running:
        running.await_looks(3)
        standin.sandbox.replace_pod()
        running.await_looks(running.looks + 3)
        standin.sandbox.fault("llm_unparsable", "canary")
    assert running.ended.exit_code == 1, running.ended.story
    assert "breach proven" in running.ended.verdict["reasons"][0]
    assert steps(running.folder)[-1]["at"] - steps(running.folder)[0]["at"] < LONG_WINDOW_S - 1
    assert {EventKind.CAME, EventKind.WENT} <= events(running.folder)


class Running:
    """A stage run that observes; `ended` once it has."""

    ended: Verified

    def __init__(self, folder: Path, await_that: Callable[[Callable[[], bool], str], None]) -> None:
        self.folder = folder
        self._await_that = await_that

    @property
    def looks(self) -> int:
        """Looks in the compressed file that is still being written."""
        try:
            written = (self.folder / ".observation.jsonl.gz.draft").read_bytes()
        except FileNotFoundError:  # not begun yet, or renamed since the window is over
            return 0
        return zlib.decompressobj(wbits=31).decompress(written).count(b"\n")

    def await_looks(self, number: int) -> None:
        """Wait until the gate has looked `number` times."""
        self._await_that(lambda: self.looks >= number, f"look {number} in {self.folder}")


@contextmanager
def window(standin: Standin, name: str, seconds: int, target: Path) -> Iterator[Running]:
    """Verify `prod-canary` while the body does something to the platform; then wait for the end."""
    folder = standin.folder / name
    process = subprocess.Popen(
        [
            sys.executable, "-m", "opsverify", "verify", "prod-canary", f"--window={seconds}s",
            f"--target={target}", f"--report-dir={folder}",
        ],
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    running = Running(folder, standin.await_that)
    try:
        yield running
        printed, _ = process.communicate(timeout=RUN_DEADLINE_S)
    finally:
        process.kill()
        process.wait()
    running.ended = verified(folder, process.returncode, printed)


def events(folder: Path) -> set[EventKind]:
    """Kinds of what happened to the canary, by the evidence."""
    return {event.kind for event in trace(*read_observation(folder / "observation.jsonl.gz")).events}


def steps(folder: Path) -> list[dict[str, Any]]:
    """The looks kept as evidence."""
    with gzip.open(folder / "observation.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file.read().splitlines()[1:]]
