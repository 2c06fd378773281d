"""Pages that held rows when they were recorded and do not any more: which of them are lost, as far as can be proven.

A table becomes shorter by VACUUM too, which notes the new length in the catalog (`relpages`) right away, or moves to
another file (VACUUM FULL, TRUNCATE, CLUSTER, a logical restore). So a shorter file is a loss where the catalog knows
it longer, or where neither VACUUM nor ANALYZE noted anything since the record.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsverify.language.message import join, say
from opsverify.recovery.ledger.heap_pages import SYSTEM, read_runs, read_states
from opsverify.recovery.verify.finding import Finding
from opsverify.recovery.verify.loss import Loss, page_list, stretches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.recovery.ledger.heap_pages import PageRange, Pages, PageState
    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.queries import Source


@dataclass
class PageVerdict:
    """Lines on pages that are lost, that may be (`doubts`), and that are gone for a reason (`notes`)."""

    problems: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)

    def lose(self, source: Source, before: Pages | None, now: PageState, pages: Sequence[int], message: str) -> None:
        """Add `pages`, in order, as lost, with the rows that are fewer, where they can be counted."""
        gone = gone_from(source, before, now.quoted, pages) if before else None
        recorded, found = gone or (None, None)
        rows = _rows_text(*gone) if gone else ""
        self.problems.append(join("; ", (message, rows)) if rows else message)
        self.losses.append(Loss(table=now.name, kind="pages", where=stretches(pages), recorded=recorded, found=found))

    def add(self, part: Finding) -> None:
        """Add the answer about one table."""
        self.problems += part.problems
        self.doubts += [part.unknown] if part.unknown else []
        self.notes += part.notes
        self.losses += part.losses

    def finding(self, asked: int, of: str) -> Finding:
        """Return it as an answer; doubts make it unknown where nothing is certain."""
        unknown = join("; ", self.doubts) if self.doubts and not self.problems else None
        notes = (*self.doubts, *self.notes) if self.problems else tuple(self.notes)
        return Finding(asked, of, tuple(self.problems), unknown, notes, tuple(self.losses))


def check_pages(history: History, restored: Source) -> Finding:
    """Compare the tables' lengths with what was recorded, and look for emptied pages where no bucket holds rows.

    A running database shows whether a page has rows, not whether it is all zero: empty pages are a doubt.
    """
    verdict = PageVerdict()
    known = comparable(history, restored)
    states = read_states(restored)
    for name, before in sorted(history.pages.items()):
        now = states.get(name)
        if now is None or before.unlogged:  # the catalog's and `unlogged`'s to name
            continue
        if now.size < before.pages:
            shorter(restored, before, now, same_file=name in known, verdict=verdict)
        elif name in known and before.only_grows and now.only_grows and now.readable and not _in_buckets(history, now):
            _emptied(restored, before, now, verdict)
    return verdict.finding(
        len(history.pages), say("of {count} tables lost pages that held rows", count=len(history.pages))
    )


def comparable(history: History, restored: Source) -> dict[str, Pages]:
    """Return what was recorded of the tables whose file is still the one that was recorded."""
    ((system,),) = restored(SYSTEM, {})
    if history.system != system:
        return {}
    states = read_states(restored)
    return {
        name: before
        for name, before in history.pages.items()
        if name in states and before.file is not None and before.file == states[name].file and not before.unlogged
    }


def shorter(source: Source, before: Pages, now: PageState, *, same_file: bool, verdict: PageVerdict) -> None:
    """Judge a table that has fewer pages than recorded."""
    message = say(
        "{name} lost its tail: {size:,} pages, at least {pages:,} recorded",
        name=now.name,
        size=now.size,
        pages=before.pages,
    )
    quiet = now.vacuumed == before.vacuumed
    counted_only = before.file is None
    if not counted_only and not same_file:
        verdict.notes.append(
            say("{name}: rewritten, or restored from a dump, since its pages were recorded", name=now.name)
        )
    elif not counted_only and now.vacuumed_size > now.size:
        message += say(", {vacuumed_size:,} when last vacuumed or analyzed", vacuumed_size=now.vacuumed_size)
        verdict.lose(source, before, now, range(now.size, before.pages), message)
    elif before.only_grows and (quiet or counted_only):
        verdict.lose(source, before, now, range(now.size, before.pages), message)
    elif quiet:
        verdict.doubts.append(say("{message}, not recorded whether VACUUM shortened it", message=message))
    elif not counted_only:
        verdict.notes.append(
            say(
                "{name}: {size:,} pages, {pages:,} recorded; vacuumed since",
                name=now.name,
                size=now.size,
                pages=before.pages,
            )
        )


def runs_of(before: Pages, pages: Sequence[int]) -> list[PageRange]:
    """Return the recorded runs that hold some of `pages`, which are in order."""
    return [run for run in before.runs if bisect_left(pages, run.first) < bisect_left(pages, run.last + 1)]


def gone_from(source: Source, before: Pages, quoted: str, pages: Sequence[int]) -> tuple[int, int] | None:
    """Return how many rows `pages` held when recorded, and 0; or, counted with their neighbours, how many are left.

    None where neither says anything: the pages were not recorded one by one, and rows of the table come and go.
    """
    runs = runs_of(before, pages)
    counts = [run.rows_on(bisect_left(pages, run.last + 1) - bisect_left(pages, run.first)) for run in runs]
    exact = [count for count in counts if count is not None]
    if runs and len(exact) == len(counts):
        return sum(exact), 0
    if not before.only_grows:
        return None
    recorded = sum(run.rows for run in runs)
    found = sum(now.rows for run in runs for now in read_runs(source, quoted, run.first, run.last + 1))
    return (recorded, found) if found < recorded else None


def _rows_text(recorded: int, found: int) -> str:
    return (
        say("at least {recorded:,} rows are gone", recorded=recorded - found)
        if found
        else say("{recorded:,} rows recorded there", recorded=recorded)
    )


def _in_buckets(history: History, now: PageState) -> bool:
    return any(table.table.quoted == now.quoted and table.buckets for table in history.tables.values())


def _emptied(source: Source, before: Pages, now: PageState, verdict: PageVerdict) -> None:
    held = list(read_runs(source, now.quoted, 0, before.pages))
    empty = _without(before.runs, held)
    if not empty:
        return
    gone = gone_from(source, before, now.quoted, empty)
    rows = say(" ({rows})", rows=_rows_text(*gone)) if gone else ""
    verdict.doubts.append(
        say(
            "{name}: {page_list} held rows when recorded, empty now{rows}: deleted since, or zeroed; "
            "the database cannot tell: rehearse the backup, whose files can",
            name=now.name,
            page_list=page_list(empty),
            rows=rows,
        )
    )


def _without(recorded: Sequence[PageRange], held: Sequence[PageRange]) -> list[int]:
    """List recorded pages that hold no row now; both are in order and do not overlap."""
    covered = iter((run.first, run.last) for run in held)
    first, last = next(covered, (1 << 32, 1 << 32))
    empty = []
    for run in recorded:
        for page in range(run.first, run.last + 1):
            while page > last:
                first, last = next(covered, (1 << 32, 1 << 32))
            if page < first:
                empty.append(page)
    return empty
