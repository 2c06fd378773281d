"""Runbook 1, every week: slow queries reviewed, indexes adjusted."""

from functools import partial

from opsverify import NONE, Inconclusive, index_sizes, listed, runbook, say

WEEKLY = partial(runbook, "1-weekly/slow-queries", stages=("weekly",), severity="sev3")


@WEEKLY(
    id="weekly.slow_queries",
    needs=("postgres", "statements"),
    ko="슬로우 쿼리 리뷰: 느린 쿼리와 지난주보다 느려진 쿼리",
    en="Slow queries: none is slow, none became slower",
)
def test_slow_queries(check, statement_review):
    """Where the week's time went, by user, database, query and level; what dropped out of sight is no pass."""
    review = statement_review
    check.attach("statements of the week", review.table)
    slow, worse = review.slow(check.limits.slow_query_mean), review.regressed(check.limits.slow_query_added)
    check.measure(
        say("slow statements"),
        len(slow),
        NONE,
        of=listed(
            say(
                "of {count} statements take longer than {limit} on average",
                count=len(review.statements),
                limit=check.limits.slow_query_mean.text,
            ),
            review.names(slow),
        ),
    )
    check.measure(
        say("slower statements"),
        len(worse),
        NONE,
        of=listed(
            say(
                "of {count} statements became slower and add more than {limit} a week",
                count=len(review.statements),
                limit=check.limits.slow_query_added.text,
            ),
            review.names(worse),
        ),
    )
    review.require_covered(check.limits.statements_covered)


@WEEKLY(
    id="weekly.indexes_unused",
    needs=("postgres",),
    ko="인덱스 조정: 쓰이지 않는 인덱스",
    en="Indexes that nothing uses",
)
def test_unused_indexes(check, index_review):
    """Unused only where every node has counted for long enough; otherwise unknown, with what would make it known."""
    wanted, allowed = check.limits.index_history, check.limits.unused_indexes
    check.attach("indexes", index_review.table(wanted))
    unused, unknown = index_review.named("unused", wanted), index_review.named("unknown", wanted)
    check.measure(
        say("unused indexes"),
        sum(index.bytes for index in unused),
        allowed,
        of=index_sizes(say("in {count} indexes that no node has used for {wanted}", count=len(unused),
                           wanted=wanted.text), unused),
    )  # fmt: skip
    if not allowed.holds(sum(index.bytes for index in unknown)):
        raise Inconclusive(
            say(
                "{indexes}: {reason}",
                indexes=index_sizes(say("{count} indexes may be unused", count=len(unknown)), unknown),
                reason=index_review.unknown_because(wanted),
            )
        )


@WEEKLY(
    id="weekly.indexes_duplicate",
    needs=("postgres",),
    ko="인덱스 조정: 중복 인덱스",
    en="Indexes that do the work of another one",
)
def test_duplicate_indexes(check, index_review):
    """Equal in method, columns, operator classes, collations, order, included columns, predicate and options."""
    doubled = index_review.duplicates
    check.measure(
        say("duplicate indexes"),
        len(doubled),
        NONE,
        of=listed(
            say("indexes equal another one but for the name"),
            [say("{one} equals {other}", one=one.name, other=other.name) for one, other in doubled],
        ),
    )


@WEEKLY(
    id="weekly.indexes_invalid",
    needs=("postgres",),
    ko="인덱스 조정: 무효(INVALID) 인덱스",
    en="Invalid indexes left behind",
)
def test_invalid_indexes(check, index_review):
    """Maintained by every write and used by no query; while one is being built, that is no fault."""
    invalid = index_review.invalid
    check.measure(
        say("invalid indexes"),
        len(invalid),
        NONE,
        of=listed(say("indexes are invalid and not being built"), [index.name for index in invalid]),
    )


@WEEKLY(
    id="weekly.indexes_missing",
    needs=("postgres",),
    ko="인덱스 조정: 전체 스캔이 반복되는 테이블",
    en="Large tables read from end to end again and again",
)
def test_missing_indexes(check, scanned_tables):
    """Also tables that no index serves at all."""
    worst = scanned_tables[0] if scanned_tables else None
    check.measure(
        say("full scans"),
        worst.a_day if worst else 0,
        check.limits.full_scans,
        of=say(
            "full scans a day of {name} ({rows:,} rows{indexed})",
            name=worst.name,
            rows=worst.rows,
            indexed=say(", no index") if worst.without_index else "",
        )
        if worst
        else say("full scans of large tables"),
    )


@WEEKLY(
    id="weekly.indexes_bloated",
    needs=("postgres",),
    ko="인덱스 조정: 부풀어 오른(bloat) 인덱스",
    en="Indexes that are mostly empty",
)
def test_bloated_indexes(check, index_review):
    """Estimated only where the estimate is known to be right; the others are named as not estimated."""
    found, left_out = index_review.estimated, index_review.not_estimated
    worst = found[0] if found else None
    estimated = say("{estimated} indexes estimated, {left_out} not", estimated=len(found), left_out=len(left_out))
    check.measure(
        say("bloat"),
        worst[1] if worst else 0,
        check.limits.index_bloat,
        of=say("of {name} would be freed by REINDEX ({estimated})", name=worst[0].name, estimated=estimated)
        if worst
        else say("of large indexes ({estimated})", estimated=estimated),
    )
