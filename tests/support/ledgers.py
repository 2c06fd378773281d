"""Records of the ledger, taken from a real server and asked for again."""

from __future__ import annotations

import datetime as dt
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg

from opsverify.errors import Inconclusive
from opsverify.recovery.ledger.capture import capture_details
from opsverify.recovery.ledger.discovery import find_tables
from opsverify.recovery.ledger.history import History
from opsverify.recovery.ledger.tables import TableChoice
from opsverify.recovery.verify import heap_files
from opsverify.recovery.verify.finding import Finding, finding_of
from opsverify.recovery.verify.ledger_checks import check_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.tables import CoreTable
    from tests.support.clones import Clone


CHOSEN: Mapping[str, TableChoice] = {
    "events": TableChoice(bucket="created_at", width="1h", mutable=("note",)),
    "totals": TableChoice(),
    "readings": TableChoice(),
}


def now_at(clone: Clone) -> dt.datetime:
    """Return the time of the clone's server."""
    ((now,),) = clone.source("SELECT clock_timestamp()", {})
    return now  # type: ignore[no-any-return]


def core_table(source: Source, name: str, choice: TableChoice) -> CoreTable:
    """Return the table `name` of the database behind `source`."""
    return next(table for table in find_tables(source, {name: choice}).tables if table.name == name)


def record(
    clone: Clone,
    previous: Mapping[str, Any] | None = None,
    chosen: Mapping[str, TableChoice] = CHOSEN,
    ago: dt.timedelta = dt.timedelta(0),
    source: Source | None = None,
    left_out: Sequence[str] = (),
) -> dict[str, Any]:
    """One record's content, through JSON as the ledger keeps it."""
    at = now_at(clone) - ago
    body = capture_details(source or clone.source, at, previous, chosen, "synthetic_tag", left_out)
    return dict(json.loads(json.dumps(body | {"captured_at": at.isoformat()})))


def history(*bodies: Mapping[str, Any]) -> History:
    """Put records together."""
    return History.of(enumerate(bodies, 1))


def again(recorded: History, table: str, clone: Clone, **more: Any) -> Finding:  # noqa: ANN401 - of check_table
    """Ask the clone for the buckets of a table."""
    return finding_of(
        lambda: check_table(recorded, table, clone.source, now_at(clone), **more),
        errors=(psycopg.Error, Inconclusive),
    )


def heaps(clone: Clone, recorded: History | None = None, of_indexes: list[str] | None = None) -> Finding:
    """Look into the files of the clone's tables; what is their indexes' goes to `of_indexes`."""
    ask = partial(heap_files.check_heaps, clone.source, clone.data, psycopg.Error, recorded, of_indexes)
    return finding_of(ask, errors=psycopg.Error)
