"""A restore drill: the actual backup, restored beside production on this machine, asked once, thrown away.

What the drill saw is one JSON file of the run's evidence; the checks of the `rehearsal` stage read that file.
"""

from __future__ import annotations

import datetime as dt
import json
import socket
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from opsverify.errors import Inconclusive
from opsverify.limits import quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opsverify.recovery import Recorded, RestoredServer
    from opsverify.target import Recovery

SMALL = {"shared_buffers": "128MB", "max_wal_size": "1GB"}
"""A drill serves one session: it needs none of the primary's memory."""


@dataclass(frozen=True)
class Drill:
    """Facts of one drill. Times are ISO 8601; `problems` are what pg_verifybackup says of the backup.

    `looked_at` is when the archive was read, before the restore took its time.
    """

    problems: tuple[str, ...]
    continuity: str | None
    segments: int
    last_commit_at: str | None
    target_time: str
    looked_at: str
    recovered_to: str | None = None
    to_target_s: float | None = None
    to_read_write_s: float | None = None
    timeline: int | None = None
    read: int | None = None
    durations: Mapping[str, float] | None = None
    failure: str | None = None
    facts: Mapping[str, Any] | None = None

    @classmethod
    def read_from(cls, path: Path) -> Drill:
        """The drill kept in `path`."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**raw, "problems": tuple(raw["problems"])})


def run_drill(
    recovery: Recovery,
    dbname: str,
    recorded: Recorded | None,
    queries: Mapping[str, str],
    keep: TextIO,
    say: Callable[[str], None],
) -> None:
    """Verify the backup, follow its WAL, restore it, read and write, ask for the ledger's facts; write a `Drill`.

    Raises Inconclusive where backup or archive cannot even be looked at.
    """
    from opsverify.recovery import backup as backups  # noqa: PLC0415 - only stages that restore
    from opsverify.recovery import continuity, find_tools, major_of, restore  # noqa: PLC0415

    base, archive = Path(recovery.base_backup), Path(recovery.wal_archive)
    tools = find_tools(major_of(base))
    found = backups.inspect(base, tools, archive)
    say("rehearsal: verifying the backup (pg_verifybackup)")
    integrity = backups.verify(found, tools)
    wal = continuity(found, archive, tools, recovery.recovery_target)
    looked_at = dt.datetime.now(dt.UTC)
    target_time = recovery.recovery_target or wal.last_commit_at
    if target_time is None:
        raise Inconclusive(f"no commit after the backup in {archive}: there is no point in time to restore to")
    facts: dict[str, Any] = {
        "problems": integrity.problems,
        "continuity": wal.problem,
        "segments": wal.segments,
        "last_commit_at": wal.last_commit_at.isoformat() if wal.last_commit_at else None,
        "target_time": target_time.isoformat(),
        "looked_at": looked_at.isoformat(),
    }
    try:
        with tempfile.TemporaryDirectory(prefix="ov-", dir=recovery.scratch) as scratch:
            Path(scratch).chmod(0o755)  # the server's unprivileged account has to read its way in
            with restore(
                base,
                archive,
                Path(scratch) / "data",
                target_time=target_time,
                port=_free_port(),
                socket_dir=Path(scratch) / "s",
                progress=_progress(say),
                dbname=dbname,
                settings=SMALL,
            ) as server:
                facts |= _ask(server, dbname, recorded, queries)
    except Inconclusive as error:
        facts["failure"] = str(error)
    json.dump(asdict(Drill(**facts)), keep, indent=1)


def _ask(server: RestoredServer, dbname: str, recorded: Recorded | None, queries: Mapping[str, str]) -> dict[str, Any]:
    import psycopg  # noqa: PLC0415 - the drill's own server, not the target's: no probe of the target fits

    with psycopg.connect(server.dsn, dbname=dbname, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM judgment_executions").fetchone()
        read = int(row[0]) if row else 0

        def source(sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
            return connection.execute(sql.encode(), dict(parameters)).fetchall()

        facts = recorded.ask_again(source, queries) if recorded else None
    return {
        "recovered_to": server.recovered_to.isoformat() if server.recovered_to else None,
        "to_target_s": server.to_target_s,
        "to_read_write_s": server.to_read_write_s,
        "timeline": server.timeline,
        "read": read,
        "durations": dict(server.durations),
        "facts": facts,
    }


def _progress(say: Callable[[str], None]) -> Callable[[str, int, int], None]:
    def report(stage: str, done: int, total: int) -> None:
        if done == total:
            size = f" {quantity(total, 'bytes')}" if stage == "copy" else ""
            say(f"rehearsal: {stage} done{size}")

    return report


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def age_s(moment: str, now: str) -> float:
    """Seconds from `moment` to `now`, both ISO 8601."""
    return (dt.datetime.fromisoformat(now) - dt.datetime.fromisoformat(moment)).total_seconds()
