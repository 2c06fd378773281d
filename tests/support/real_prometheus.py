"""A real Prometheus whose storage holds given samples: written as blocks before it starts, so that nothing waits."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from sandbox import binaries, network
from sandbox.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Labelled = tuple[dict[str, str], list[tuple[float, float]]]
"""Labels, `__name__` among them, and samples: (Unix seconds, value)."""
_READY_WITHIN_S = 120
_WRITTEN_WITHIN_S = 120


@contextmanager
def holding(folder: Path, series: Iterable[Labelled]) -> Iterator[str]:
    """Serve these series; its URL."""
    program = binaries.find(binaries.PROMETHEUS, lambda _: None)
    promtool = program.with_name("promtool")
    if not promtool.exists():
        pytest.skip("no promtool beside Prometheus, which writes its storage")
    source, storage, config = folder / "samples.txt", folder / "tsdb", folder / "prometheus.yml"
    source.write_text("\n".join([*_lines(series), "# EOF", ""]), encoding="utf-8")
    config.write_text("scrape_configs: []\n", encoding="utf-8")
    subprocess.run(
        [str(promtool), "tsdb", "create-blocks-from", "openmetrics", str(source), str(storage)],
        capture_output=True, check=True, timeout=_WRITTEN_WITHIN_S,
    )  # fmt: skip
    port = network.free_port_base(1)
    process = subprocess.Popen(
        [
            str(program), f"--config.file={config}", f"--storage.tsdb.path={storage}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(
            lambda: network.is_ok(port, "/-/ready"), _READY_WITHIN_S, "Prometheus to be ready",
            stop=lambda: "" if process.poll() is None else "it ended",
        )  # fmt: skip
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _lines(series: Iterable[Labelled]) -> Iterator[str]:
    for labels, samples in series:
        shown = ",".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
        for at, value in samples:
            yield f"{labels['__name__']}{{{shown}}} {value!r} {at:.3f}"
