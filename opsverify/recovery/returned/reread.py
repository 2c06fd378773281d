"""The ledger's questions asked again after a restore: buckets of each table, kinds of the catalog, pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.recovery.returned.buckets import (
    bucket_span,
    differences,
    in_words,
    read_buckets,
    recorded_slices,
)
from opsverify.recovery.returned.catalog import changes, read_catalog
from opsverify.recovery.returned.finding import Compared, Finding
from opsverify.recovery.returned.keys import differing_keys
from opsverify.recovery.returned.pages import emptied, read_sizes, shortened
from opsverify.recovery.returned.record import WITNESS
from opsverify.recovery.returned.sampling import bound, draw, draws_needed

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from opsverify.recovery.facts import Source
    from opsverify.recovery.returned.buckets import Bucket
    from opsverify.recovery.returned.core import CoreTable
    from opsverify.recovery.returned.history import History, TableHistory


_THINGS = {"row_security": "policies and tables with row security"}


@dataclass(frozen=True)
class Sampling:
    """Of a table with more than `above_rows` recorded rows, a sample: fewer than 1 in `one_in` differ, so sure."""

    above_rows: int
    one_in: int
    confidence: float
    seed: int


def buckets_again(
    history: History,
    name: str,
    restored: Source,
    at: dt.datetime,
    *,
    live: Callable[[], Source] | None = None,
    sampling: Sampling | None = None,
    limited: bool = True,
) -> Finding:
    """Compare every closed bucket of the table `name` that was recorded before `at`, the recovery target.

    `live` opens the original database, where it still is, to name the very keys; only bad buckets are fetched.
    Where statements are `limited` in time, a large table is read in slices, by the index of its bucket column.
    """
    recorded = history.tables[name]
    kept = recorded.kept(at)
    if kept is None:
        return Finding(0, f"closed buckets of {name} were recorded yet", unknown=_nothing(recorded))
    span, buckets = kept
    ((witness,),) = restored(WITNESS, {})
    if str(witness) != history.witness:
        return Finding(
            0,
            "buckets",
            unknown="this server hashes rows otherwise than the one recorded (another major version or byte order): "
            "compare on a server of the same major version",
        )
    looked, note = _chosen(buckets, sampling)
    found = (
        read_buckets(
            restored,
            recorded.table,
            span,
            slices=recorded_slices(recorded.table, buckets, span) if limited else None,
        )
        if looked is None
        else _each(restored, recorded.table, looked)
    )
    before = buckets if looked is None else {key: buckets[key] for key in looked}
    wrong = list(differences(before, found))
    notes = [note] if note else []
    named = _named(recorded.table, [key for key, _, _ in wrong], restored, live, notes)
    problems = [f"{name} {key}: {in_words(was, found_now)}" for key, was, found_now in wrong]
    rows = sum(bucket.rows for bucket in before.values())
    of = "; ".join(filter(None, [f"of {len(before):,} closed buckets ({rows:,} rows) differ", note, named]))
    compared = Compared(name, len(before), rows, tuple((key, was.rows, now.rows) for key, was, now in wrong), named)
    return Finding(rows, of, tuple(problems), None, tuple(notes), compared)


def catalog_again(history: History, kind: str, restored: Source) -> Finding:
    """Compare the catalog's objects of `kind` with what was recorded of them last."""
    recorded = history.catalog.get(kind, {})
    lines = changes(recorded, read_catalog(restored, [kind])[kind])
    hint = " (restore them; after a deployment capture anew)" if lines else ""
    of = f"of {len(recorded):,} {_THINGS.get(kind, kind)} differ from capture {history.seq}{hint}"
    return Finding(len(recorded), of, lines)


def pages_again(history: History, restored: Source, *, by_rows: bool) -> Finding:
    """Compare the page counts of tables that only grow; `by_rows` also which pages of those without an index hold rows.

    Who has the files at hand looks into them instead (`physical.heaps`).
    """
    recorded = {name: pages for name, pages in history.pages.items() if pages.only_grows}
    of = f"of {len(recorded)} tables that only grow lost pages"
    gone = emptied(recorded, restored) if by_rows else ()
    return Finding(len(recorded), of, (*shortened(recorded, read_sizes(restored)), *gone))


def _chosen(buckets: Mapping[str, Bucket], sampling: Sampling | None) -> tuple[frozenset[str] | None, str]:
    rows = sum(bucket.rows for bucket in buckets.values())
    if sampling is None or rows <= sampling.above_rows:
        return None, ""
    draws = draws_needed(sampling.one_in, sampling.confidence)
    chosen = draw({key: bucket.rows for key, bucket in buckets.items()}, draws, sampling.seed)
    share = round(1 / bound(draws, sampling.confidence))
    return chosen, (
        f"sample of {len(chosen):,} of {len(buckets):,} buckets, {draws:,} draws with seed {sampling.seed}: "
        f"if none differs, no more than 1 in {share:,} of {rows:,} recorded rows does, at {sampling.confidence:.0%}"
    )


def _each(restored: Source, table: CoreTable, names: frozenset[str]) -> dict[str, Bucket]:
    found: dict[str, Bucket] = {}
    for name in sorted(names):
        found |= read_buckets(restored, table, bucket_span(table, name))
    return found


def _named(
    table: CoreTable, bad: list[str], restored: Source, live: Callable[[], Source] | None, notes: list[str]
) -> str:
    if not bad or live is None:
        return ""
    if not table.key:
        return "no primary key by which to name rows"
    keys = differing_keys(table, live(), restored, bad)
    notes += keys.all
    return f"keys {keys}"


def _nothing(recorded: TableHistory) -> str:
    return (
        f"{recorded.table.name}: no bucket was closed when the ledger was captured; capture again later, "
        "or choose a narrower bucket in [recovery.tables]"
    )
