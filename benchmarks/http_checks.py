"""HTTP health checks, 1,000 with full evidence, against plain pytest with httpx and other tools.

    python benchmarks/http_checks.py [--checks 1000] [--rounds 5] [--only NAME ...]
    python benchmarks/http_checks.py --growth 10 1000 10000 [--only plain opsverify]

A local server in its own process answers them and counts the requests; a contender that sends
too few stops the benchmark. Wall time is the whole command's, start of the interpreter included. `--growth`
measures each contender at several numbers of checks: what a further check costs must not grow with their number.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import http_contenders
import httpx
from interleave import Contender, Finished, measure, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CONTENDERS: dict[str, Callable[[Path, str, int], Contender]] = {
    "plain": http_contenders.plain,
    "allure": http_contenders.plain_with_allure,
    "opsverify": http_contenders.opsverify,
    "tavern": http_contenders.tavern,
    "testinfra": http_contenders.testinfra,
}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="HTTP health checks: opsverify against plain pytest and peers")
    parser.add_argument("--checks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--growth", type=int, nargs="+", metavar="CHECKS", help="time and memory of each further check")
    parser.add_argument("--only", nargs="+", choices=tuple(CONTENDERS), default=tuple(CONTENDERS))
    options = parser.parse_args()
    wanted = list(dict.fromkeys(("plain", *options.only)))
    if "testinfra" in wanted and not shutil.which("curl"):
        wanted.remove("testinfra")
        sys.stderr.write("curl: not installed; pytest-testinfra is left out\n")
    with tempfile.TemporaryDirectory() as folder, _server() as url:
        sizes = sorted(set(options.growth or [options.checks]))
        contenders = {
            (name, count): _made(name, Path(folder, f"{name}-{count}"), url, count)
            for count in sizes
            for name in wanted
        }
        measure(list(contenders.values()), options.rounds)
    if options.growth:
        print(_growth(contenders, wanted, sizes))
    else:
        print(table(list(contenders.values()), contenders[wanted[0], sizes[0]]))


def _made(name: str, place: Path, url: str, checks: int) -> Contender:
    place.mkdir()
    return _counted(CONTENDERS[name](place, url, checks), url, checks)


def _growth(contenders: Mapping[tuple[str, int], Contender], names: list[str], sizes: list[int]) -> str:
    """A table: least processor time and memory at each number of checks, and for each further check."""
    rows = [
        "| | checks | processor min | a further check | memory | a further check |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in names:
        earlier: tuple[int, float, int] | None = None
        for count in sizes:
            runs = contenders[name, count].runs
            cpu_s, peak = min(run.cpu_s for run in runs), min(run.peak_kib for run in runs)
            further = ("", "")
            if earlier is not None:
                more = count - earlier[0]
                further = (f"{(cpu_s - earlier[1]) / more * 1e3:.2f} ms", f"{(peak - earlier[2]) / more:.1f} KiB")
            title = contenders[name, count].name
            rows.append(
                f"| {title} | {count:,} | {cpu_s:.2f} s | {further[0]} | {peak / 1024:.0f} MiB | {further[1]} |"
            )
            earlier = count, cpu_s, peak
    return "\n".join(rows)


def _counted(contender: Contender, url: str, checks: int) -> Contender:
    confirm = contender.confirm

    def confirm_and_count(run: Finished) -> None:
        confirm(run)
        requests = httpx.get(f"{url}/count", trust_env=False).json()["count"]
        if requests < checks:
            raise SystemExit(f"{contender.name}: {requests} requests received, expected {checks}")

    contender.confirm = confirm_and_count
    return contender


@contextlib.contextmanager
def _server() -> Iterator[str]:
    server = Path(__file__).with_name("http_server.py")
    with subprocess.Popen([sys.executable, server], stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or not (port := process.stdout.readline().strip()):
                raise SystemExit("benchmarks/http_server.py did not start; its output is above")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
