"""Closed buckets of a table: row count, sum and xor of the rows' hashes, read and compared."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from opsverify.language.message import say
from opsverify.recovery.ledger.integer_keys import given_out
from opsverify.recovery.ledger.queries import SETTLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.tables import CoreTable

Edge: TypeAlias = Any  # a time, a date or a whole number: one kind for each table

Name = TypeVar("Name", str, int)

TOGETHER: Final = 32
"""Runs of named buckets that one statement asks for."""
SLICE_ROWS: Final = 2_000_000
"""Rows that one statement hashes at most, where an index allows to read in slices: one or two seconds each."""

_EPOCH: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_NUMBERED: Final = ("integer", "hash")
"""Kinds whose buckets are named by whole numbers."""
_ANY_ZONE: Final = dt.timedelta(hours=14)
"""A timestamp without zone may be as far behind UTC as this (and is ahead at most as far, which does no harm)."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """`rows` of one bucket, and the sum and xor of their 64-bit hashes (signed, the sum exact)."""

    rows: int
    total: int
    xored: int

    def __str__(self) -> str:
        return say("{rows} rows", rows=self.rows)


EMPTY: Final = Bucket(0, 0, 0)


@dataclass(frozen=True)
class Span:
    """From `since` up to, not including, `until`; both edges of buckets. None: without end on that side."""

    since: Edge
    until: Edge

    @property
    def empty(self) -> bool:
        """Whether there is no bucket in it."""
        return bool(self.since >= self.until)


WHOLE_TABLE: Final = Span(None, None)
"""All rows of a table."""


def closed(source: Source, table: CoreTable, since: Edge | None, now: dt.datetime) -> Span | None:
    """Return the closed buckets of `table` from `since` on (None: from its first row); None where it is empty.

    A bucket of times is closed when it ended `SETTLE` before `now`, one of dates when the date is over and
    settled, one of whole numbers when a whole further bucket of keys follows it.
    """
    if table.kind == "hash":
        return Span(0, table.width)
    if since is None or table.kind == "integer":
        # Two index look-ups; the start of the bucket is worked out by the same SQL that groups.
        some = f"(SELECT {table.start} FROM {table.relation} t WHERE {_usual(table)} ORDER BY t.{table.bucket}"
        ((first, last),) = source(f"SELECT {some} LIMIT 1) AS first, {some} DESC LIMIT 1) AS last", {})
        if first is None:
            return None
        since = since if since is not None else _began(table, first)
        if table.kind == "integer":
            return Span(since, _began(table, given_out(source, table, last)) - table.width)
    return Span(since, _closed_until(table, now))


def _usual(table: CoreTable) -> str:
    """Return what the values of the bucket column fulfil that Python's calendar knows: no infinity, no year 20,000."""
    if table.kind == "integer":
        return f"t.{table.bucket} IS NOT NULL"
    return f"t.{table.bucket} BETWEEN '0001-01-03' AND '9999-12-28'"


def _closed_until(table: CoreTable, now: dt.datetime) -> Edge:
    settled = now.astimezone(dt.UTC) - SETTLE
    if table.kind == "date":
        days = (settled.date() - _EPOCH.date()).days
        return _EPOCH.date() + dt.timedelta(days=days - days % table.width)
    if table.kind == "local":
        settled -= _ANY_ZONE
    floored = settled - (settled - _EPOCH) % dt.timedelta(seconds=table.width)
    return floored.replace(tzinfo=None) if table.kind == "local" else floored


def read_buckets(
    source: Source, table: CoreTable, span: Span, *, slices: Iterable[Span] | None = None
) -> dict[str, Bucket]:
    """Return the buckets of `span` that hold rows, by their start as text; each row is hashed once.

    `slices` divides the span into statements; by default it is one.
    """
    read: dict[str, Bucket] = {}
    for part in slices if slices is not None else (span,):
        read |= _read(source, table, [part])
    return read


def read_named(source: Source, table: CoreTable, names: Iterable[str]) -> dict[str, Bucket]:
    """Return those of the buckets called `names` that hold rows; the index of the bucket column reaches them."""
    read: dict[str, Bucket] = {}
    for spans in runs(table, names):
        read |= _read(source, table, spans)
    return read


def _read(source: Source, table: CoreTable, spans: Sequence[Span]) -> dict[str, Bucket]:
    sql = f"""
        SELECT start, count(*) AS rows, sum(hash) AS total, bit_xor(hash) AS xored
          FROM ({hashed(table, f"{table.start} AS start", spans)}) hashed
         GROUP BY start"""
    return {
        bucket_name(table, start): Bucket(int(rows), int(total), int(xored))
        for start, rows, total, xored in source(sql, edges(spans))
    }


def hashed(table: CoreTable, more: str, spans: Sequence[Span]) -> str:
    """Return the SQL of the rows in `spans` (with their `edges`): their `hash`, and `more` columns, if any.

    A subquery with a WITH of its own is not merged into what is around it: each hash is worked out once, however
    often it is used. (OFFSET 0 would do that too, and keep parallel workers out.)
    """
    within = [
        " AND ".join(
            [f"{table.at} >= %(since{nth})s"] * (span.since is not None)
            + [f"{table.at} < %(until{nth})s"] * (span.until is not None)
        )
        or "true"
        for nth, span in enumerate(spans)
    ]
    where = f" AND {table.where}" if table.where else ""
    return f"""
        WITH separate AS (SELECT)
        SELECT {table.hash} AS hash{more and f", {more}"}
          FROM {table.relation} t
         WHERE ({" OR ".join(within)}){where}"""


def edges(spans: Sequence[Span]) -> dict[str, object]:
    """Return the parameters that `hashed` expects for `spans`."""
    named = ((f"{side}{nth}", getattr(span, side)) for nth, span in enumerate(spans) for side in ("since", "until"))
    return {name: edge for name, edge in named if edge is not None}


def sliced(table: CoreTable, span: Span, rows: int) -> Iterator[Span]:
    """Divide `span`, which holds about `rows` rows, so that no part holds much more than `SLICE_ROWS`.

    Without an index by which to reach a part it stays whole: each part would read the whole table.
    """
    if rows <= SLICE_ROWS or not table.indexed or table.kind == "hash" or None in (span.since, span.until):
        yield span
        return
    parts = -(-rows // SLICE_ROWS)
    buckets = _buckets_between(table, span)
    step = max(1, -(-buckets // max(1, parts)))
    for begin in range(0, buckets, step):
        yield Span(_later(table, span.since, begin), _later(table, span.since, min(buckets, begin + step)))


def recorded_slices(table: CoreTable, recorded: Mapping[str, Bucket], span: Span) -> Iterator[Span]:
    """Divide `span` by the rows that were recorded of its buckets."""
    if not table.indexed:
        yield span
        return
    since, rows = span.since, 0
    for name in sorted(recorded, key=lambda text: edge(table, text)):
        if rows and rows + recorded[name].rows > SLICE_ROWS:
            yield Span(since, edge(table, name))
            since, rows = edge(table, name), 0
        rows += recorded[name].rows
    yield Span(since, span.until)


def bucket_span(table: CoreTable, name: str) -> Span:
    """Return the span of the one bucket called `name`."""
    since = edge(table, name)
    return Span(since, _later(table, since, 1))


def runs(table: CoreTable, names: Iterable[str]) -> Iterator[list[Span]]:
    """Gather the spans of the buckets called `names` for one statement each; those that adjoin become one."""
    rest = _adjoining(table, names)
    while several := list(islice(rest, TOGETHER)):
        yield several


def _adjoining(table: CoreTable, names: Iterable[str]) -> Iterator[Span]:
    spans = sorted((bucket_span(table, name) for name in names), key=lambda span: span.since)
    if not spans:
        return
    run = spans[0]
    for span in spans[1:]:
        if span.since == run.until:
            run = Span(run.since, span.until)
        else:
            yield run
            run = span
    yield run


def bucket_name(table: CoreTable, start: Edge) -> str:
    """Name the bucket whose `start` the SQL of `table` gave."""
    return key(_began(table, start))


def _began(table: CoreTable, start: Edge) -> Edge:
    """Turn the SQL's start of a bucket into its edge: of whole numbers SQL gives the bucket's number."""
    return start * table.width if table.kind == "integer" else start


def key(start: Edge) -> str:
    """Name a bucket by its start: `2026-11-22T10:00Z`, `2026-11-20`, `120000`; ASCII, and stable."""
    if isinstance(start, dt.datetime):
        utc = start.astimezone(dt.UTC) if start.tzinfo else start
        text = utc.replace(tzinfo=None).isoformat(timespec="seconds" if utc.second else "minutes")
        return f"{text}Z" if start.tzinfo else text
    return start.isoformat() if isinstance(start, dt.date) else str(start)


def edge(table: CoreTable, text: str) -> Edge:
    """Read a bucket's name back. Raises ValueError where it is none of `table`'s kind."""
    if table.kind in _NUMBERED:
        return int(text)
    return dt.date.fromisoformat(text) if table.kind == "date" else dt.datetime.fromisoformat(text)


def differences(recorded: Mapping[str, Bucket], found: Mapping[str, Bucket]) -> Iterator[tuple[str, Bucket, Bucket]]:
    """Yield name, recorded and found of every bucket that is not as it was recorded, in order of their names."""
    for name in differing_names(recorded, found):
        yield name, recorded.get(name, EMPTY), found.get(name, EMPTY)


def differing_names(before: Mapping[Name, Bucket], after: Mapping[Name, Bucket]) -> list[Name]:
    """Return, in order, the names (or numbers) whose rows are not the same; one left out has none."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name, EMPTY) != after.get(name, EMPTY))


def text(before: Bucket, after: Bucket) -> str:
    """Describe how a bucket differs: rows missing, added, or the same number with other content."""
    if after.rows < before.rows:
        gone = before.rows - after.rows
        return say("{gone:,} of {rows:,} rows missing", gone=gone, rows=before.rows)
    if after.rows > before.rows:
        more = after.rows - before.rows
        return say("{more:,} rows added to {rows:,} recorded", more=more, rows=before.rows)
    return say("rows changed (still {rows:,})", rows=before.rows)


def _buckets_between(table: CoreTable, span: Span) -> int:
    distance: Any = span.until - span.since
    if table.kind in _NUMBERED:
        width: Any = table.width if table.kind == "integer" else 1
    else:
        width = dt.timedelta(days=table.width) if table.kind == "date" else dt.timedelta(seconds=table.width)
    return max(0, int(-(-distance // width)))


def _later(table: CoreTable, since: Edge, buckets: int) -> Edge:
    if table.kind in _NUMBERED:
        return int(since) + buckets * (table.width if table.kind == "integer" else 1)
    unit = dt.timedelta(days=table.width) if table.kind == "date" else dt.timedelta(seconds=table.width)
    return since + buckets * unit
