"""Closed buckets of a table, as one capture records them: those since the last one, or all of them anew.

A closed bucket is read once, unless production changed the table: an old row was updated, deleted, or inserted with an
old date. What was recorded then would stay red for ever. So, where the statistics show such work, all closed buckets
are read again; if they are not as recorded, a new series begins with them. Tables that the target declares are taken
at its word: they are not read again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opsverify.recovery.ledger.buckets import Bucket, Span, closed, edge, edges, key, read_buckets, sliced
from opsverify.recovery.ledger.discovery import Activity

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from opsverify.recovery.ledger.discovery import FoundTables
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.tables import CoreTable


def read_closed(
    source: Source, found: FoundTables, table: CoreTable, known: Mapping[str, Any] | None, at: dt.datetime
) -> dict[str, Any]:
    """Return what is recorded of the closed buckets: where the series goes on from `known`, only the new ones."""
    series = known if known and known["until"] is not None and known["series"] == table.fingerprint else None
    if series is None or (not table.declared and _worked_on(found.activity[table.name], series)):
        return _all(source, found, table, series, at)
    span = closed(source, table, edge(table, series["until"]), at)
    new = {} if span is None or span.empty else read_buckets(source, table, span)
    if not table.declared and _out_of_order(source, found, table, series):
        return _all(source, found, table, series, at)
    going_on = _going_on(series, new, key(span.until) if span and not span.empty else None)
    return going_on | {"late": None} if table.declared else going_on


def _going_on(series: Mapping[str, Any], new: Mapping[str, Bucket], until: str | None) -> dict[str, Any]:
    total = _read(series.get("closed"))
    return {
        "goes_on": True,
        "since": series["until"] if until else None,
        "until": until or series["until"],
        "first": series["first"],
        "buckets": _plain(new),
        "closed": _written(_sum([total, *new.values()])) if total else None,
        "late": 0,
    }


def _all(
    source: Source, found: FoundTables, table: CoreTable, series: Mapping[str, Any] | None, at: dt.datetime
) -> dict[str, Any]:
    """Read every closed bucket; the `series` goes on where it is as it was recorded."""
    span = closed(source, table, None, at)
    empty: dict[str, Any] = {
        "goes_on": False,
        "since": None,
        "until": None,
        "first": None,
        "buckets": {},
        "closed": None,
        "late": None,
    }
    if span is None or span.empty:
        return empty
    read = read_buckets(source, table, span, slices=sliced(table, span, found.estimates[table.name]))
    if series is not None:
        since, until = edge(table, series["first"]), edge(table, series["until"])
        old = [bucket for name, bucket in read.items() if since <= edge(table, name) < until]
        total = _read(series.get("closed"))
        if span.until >= until and _sum(old) == total:
            new = {name: bucket for name, bucket in read.items() if edge(table, name) >= until}
            return _going_on(series, new, key(span.until) if span.until > until else None)
        empty["late"] = max(0, _sum(old).rows - total.rows) if total else None
    return empty | {
        "since": key(span.since),
        "until": key(span.until),
        "first": key(span.since),
        "buckets": _plain(read),
        "closed": _written(_sum(read.values())),
    }


def _worked_on(now: Activity, series: Mapping[str, Any]) -> bool:
    was = Activity(*series["activity"])
    return (now.updates, now.deletes) != (was.updates, was.deletes)


def _out_of_order(source: Source, found: FoundTables, table: CoreTable, series: Mapping[str, Any]) -> bool:
    """Whether rows were added to buckets that were closed.

    More rows were inserted than there are new ones: then the closed ones are counted. (Rows of transactions that were
    rolled back are counted as inserted, too.)
    """
    inserted = found.activity[table.name].inserts - Activity(*series["activity"]).inserts
    span = Span(edge(table, series["first"]), edge(table, series["until"]))
    opened = sum(rows for rows, _, _ in series["open"]["buckets"].values()) if "open" in series else 0
    outside = f"({table.at} < %(since0)s OR {table.at} >= %(until0)s OR {table.at} IS NULL)"
    if inserted <= _count(source, table, outside, span) - opened:
        return False
    total = _read(series.get("closed"))
    within = f"{table.at} >= %(since0)s AND {table.at} < %(until0)s"
    return total is None or _count(source, table, within, span) != total.rows


def _count(source: Source, table: CoreTable, condition: str, span: Span) -> int:
    where = f" AND {table.where}" if table.where else ""
    ((rows,),) = source(f"SELECT count(*) FROM {table.relation} t WHERE {condition}{where}", edges([span]))
    return int(rows)


def _sum(buckets: Iterable[Bucket]) -> Bucket:
    rows, total, xored = 0, 0, 0
    for bucket in buckets:
        rows, total, xored = rows + bucket.rows, total + bucket.total, xored ^ bucket.xored
    return Bucket(rows, total, xored)


def _plain(buckets: Mapping[str, Bucket]) -> dict[str, list[int | str]]:
    return {name: _written(one) for name, one in buckets.items()}


def _written(one: Bucket) -> list[int | str]:
    return [one.rows, str(one.total), str(one.xored)]


def _read(raw: tuple[int, str, str] | list[Any] | None) -> Bucket | None:
    return Bucket(raw[0], int(raw[1]), int(raw[2])) if raw else None
