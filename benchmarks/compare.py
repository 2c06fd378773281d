"""Comparison of two databases: the limit, opsverify, and reladiff, in turns on the same rows.

    python benchmarks/compare.py [--rows 1000000] [--rounds 5] [--without-jsonb]

The limit is what any comparison by content has to do: hash every row once on both sides, at the same time, and
nothing else. opsverify finds the seven differing rows by their keys: by ctid, as physical copies can be
compared, and by bucket, as it does where rows are stored in another order. reladiff (in its own environment,
installed on first use) is timed without its start and its imports, with the settings that were best of those tried.
Further lines: the ledger's work, which needs one side only.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from cost import Cost, Meter, table
from peer_environment import environment

from opsverify.recovery.ledger.capture import capture_details
from opsverify.recovery.ledger.discovery import find_tables
from opsverify.recovery.ledger.history import History
from opsverify.recovery.ledger.tables import TableChoice
from opsverify.recovery.postgres.server import Server
from opsverify.recovery.postgres.tools import find_tools, for_account, unprivileged
from opsverify.recovery.verify.database_diff import compare_databases
from opsverify.recovery.verify.ledger_checks import check_buckets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opsverify.recovery.ledger.queries import Source

    Columns = Mapping[str, tuple[str, str]]

RELADIFF = ("reladiff==0.6.0", "psycopg2-binary==2.9.13")
WORKERS = 2  # max_parallel_workers_per_gather as it comes: the limit's parallel workers besides the leader
FACTOR, THRESHOLD, THREADS = 64, 16384, 2  # the best of seven settings tried on a million rows
COLUMNS = {
    "id": ("bigint PRIMARY KEY", "n"),
    "created_at": ("timestamptz NOT NULL", "timestamptz '2026-01-01' + n * interval '1 second'"),
    "line_code": ("text NOT NULL", "'L0' || 1 + n % 6"),
    "input": ("jsonb NOT NULL", """jsonb_build_object('line_code', 'L0' || 1 + n % 6, 'temperature', 55 + n % 23,
                                   'pressure', 1.5 + n % 13 / 10.0, 'vibration', 0.2 + n % 38 / 10.0)"""),
    "result": ("text NOT NULL", "CASE WHEN n % 40 = 0 THEN 'ALARM' ELSE 'OK' END"),
    "source": ("text NOT NULL", "CASE WHEN n % 4 = 0 THEN 'LLM' ELSE 'RULE' END"),
    "confidence": ("numeric(4, 3) NOT NULL", "0.7 + n % 250 / 1000.0"),
    "rule_version": ("text NOT NULL", "'r12'"),
    "prompt_version": ("text NOT NULL", "'p7'"),
    "app_version": ("text NOT NULL", "'1.4.0'"),
    "track": ("text NOT NULL", "'stable'"),
    "latency_ms": ("integer NOT NULL", "n % 100"),
    "synthetic_tag": ("text", "CASE WHEN n % 50 = 0 THEN 'smoke-' || n END"),
}  # fmt: skip
"""The platform's judgments: each column's type, and its value in row number n."""
FILL = "INSERT INTO judgments SELECT {values} FROM generate_series({first}, {last}) n"
DAMAGE = (
    "DELETE FROM judgments WHERE id IN ({0}, {1}, {2})",
    "UPDATE judgments SET latency_ms = latency_ms + 1 WHERE id IN ({3}, {4})",
    "INSERT INTO judgments SELECT {5} + n, {others} FROM judgments, generate_series(1, 2) n WHERE id = {6}",
)
DIFFERENT = 7
PEER = """
import sys, time
from reladiff import connect_to_table, diff_tables
threads = int(sys.argv[5])
sides = [connect_to_table(f"postgresql://postgres@/{name}", "judgments", "id", thread_count=threads,
                          extra_columns=tuple(sys.argv[2].split(","))) for name in ("original", "restored")]
began, used = time.perf_counter(), time.process_time()
rows = {row[1][0] for row in diff_tables(*sides, algorithm="hashdiff", bisection_factor=int(sys.argv[3]),
                                        bisection_threshold=int(sys.argv[4]), threaded=True,
                                        max_threadpool_size=threads)}
print(time.perf_counter() - began, time.process_time() - used, len(rows))
"""


@dataclass
class Side:
    """One of the two databases: a `session`, and as many as work on a parallel query by default (`sessions`)."""

    session: psycopg.Connection[Any]
    more: tuple[psycopg.Connection[Any], ...] = ()

    @property
    def sessions(self) -> list[Source]:
        """The query function of each session."""
        return [Side(session).source for session in (self.session, *self.more)]

    def source(self, sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Run a query, as opsverify does."""
        return self.session.execute(sql.encode(), dict(values) or None).fetchall()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="comparing two databases: limit, opsverify, reladiff")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-jsonb", action="store_true", help="leave out the judgments' jsonb column")
    options = parser.parse_args()
    columns = {name: column for name, column in COLUMNS.items() if name != "input" or not options.without_jsonb}
    peer = environment("reladiff-0.6.0", RELADIFF)
    times: dict[str, list[Cost]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="ov-") as name, served(Path(name)) as home:
        original, restored = filled(home, options.rows, columns)
        meter = Meter(int((home / "data" / "postmaster.pid").read_text().split()[0]))
        contenders = contenders_of(original, restored, meter, home, peer, columns)
        for turn in range(options.rounds + 1):
            for label, work in contenders.items():
                cost = work()
                if turn:  # the first is not counted: caches
                    times[label].append(cost)
                sys.stderr.write(f"{turn}/{options.rounds}  {cost.wall_s:7.2f} s  {label}\n")
        incremental = recaptured(original, meter, options.rows, columns)
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    print(f"{options.rows:,} rows of {len(columns)} columns, {options.rounds} rounds, load average {load}\n")
    print(table(times))
    print(f"\n{incremental}")


@contextmanager
def served(folder: Path) -> Iterator[Path]:
    """Run a server with its defaults; yields the folder of its socket."""
    folder.chmod(0o755)
    account = unprivileged()
    tools = for_account(find_tools(18), account, folder)
    home = folder / "h"
    home.mkdir()
    if account:
        os.chown(home, account.uid, account.gid)
    how = ("-E", "UTF8", "-U", "postgres", "-A", "trust", "--no-sync")
    made_data = tools.run("initdb", "-D", home / "data", *how, account=account)
    if made_data.exit_code:
        raise SystemExit(made_data.transcript)
    settings = {
        "fsync": "off", "listen_addresses": "", "unix_socket_directories": str(home), "port": "5432",
        "shared_buffers": "512MB", "max_wal_size": "8GB", "autovacuum": "off",
    }  # fmt: skip
    with Server(
        tools, home / "data", settings, account=account, socket_dir=home, port=5432, superuser="postgres",
        log=folder / "log",
    ) as server:  # fmt: skip
        server.wait_for("SELECT pg_is_in_recovery()", "f", within_s=30, what="start")
        yield home


def filled(home: Path, rows: int, columns: Columns) -> tuple[Side, Side]:
    """Fill one database, copy it, damage the copy in seven rows."""

    def connected(name: str) -> psycopg.Connection[Any]:
        return psycopg.connect(f"host={home} user=postgres dbname={name}", autocommit=True)

    with connected("postgres") as admin:
        admin.execute("CREATE DATABASE original")
        with connected("original") as session:
            made_of = ", ".join(f"{name} {kind}" for name, (kind, _) in columns.items())
            session.execute(f"CREATE TABLE judgments ({made_of})".encode())
            session.execute(filling(columns, 1, rows))
            session.execute("VACUUM (FREEZE, ANALYZE)")
        admin.execute("CREATE DATABASE restored TEMPLATE original STRATEGY file_copy")
    original, restored = connected("original"), connected("restored")
    places = [round(rows * share) for share in (0.1, 0.1001, 0.77, 0.4, 0.9, 1, 0.6)]
    for statement in DAMAGE:
        restored.execute(statement.format(*places, others=", ".join(list(columns)[1:])).encode())
    sides = [
        Side(session, tuple(connected(session.info.dbname) for _ in range(WORKERS))) for session in (original, restored)
    ]
    return sides[0], sides[1]


def filling(columns: Columns, first: int, last: int) -> bytes:
    """Return the statement that inserts rows `first` to `last`."""
    values = ", ".join(value for _, value in columns.values())
    return FILL.format(values=values, first=first, last=last).encode()


def contenders_of(
    original: Side, restored: Side, meter: Meter, home: Path, peer: Path, columns: Columns
) -> dict[str, Callable[[], Cost]]:
    """Every contender by its name: a function that runs it, returns its cost, and stops if the work was not done."""
    found = find_tables(original.source, {"judgments": TableChoice(bucket="id", width=1024)})
    core = next(table for table in found.tables if table.name == "judgments")
    compared = ",".join(list(columns)[1:])
    hashing = f"SELECT sum({core.hash}) FROM judgments t"  # noqa: S608 - our own names
    at = dt.datetime.now(dt.UTC)
    recorded = History.of(
        [(1, capture_details(original.source, at, None, {"judgments": TableChoice(bucket="id")}, None) | {
            "captured_at": at.isoformat()})]
    )  # fmt: skip

    def limit() -> Cost:
        with ThreadPoolExecutor(2) as threads:
            return meter.timed(lambda: list(threads.map(lambda side: side.source(hashing, {}), (original, restored))))

    def ours(*, by_place: bool) -> Cost:
        keys: list[Any] = []
        took = meter.timed(
            lambda: keys.append(compare_databases(core, original.sessions, restored.sessions, by_place=by_place))
        )
        confirm(len(keys[0][1].all))
        return took

    def one_side() -> Cost:
        return meter.timed(lambda: restored.source(hashing, {}))

    def ledger() -> Cost:
        found: list[Any] = []
        took = meter.timed(
            lambda: found.append(check_buckets(recorded.tables["judgments"], restored.source, at, limited=False))
        )
        if not found[0].problems:
            raise SystemExit("ledger: no difference found")
        return took

    def reladiff() -> Cost:
        output: list[str] = []
        whole = meter.timed(lambda: output.extend(subprocess.run(
            [peer, "-c", PEER, "-", compared, str(FACTOR), str(THRESHOLD), str(THREADS)],
            check=True, capture_output=True, text=True, env={**os.environ, "PGHOST": str(home)},
        ).stdout.split()))  # fmt: skip
        confirm(int(output[2]))
        return Cost(float(output[0]), whole.processor_s + float(output[1]))  # without the time of its start

    return {
        "limit: every row hashed once, both sides at once": limit,
        "opsverify, keys by ctid": partial(ours, by_place=True),
        "opsverify, keys by bucket": partial(ours, by_place=False),
        f"reladiff 0.6.0 (factor {FACTOR}, {THREADS} threads)": reladiff,
        "limit of one side": one_side,
        "opsverify against the ledger (one side)": ledger,
    }


def recaptured(side: Side, meter: Meter, rows: int, columns: Columns) -> str:
    """Capture, add a twentieth of the rows, capture again: rows hashed and seconds of each."""
    chosen = {"judgments": TableChoice(bucket="id")}
    at = dt.datetime.now(dt.UTC)
    first: list[Any] = []
    whole = meter.timed(lambda: first.append(capture_details(side.source, at, None, chosen, None)))
    side.session.execute(filling(columns, rows + 1, rows + rows // 20))
    before = json.loads(json.dumps(first[0]))
    second: list[Any] = []
    again = meter.timed(lambda: second.append(capture_details(side.source, at, before, chosen, None)))
    hashed = [sum(count for count, _, _ in body["core"]["judgments"]["buckets"].values()) for body in (*first, *second)]
    return (
        f"First capture: {hashed[0]:,} rows hashed, {whole.wall_s:.2f} s. After {rows // 20:,} new rows: "
        f"{hashed[1]:,} rows hashed, {again.wall_s:.2f} s (catalog and page counts are read again each time)."
    )


def confirm(found: int) -> None:
    """Stop the benchmark where a contender did not find every differing row."""
    if found != DIFFERENT:
        raise SystemExit(f"{found} rows found, {DIFFERENT} differ")


if __name__ == "__main__":
    main()
