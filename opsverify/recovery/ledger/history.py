"""History of the recorded tables up to a recovery target, joined from the ledger's records."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opsverify.errors import EvidenceError, Inconclusive
from opsverify.language.message import say
from opsverify.recovery.ledger.absent import NOTHING_RECORDED
from opsverify.recovery.ledger.buckets import Bucket, Span, edge
from opsverify.recovery.ledger.discovery import Activity
from opsverify.recovery.ledger.heap_pages import Pages
from opsverify.recovery.ledger.large_objects import LargeObjects
from opsverify.recovery.ledger.open_rows import OpenRows
from opsverify.recovery.ledger.pace import BURST, Pace
from opsverify.recovery.ledger.probe import TableProbe
from opsverify.recovery.ledger.row_sample import RowSample
from opsverify.recovery.ledger.sequence_values import SequenceValue, values_of
from opsverify.recovery.ledger.tables import CoreTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opsverify.recovery.ledger.catalog import Catalog


@dataclass
class TableHistory:
    """One table: its definition, every closed bucket that was recorded of it, and what the newest record has besides.

    `open` are its open rows, `activity` is what production did to it by then, `probe` a closed span in detail, `moved`
    the largest share of the probe's rows whose value changed from one capture to the next. None in old ledgers.
    `pace` is how fast production was ever seen to change it, up to `seen_at`; `was_empty` where a record had no row.
    `unhashed` columns are not in the row's hash: `sample` has their values of some rows, `shares` the largest share of
    rows that changed between captures, and by how much more of them held one value.
    """

    table: CoreTable
    since: str | None = None
    until: str | None = None
    buckets: dict[str, Bucket] = field(default_factory=dict)
    open: OpenRows | None = None
    activity: Activity | None = None
    probe: TableProbe | None = None
    moved: float = 0.0
    pace: Pace = field(default_factory=Pace)
    seen_at: dt.datetime | None = None
    was_empty: bool = False
    sample: RowSample | None = None
    shares: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    unhashed: tuple[str, ...] = ()

    def elapsed(self, at: dt.datetime) -> dt.timedelta:
        """Return the time from the newest record to `at`."""
        return max(dt.timedelta(0), at - self.seen_at) if self.seen_at else dt.timedelta(0)

    @property
    def first(self) -> Span | None:
        """The span of all recorded closed buckets, whatever their retention; None without one."""
        if self.since is None or self.until is None:
            return None
        return Span(edge(self.table, self.since), edge(self.table, self.until))

    @property
    def rows(self) -> int:
        """Recorded rows of all buckets."""
        return sum(bucket.rows for bucket in self.buckets.values())

    @property
    def open_rows(self) -> int:
        """Recorded rows that no closed bucket holds."""
        return self.open.rows if self.open else 0

    def expected(self, at: dt.datetime) -> tuple[Span, dict[str, Bucket]] | None:
        """Return span and buckets to expect at `at`: recorded, and within the table's retention; None: no bucket."""
        if self.since is None or self.until is None:
            return None
        span = Span(edge(self.table, self.since), edge(self.table, self.until))
        if self.table.retention_s is None or self.table.kind == "integer":
            return span, self.buckets
        oldest: Any = at.astimezone(dt.UTC) - dt.timedelta(seconds=self.table.retention_s)
        if self.table.kind != "time":
            oldest = oldest.date() if self.table.kind == "date" else oldest.replace(tzinfo=None)
        younger = {name: bucket for name, bucket in self.buckets.items() if edge(self.table, name) >= oldest}
        if not younger:
            return None
        first = min(edge(self.table, name) for name in younger)
        return Span(first, span.until), younger


@dataclass
class History:
    """The ledger up to `captured_at`, the newest record at or before the recovery target.

    `pages` are those of the newest record that was read to its end by then, of the cluster `system`; so are the
    tables' open rows, the large objects and the sequences, of the cluster `rows_system`. `production` is what was
    found of production itself when it was recorded, by question.
    """

    captured_at: dt.datetime
    seq: int
    hash_sample: str
    tables: dict[str, TableHistory]
    catalog: Catalog
    pages: dict[str, Pages]
    skipped: tuple[str, ...]
    system: str | None = None
    rows_system: str | None = None
    catalog_version: int = 1
    sequences: Mapping[str, SequenceValue] = field(default_factory=dict)
    production: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    large_objects: LargeObjects | None = None

    @classmethod
    def of(cls, bodies: Iterable[tuple[int, Mapping[str, Any]]], until: dt.datetime | None = None) -> History:
        """Join the records, given in order with their numbers; `until` is the recovery target.

        Raises Inconclusive where none of them holds core tables, EvidenceError where one is not of the schema.
        """
        history: History | None = None
        for seq, body in bodies:
            if "core" not in body:
                continue
            try:
                history = _joined(history, seq, body, until)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise EvidenceError(
                    say("ledger record {seq} is not as this version writes it: {error}", seq=seq, error=repr(error))
                ) from error
        if history is None:
            raise Inconclusive(NOTHING_RECORDED)
        return history

    @property
    def page_checksums(self) -> bool | None:
        """Whether production's pages have checksums; None where that was not recorded."""
        recorded = self.catalog.get("settings", {}).get("data_checksums")
        return None if recorded is None else recorded == "on"


def _joined(history: History | None, seq: int, body: Mapping[str, Any], until: dt.datetime | None) -> History:
    read = body.get("rows_read")
    late = read is not None and until is not None and dt.datetime.fromisoformat(read["until"]) > until
    in_time = read is not None and not late
    tables = {
        name: _grown(history.tables.get(name) if history else None, entry, body, late=late)
        for name, entry in body["core"].items()
    }
    catalog = body["catalog"] if body["catalog"] is not None else history.catalog if history else {}
    system, pages = _pages(history, body, until)
    return History(
        captured_at=dt.datetime.fromisoformat(body["captured_at"]),
        seq=seq,
        hash_sample=body["witness"],
        tables=tables,
        catalog=catalog,
        pages=pages,
        skipped=tuple(body["left_out"]),
        system=system,
        catalog_version=body.get("catalog_version", 1),
        rows_system=read["system"] if in_time and read else history.rows_system if history else None,
        large_objects=_large_objects(history, body, in_time=in_time),
        sequences=values_of(body["sequences"])
        if in_time and "sequences" in body
        else history.sequences
        if history
        else {},
        production={name: tuple(lines) for name, lines in body.get("production", {}).items()},
    )


def _large_objects(history: History | None, body: Mapping[str, Any], *, in_time: bool) -> LargeObjects | None:
    if in_time and "large_objects" in body:
        return LargeObjects.from_dict(body["large_objects"])
    return history.large_objects if history else None


def _pages(
    history: History | None, body: Mapping[str, Any], until: dt.datetime | None
) -> tuple[str | None, dict[str, Pages]]:
    read = body.get("pages_read")
    if read is None:  # recorded by a version that only counted them
        return None, {name: Pages.from_dict(raw) for name, raw in body["pages"].items()}
    before = history.pages if history else {}
    if until is not None and dt.datetime.fromisoformat(read["until"]) > until:
        # Rows that were committed after the recovery target, while the capture was under way, may be in it.
        return history.system if history else None, before
    read_now = {name: Pages.from_dict(raw, read["position"]) for name, raw in body["pages"].items()}
    return read["system"], {name: pages.following(before.get(name)) for name, pages in read_now.items()}


def _grown(
    before: TableHistory | None, entry: Mapping[str, Any], body: Mapping[str, Any], *, late: bool
) -> TableHistory:
    """Add a record's entry to what earlier ones hold.

    Where it was read in part after the recovery target, it may hold what was committed after it: what was recorded
    before stays.
    """
    if late and before is not None:
        return before
    table = CoreTable.from_dict(entry["table"])
    buckets = {name: Bucket(rows, int(total), int(xored)) for name, (rows, total, xored) in entry["buckets"].items()}
    goes_on = before is not None and entry["goes_on"]
    grown = TableHistory(
        table,
        before.since if before and goes_on else entry["since"],
        entry["until"],
        before.buckets | buckets if before and goes_on else buckets,
    )
    if "open" in entry and not late:
        grown.open = OpenRows.from_dict(entry["open"])
        grown.activity = Activity(*entry["activity"])
        grown.probe = TableProbe.from_dict(entry["probe"]) if entry["probe"] else None
        grown.moved = (entry["evidence"] or {}).get("moved", 0.0)
        grown.sample = RowSample.from_dict(entry["sample"]) if entry.get("sample") else None
        grown.shares = {name: (share, same) for name, (share, same) in (entry.get("shares") or {}).items()}
        of_probe = [name for name in (grown.probe.columns if grown.probe else ()) if name not in table.hashed]
        grown.unhashed = tuple(entry.get("unhashed", of_probe))
        grown.seen_at = dt.datetime.fromisoformat(body["captured_at"])
        grown.pace = _pace(before, grown.activity, grown.seen_at, body.get("counted_since"), entry.get("late"))
        grown.was_empty = before is not None and (before.was_empty or not (before.rows or before.open_rows))
    return grown


def _pace(
    before: TableHistory | None, now: Activity, at: dt.datetime, counted_since: str | None, late: int | None
) -> Pace:
    """Return the pace up to `at`: what was done since the record before, or, in the first, since counting began.

    `late` rows were found in buckets that were closed before; None where nobody looked.
    """
    if before is not None and before.activity is not None and before.seen_at is not None:
        was, within = before.activity, at - before.seen_at
        pace = before.pace.grown((was.updates, now.updates), (was.deletes, now.deletes), within)
        return pace if late is None or now.inserts == was.inserts else pace.with_late(late, within)
    # An earlier version did not record since when: all of it may have been done at once.
    within = at - dt.datetime.fromisoformat(counted_since) if counted_since else BURST
    return Pace().grown((0, now.updates), (0, now.deletes), within).with_inserted(now.inserts, within)
