"""A restore drill: the actual backup, restored beside production on this machine, asked once, thrown away.

What the drill saw is one JSON file of the run's evidence; the checks of the `rehearsal` stage read that file.
"""

from __future__ import annotations

import datetime as dt
import json
import socket
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from opsverify.errors import Inconclusive
from opsverify.limits import quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opsverify.recovery import Recorded, RestoredServer
    from opsverify.target import Recovery

SMALL = {"shared_buffers": "128MB", "max_wal_size": "1GB"}
"""A drill serves one session: it needs none of the primary's memory."""


LEAST = dt.timedelta(microseconds=1)
"""Recovery ends at the first commit *after* its target: the target lies this much before the last one archived."""


@dataclass(frozen=True)
class Drill:
    """Facts of one drill. Times are ISO 8601; `problems` are what the verifying tools say of the backup.

    `looked_at` is when the archive was read, before the restore took its time.
    """

    problems: tuple[str, ...]
    continuity: str | None
    segments: int | None
    last_commit_at: str | None
    target_time: str | None
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
    from opsverify.recovery import BackupDamaged, source_of  # noqa: PLC0415 - only stages that restore

    source = source_of(recovery)
    say(f"rehearsal: verifying the backup ({recovery.method})")
    facts: dict[str, Any] = {"problems": (), "continuity": None, "segments": None, "last_commit_at": None}
    facts["looked_at"] = dt.datetime.now(dt.UTC).isoformat()
    facts["target_time"] = recovery.recovery_target.isoformat() if recovery.recovery_target else None
    with scratch_folder(recovery) as scratch:
        bring = _restored_dump if recovery.method == "pg_dump" else _restored
        try:
            facts["problems"] = source.verify().problems
            with bring(source, scratch, facts, _progress(say), dbname) as server:
                facts |= _ask(server, dbname, recorded, queries)
        except BackupDamaged as error:
            facts["failure"] = str(error)
            facts["problems"] = facts["problems"] or (str(error),)
        except _CannotRestore as error:
            facts["failure"] = str(error.__cause__)
    json.dump(asdict(Drill(**facts)), keep, indent=1)


class _CannotRestore(Exception):  # noqa: N818 - tells the restore's own failures from those before it
    """The restore itself failed; the cause says why."""


@contextmanager
def scratch_folder(recovery: Recovery) -> Iterator[Path]:
    """A folder for one drill where the target says (`scratch`), removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="ov-", dir=recovery.scratch) as name:
        Path(name).chmod(0o755)  # the server's unprivileged account has to read its way in
        yield Path(name)


@contextmanager
def _restored(
    source: Any,  # noqa: ANN401 - a PhysicalSource, which only stages that restore import
    scratch: Path,
    facts: dict[str, Any],
    progress: Callable[[str, int, int], None],
    dbname: str,
) -> Iterator[RestoredServer]:
    from opsverify.recovery import continuity, find_tools, restore, verify  # noqa: PLC0415

    began = time.monotonic()
    with source.unpacked(scratch) as unpacked:
        unpacked_s = time.monotonic() - began if unpacked.ours else 0.0
        tools = find_tools(unpacked.backup.major)
        again: tuple[str, ...] = ()
        if unpacked.ours and (unpacked.backup.path / "backup_manifest").exists():
            again = verify(unpacked.backup, tools).problems
        facts["problems"] = (*facts["problems"], *unpacked.problems, *again)
        wal = continuity(unpacked.backup, unpacked.archive, tools, source.until)
        target_time = source.until or (wal.last_commit_at and wal.last_commit_at - LEAST)
        if target_time is None:
            raise Inconclusive(
                f"no commit after the backup in {unpacked.archive}: there is no point in time to restore to"
            )
        facts |= {
            "continuity": wal.problem,
            "segments": wal.segments,
            "last_commit_at": wal.last_commit_at.isoformat() if wal.last_commit_at else None,
            "target_time": target_time.isoformat(),
        }
        with (
            _as_failure(),
            restore(
                unpacked.backup,
                unpacked.archive,
                scratch / "data",
                target_time=target_time,
                port=_free_port(),
                socket_dir=scratch / "s",
                progress=progress,
                dbname=dbname,
                settings=SMALL,
                ours=unpacked.ours,
            ) as server,
        ):
            yield replace(
                server,
                to_target_s=server.to_target_s + unpacked_s,
                to_read_write_s=server.to_read_write_s + unpacked_s,
                durations={"unpack": unpacked_s, **server.durations},
            )


@contextmanager
def _restored_dump(
    source: Any,  # noqa: ANN401 - a DumpSource
    scratch: Path,
    facts: dict[str, Any],
    progress: Callable[[str, int, int], None],
    dbname: str,
) -> Iterator[RestoredServer]:
    from opsverify.recovery.restore_dump import restore_dump  # noqa: PLC0415

    archive, taken_at = source.newest()
    facts |= {"target_time": taken_at.isoformat(), "last_commit_at": taken_at.isoformat()}
    with (
        _as_failure(),
        restore_dump(
            archive,
            scratch / "data",
            major=source.major,
            taken_at=taken_at,
            port=_free_port(),
            socket_dir=scratch / "s",
            progress=progress,
            dbname=dbname,
            settings=SMALL,
        ) as server,
    ):
        yield server


@contextmanager
def _as_failure() -> Iterator[None]:
    try:
        yield
    except Inconclusive as error:
        raise _CannotRestore from error


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
