"""Runbook 5-5: restored data equals what the ledger recorded before the disaster, by bucket and catalog object.

The rows of every closed bucket are hashed again; see `opsverify ledger capture`.
"""

from functools import partial

from opsverify import catalog_kinds, per, recorded_tables, runbook, say

AFTER_DR = partial(
    runbook, "5-5/consistency", stages=("post-dr", "rehearsal"), needs=("postgres", "recovery"), severity="sev1"
)


@AFTER_DR(
    id="ledger.buckets",
    ko="테이블의 모든 행이 원장의 해시와 같은가",
    en="Every row of the table is as the ledger recorded it",
)
@per("table", recorded_tables, what=say("recorded tables"))
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


@AFTER_DR(
    id="ledger.large_objects",
    ko="대형 객체(large object)가 원장 기록과 같은가",
    en="The large objects are as the ledger recorded them",
)
def test_large_objects(restored_data, check):
    """A dump with --no-large-objects, or lo_unlink, leaves every table whole."""
    restored_data.measure(check, "large_objects")


@AFTER_DR(
    id="ledger.coverage",
    ko="비교에서 빠진 테이블이 없는가",
    en="Every table was compared, or is left out by name",
)
def test_coverage(restored_data, check):
    """What no comparison covers may be lost without a word; [recovery.left_out] names what need not be covered."""
    restored_data.measure(check, "coverage")
