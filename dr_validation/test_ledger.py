"""Runbook 5-5: restored data equals what the ledger recorded before the disaster, by bucket and catalog object.

The rows of every closed bucket are hashed again; see `opsverify ledger capture`.
"""

from functools import partial

from opsverify import catalog_kinds, per, recorded_tables, runbook

AFTER_DR = partial(
    runbook, "5-5/consistency", stages=("post-dr", "rehearsal"), needs=("postgres", "recovery"), severity="sev1"
)


@AFTER_DR(
    id="ledger.buckets",
    ko="핵심 테이블의 닫힌 구간이 원장의 해시와 같은가",
    en="Every closed bucket of the core table is as the ledger recorded it",
)
@per("table", recorded_tables, what="recorded core tables")
def test_buckets(restored_data, check, table):
    """Counts stay equal where rows were changed, or lost and added; hashes differ."""
    restored_data.measure(check, f"buckets/{table}")


@AFTER_DR(
    id="ledger.catalog",
    ko="카탈로그(제약·인덱스·권한 등)가 원장 기록과 같은가",
    en="The catalog is as the ledger recorded it",
)
@per("kind", catalog_kinds)
def test_catalog(restored_data, check, kind):
    """Roles, grants, constraints, triggers: a restore that lost them serves until one of them is used."""
    restored_data.measure(check, f"catalog/{kind}")
