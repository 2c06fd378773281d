"""Runbook 5-5: what the ledger recorded before the disaster is back, bucket by bucket and object by object.

The rows of every closed bucket are hashed again; see `opsverify ledger capture`.
"""

from opsverify import catalog_kinds, per, recorded_tables, runbook

AFTER_DR = {"stages": ("post-dr", "rehearsal"), "needs": ("postgres", "recovery")}


@runbook(
    "5-5/consistency",
    id="ledger.buckets",
    severity="sev1",
    ko="핵심 테이블의 닫힌 구간이 원장의 해시와 같은가",
    en="Every closed bucket of the core table is as the ledger recorded it",
    **AFTER_DR,
)
@per("table", recorded_tables, what="recorded core tables")
def test_buckets(restored_data, check, table):
    """Counts come out right on rows that were changed, or lost and added; hashes do not."""
    restored_data.measure(check, f"buckets/{table}")


@runbook(
    "5-5/consistency",
    id="ledger.catalog",
    severity="sev1",
    ko="카탈로그(제약·인덱스·권한 등)가 원장 기록과 같은가",
    en="The catalog is as the ledger recorded it",
    **AFTER_DR,
)
@per("kind", catalog_kinds)
def test_catalog(restored_data, check, kind):
    """Roles, grants, constraints, triggers: a restore that lost them serves, until somebody needs them."""
    restored_data.measure(check, f"catalog/{kind}")
