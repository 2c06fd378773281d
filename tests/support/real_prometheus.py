"""A real Prometheus: with a configuration, or with samples written as blocks before it starts: nothing waits."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from opsverify.canary.label_values import with_known_values
from opsverify.canary.observer import Clock, Observer, with_meanings
from opsverify.canary.window_policy import setup_of
from opsverify.probes.prometheus import Prometheus
from sandbox import binaries, network
from sandbox.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from opsverify import Criterion
    from opsverify.canary.watch import GateWatch
    from opsverify.config.model import Target

Labelled = tuple[dict[str, str], list[tuple[float, float]]]
"""Labels, `__name__` among them, and samples: (Unix seconds, value)."""
STORAGE = "tsdb"
VICTORIA_METRICS = "OPSVERIFY_TEST_VICTORIA_METRICS"
"""The environment variable that names the program which holds series in place of a Prometheus."""
_TRACKS = {"canary": "canary", "baseline": "stable"}
_READY_WITHIN_S = 120
_WRITTEN_WITHIN_S = 120


class Past(Observer):
    """An observer of a time that is not the server's."""

    def _skew(self) -> float:
        return 0.0


def of_profile(profile: str) -> dict[str, str]:
    """Matchers of canary and baseline of one profile among those that a Prometheus holds."""
    return {scope: f'track="{track}",profile="{profile}"' for scope, track in _TRACKS.items()}


def watched(target: Target, criteria: tuple[Criterion, ...], began: float, longest_s: float) -> GateWatch:
    """The window of a target that began at `began` (Unix seconds), observed as by a run."""
    assert target.prometheus is not None
    limit_s = target.limits.judgment_p95.bound
    moment = [began]
    with Prometheus(target.prometheus) as prometheus:
        setup = setup_of(target, longest_s, criteria)
        setup = with_meanings(prometheus, target.prometheus.signals, setup, limit_s)
        setup = with_known_values(prometheus, setup)
        clock = Clock(lambda: moment[0], lambda seconds: moment.__setitem__(0, moment[0] + max(0.0, seconds)))
        return Past(prometheus, clock, lambda _: None, lambda _: None, limit_s, 60.0).observe(setup)


@contextmanager
def holding(folder: Path, series: Iterable[Labelled]) -> Iterator[str]:
    """Serve these series, from a Prometheus or the other server that is asked for; its URL."""
    if (program := os.environ.get(VICTORIA_METRICS)) is not None:
        with _victoria_metrics(program, folder, series) as url:
            yield url
        return
    promtool = _program().with_name("promtool")
    if not promtool.exists():
        pytest.skip("no promtool beside Prometheus, which writes its storage")
    source = folder / "samples.txt"
    source.write_text("\n".join([*_lines(series), "# EOF", ""]), encoding="utf-8")
    subprocess.run(
        [str(promtool), "tsdb", "create-blocks-from", "openmetrics", str(source), str(folder / STORAGE)],
        capture_output=True, check=True, timeout=_WRITTEN_WITHIN_S,
    )  # fmt: skip
    with running(folder, "scrape_configs: []\n") as url:
        yield url


@contextmanager
def scraping_native_histograms(folder: Path, config: str) -> Iterator[str]:
    """Run one that keeps native histograms, by a flag of Prometheus 2 or a key of Prometheus 3; its URL."""
    version = subprocess.run([str(_program()), "--version"], capture_output=True, text=True, check=True).stdout
    if "version 2." in version:
        flags = ["--enable-feature=native-histograms"]
    else:
        flags, config = [], f"global: {{scrape_native_histograms: true}}\n{config}"
    with running(folder, config, *flags) as url:
        yield url


@contextmanager
def running(folder: Path, config: str, *flags: str) -> Iterator[str]:
    """Run a Prometheus with this configuration (YAML), its storage in `folder`; its URL."""
    file = folder / "prometheus.yml"
    file.write_text(config, encoding="utf-8")
    port = network.free_port_base(1)
    argv = [
        str(_program()), f"--config.file={file}", f"--storage.tsdb.path={folder / STORAGE}",
        f"--web.listen-address=127.0.0.1:{port}", *flags,
    ]  # fmt: skip
    with _served(argv, folder, port, "/-/ready") as url:
        yield url


@contextmanager
def _victoria_metrics(program: str, folder: Path, series: Iterable[Labelled]) -> Iterator[str]:
    port = network.free_port_base(1)
    argv = [program, f"-storageDataPath={folder / STORAGE}", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=9y"]
    with _served(argv, folder, port, "/health") as url:
        lines = (
            {
                "metric": labels,
                "values": [value for _, value in samples],
                "timestamps": [int(at * 1e3) for at, _ in samples],
            }
            for labels, samples in series
        )
        httpx.post(f"{url}/api/v1/import", content="\n".join(map(json.dumps, lines))).raise_for_status()
        httpx.get(f"{url}/internal/force_flush").raise_for_status()
        yield url


@contextmanager
def _served(argv: list[str], folder: Path, port: int, ready: str) -> Iterator[str]:
    process = subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(
            lambda: network.is_ok(port, ready), _READY_WITHIN_S, "the server of metrics to be ready",
            stop=lambda: "" if process.poll() is None else "it ended",
        )  # fmt: skip
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _program() -> Path:
    return binaries.find(binaries.PROMETHEUS, lambda _: None)


def _lines(series: Iterable[Labelled]) -> Iterator[str]:
    for labels, samples in series:
        shown = ",".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
        for at, value in samples:
            yield f"{labels['__name__']}{{{shown}}} {value!r} {at:.3f}"
