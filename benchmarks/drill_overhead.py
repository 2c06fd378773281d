"""A whole drill against the raw tools doing the same, by stages, on one backup of the size that is asked for.

    python benchmarks/drill_overhead.py [--size-gb 3] [--rounds 3]

The raw tools: pg_verifybackup, a copy of the backup, recovery by PostgreSQL to the end of the archive and promotion,
pg_amcheck with the options of the drill, stop and pg_checksums, removal. The drill does these, proves keys and
references, reads every page, and restores one table alone; with a ledger it also compares every row, which no raw tool
can: measured with and without. In turns, since other work on the machine falls on whoever runs; processor time is that
of every process, PostgreSQL's included.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg

from opsverify.config.recovery import Recovery
from opsverify.recovery.drill.result import Drill
from opsverify.recovery.drill.run import run_drill
from opsverify.recovery.ledger.capture import capture_details
from opsverify.recovery.ledger.history import History
from opsverify.recovery.postgres.server import Server
from opsverify.recovery.postgres.tools import find_tools, for_account, unprivileged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from opsverify.recovery.postgres.tools import Account, Tools

MAJOR = 18
PORT = 5433
KINDS = ("wall_s", "cpu_s")
ME = psutil.Process()
SAME = dict.fromkeys(("promote", "read_only", "write_probe"), "recover") | dict.fromkeys(
    ("continuity", "preflight", "prepare", "validate"), "before and after the restore"
)
"""Stages of a drill that are one here: PostgreSQL without a target is promoted where recovery ends."""
ROW = 136
"""Bytes of a row of `events` with its two indexes, about."""
TABLES = """
CREATE TABLE lines (code text PRIMARY KEY, name text NOT NULL);
INSERT INTO lines SELECT 'L' || n, 'line ' || n FROM generate_series(0, 99) n;
CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, line text NOT NULL REFERENCES lines, note text);
INSERT INTO events SELECT n, timestamptz '2026-01-01' + n * interval '1 second', 'L' || n % 100, md5(n::text)
    FROM generate_series(1, {rows}) n;
CREATE INDEX events_at ON events (at);
VACUUM (ANALYZE);
"""


@dataclass
class Cost:
    """Seconds of wall and of processor time."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


@dataclass
class Contender:
    """One way to do the work, and its stages of every turn."""

    name: str
    run: Callable[[], dict[str, Cost]]
    turns: list[dict[str, Cost]] = field(default_factory=list)

    def median(self, stage: str, kind: str) -> float:
        """The median over the turns of one stage."""
        return statistics.median(getattr(turn.get(stage, Cost()), kind) for turn in self.turns)

    def whole(self, turn: int, kind: str) -> float:
        """All stages of a turn."""
        return sum(getattr(cost, kind) for cost in self.turns[turn].values())


def main() -> None:
    """Build the cluster, back it up, measure all in turns, print the table."""
    parser = argparse.ArgumentParser(description="a drill against the raw tools, by stages")
    parser.add_argument("--size-gb", type=float, default=3.0, help="size of the database in GB")
    parser.add_argument("--rounds", type=int, default=3, help="turns of all contenders")
    given = parser.parse_args()
    account = unprivileged()
    with tempfile.TemporaryDirectory(prefix="ov-") as name:
        home = Path(name)
        home.chmod(0o755)
        tools = for_account(find_tools(MAJOR), account, home)
        history, actual = build(tools, account, home, int(given.size_gb * 2**30 / ROW))
        contenders = [
            Contender("raw tools", lambda: raw_stages(tools, account, home)),
            Contender("drill without a ledger", lambda: drill_stages(home, None)),
            Contender("drill", lambda: drill_stages(home, history)),
        ]
        for turn in range(given.rounds):
            for contender in contenders:
                contender.turns.append(contender.run())
                wall, cpu = contender.whole(turn, "wall_s"), contender.whole(turn, "cpu_s")
                sys.stderr.write(f"{turn + 1}/{given.rounds} {contender.name}: {wall:.1f} s, processor {cpu:.1f} s\n")
    print(f"Database of {actual / 2**30:.2f} GB, {given.rounds} turns, medians, wall / processor.\n")
    print(table(contenders))


def table(contenders: Sequence[Contender]) -> str:
    """Return a Markdown table by stages, and the ratios to the first contender: medians of those of each turn."""
    stages = dict.fromkeys(stage for contender in contenders for turn in contender.turns for stage in turn)
    lines = [f"| stage | {' | '.join(one.name for one in contenders)} |", "| --- |" + " ---: |" * len(contenders)]
    for stage in stages:
        cells = [(one.median(stage, "wall_s"), one.median(stage, "cpu_s")) for one in contenders]
        lines.append(f"| {stage} | {' | '.join(_cell(*cell) for cell in cells)} |")
    turns = range(len(contenders[0].turns))
    wholes = [[statistics.median(one.whole(turn, kind) for turn in turns) for kind in KINDS] for one in contenders]
    lines.append(f"| whole | {' | '.join(_cell(*whole) for whole in wholes)} |")
    ratios = [
        [statistics.median(one.whole(turn, kind) / contenders[0].whole(turn, kind) for turn in turns) for kind in KINDS]
        for one in contenders
    ]
    lines.append(f"| ratio | {' | '.join(f'{wall:.2f} / {cpu:.2f}' for wall, cpu in ratios)} |")
    return "\n".join(lines)


def _cell(wall_s: float, cpu_s: float) -> str:
    return f"{wall_s:.1f} / {cpu_s:.1f} s" if wall_s or cpu_s else "-"


def processor_s() -> float:
    """Processor time of this process and all that it started, those that ended included."""
    total = 0.0
    for process in (ME, *ME.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _owned(folder: Path, account: Account | None) -> Path:
    folder.mkdir(mode=0o755)
    if account:
        shutil.chown(folder, account.uid, account.gid)
    return folder


@contextmanager
def _server(tools: Tools, account: Account | None, home: Path, data: Path, **settings: str) -> Iterator[Server]:
    own = {"listen_addresses": "", "unix_socket_directories": str(home), "port": str(PORT), "fsync": "off"}
    with Server(
        tools, data, own | settings, account=account, socket_dir=home, port=PORT, superuser="postgres",
        log=home / f"{data.name}.log",
    ) as server:  # fmt: skip
        server.wait_for("SELECT pg_is_in_recovery()", "f", within_s=3600, what="start")
        yield server


def build(tools: Tools, account: Account | None, folder: Path, rows: int) -> tuple[History, int]:
    """Fill a cluster, record it, back it up, archive two commits; its record and size."""
    home = _owned(folder / "primary", account)
    archive = _owned(folder / "wal", account)
    data = home / "data"
    tools.succeed(
        "initdb", "-D", data, "-E", "UTF8", "-U", "postgres", "-A", "trust", "--no-sync", "-k", account=account
    )
    copy = f"cp %p {archive}/%f.tmp && mv {archive}/%f.tmp {archive}/%f"
    with (
        _server(tools, account, home, data, archive_mode="on", archive_command=copy, max_wal_size="8GB") as server,
        psycopg.connect(f"host={home} port={PORT} user=postgres dbname=postgres", autocommit=True) as session,
    ):
        for statement in filter(None, map(str.strip, TABLES.format(rows=rows).split(";\n"))):
            session.execute(statement.encode())

        def source(sql: str, values: Mapping[str, object]) -> list[tuple[object, ...]]:
            return session.execute(sql.encode(), dict(values) or None).fetchall()

        now = dt.datetime.now(dt.UTC)
        body = capture_details(source, now, None, {}, "synthetic_tag")
        where = ("-h", home, "-p", str(PORT), "-U", "postgres", "-D", folder / "base", "-X", "none", "-c", "fast")
        _owned(folder / "base", account)
        tools.succeed("pg_basebackup", *where, "--no-sync", timeout_s=3600, account=account)
        for code in ("X", "Y"):
            session.execute("INSERT INTO lines VALUES (%s, %s)", (code, code))
            session.execute("SELECT pg_switch_wal()")
        newest = source("SELECT pg_walfile_name(pg_current_wal_lsn() - 1)", {})[0][0]
        done = f"SELECT coalesce(last_archived_wal, '') >= '{newest}' FROM pg_stat_archiver"  # noqa: S608 - a segment name
        server.wait_for(done, "t", within_s=600, what="archiving")
        size = int(str(source("SELECT pg_database_size(current_database())", {})[0][0]))
    shutil.rmtree(home)
    return History.of([(1, json.loads(json.dumps(body | {"captured_at": now.isoformat()})))]), size


def raw_stages(tools: Tools, account: Account | None, folder: Path) -> dict[str, Cost]:
    """Cost of the raw tools, by the drill's stages; PostgreSQL syncs to disk, as where a restore is for use."""
    found: dict[str, Cost] = {}
    home = _owned(folder / "raw", account)
    data = home / "data"

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        began = time.perf_counter(), processor_s()
        yield
        found[name] = Cost(time.perf_counter() - began[0], processor_s() - began[1])

    with stage("integrity"):
        tools.succeed("pg_verifybackup", "-n", folder / "base", timeout_s=3600, account=account)
    with stage("copy"):
        subprocess.run(["cp", "-a", str(folder / "base"), str(data)], check=True)
    data.chmod(0o700)
    (data / "recovery.signal").touch()
    settings = {"restore_command": f"cp {folder}/wal/%f %p", "archive_mode": "off", "autovacuum": "off"}
    with ExitStack() as stack:
        with stage("recover"):
            stack.enter_context(_server(tools, account, home, data, fsync="on", **settings))
        with stage("examine"):
            where = ("-h", home, "-p", str(PORT), "-U", "postgres", "-d", "postgres", "--no-password")
            more = ("--install-missing", "--heapallindexed", "--parent-check", "--rootdescend")
            tools.succeed("pg_amcheck", *where, *more, timeout_s=3600)
        with stage("checksums"):
            stack.close()
            tools.succeed("pg_checksums", "--check", "-D", data, timeout_s=3600, account=account)
    with stage("teardown"):
        shutil.rmtree(home)
    return found


def drill_stages(folder: Path, history: History | None) -> dict[str, Cost]:
    """Cost of each stage of a drill; exit where something was found."""
    scratch = folder / "drill"
    scratch.mkdir(mode=0o755)
    recovery = Recovery(
        base_backup=str(folder / "base"), wal_archive=str(folder / "wal"), ledger="unused", scratch=str(scratch)
    )
    kept = io.StringIO()
    began = time.perf_counter()
    seen: list[tuple[float, float]] = []

    def note(_text: str = "") -> None:
        seen.append((time.perf_counter() - began, processor_s()))

    note()
    run_drill(recovery, "postgres", None, {}, kept, note, scratch, history)
    note()
    shutil.rmtree(scratch)
    drill = Drill.loads(kept.getvalue())
    if drill.failure or drill.blocked or drill.table_problem:
        raise SystemExit(f"the drill ended early: {drill.failure or drill.blocked or drill.table_problem}")
    if wrong := [line for answer in drill.answers.findings.values() for line in answer.problems]:
        raise SystemExit(f"the drill found something: {wrong}")
    found: dict[str, Cost] = {}
    for stage in drill.stages:
        name = SAME.get(stage.name, stage.name)
        cost = found.setdefault(name, Cost())
        cost.wall_s += stage.seconds
        cost.cpu_s += _cpu_at(seen, stage.began_s + stage.seconds) - _cpu_at(seen, stage.began_s)
    spent = Cost(seen[-1][0] - sum(cost.wall_s for cost in found.values()),
                 seen[-1][1] - seen[0][1] - sum(cost.cpu_s for cost in found.values()))  # fmt: skip
    return found | {"between stages": spent}


def _cpu_at(seen: Sequence[tuple[float, float]], moment: float) -> float:
    """Processor time at a moment between two readings."""
    for (before, low), (after, high) in pairwise(seen):
        if moment <= after:
            return low + (high - low) * max(0.0, moment - before) / max(after - before, 1e-9)
    return seen[-1][1]


if __name__ == "__main__":
    main()
