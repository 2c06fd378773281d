"""Rows that a capture reads besides its new ones, to compare columns that change: which, and at what cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from opsverify.recovery.ledger import probe
from opsverify.recovery.ledger.buckets import Span
from opsverify.recovery.ledger.tables import TableChoice
from tests.support.ledgers import core_table, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.clones import Clone


@pytest.mark.parametrize(
    ("rows", "earlier", "span"),
    [(63, 19_937, (0, 300)), (64, 19_937, (200, 300)), (63, 19_938, (0, 200)), (30_000, 6, (200, 300))],
)
def test_a_probe_keeps_earlier_rows_until_new_ones_suffice(
    clone: Clone, rows: int, earlier: int, span: tuple[int, int]
) -> None:
    """With the new ones up to its size; then either, and never a few rows alone."""
    table = core_table(clone.source, "readings", TableChoice())
    found = probe.with_earlier(table, Span(200, 300), rows, {"rows": earlier, "since": "0", "until": "200"})
    assert found == Span(*span)


def test_a_sample_is_read_without_storing_the_table(clone: Clone) -> None:
    """The server writes no temporary file for it, whatever the number of rows; the number is the capture's own."""
    clone.run(
        "UPDATE readings SET value = 0 WHERE id = 7", "SELECT pg_stat_force_next_flush()", "SET work_mem = '64kB'"
    )
    samples: list[dict[str, Any]] = []

    def explained(sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        if "sampled" in sql:
            ((plan,),) = clone.source(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", values)
            samples.append(plan[0]["Plan"])
        return clone.source(sql, values)

    core = record(clone, chosen={}, source=explained)["core"]
    assert core["readings"]["sample"]["rows"] == core["readings"]["probe"]["rows"] > 8000
    assert samples
    assert all(plan["Temp Written Blocks"] == 0 for plan in samples)
