"""HTTP health checks, 1,000 with full evidence, against plain pytest with httpx and other tools.

    python benchmarks/http_checks.py [--checks 1000] [--rounds 5] [--only NAME ...]

A local server in its own process answers them and counts the requests; a contender that sends
too few stops the benchmark. Wall time is the whole command's, start of the interpreter included.
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
    from collections.abc import Callable, Iterator

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
    parser.add_argument("--only", nargs="+", choices=tuple(CONTENDERS), default=tuple(CONTENDERS))
    options = parser.parse_args()
    wanted = list(dict.fromkeys(("plain", *options.only)))
    if "testinfra" in wanted and not shutil.which("curl"):
        wanted.remove("testinfra")
        sys.stderr.write("curl: not installed; pytest-testinfra is left out\n")
    with tempfile.TemporaryDirectory() as folder, _server() as url:
        contenders = []
        for name in wanted:
            place = Path(folder, name)
            place.mkdir()
            contenders.append(_counted(CONTENDERS[name](place, url, options.checks), url, options.checks))
        measure(contenders, options.rounds)
    print(table(contenders, contenders[0]))


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
