"""Runs of the stage `staging` in a row on one healthy sandbox: each must promote and leave nothing behind.

    python benchmarks/staging_runs.py [--times 100]

After each run: no process that it started, no file in its TMPDIR, no synthetic row in the database, no key of a
journey in Redis, no synthetic alert in Alertmanager. One line for each run; exit code 1 after the last one where any
gave another verdict or left something.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
from redis import Redis

from opsverify.config.load import load_target
from opsverify.probes.cleanup import tags_in
from opsverify.smoke.tags import PREFIX
from sandbox import network
from sandbox.core import Sandbox
from sandbox.home import SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parent.parent
MARK = "OPSVERIFY_STAGING_RUNS"
"""Variable that a run and whatever it starts have in their environment."""


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(description="staging runs in a row: 0 false verdicts, nothing left behind")
    parser.add_argument("--times", type=int, default=100)
    times = parser.parse_args().times
    wrong, took = [], []
    with (
        tempfile.TemporaryDirectory(prefix="ov-") as folder,
        Sandbox(Path(folder) / "sandbox", network.free_port_base(len(SERVICES))) as sandbox,
    ):
        await_healthy(sandbox, Path(folder))
        print("| run | decision | checks | left behind | whole run |\n| ---: | --- | ---: | --- | ---: |")
        for turn in range(times):
            began = time.perf_counter()
            mark, place = uuid.uuid4().hex, Path(folder) / f"run-{turn}"
            code, verdict = stage(sandbox, place, mark)
            took.append(time.perf_counter() - began)
            left = list(left_behind(sandbox, place, mark))
            checks = f"{verdict.get('executed')} / {verdict.get('planned')}"
            decision = verdict.get("decision", f"none, exit {code}")
            row = (turn + 1, decision, checks, "; ".join(left) or "-", f"{took[-1]:.1f} s")
            print(f"| {' | '.join(map(str, row))} |", flush=True)
            if code or decision != "promote" or left:
                wrong += [f"run {turn + 1}: exit {code}", *verdict.get("reasons", ()), *left]
    print(
        f"\n{times} runs, {len([each for each in wrong if each.startswith('run ')])} wrong, "
        f"median {statistics.median(took):.1f} s"
    )
    if wrong:
        raise SystemExit("\n".join(wrong))


def await_healthy(sandbox: Sandbox, folder: Path) -> None:
    """Run once without counting: a sandbox that has just started has no rates yet."""
    for turn in range(5):
        code, verdict = stage(sandbox, folder / f"warm-{turn}", "warm")
        if code == 0:
            return
        time.sleep(5)
    raise SystemExit("\n".join(["the sandbox does not become healthy", *verdict.get("reasons", ())]))


def stage(sandbox: Sandbox, place: Path, mark: str) -> tuple[int, dict[str, Any]]:
    """Run the stage in an environment of its own; its exit code and verdict."""
    scratch = place.with_name(f"{place.name}.tmp")
    scratch.mkdir()
    command = [
        sys.executable,
        "-m",
        "opsverify",
        "verify",
        "staging",
        "--target",
        str(sandbox.target),
        "--report-dir",
        str(place),
    ]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(scratch), MARK: mark},
    )
    try:
        return done.returncode, json.loads((place / "verdict.json").read_text(encoding="utf-8"))
    except OSError:
        return done.returncode, {"reasons": [done.stderr]}


def left_behind(sandbox: Sandbox, place: Path, mark: str) -> Iterator[str]:
    """What a run has left, each in a few words."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                yield f"process {process.pid} {process.name()}"
        except (psutil.Error, OSError):
            continue
    yield from (f"file {path.name} in TMPDIR" for path in place.with_name(f"{place.name}.tmp").rglob("*"))
    yield from (f"file {path.name} in the run's folder" for path in place.rglob(".*.tmp"))
    target, secrets = load_target(sandbox.target)
    synthetic, postgres = target.synthetic, target.postgres
    login, tables = synthetic.cleanup, synthetic.tables
    if postgres is None or login is None:
        raise SystemExit("the sandbox's target names no clean-up of synthetic rows")
    yield from (
        f"rows of {tag}"
        for tag in tags_in(postgres, login.user, secrets.of(login.password), tables, synthetic.tag_column, PREFIX)
    )
    settings = sandbox.settings
    with Redis(port=settings.ports["redis"], password=settings.secret("redis")) as redis:
        yield from (f"key {key.decode()}" for key in redis.scan_iter(match=f"*{PREFIX}*", count=1000))
    alerts = httpx.get(
        f"{settings.url('alertmanager')}/api/v2/alerts", params={"active": "true"}, trust_env=False
    ).json()
    yield from (f"alert {alert['labels']}" for alert in alerts if PREFIX in json.dumps(alert))


if __name__ == "__main__":
    main()
