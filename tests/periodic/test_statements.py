"""Statements of a week, from real snapshots of pg_stat_statements."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive
from opsverify.history.compare import Pair
from opsverify.history.run_history import RunHistory
from opsverify.history.store import HistoryStore
from opsverify.limits import Limit
from opsverify.periodic.statement_review import StatementReview, StatementWeek
from opsverify.periodic.statements import statements

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.history.snapshot import Snapshot
    from opsverify.probes.postgres import Postgres
    from tests.periodic.conftest import Reviewed

WEEK = dt.timedelta(days=7)
ADDED = Limit("<=", 2.5, "s")
MEAN = Limit("<=", 0.15, "s")
"""Far above what a busy machine adds to a short sleep, and below what the long one takes."""


@pytest.fixture
def history(tmp_path: Path) -> RunHistory:
    """An empty one, whose comparisons need a day."""
    return RunHistory(HistoryStore(tmp_path / "h.sqlite"), "run", Limit(">=", 86400, "s"))


def a_week_ago(snapshot: Snapshot) -> Snapshot:
    """As if it had been taken then."""
    return replace(snapshot, taken_at=snapshot.taken_at - WEEK)


def sleeps(milliseconds: float, calls: int = 25) -> str:
    """One statement, many times: the same one, however long it sleeps."""
    return "; ".join([f"SELECT pg_sleep({milliseconds / 1000})"] * calls)


def as_user(user: str, sql: str) -> str:
    """What a user of the platform sends."""
    return f"SET ROLE {user}; {sql}"


def test_a_reset_between_two_weeks_is_no_pass(reviewed: Reviewed, postgres: Postgres, history: RunHistory) -> None:
    """Trap 1: the baseline begins now; there is no regression, and no pass."""
    history.record(a_week_ago(statements(postgres)))
    reviewed.run("SELECT pg_stat_statements_reset()")
    with pytest.raises(Inconclusive, match=r"stats_reset of pg_stat_statements was .*; the baseline begins now"):
        history.compare(statements(postgres))


def test_evictions_are_named_with_what_is_not_covered(
    reviewed: Reviewed, postgres: Postgres, history: RunHistory
) -> None:
    """Trap 2: entries were dropped and last week's leading statement is gone: no pass, with the share uncovered."""
    reviewed.run("SELECT pg_stat_statements_reset()", "SELECT pg_sleep(0.05), 'leading'")
    history.record(a_week_ago(statements(postgres)))
    for batch in range(3):
        many = "; ".join(f"SELECT {', '.join(map(str, range(n)))}" for n in range(1 + 60 * batch, 61 + 60 * batch))
        reviewed.run(many)
    review = StatementReview(history.compare(statements(postgres)), postgres)
    assert review.pair.lost > 0
    with pytest.raises(Inconclusive, match=r"dropped entries \d+ times, .* is not covered, leading statements gone: "):
        review.require_covered(Limit(">=", 0.0, "ratio"))


def test_evictions_of_what_hardly_matters_are_no_fault(reviewed: Reviewed, postgres: Postgres) -> None:
    """A server with many different statements drops some all the time: the known ones still speak for the week."""
    now = statements(postgres)
    before = replace(a_week_ago(now), origin=replace(now.origin, lost=now.origin.lost - 1))
    review = StatementReview(Pair(before, now), postgres)
    review.__dict__["covered"] = 0.97
    review.require_covered(Limit(">=", 0.9, "ratio"))
    review.__dict__["covered"] = None
    with pytest.raises(Inconclusive, match="an unknown share of the sessions"):
        review.require_covered(Limit(">=", 0.9, "ratio"))
    reviewed.run("SELECT 1")


def test_a_role_that_sees_only_its_own_is_told_the_grant(reviewed: Reviewed) -> None:
    """Trap 3: hidden statements are never "no slow queries"."""
    reviewed.run(as_user("a", "SELECT 1"))
    with (
        reviewed.probe("stranger") as probe,
        pytest.raises(Inconclusive, match=r"\d+ statements of other roles are hidden; GRANT pg_read_all_stats"),
    ):
        statements(probe)


def test_the_same_statement_of_two_users_is_two(reviewed: Reviewed, postgres: Postgres, history: RunHistory) -> None:
    """Trap 4: for B it became a hundred times slower: B is named, A is not, and why it is slower is said."""
    reviewed.run("SELECT pg_stat_statements_reset()")
    reviewed.run(as_user("a", sleeps(2)), as_user("b", sleeps(2)))
    history.record(a_week_ago(statements(postgres)))
    reviewed.run(as_user("a", sleeps(2)), as_user("b", sleeps(200)))
    review = StatementReview(history.compare(statements(postgres)), postgres)
    (name,) = review.names(review.regressed(ADDED))
    assert name.startswith("b@postgres ")
    assert "same rows and blocks a call: I/O, locks or CPU (SELECT pg_sleep($1))" in name
    assert [one.split("@")[0] for one in review.names(review.slow(MEAN))] == ["b"]
    assert "b@postgres" in review.table


def test_levels_are_never_added(reviewed: Reviewed, postgres: Postgres, history: RunHistory) -> None:
    """Trap 4: what a function runs is counted within its caller, so the total is that of the top level alone."""
    reviewed.run(
        "SELECT pg_stat_statements_reset()",
        "CREATE OR REPLACE FUNCTION outer_one() RETURNS void LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.5); END $$",
    )
    history.record(a_week_ago(statements(postgres)))
    reviewed.run("SELECT outer_one()")
    review = StatementReview(history.compare(statements(postgres)), postgres)
    nested = [one for one in review.statements if not one.top_level]
    assert sum(one.total_s for one in nested) >= 0.5
    assert review.total_s == pytest.approx(sum(one.total_s for one in review.statements if one.top_level))
    assert review.total_s < 0.5 + sum(one.total_s for one in nested)


@pytest.mark.parametrize("version", ["1.9", "1.10", "1.11", "1.12"])
def test_columns_are_chosen_by_the_version(
    reviewed: Reviewed, postgres: Postgres, history: RunHistory, version: str
) -> None:
    """Trap 5: every version since PostgreSQL 14 is read, and a changed one starts the comparison anew."""
    history.record(a_week_ago(statements(postgres)))
    other = f"DROP EXTENSION pg_stat_statements; CREATE EXTENSION pg_stat_statements VERSION '{version}'"
    newest = "DROP EXTENSION pg_stat_statements; CREATE EXTENSION pg_stat_statements"
    try:
        reviewed.run(other)
        found = statements(postgres)
        assert found.rows
        if version == "1.12":
            return
        with pytest.raises(Inconclusive, match=f"pg_stat_statements was 1.12, now {version}; the baseline begins now"):
            history.compare(found)
    finally:
        reviewed.run(newest)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP EXTENSION pg_stat_statements; CREATE EXTENSION pg_stat_statements VERSION '1.8'", "UPDATE"),
        ("DROP EXTENSION pg_stat_statements", "CREATE EXTENSION"),
    ],
)
def test_an_extension_that_cannot_tell_is_named(reviewed: Reviewed, postgres: Postgres, change: str, told: str) -> None:
    """Too old to count what it dropped, or not there: inconclusive, with the statement that mends it."""
    try:
        reviewed.run(change)
        with pytest.raises(Inconclusive, match=told):
            statements(postgres)
    finally:
        reviewed.run("DROP EXTENSION IF EXISTS pg_stat_statements", "CREATE EXTENSION pg_stat_statements")


def test_passwords_in_utility_statements_are_not_shown(
    reviewed: Reviewed, postgres: Postgres, history: RunHistory
) -> None:
    """The text of a statement may hold a literal: it is masked."""
    history.record(a_week_ago(statements(postgres)))
    reviewed.run("ALTER ROLE b PASSWORD 'correct-''horse'")
    review = StatementReview(history.compare(statements(postgres)), postgres)
    text = review.table + "".join(review.names(review.statements))
    assert "ALTER ROLE b PASSWORD '...'" in text or "ALTER ROLE b PASSWORD $" in text
    assert "horse" not in text


@pytest.mark.parametrize(
    ("before", "rows", "blocks", "told"),
    [
        ((100, 0.1, 1, 10), 50, 10, "50 rows a call instead of 1: data"),
        ((100, 0.1, 1, 10), 1, 5000, "5000 blocks a call instead of 10: plan or data"),
        ((100, 0.1, 1, 10), 1, 10, "same rows and blocks a call: I/O, locks or CPU"),
        (None, 1, 10, "new"),
    ],
)
def test_why_a_statement_is_slower(
    before: tuple[float, float, float, float] | None, rows: float, blocks: float, told: str
) -> None:
    """Same blocks and slower: I/O; more blocks: the plan or the data."""
    assert StatementWeek("1/2/3/top", 100, 100.0, rows, blocks, before).cause == told


def test_what_counts_as_slower() -> None:
    """Twice its mean, often enough on both sides; the seconds are those of a week, whatever the span."""
    now = StatementWeek("1/2/3/top", 100, 100.0, 1, 1, (100, 0.25, 1, 1))
    assert now.added_s(WEEK.total_seconds()) == pytest.approx(75)
    assert now.added_s(WEEK.total_seconds() / 7) == pytest.approx(525)
    assert replace(now, before=(100, 0.6, 1, 1)).added_s(1) == 0
    assert replace(now, before=(5, 0.01, 1, 1)).added_s(1) == 0
    assert replace(now, calls=5).added_s(1) == 0
    assert replace(now, before=None).added_s(1) == 0
