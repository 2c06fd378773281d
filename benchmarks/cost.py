"""Cost of work on a database: wall time, and processor time of the client and of the whole server; and their table."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Cost:
    """Seconds of one run: on the wall, and of processor time of the client and all of the server's processes."""

    wall_s: float
    processor_s: float


@dataclass(frozen=True)
class Meter:
    """A stopwatch of wall and processor time; `postmaster` is the server's first process."""

    postmaster: int

    def timed(self, work: Callable[[], object]) -> Cost:
        """Return what `work` costs."""
        began, used = time.perf_counter(), self._used()
        work()
        return Cost(time.perf_counter() - began, self._used() - used)

    def _used(self) -> float:
        """Processor seconds so far: of this process, the server's running ones, and those that have ended."""
        ended = sum(map(int, Path(f"/proc/{self.postmaster}/stat").read_text().rsplit(")", 1)[1].split()[13:15]))
        running = Path(f"/proc/{self.postmaster}/task/{self.postmaster}/children").read_text().split()
        return (
            time.process_time()
            + ended / os.sysconf("SC_CLK_TCK")
            + sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in running) / 1e9
        )


def table(times: Mapping[str, list[Cost]]) -> str:
    """Return a Markdown table; ratios are medians over the ratios within each turn."""
    limit, one_side = (next(runs for name, runs in times.items() if name.startswith(which)) for which in
                       ("limit:", "limit of"))  # fmt: skip
    lines = [
        "| | wall min | wall median | processor median | wall, to its limit | processor, to its limit |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, runs in times.items():
        turns = list(zip(runs, one_side if "one side" in name else limit, strict=True))
        walls, processor = [run.wall_s for run in runs], [run.processor_s for run in runs]
        lines.append(
            f"| {name} | {min(walls):.2f} s | {statistics.median(walls):.2f} s | {statistics.median(processor):.2f} s "
            f"| {statistics.median(mine.wall_s / base.wall_s for mine, base in turns):.2f} "
            f"| {statistics.median(mine.processor_s / base.processor_s for mine, base in turns):.2f} |"
        )
    return "\n".join(lines)
