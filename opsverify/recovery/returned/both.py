"""Two databases at hand compared with each other: every row hashed once on both sides, at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from opsverify.recovery.returned.buckets import Bucket, Span, differences, read_buckets, sliced
from opsverify.recovery.returned.keys import differing_keys
from opsverify.recovery.returned.loss import Keys

if TYPE_CHECKING:
    from opsverify.recovery.facts import Source
    from opsverify.recovery.returned.core import CoreTable

EVERYTHING = Span(None, None)
"""All rows of a table."""


def compare_databases(
    table: CoreTable, original: Source, restored: Source, span: Span = EVERYTHING, rows: int = 0
) -> tuple[list[tuple[str, Bucket, Bucket]], Keys]:
    """Return the buckets of `span` that differ (name, original, restored), and the very keys that do.

    `rows` is about how many rows the span holds, by which it is divided into statements; without a span the
    whole table is read, in one. The two sources are asked in two threads. A table without key gives no keys.
    """

    def read(source: Source) -> dict[str, Bucket]:
        return read_buckets(source, table, span, slices=sliced(table, span, rows))

    with ThreadPoolExecutor(max_workers=2) as threads:
        there, here = threads.map(read, (original, restored))
    wrong = list(differences(there, here))
    keys = differing_keys(table, original, restored, (name for name, _, _ in wrong)) if table.key else Keys()
    return wrong, keys
