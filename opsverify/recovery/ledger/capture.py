"""Capture of what a record holds in addition to the runbook's three queries: new closed buckets, catalog, pages."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from opsverify.recovery.ledger.buckets import closed, edge, key, read_buckets, sliced
from opsverify.recovery.ledger.catalog import read_catalog
from opsverify.recovery.ledger.heap_pages import POSITION, SYSTEM, read_pages
from opsverify.recovery.ledger.tables import core_tables

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.tables import CoreTable, TableChoice

HASH_SAMPLE: Final = "SELECT hash_record_extended(ROW('opsverify'::text, 42::int8, 1.5::numeric, true), 0)"
"""A row whose hash differs between servers that hash differently (another major version or byte order)."""

_TIMELINE: Final = """
SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END
"""
_ESTIMATE: Final = "SELECT greatest(sum(c.reltuples), 0)::int8 FROM pg_class c WHERE c.oid = %(name)s::regclass"


def capture_details(
    source: Source,
    at: dt.datetime,
    previous: Mapping[str, Any] | None,
    chosen: Mapping[str, TableChoice],
    tag_column: str | None,
) -> dict[str, Any]:
    """Return what the record as of `at` holds of core tables, catalog and pages.

    `previous` is the content of the newest record: buckets that it or an earlier one holds are not read again,
    unless the table's definition changed, or the server is on another timeline (after a recovery, what was
    recorded since its target never happened). Raises Inconclusive as `core_tables` does.
    """
    ((timeline,),) = source(_TIMELINE, {})
    ((hash_sample,),) = source(HASH_SAMPLE, {})
    before = previous or {}
    same = before.get("timeline") == timeline and before.get("witness") == str(hash_sample)
    ((system,),), ((position,),) = source(SYSTEM, {}), source(POSITION, {})
    pages = read_pages(source, before["pages"] if same and _read_of(before).get("system") == system else {})
    ((read_until,),) = source("SELECT clock_timestamp()", {})
    known = before.get("core", {}) if same else {}
    tables, skipped = core_tables(source, chosen, tag_column)
    core = {table.name: _table(source, table, known.get(table.name), at) for table in tables}
    catalog = read_catalog(source)
    digest = hashlib.sha256(json.dumps(catalog, sort_keys=True).encode()).hexdigest()
    unchanged = before.get("catalog_sha256") == digest
    return {
        "timeline": timeline,
        "witness": str(hash_sample),
        "core": core,
        "left_out": list(skipped),
        "catalog": None if unchanged else catalog,
        "catalog_sha256": digest,
        "pages": {name: one.to_dict() for name, one in pages.items()},
        "pages_read": {"system": system, "position": int(position), "until": read_until.isoformat()},
    }


def _read_of(before: Mapping[str, Any]) -> Mapping[str, Any]:
    return before.get("pages_read") or {}


def _table(source: Source, table: CoreTable, known: Mapping[str, Any] | None, at: dt.datetime) -> dict[str, Any]:
    goes_on = known is not None and known["until"] is not None and known["series"] == table.fingerprint
    reached = edge(table, known["until"]) if known and goes_on else None
    span = closed(source, table, reached, at)
    entry: dict[str, Any] = {
        "table": table.to_dict(),
        "series": table.fingerprint,
        "goes_on": goes_on,
        "since": None,
        "until": known["until"] if known and goes_on else None,
        "buckets": {},
    }
    if span is None or span.empty:
        return entry
    # Only the first capture may meet many rows; later ones read what was written since.
    rows = 0 if goes_on else _estimate(source, table)
    buckets = read_buckets(source, table, span, slices=sliced(table, span, rows))
    return entry | {
        "since": key(span.since),
        "until": key(span.until),
        "buckets": {name: [one.rows, str(one.total), str(one.xored)] for name, one in buckets.items()},
    }


def _estimate(source: Source, table: CoreTable) -> int:
    ((rows,),) = source(_ESTIMATE, {"name": table.quoted})
    return int(rows or 0)
