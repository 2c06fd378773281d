"""Capture of what a record holds in addition to the validation queries: rows of every table, catalog, pages."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.ledger.buckets import Bucket, Span, edge
from opsverify.recovery.ledger.catalog import VERSION, read_catalog
from opsverify.recovery.ledger.closed_rows import read_closed
from opsverify.recovery.ledger.discovery import Activity, Evidence, find_tables
from opsverify.recovery.ledger.heap_pages import POSITION, SYSTEM, read_pages
from opsverify.recovery.ledger.large_objects import read_large_objects
from opsverify.recovery.ledger.open_rows import read_open
from opsverify.recovery.ledger.pace import counted_since
from opsverify.recovery.ledger.probe import TableProbe, moved, newest_span, read_probe, with_earlier
from opsverify.recovery.ledger.refusal import read_apart
from opsverify.recovery.ledger.row_sample import RowSample, read_again, read_sample, shares
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

_STANDBY: Final = "SELECT pg_is_in_recovery()"
_TIMELINE: Final = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
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
    unless production worked on the table, its definition changed, or the server is on another timeline (after a
    recovery, what was recorded since its target never happened). A table that PostgreSQL refuses to read is named, and
    the others are recorded. Raises Inconclusive as `find_tables` does, and on a
    standby: the work that its primary does is counted there only, and what is recorded is judged by it.
    """
    ((standby,),) = source(_STANDBY, {})
    if standby:
        raise Inconclusive(say("this server is in recovery, a standby: what production changes is counted on the "
                               "primary only; capture from the primary"))  # fmt: skip
    ((timeline,),) = source(_TIMELINE, {})
    ((hash_sample,),) = source(HASH_SAMPLE, {})
    before = previous or {}
    same = before.get("timeline") == timeline and before.get("witness") == str(hash_sample)
    ((system,),), ((position,),) = source(SYSTEM, {}), source(POSITION, {})
    pages = read_pages(source, before["pages"] if same and _read_of(before).get("system") == system else {})
    ((read_until,),) = source(_NOW, {})
    known = before.get("core", {}) if same else {}
    first = find_tables(source, chosen, tag_column, _evidence(known), left_out)
    refused: dict[str, str] = {}
    probes = {
        table.name: probe
        for table in first.tables
        if (
            probe := read_apart(partial(_probe_again, source, first, table, known.get(table.name)), table.name, refused)
        )
    }
    learned = {name: _learned(known[name], first.activity[name], probe) for name, probe in probes.items()}
    moving = {
        table.name: read_apart(partial(_shares_again, source, first, table, known.get(table.name)), table.name, refused)
        for table in first.tables
    }
    evidence = _evidence(known) | {name: _read_evidence(one) for name, one in learned.items()}
    found = first if evidence == _evidence(known) else find_tables(source, chosen, tag_column, evidence, left_out)
    core: dict[str, Any] = {}
    for table in found.tables:
        ask = partial(_table, source, found, table, known.get(table.name), learned.get(table.name), at)
        if table.name not in refused and (entry := read_apart(ask, table.name, refused)) is not None:
            core[table.name] = entry | {"shares": moving.get(table.name) or {}}
    catalog = read_catalog(source)
    digest = hashlib.sha256(json.dumps(catalog, sort_keys=True).encode()).hexdigest()
    unchanged = before.get("catalog_sha256") == digest and before.get("catalog_version") == VERSION
    large_objects, sequences = read_large_objects(source), read_sequence_values(source)
    ((all_read,),) = source(_NOW, {})
    since = counted_since(source)
    return {
        "timeline": timeline,
        "witness": str(hash_sample),
        "core": core,
        "left_out": [*found.skipped, *_not_covered(source, refused)],
        "catalog": None if unchanged else catalog,
        "catalog_sha256": digest,
        "catalog_version": VERSION,
        "pages": {name: one.to_dict() for name, one in pages.items()},
        "pages_read": {"system": system, "position": int(position), "until": read_until.isoformat()},
        "rows_read": {"system": system, "until": all_read.isoformat()},
        "counted_since": since.isoformat() if since else None,
        "large_objects": large_objects.to_dict(),
        "sequences": sequences,
    }


def _not_covered(source: Source, refused: Mapping[str, str]) -> list[str]:
    """Name tables that PostgreSQL refused to read, with the reason, but for those that were dropped meanwhile."""
    there = find_tables(source, {}).activity if refused else {}
    return [f"{name}: {reason}" for name, reason in refused.items() if name in there]


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


def _shares_again(
    source: Source, found: FoundTables, table: CoreTable, known: Mapping[str, Any] | None
) -> dict[str, list[float]]:
    """Return the largest shares of rows whose value changed between captures, by column, this one included."""
    largest: dict[str, list[float]] = dict((known or {}).get("shares") or {})
    if not known or not known.get("sample") or Activity(*known["activity"]) == found.activity[table.name]:
        return largest
    was, sample = CoreTable.from_dict(known["table"]), RowSample.from_dict(known["sample"])
    if (was.quoted, was.bucket, was.kind, was.key_terms) != (table.quoted, table.bucket, table.kind, table.key_terms):
        return largest
    there = {column.name: column.term for column in found.columns[table.name]}
    for name, now in shares(sample, read_again(source, table, sample, there)).items():
        largest[name] = [max(pair) for pair in zip(now, largest.get(name, (0.0, 0.0)), strict=True)]
    return largest


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
    entry: dict[str, Any] = {
        "table": table.to_dict(),
        "series": table.fingerprint,
        "goes_on": False,
        "since": None,
        "until": None,
        "first": None,
        "buckets": {},
        "activity": list(found.activity[table.name]),
        "evidence": learned or (known or {}).get("evidence"),
        "probe": None,
        "unhashed": [column.name for column in found.mutable[table.name]],
        "sample": None,
    }
    whole = None
    if table.kind != "hash":
        entry |= read_closed(source, found, table, known, at)
        entry["probe"] = (known or {}).get("probe") if entry["goes_on"] else None
        buckets = {
            name: Bucket(rows, int(total), int(xored)) for name, (rows, total, xored) in entry["buckets"].items()
        }
        if buckets:
            entry["probe"] = _probe(source, found, table, buckets, entry["until"], entry["probe"]) or entry["probe"]
        whole = Span(edge(table, entry["first"]), edge(table, entry["until"])) if entry["first"] else None
    opened = read_open(source, table, whole)
    entry["sample"] = _sample(source, found, table, entry["probe"], opened.rows)
    return entry | {"open": opened.to_dict()}


def _sample(
    source: Source, found: FoundTables, table: CoreTable, probe: Mapping[str, Any] | None, opened: int
) -> dict[str, Any] | None:
    """Sample the columns that are not hashed: of the probe's rows, or of all, `opened`, where no bucket is closed."""
    terms = {column.name: column.term for column in found.mutable[table.name]}
    span = Span(edge(table, probe["since"]), edge(table, probe["until"])) if probe else None
    rows = probe["rows"] if probe else opened
    return read_sample(source, table, span, terms, rows).to_dict() if terms else None


def _probe(
    source: Source,
    found: FoundTables,
    table: CoreTable,
    buckets: Mapping[str, Bucket],
    until: str,
    earlier: Mapping[str, Any] | None,
) -> dict[str, Any] | None:
    """Read the probe of the newest of `buckets`, those read now, and of the rows of the `earlier` one of the series."""
    span = newest_span(table, buckets, until)
    if span is not None and earlier is not None:
        span = with_earlier(table, span, sum(one.rows for one in buckets.values()), earlier)
    if span is None:
        return None
    return read_probe(source, table, span, found.columns[table.name], found.mutable[table.name]).to_dict()
