"""Contenders run in turns, so that other load on the machine falls on all alike, and a table of their times."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Finished:
    """One run: exit code, output, seconds of wall time and of processor time (children included).

    `peak_kib` is the most memory that one of its processes held.
    """

    status: int
    output: str
    wall_s: float
    cpu_s: float
    peak_kib: int = 0


@dataclass
class Contender:
    """One way to do the work; `prepare` runs untimed before it, `confirm` raises if the work was not done."""

    name: str
    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], object] = field(default=lambda: None)
    confirm: Callable[[Finished], object] = field(default=lambda _finished: None)
    runs: list[Finished] = field(default_factory=list)

    def run_once(self) -> Finished:
        """Run it to its end in a new process and confirm that the work was done."""
        self.prepare()
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        started = time.perf_counter()
        with subprocess.Popen(
            self.argv,
            cwd=self.cwd,
            env={**inherited, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            output = process.stdout.read() if process.stdout else ""
            _, status, used = os.wait4(process.pid, 0)  # its own children are in what it used
            wall = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
        finished = Finished(process.returncode, output, wall, used.ru_utime + used.ru_stime, used.ru_maxrss)
        self.confirm(finished)
        return finished


def measure(contenders: Sequence[Contender], rounds: int) -> None:
    """Fill `runs`: one run each uncounted (bytecode, disk cache), then `rounds` turns of all."""
    for turn in range(rounds + 1):
        for contender in contenders:
            finished = contender.run_once()
            if turn:
                contender.runs.append(finished)
            sys.stderr.write(f"{turn}/{rounds}  {finished.wall_s:7.2f} s  {contender.name}\n")


def table(contenders: Sequence[Contender], reference: Contender) -> str:
    """Return a Markdown table in seconds: ratios of median wall time and of least processor time."""
    rows = [
        "| | wall min | wall median | processor min | wall, ratio | processor, ratio |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    base_wall, base_cpu = _median(reference), _least_cpu(reference)
    for contender in contenders:
        wall, cpu = _median(contender), _least_cpu(contender)
        least = min(run.wall_s for run in contender.runs)
        rows.append(
            f"| {contender.name} | {least:.2f} s | {wall:.2f} s | {cpu:.2f} s "
            f"| {wall / base_wall:.2f} | {cpu / base_cpu:.2f} |"
        )
    return "\n".join(rows)


def require(condition: object, what: str, finished: Finished) -> None:
    """Stop the benchmark, with the end of the contender's output, when the work was not done."""
    if not condition:
        raise SystemExit(f"{what} (exit {finished.status}); the end of its output:\n{finished.output[-2000:]}")


def _median(contender: Contender) -> float:
    return statistics.median(run.wall_s for run in contender.runs)


def _least_cpu(contender: Contender) -> float:
    return min(run.cpu_s for run in contender.runs)
