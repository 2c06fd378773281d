"""A whole drill against the raw tools doing the same, by stages, on one backup of the size that is asked for.

    python benchmarks/drill_overhead.py [--size-gb 3]

The raw tools: pg_verifybackup, a copy of the backup, recovery by PostgreSQL to the end of the archive, pg_amcheck with
the options of the drill, pg_checksums. The drill does these, reads every row, and restores one table alone.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import json
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from opsverify.config.recovery import Recovery
from opsverify.recovery.drill.result import Drill
from opsverify.recovery.drill.run import run_drill
from opsverify.recovery.ledger.capture import capture_details
from opsverify.recovery.ledger.history import History
from opsverify.recovery.postgres.server import Server
from opsverify.recovery.postgres.tools import find_tools, for_account, unprivileged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opsverify.recovery.postgres.tools import Account, Tools

MAJOR = 18
PORT = 5433
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


def main() -> None:
    """Build the cluster, back it up, measure both, print the table."""
    parser = argparse.ArgumentParser(description="a drill against the raw tools, by stages")
    parser.add_argument("--size-gb", type=float, default=3.0, help="size of the database in GB")
    size = parser.parse_args().size_gb
    account = unprivileged()
    with tempfile.TemporaryDirectory(prefix="ov-") as name:
        home = Path(name)
        home.chmod(0o755)
        tools = for_account(find_tools(MAJOR), account, home)
        history, actual = build(tools, account, home, int(size * 2**30 / ROW))
        raw = raw_stages(tools, account, home)
        drill = drill_stages(home, history)
    print(f"Database of {actual / 2**30:.2f} GB.\n\n| stage | raw tools | drill |\n| --- | ---: | ---: |")
    for stage in dict.fromkeys((*raw, *drill)):
        print(f"| {stage} | {_seconds(raw.get(stage))} | {_seconds(drill.get(stage))} |")
    both = sum(raw.values()), sum(drill.values())
    print(f"| whole | {both[0]:.1f} s | {both[1]:.1f} s, {both[1] / both[0]:.2f} times the raw tools |")


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


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


def raw_stages(tools: Tools, account: Account | None, folder: Path) -> dict[str, float]:
    """Seconds of the raw tools, by the drill's stages."""
    found: dict[str, float] = {}
    home = _owned(folder / "raw", account)
    data = home / "data"

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        found[name] = time.perf_counter() - began

    with stage("integrity"):
        tools.succeed("pg_verifybackup", "-n", folder / "base", timeout_s=3600, account=account)
    with stage("copy"):
        subprocess.run(["cp", "-a", str(folder / "base"), str(data)], check=True)
    data.chmod(0o700)
    (data / "recovery.signal").touch()
    settings = {"restore_command": f"cp {folder}/wal/%f %p", "archive_mode": "off", "autovacuum": "off"}
    began = time.perf_counter()
    with _server(tools, account, home, data, **settings):
        found["recover"] = time.perf_counter() - began
        with stage("examine"):
            where = ("-h", home, "-p", str(PORT), "-U", "postgres", "-d", "postgres", "--no-password")
            more = ("--install-missing", "--heapallindexed", "--parent-check", "--rootdescend")
            tools.succeed("pg_amcheck", *where, *more, timeout_s=3600)
    with stage("checksums"):
        tools.succeed("pg_checksums", "--check", "-D", data, timeout_s=3600, account=account)
    shutil.rmtree(home)
    return found


def drill_stages(folder: Path, history: History) -> dict[str, float]:
    """Seconds of each stage of a drill; exit where something was found."""
    scratch = folder / "drill"
    scratch.mkdir(mode=0o755)
    recovery = Recovery(
        base_backup=str(folder / "base"), wal_archive=str(folder / "wal"), ledger="unused", scratch=str(scratch)
    )
    kept = io.StringIO()
    run_drill(recovery, "postgres", None, {}, kept, lambda _text: None, scratch, history)
    drill = Drill.loads(kept.getvalue())
    if drill.failure or drill.blocked or drill.table_problem:
        raise SystemExit(f"the drill ended early: {drill.failure or drill.blocked or drill.table_problem}")
    found: dict[str, float] = {}
    for stage in drill.stages:
        found[stage.name] = found.get(stage.name, 0.0) + stage.seconds
    return found


if __name__ == "__main__":
    main()
