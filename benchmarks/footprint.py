"""Footprint of a stage: processor time that a whole run adds to the servers it verifies, and its queries.

    ./run sandbox up --home /tmp/footprint
    python benchmarks/footprint.py --home /tmp/footprint
    ./run sandbox down --home /tmp/footprint

Each round is an idle span and a run of about the same length, in turns: what the platform's own traffic costs is in
both. Queries are those of the target's own role, as `pg_stat_statements` counts them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from opsverify.config.load import load_target
from opsverify.config.model import require
from opsverify.probes.postgres import Postgres
from sandbox.home import load_settings

STAGES = ("daily", "weekly")
AIM = 0.01
"""Share of one core."""
CALLS = """
SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
 WHERE userid = (SELECT oid FROM pg_roles WHERE rolname = current_user)
"""
_SHORTEST_S = 2.0
HEAD = (
    "| stage | its run | idle servers, of a core | added to PostgreSQL | added to Redis | processor time added "
    "| queries | below 1 % |"
)


@dataclass(frozen=True)
class Span:
    """What servers used in a stretch of time: seconds on the wall and of processor time, and the role's queries."""

    wall_s: float
    postgres_s: float
    redis_s: float
    calls: int

    def share(self, name: str) -> float:
        """Processor time of a server as a share of one core."""
        return float(getattr(self, name)) / self.wall_s


class Servers:
    """The processes of the sandbox in `home`, and the target that the runs verify."""

    def __init__(self, home: Path) -> None:
        self.target_file = home / "target.toml"
        target, secrets = load_target(self.target_file)
        config = require(target.postgres)
        self._postgres = Postgres(config, secrets.of(config.login.password))
        redis = require(target.redis)
        self.postmaster = _postmaster(home)
        self.redis = next(
            process.pid
            for process in psutil.process_iter()
            if "redis" in process.name() and _listens(process, redis.port)
        )

    def calls(self) -> int:
        """Statements of the role so far."""
        return int(self._postgres.value(CALLS))

    def used(self) -> tuple[float, float]:
        """Processor seconds so far of PostgreSQL, ended backends too, and of Redis."""
        return _with_children_s(self.postmaster), _seconds(self.redis)


def _postmaster(home: Path) -> int:
    """The first process of the sandbox's server: the first line of its lock file."""
    lock = load_settings(home).data_dir / "postgres" / "postmaster.pid"
    return int(lock.read_text(encoding="ascii").splitlines()[0])


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        return any(one.laddr and one.laddr.port == port for one in process.net_connections())
    except psutil.Error:
        return False


def _with_children_s(pid: int) -> float:
    ended = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[13:15]))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return ended / os.sysconf("SC_CLK_TCK") + _seconds(pid) + sum(_seconds(int(child)) for child in children)


def _seconds(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except FileNotFoundError:  # a backend that has ended since: its time is its parent's from now on
        return 0.0


def idle(seconds: float) -> None:
    """Let the platform's own traffic go on."""
    time.sleep(seconds)


def verify(stage: str, target: Path) -> None:
    """A whole run with its evidence; what it decides does not matter here, but its own failure does."""
    with tempfile.TemporaryDirectory(prefix="footprint-") as folder:
        command = [sys.executable, "-m", "opsverify", "verify", stage, "--target", str(target), "--report-dir", folder]
        ran = subprocess.run(command, capture_output=True, check=False, text=True)
    if ran.returncode not in (0, 1, 10):
        raise SystemExit(ran.stderr or ran.stdout)


def span(servers: Servers, stage: str | None, seconds: float) -> Span:
    """What an idle span, or a run of `stage`, costs."""
    calls, before, began = servers.calls(), servers.used(), time.perf_counter()
    if stage is None:
        idle(seconds)
    else:
        verify(stage, servers.target_file)
    wall, after = time.perf_counter() - began, servers.used()
    return Span(wall, after[0] - before[0], after[1] - before[1], servers.calls() - calls - 1)


def measure(servers: Servers, stage: str, rounds: int) -> tuple[list[Span], list[Span]]:
    """Idle spans and runs, in turns; the first run only warms up."""
    seconds = max(_SHORTEST_S, span(servers, stage, 0.0).wall_s)
    spans: list[Span] = []
    runs: list[Span] = []
    for _ in range(rounds):
        spans.append(span(servers, None, seconds))
        runs.append(span(servers, stage, 0.0))
        seconds = runs[-1].wall_s
    return spans, runs


def row(stage: str, spans: list[Span], runs: list[Span]) -> str:
    """One line of the table: medians over the rounds, what a run adds within each round."""

    def added(name: str) -> float:
        pairs = zip(runs, spans, strict=True)
        return statistics.median(run.share(name) - idle_span.share(name) for run, idle_span in pairs)

    wall = statistics.median(run.wall_s for run in runs)
    idle_share = statistics.median(one.share("postgres_s") + one.share("redis_s") for one in spans)
    both = added("postgres_s") + added("redis_s")
    calls = statistics.median(run.calls for run in runs)
    return (
        f"| `{stage}` | {wall:.1f} s | {idle_share:.2%} | {added('postgres_s'):.2%} | {added('redis_s'):.2%} "
        f"| {both * wall * 1000:.0f} ms | {calls:,.0f} | {'yes' if both < AIM else 'no'} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="folder of a sandbox that is up")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stages", nargs="+", default=STAGES)
    options = parser.parse_args()
    servers = Servers(options.home.resolve())
    lines = [
        HEAD,
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        *(row(stage, *measure(servers, stage, options.rounds)) for stage in options.stages),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
