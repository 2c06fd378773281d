"""Two databases at hand compared with each other: every row hashed once on both sides, at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from opsverify.recovery.ledger.buckets import WHOLE_TABLE, differences, read_buckets, read_named, sliced
from opsverify.recovery.verify.loss import Keys
from opsverify.recovery.verify.page_diff import suspects
from opsverify.recovery.verify.row_diff import differing_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.recovery.ledger.buckets import Bucket, Span
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.tables import CoreTable


def compare_databases(
    table: CoreTable,
    original: Sequence[Source],
    restored: Sequence[Source],
    span: Span = WHOLE_TABLE,
    rows: int = 0,
    *,
    by_place: bool = True,
) -> tuple[list[tuple[str, Bucket, Bucket]], Keys]:
    """Return the buckets of `span` that differ (name, original, restored), and the keys that do.

    Each side is given by its sessions, one or more: places are shared among them, the rest is queried from the first.
    `rows` is about how many rows the span holds, by which it is divided into statements. Without a span the whole
    table is read, by place where its copies are physical ones (not so with `by_place` off), else by bucket, in one
    statement; both databases must be at rest then. A table without key gives no keys.
    """
    first = original[0], restored[0]
    whole = span == WHOLE_TABLE and table.indexed
    names = suspects(table, original, restored) if by_place and whole else None

    def read(source: Source) -> dict[str, Bucket]:
        if names is not None:
            return read_named(source, table, names)
        return read_buckets(source, table, span, slices=sliced(table, span, rows))

    with ThreadPoolExecutor(max_workers=2) as threads:
        there, here = threads.map(read, first)
    wrong = list(differences(there, here))
    keys = differing_keys(table, *first, (name for name, _, _ in wrong)) if table.key else Keys()
    return wrong, keys
