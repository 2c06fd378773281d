"""`opsverify ledger capture` and `opsverify dr target`: what a recovery needs to be decided and proven."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.drill import scratch_folder
from opsverify.errors import Inconclusive, TargetError
from opsverify.target import find_target, load_target

if TYPE_CHECKING:
    from opsverify.target import Recovery


def capture(target_name: str, root: Path) -> str:
    """Record the core tables' closed buckets in the target's ledger; one line that says what was recorded.

    Raises TargetError, Inconclusive (the database does not answer) or EvidenceError (the ledger cannot be written).
    """
    from opsverify.probes.postgres import Postgres  # noqa: PLC0415 - probes are imported when used
    from opsverify.recovery import Ledger, read_queries  # noqa: PLC0415

    target, secrets = load_target(find_target(target_name, root / "targets"))
    if target.postgres is None or target.recovery is None:
        raise TargetError(f"target {target.name}: capturing needs [postgres] and [recovery]")
    queries = read_queries(root / "dr_validation" / "sql")
    ledger = Ledger(Path(target.recovery.ledger))
    with Postgres(target.postgres, secrets.of(target.postgres.login.password)) as postgres:
        recorded = ledger.capture(lambda sql, values: postgres.rows(sql, **values), dt.datetime.now(dt.UTC), queries)
    counts = ", ".join(f"{table} {len(facts)} keys" for table, facts in recorded.tables.items())
    head = ledger.verify_chain().head
    when = recorded.captured_at.isoformat()
    return f"recorded {counts} as of {when} in {ledger.path} (record {recorded.seq}, head {head})"


def newest_target(target_name: str, root: Path) -> dt.datetime:
    """The newest point in time that backup and WAL archive can bring back without a gap (runbook 5-2).

    Raises Inconclusive, naming segment and time, where the archive is broken before its end.
    """
    target, _ = load_target(find_target(target_name, root / "targets"), with_secrets=False)
    if target.recovery is None:
        raise TargetError(f"target {target.name}: needs [recovery]")
    return newest(target.recovery)


def newest(recovery: Recovery) -> dt.datetime:
    """The newest recovery target that backup and archive allow; raises Inconclusive as `newest_target`."""
    from opsverify.recovery import continuity, find_tools, physical_source_of  # noqa: PLC0415

    source = physical_source_of(recovery)
    with scratch_folder(recovery) as scratch, source.unpacked(scratch) as unpacked:
        backup = unpacked.backup
        wal = continuity(backup, unpacked.archive, find_tools(backup.major))
    earliest = backup.finished_at or backup.started_at
    if wal.newest_target is None or wal.newest_target <= earliest:
        raise Inconclusive(
            f"{recovery.wal_archive or recovery.method}: no commit archived that is later than the backup's end "
            f"({earliest.isoformat()}); "
            "wait for the next WAL segment"
        )
    return wal.newest_target
