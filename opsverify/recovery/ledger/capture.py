"""Capture of what a record holds in addition to the validation queries: rows of every table, catalog, pages."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from opsverify.recovery.ledger.buckets import Bucket, Span, closed, edge, key, read_buckets, sliced
from opsverify.recovery.ledger.catalog import VERSION, read_catalog
from opsverify.recovery.ledger.discovery import Activity, Evidence, find_tables
from opsverify.recovery.ledger.heap_pages import POSITION, SYSTEM, read_pages
from opsverify.recovery.ledger.large_objects import read_large_objects
from opsverify.recovery.ledger.open_rows import read_open
from opsverify.recovery.ledger.probe import TableProbe, moved, newest_span, read_probe
from opsverify.recovery.ledger.sequence_values import read_sequence_values
from opsverify.recovery.ledger.tables import CoreTable

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from opsverify.recovery.ledger.discovery import FoundTables
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.tables import TableChoice

HASH_SAMPLE: Final = "SELECT hash_record_extended(ROW('opsverify'::text, 42::int8, 1.5::numeric, true), 0)"
"""A row whose hash differs between servers that hash differently (another major version or byte order)."""

_TIMELINE: Final = """
SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END
"""
_NOW: Final = "SELECT clock_timestamp()"


def capture_details(
    source: Source,
    at: dt.datetime,
    previous: Mapping[str, Any] | None,
    chosen: Mapping[str, TableChoice],
    tag_column: str | None,
    left_out: Iterable[str] = (),
) -> dict[str, Any]:
    """Return what the record as of `at` holds of every table (but those `left_out`), the catalog and pages.

    `previous` is the content of the newest record: closed buckets that it or an earlier one holds are not read again,
    unless the table's definition changed, or the server is on another timeline (after a recovery, what was
    recorded since its target never happened). Raises Inconclusive as `find_tables` does.
    """
    ((timeline,),) = source(_TIMELINE, {})
    ((hash_sample,),) = source(HASH_SAMPLE, {})
    before = previous or {}
    same = before.get("timeline") == timeline and before.get("witness") == str(hash_sample)
    ((system,),), ((position,),) = source(SYSTEM, {}), source(POSITION, {})
    pages = read_pages(source, before["pages"] if same and _read_of(before).get("system") == system else {})
    ((read_until,),) = source(_NOW, {})
    known = before.get("core", {}) if same else {}
    first = find_tables(source, chosen, tag_column, _evidence(known), left_out)
    probes = {
        table.name: probe
        for table in first.tables
        if (probe := _probe_again(source, first, table, known.get(table.name))) is not None
    }
    learned = {name: _learned(known[name], first.activity[name], probe) for name, probe in probes.items()}
    evidence = _evidence(known) | {name: _read_evidence(one) for name, one in learned.items()}
    found = first if evidence == _evidence(known) else find_tables(source, chosen, tag_column, evidence, left_out)
    core = {
        table.name: _table(source, found, table, known.get(table.name), learned.get(table.name), at)
        for table in found.tables
    }
    catalog = read_catalog(source)
    digest = hashlib.sha256(json.dumps(catalog, sort_keys=True).encode()).hexdigest()
    unchanged = before.get("catalog_sha256") == digest and before.get("catalog_version") == VERSION
    large_objects, sequences = read_large_objects(source), read_sequence_values(source)
    ((all_read,),) = source(_NOW, {})
    return {
        "timeline": timeline,
        "witness": str(hash_sample),
        "core": core,
        "left_out": list(found.skipped),
        "catalog": None if unchanged else catalog,
        "catalog_sha256": digest,
        "catalog_version": VERSION,
        "pages": {name: one.to_dict() for name, one in pages.items()},
        "pages_read": {"system": system, "position": int(position), "until": read_until.isoformat()},
        "rows_read": {"system": system, "until": all_read.isoformat()},
        "large_objects": large_objects.to_dict(),
        "sequences": sequences,
    }


def _read_of(before: Mapping[str, Any]) -> Mapping[str, Any]:
    return before.get("pages_read") or {}


def _evidence(known: Mapping[str, Any]) -> dict[str, Evidence]:
    return {name: _read_evidence(entry["evidence"]) for name, entry in known.items() if entry.get("evidence")}


def _read_evidence(raw: Mapping[str, Any]) -> Evidence:
    changing = raw["changing"]
    return Evidence(None if changing is None else frozenset(changing), raw["late"])


def _probe_again(
    source: Source, found: FoundTables, table: CoreTable, known: Mapping[str, Any] | None
) -> TableProbe | None:
    """Read the rows of the last record's probe again; None where there was none, or nothing changed since."""
    if not known or not known.get("probe") or Activity(*known["activity"]) == found.activity[table.name]:
        return None
    was = CoreTable.from_dict(known["table"])
    if (was.quoted, was.bucket, was.kind, was.key_terms) != (table.quoted, table.bucket, table.kind, table.key_terms):
        return None
    span = Span(edge(was, known["probe"]["since"]), edge(was, known["probe"]["until"]))
    cols = found.columns[table.name]
    return read_probe(source, table, span, cols, found.mutable[table.name])


def _learned(known: Mapping[str, Any], now: Activity, probe: TableProbe) -> dict[str, Any]:
    """Join what earlier captures found out of a table with what the probe shows now."""
    earlier = known.get("evidence") or {"changing": None, "late": False, "moved": 0.0}
    before, then = TableProbe.from_dict(known["probe"]), Activity(*known["activity"])
    changing = earlier["changing"]
    if not probe.same_rows(before):
        return {**earlier, "late": True}
    if now.updates != then.updates:
        changing = sorted({*(changing or ()), *probe.changed(before)})
    shares = [moved(before.spread[name], values) for name, values in probe.spread.items() if name in before.spread]
    return {**earlier, "changing": changing, "moved": max([earlier["moved"], *shares])}


def _table(
    source: Source,
    found: FoundTables,
    table: CoreTable,
    known: Mapping[str, Any] | None,
    learned: Mapping[str, Any] | None,
    at: dt.datetime,
) -> dict[str, Any]:
    goes_on = known is not None and known["until"] is not None and known["series"] == table.fingerprint
    entry: dict[str, Any] = {
        "table": table.to_dict(),
        "series": table.fingerprint,
        "goes_on": goes_on,
        "since": None,
        "until": known["until"] if known and goes_on else None,
        "first": known["first"] if known and goes_on else None,
        "buckets": {},
        "activity": list(found.activity[table.name]),
        "evidence": learned or (known or {}).get("evidence"),
        "probe": (known or {}).get("probe") if goes_on else None,
    }
    if table.kind == "hash":
        return entry | {"goes_on": False, "open": read_open(source, table, None).to_dict()}
    reached = edge(table, known["until"]) if known and goes_on else None
    span = closed(source, table, reached, at)
    if span is not None and not span.empty:
        # Only the first capture may meet many rows; later ones read what was written since.
        rows = 0 if goes_on else found.estimates[table.name]
        buckets = read_buckets(source, table, span, slices=sliced(table, span, rows))
        entry |= {
            "since": key(span.since),
            "until": key(span.until),
            "first": entry["first"] or key(span.since),
            "buckets": {name: [one.rows, str(one.total), str(one.xored)] for name, one in buckets.items()},
        }
        entry["probe"] = _probe(source, found, table, buckets, key(span.until)) or entry["probe"]
    whole = Span(edge(table, entry["first"]), edge(table, entry["until"])) if entry["first"] else None
    return entry | {"open": read_open(source, table, whole).to_dict()}


def _probe(
    source: Source, found: FoundTables, table: CoreTable, buckets: Mapping[str, Bucket], until: str
) -> dict[str, Any] | None:
    span = newest_span(table, buckets, until)
    if span is None:
        return None
    return read_probe(source, table, span, found.columns[table.name], found.mutable[table.name]).to_dict()
