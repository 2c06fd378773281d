"""Whole drills, as the stage `rehearsal` runs them, for tests of their result."""

from __future__ import annotations

import datetime as dt
import io
import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from opsverify.config.database import Login
from opsverify.config.recovery import Heartbeat, Recovery
from opsverify.recovery.drill.result import Drill
from opsverify.recovery.drill.run import run_drill
from opsverify.recovery.ledger.capture import capture_details
from opsverify.recovery.ledger.history import History
from opsverify.recovery.ledger.queries import NAMES_ON
from opsverify.recovery.ledger.tables import TableChoice
from opsverify.recovery.restore.pitr import RestorePlan, restore
from opsverify.recovery.restore.restored_server import Destination, RestoredServer, reserved_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.wreck import Disaster


CHOSEN = {
    "judgment_executions": TableChoice(bucket="created_at"),
    "fact_daily_production": TableChoice(bucket="date"),
}


def rehearse(recovery: Recovery, history: History | None = None, dbname: str = "postgres") -> Drill:
    """Run a drill of the database `dbname`, and load its result."""
    kept = io.StringIO()
    run_drill(recovery, dbname, None, {}, kept, lambda _text: None, Path(recovery.scratch or ""), history)
    return Drill.loads(kept.getvalue())


@contextmanager
def restored(disaster: Disaster, base: Path, scratch: Path) -> Iterator[RestoredServer]:
    """Restore `base` in `scratch`, to between the two commits."""
    with reserved_port() as port:
        destination = Destination(scratch / "data", scratch / "s", port)
        with restore(RestorePlan(base, disaster.archive, destination, disaster.between)) as server:
            yield server


def recorded(disaster: Disaster, scratch: Path) -> tuple[History, dict[str, str]]:
    """Restore the whole backup in `scratch`: what the ledger would have recorded of it, and where its tables are."""
    with (
        restored(disaster, disaster.base, scratch) as server,
        psycopg.connect(server.dsn, autocommit=True) as session,
    ):

        def source(sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
            return session.execute(sql.encode(), dict(values) or None).fetchall()

        body = capture_details(source, dt.datetime.now(dt.UTC), None, CHOSEN, "synthetic_tag")
        paths = dict(source("SELECT relname, pg_relation_filepath(oid) FROM pg_class WHERE relkind = 'r'", {}))
    return History.of([(1, body | {"captured_at": disaster.between.isoformat()})]), paths


def recorded_at(dsn: str) -> History:
    """What a ledger would record of the database at `dsn` now."""
    with psycopg.connect(dsn, autocommit=True, options=f"-c search_path={NAMES_ON}") as session:

        def source(sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
            return session.execute(sql.encode(), dict(values) or None).fetchall()

        at = dt.datetime.now(dt.UTC)
        body = capture_details(source, at, None, {}, None) | {"captured_at": at.isoformat()}
    return History.of([(1, json.loads(json.dumps(body)))])


def recovery(disaster: Disaster, scratch: Path, until: dt.datetime, **changes: Any) -> Recovery:  # noqa: ANN401
    """The [recovery] section of a target that is `disaster`."""
    fields: dict[str, Any] = {
        "base_backup": str(disaster.base),
        "wal_archive": str(disaster.archive),
        "ledger": "unused",
        "scratch": str(scratch),
        "recovery_target": until,
        "production_size": "500 GB",
        "random_seed": 3,
        "heartbeat": Heartbeat(log=str(disaster.heartbeat_log), login=Login(user="postgres")),
    }
    return Recovery(**fields | changes)
