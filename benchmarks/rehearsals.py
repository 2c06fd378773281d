"""Rehearsals in a row on one healthy platform, the sandbox or the shop: each of them must accept.

    python benchmarks/rehearsals.py [--times 10] [--shop]

One line for each: decision, checks, RTO to business smoke, RPO, seconds of the whole run. Exit code 1 at the first
that does not accept.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.cli.ledger import capture, newest_target
from opsverify.errors import Inconclusive
from sandbox import network
from sandbox.core import Sandbox
from sandbox.home import SERVICES
from sandbox.processes import wait_until
from sandbox.shop.profile import Shop
from sandbox.shop.settings import SERVICES as SHOP_SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> None:
    """Rehearse and print the table."""
    parser = argparse.ArgumentParser(description="rehearsals in a row, each of which must accept")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--shop", action="store_true", help="the shop, which shares nothing with the sandbox")
    chosen = parser.parse_args()
    print("| run | decision | checks | RTO | RPO | whole run |\n| ---: | --- | ---: | ---: | ---: | ---: |")
    with (
        tempfile.TemporaryDirectory(prefix="ov-") as folder,
        (shop if chosen.shop else judgment)(Path(folder)) as target,
    ):
        for turn in range(chosen.times):
            rehearse(turn + 1, target, Path(folder) / f"run-{turn}")


@contextmanager
def judgment(folder: Path) -> Iterator[str]:
    """The target of a judgment platform with a backup and a record."""
    home = folder / "sandbox"
    with Sandbox(home, network.free_port_base(len(SERVICES))) as sandbox:
        target = str(sandbox.target)
        sandbox.backup()
        capture(target, REPOSITORY)
        recorded = dt.datetime.now(dt.UTC)
        wait_until(lambda: reaches(target, recorded), 60, "the WAL archive to reach the record")
        yield target


@contextmanager
def shop(folder: Path) -> Iterator[str]:
    """The target of a shop with a backup and a record."""
    with Shop(folder / "shop", network.free_port_base(len(SHOP_SERVICES))) as running:
        running.backup()
        capture(str(running.target), REPOSITORY)
        cluster = running.cluster
        cluster.value("INSERT INTO app.audit (at, what) VALUES (now(), 'after the record') RETURNING id")
        segment = cluster.value("SELECT pg_walfile_name(pg_switch_wal())")
        wait_until((cluster.archive / segment).exists, 60, "the commits after the record to be archived")
        yield str(running.target)


def reaches(target: str, moment: dt.datetime) -> bool:
    """Whether backup and archive reach to `moment`."""
    try:
        return newest_target(target, REPOSITORY, moment) > moment
    except Inconclusive:  # no segment after the backup is archived yet
        return False


def rehearse(turn: int, target: str, folder: Path) -> None:
    """Run one and print its line; exit where it does not accept."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "opsverify", "rehearse", "--target", target, "--report-dir", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    verdict = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    drill = json.loads((folder / "drill.json").read_text(encoding="utf-8"))
    lost = next(check["measured"] for check in verdict["checks"] if check["id"] == "restore.rpo_witnesses")
    checks = f"{verdict['executed']} / {verdict['planned']}"
    rto = drill["to_serving_s"]
    figures = " | ".join("-" if value is None else f"{value:.1f} s" for value in (rto, lost, took))
    print(f"| {turn} | {verdict['decision']} | {checks} | {figures} |", flush=True)
    if done.returncode != 0:
        raise SystemExit("\n".join([f"exit {done.returncode}", *verdict["reasons"]]))


if __name__ == "__main__":
    main()
