"""Runbook 5-5: keys, references, sequences and storage hold together, whatever was recorded."""

from opsverify import runbook

AFTER_DR = {"stages": ("post-dr", "rehearsal"), "needs": ("postgres", "recovery"), "severity": "sev1"}
REHEARSAL = {**AFTER_DR, "stages": ("rehearsal",)}


@runbook(
    "5-5/consistency",
    id="consistency.sequences",
    ko="시퀀스가 컬럼 값보다 뒤처지지 않았는가",
    en="No sequence is behind its column",
    **AFTER_DR,
)
def test_sequences(came_back, check):
    """A sequence that is behind gives out keys that exist: the next insert fails."""
    came_back.hold(check, "sequences")


@runbook(
    "5-5/consistency",
    id="consistency.foreign_keys",
    ko="외래 키에 고아 행이 없는가 (안티 조인)",
    en="Every reference leads to a row (anti-join)",
    **AFTER_DR,
)
def test_foreign_keys(came_back, check):
    """VALIDATE CONSTRAINT trusts the flag in the catalog and says ok on orphans."""
    came_back.hold(check, "foreign_keys")


@runbook(
    "5-5/consistency",
    id="consistency.unique_keys",
    ko="유일 키에 중복 행이 없는가 (순차 스캔)",
    en="No unique key is there twice (sequential scan)",
    **AFTER_DR,
)
def test_unique_keys(came_back, check):
    """An index that lacks an entry lets the same key in twice, and hides it from whoever asks by the index."""
    came_back.hold(check, "unique_keys")


@runbook(
    "5-5/consistency",
    id="consistency.validity",
    ko="인덱스·제약·트리거가 모두 유효한가",
    en="Indexes, constraints and triggers are in force",
    **AFTER_DR,
)
def test_validity(came_back, check):
    """Invalid indexes, NOT VALID constraints and disabled triggers look complete in every list of names."""
    came_back.hold(check, "validity")


@runbook(
    "5-5/consistency",
    id="consistency.unlogged",
    ko="복구로 비워지는 unlogged 테이블이 없는가",
    en="No unlogged table lost what it held",
    **AFTER_DR,
)
def test_unlogged(came_back, check):
    """WAL knows nothing of unlogged tables: recovery empties them and says nothing."""
    came_back.hold(check, "unlogged")


@runbook(
    "5-5/consistency",
    id="consistency.pages",
    ko="테이블의 페이지가 사라지거나 0으로 채워지지 않았는가",
    en="No table lost its tail or pages in between",
    **AFTER_DR,
)
def test_pages(came_back, check):
    """pg_checksums, pg_amcheck and pg_dump pass a zeroed page and a truncated table; their indexes know better."""
    came_back.hold(check, "pages")


@runbook(
    "5-5/consistency",
    id="consistency.indexes",
    ko="인덱스와 힙이 서로 맞는가 (pg_amcheck)",
    en="Indexes and heaps agree (pg_amcheck)",
    **REHEARSAL,
)
def test_indexes(came_back, check):
    """pg_amcheck --heapallindexed --parent-check --rootdescend on the restored server."""
    came_back.hold(check, "indexes")


@runbook(
    "5-5/consistency",
    id="consistency.checksums",
    ko="모든 페이지의 체크섬이 맞는가 (pg_checksums)",
    en="Every page matches its checksum (pg_checksums)",
    **REHEARSAL,
)
def test_checksums(came_back, check):
    """On the files of the restored server, after a clean stop: also of pages that no query touches."""
    came_back.hold(check, "checksums")
