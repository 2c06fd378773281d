"""Past of the metrics in Prometheus' storage before its start: a month of free space, the LLM's cost a week ago."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.servers import Servers

DAYS = 30
SIZE = 100e9
FREE = {"data": 62e9, "growing": 12e9}
"""Free bytes now; `growing` has lost one GB a day."""
_A_DAY = {"data": 0.0, "growing": 1e9}
_NIGHTLY = 6e9
"""What a night's export takes and gives back: no trend."""
_STEP_S = 240
"""A value is known for five minutes: no moment is without one."""
_DAY_S = 86400
_COST_A_DAY = 25.0
"""USD that the LLM cost on the same weekday before."""
_COST_SINCE_S, _COST_UNTIL_S, _COST_STEP_S = 7 * 86400 + 600, 7 * 86400 - 6 * 3600, 4
"""Ages, in seconds, between which that is known: dense, since the stand-in looks back over seconds."""
_END_S = 3600
"""Blocks end before what the server scrapes itself begins."""


def write(servers: Servers, folder: Path) -> bool:
    """Make blocks in `folder`; whether promtool is there and could."""
    source = folder.with_name("metrics-past.txt")
    source.write_text("\n".join([*_lines(time.time()), "# EOF", ""]), encoding="utf-8")
    done = servers.run(
        "prometheus",
        "promtool",
        ["tsdb", "create-blocks-from", "--max-block-duration=720h", "openmetrics", str(source), str(folder)],
    )
    source.unlink()
    return done.returncode == 0


def _lines(now: float) -> Iterator[str]:
    yield "# TYPE storage_free_bytes gauge"
    noise = random.Random(1)
    ages = range(DAYS * _DAY_S, _END_S, -_STEP_S)
    for volume, free in FREE.items():
        for age in ages:
            at = now - age
            taken = 0.0 if time.gmtime(at).tm_hour == 2 else _NIGHTLY  # noqa: PLR2004 - the hour of the export
            value = free + taken + _A_DAY[volume] * age / _DAY_S + noise.uniform(0, 1e8)
            yield f'storage_free_bytes{{volume="{volume}"}} {value:.0f} {at:.0f}'
    yield "# TYPE llm_cost_usd counter"
    for age in range(_COST_SINCE_S, _COST_UNTIL_S, -_COST_STEP_S):
        cost = _COST_A_DAY * (_COST_SINCE_S - age) / _DAY_S
        yield f'llm_cost_usd_total{{track="past"}} {cost:.6f} {now - age:.0f}'
