"""Runbook 5-5: keys, references, sequences and storage are consistent, with or without a ledger."""

from operator import attrgetter

import pytest

from opsverify import Consistency

BOTH = ("post-dr", "rehearsal")

CHECKS = (
    # A sequence that is behind gives out keys that exist: the next insert fails.
    Consistency(
        name="sequences", stages=BOTH,
        ko="시퀀스가 컬럼 값보다 뒤처지지 않았는가", en="No sequence is behind its column",
    ),
    # VALIDATE CONSTRAINT trusts the flag in the catalog and passes with orphans.
    Consistency(
        name="foreign_keys", stages=BOTH,
        ko="외래 키에 고아 행이 없는가 (안티 조인)", en="Every reference leads to a row (anti-join)",
    ),
    # An index that lacks an entry lets the same key in twice, and hides the row from index scans.
    Consistency(
        name="unique_keys", stages=BOTH,
        ko="유일 키에 중복 행이 없는가 (순차 스캔)", en="No unique key is there twice (sequential scan)",
    ),
    # Invalid indexes, NOT VALID constraints and disabled triggers are present in every list of names.
    Consistency(
        name="validity", stages=BOTH,
        ko="인덱스·제약·트리거가 모두 유효한가", en="Indexes, constraints and triggers are in force",
    ),
    # PostgreSQL checks it when a row is written and never again; a query that prunes does not find the row.
    Consistency(
        name="partitions", stages=BOTH,
        ko="모든 행이 제 파티션에 있는가", en="Every row lies in its own partition",
    ),
    # WAL has no records of unlogged tables: recovery empties them without an error.
    Consistency(
        name="unlogged", stages=BOTH,
        ko="복구로 비워지는 unlogged 테이블이 없는가", en="No unlogged table lost its rows",
    ),
    # pg_checksums, pg_amcheck and pg_dump pass a zeroed page and a truncated table; entries of an index show both.
    Consistency(
        name="pages", stages=BOTH,
        ko="테이블의 페이지가 사라지거나 0으로 채워지지 않았는가", en="No table lost its tail or pages in between",
    ),
    # pg_amcheck --heapallindexed --parent-check --rootdescend on the restored server.
    Consistency(
        name="indexes", stages=("rehearsal",),
        ko="인덱스와 힙이 서로 맞는가 (pg_amcheck)", en="Indexes and heaps agree (pg_amcheck)",
    ),
    # On the files of the restored server, after a clean stop: also of pages that no query touches.
    Consistency(
        name="checksums", stages=("rehearsal",),
        ko="모든 페이지의 체크섬이 맞는가 (pg_checksums)", en="Every page matches its checksum (pg_checksums)",
    ),
)  # fmt: skip


@pytest.mark.parametrize("row", CHECKS, ids=attrgetter("name"))
def test_consistency(restored_data, check, row):
    """Restored data without contradictions of its own."""
    restored_data.measure(check, row.name)
