"""Bounds of what production explains: a difference no larger than what it was ever seen to do to a table."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.recovery.ledger.pace import Pace, Speed
from opsverify.recovery.verify.coverage import check_coverage
from opsverify.recovery.verify.finding import Finding, joined
from tests.support.ledgers import again, history, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.recovery.ledger.history import History
    from tests.support.clones import Clone

FLUSH = "SELECT pg_stat_force_next_flush()"
HOUR = dt.timedelta(hours=1)
OTHERS = ("events", "lines", "totals", "readings", "plain")
ACCOUNTS = ("CREATE TABLE t (id text PRIMARY KEY, v text)",
            "INSERT INTO t SELECT 'k' || n, md5(n::text) FROM generate_series(1, 500) n")  # fmt: skip
ORDERS = ("CREATE TABLE t (id int PRIMARY KEY, state text, amount int)",
          "INSERT INTO t SELECT n, 'new', n FROM generate_series(1, 3000) n")  # fmt: skip
SALES = (
    "CREATE TABLE t (id uuid DEFAULT gen_random_uuid() PRIMARY KEY,at timestamptz NOT NULL, state text, amount float8)",
    "INSERT INTO t (at, state, amount) "  # noqa: ISC004
    "SELECT now() - n * interval '10 min', 'new', n FROM generate_series(1, 3000) n",
)

FEW_OF_THE_SAMPLE = "SELECT id FROM t ORDER BY hash_record_extended(ROW(t.id), 0) LIMIT 6"


def taken(clone: Clone, previous: Mapping[str, Any] | None = None, ago: dt.timedelta = dt.timedelta(0)) -> Any:  # noqa: ANN401 - JSON
    """One record of the table `t`, when the statistics know what was done to it."""
    clone.run(FLUSH)
    return record(clone, previous, chosen={}, ago=ago, left_out=OTHERS)


def on(cluster: str, *bodies: Mapping[str, Any]) -> History:
    """What was recorded, as if of the cluster at hand, or of another one: of a dump's restore."""
    recorded = history(*bodies)
    recorded.rows_system = recorded.rows_system if cluster == "same" else "another"
    return recorded


@pytest.mark.parametrize("cluster", ["same", "other"])
@pytest.mark.parametrize(
    ("table", "seen", "damage", "said"),
    [
        (ACCOUNTS, "DELETE FROM t WHERE id = 'k7'", "DELETE FROM t", "t: empty, 499 rows recorded"),
        (ACCOUNTS, "DELETE FROM t WHERE id = 'k7'", "DELETE FROM t WHERE id < 'k3'", "of 499 rows recorded are"),
        (ACCOUNTS, "UPDATE t SET v = 'x' WHERE id = 'k7'", "UPDATE t SET v = ''", "of 500 rows recorded are deleted"),
        (ACCOUNTS, "UPDATE t SET v = 'x' WHERE id = 'k7'",
         "DELETE FROM t; INSERT INTO t SELECT 'z' || n, '' FROM generate_series(1, 500) n", "of 500 rows recorded"),
        (ORDERS, "DELETE FROM t WHERE id = 7", "DELETE FROM t", "t: empty, 2,999 rows recorded"),
    ],
)  # fmt: skip
def test_one_change_ever_does_not_explain_the_loss_of_all_rows(
    clone: Clone, cluster: str, table: tuple[str, ...], seen: str, damage: str, said: str
) -> None:
    """Lost, or a change unlike any before: it holds, with numbers, and is not called compared."""
    clone.run(*table, seen)
    recorded = on(cluster, taken(clone))
    whole = again(recorded, "t", clone)
    assert (whole.problems, whole.unknown) == ((), None)
    clone.run(*damage.split("; "))
    answer = again(recorded, "t", clone)
    assert answer.problems == ()
    assert said in str(answer.unknown)
    assert answer.cover == "changed"


@pytest.mark.parametrize("cluster", ["same", "other"])
def test_what_was_done_in_an_hour_may_be_done_in_the_next(clone: Clone, cluster: str) -> None:
    """And twice as much; not ten times as much."""
    clone.run("CREATE TABLE t (id text PRIMARY KEY, v text)",
              "INSERT INTO t SELECT n, n FROM generate_series(1, 5000) n")  # fmt: skip
    first = taken(clone, ago=2 * HOUR)
    clone.run("DELETE FROM t WHERE v::int <= 200")
    recorded = on(cluster, first, taken(clone, first, ago=HOUR))
    clone.run("DELETE FROM t WHERE v::int <= 500")
    answer = again(recorded, "t", clone)
    assert (answer.problems, answer.unknown, answer.cover) == ((), None, "changed")
    covered = check_coverage(recorded, clone.source, {"t": answer.cover}, dict.fromkeys(OTHERS, "not asked for"))
    assert "1 of 1 changed since, not compared row by row: t" in covered.of
    clone.run("DELETE FROM t WHERE v::int <= 2200")
    assert "2,800 found; by what production was seen to do, no more than 4" in str(again(recorded, "t", clone).unknown)


def test_a_queue_that_was_empty_before_may_be_empty_again(clone: Clone) -> None:
    """A record had no row of it: that it has none is how it is."""
    clone.run("CREATE TABLE t (id text PRIMARY KEY, v text)", "INSERT INTO t VALUES ('a', 'a')", "DELETE FROM t")
    first = taken(clone, ago=HOUR)
    clone.run("INSERT INTO t VALUES ('b', 'b')")
    second = taken(clone, first)
    clone.run("DELETE FROM t")
    assert again(history(first, second), "t", clone).unknown is None
    assert "t: empty, 1 rows recorded" in str(again(history(second), "t", clone).unknown)


def test_a_record_of_an_earlier_version_is_compared_as_ever(clone: Clone) -> None:
    """It has no parts, sample, nor the moment since which was counted: all may have been done at once."""
    clone.run(*ORDERS, "UPDATE t SET state = 'x' WHERE id = 7", "DELETE FROM t WHERE id <= 20")
    body = taken(clone)
    del body["counted_since"]
    for name in ("unhashed", "sample", "shares"):
        del body["core"]["t"][name]
    body["core"]["t"].pop("closed", None)
    del body["core"]["t"]["open"]["parts"]
    for cluster in ("same", "other"):
        recorded = on(cluster, body)
        assert (again(recorded, "t", clone).problems, again(recorded, "t", clone).unknown) == ((), None)
    clone.run("DELETE FROM t WHERE id <= 30")
    assert again(on("same", body), "t", clone).unknown is None
    clone.run("DELETE FROM t WHERE id <= 2000")
    for cluster in ("same", "other"):
        assert "no more than 40 in that time" in str(again(on(cluster, body), "t", clone).unknown)
    assert taken(clone, body)["core"]["t"]["open"]["parts"]


def test_a_pace_is_what_was_done_in_which_time() -> None:
    """The largest of all intervals; statistics that were set to zero in between count from there."""
    pace = Pace().grown((0, 36_000), (0, 0), 100 * HOUR).grown((36_000, 36_720), (0, 0), HOUR)
    pace = pace.grown((36_720, 36_730), (0, 0), 10 * HOUR)
    assert not pace.deletes.seen
    assert pace.deletes.bound(100 * HOUR, 10_000) == 0
    assert pace.updates.bound(HOUR, 10_000) == 2 * 720
    assert pace.updates.bound(10 * HOUR, 10_000) == 2 * 7_200
    assert pace.updates.bound(dt.timedelta(0), 10_000) == 2 * 720
    assert Pace().grown((900, 30), (5, 0), HOUR).updates.bound(HOUR, 10_000) == 60
    assert Speed().grown(1, 1000 * HOUR).bound(HOUR, 10_000) == 20
    assert Speed().grown(1, 1000 * HOUR).bound(HOUR, 9) == 2


@pytest.mark.parametrize("cluster", ["same", "other"])
@pytest.mark.parametrize(
    ("damage", "problem", "unknown"),
    [
        ("UPDATE t SET amount = NULL", "t.amount: 100% of the rows hold NULL", ""),
        ("UPDATE t SET amount = 0", "t.amount: 100% of the rows hold the same value", ""),
        ("UPDATE t SET amount = -amount", "", "t.amount: 100% of 64 sampled rows have another value than recorded"),
        ("UPDATE t SET amount = amount * 2 WHERE mod(amount::int, 2) = 0", "", "were updated in that time"),
        (f"UPDATE t SET amount = amount + 0.5 WHERE id IN ({FEW_OF_THE_SAMPLE})", "", ""),  # noqa: S608
    ],
)
def test_a_column_that_changed_once_is_still_compared(
    clone: Clone, cluster: str, damage: str, problem: str, unknown: str
) -> None:
    """By the share of rows that changed, and whether it lost its values; the coverage names it."""
    clone.run(*SALES, "UPDATE t SET state = 'x' WHERE amount = 7")
    first = taken(clone, ago=2 * HOUR)
    clone.run("UPDATE t SET amount = amount + 0.5 WHERE amount = 1234")
    recorded = on(cluster, first, taken(clone, first, ago=HOUR))
    assert recorded.tables["t"].unhashed == ("amount",)
    whole = again(recorded, "t", clone)
    assert (whole.problems, whole.unknown, whole.cover) == ((), None, "columns")
    covered = check_coverage(recorded, clone.source, {"t": whole.cover}, dict.fromkeys(OTHERS, "not asked for"))
    assert "1 of 1 row by row but for columns that change: t (amount)" in covered.of
    clone.run(damage)
    answer = again(recorded, "t", clone)
    assert [line.startswith(problem) for line in answer.problems] == [True] * bool(problem)
    assert unknown in str(answer.unknown)
    assert (answer.unknown is None) == (not unknown)


@pytest.mark.parametrize("table", [ORDERS, SALES])
def test_columns_that_are_not_known_to_change_are_sampled_too(clone: Clone, table: tuple[str, ...]) -> None:
    """Of a table that saw an update before its only capture: every amount zeroed is found, a state set is not."""
    clone.run(*table, "UPDATE t SET state = 'x' WHERE amount = 7")
    recorded = history(taken(clone))
    clone.run("UPDATE t SET state = 'y' WHERE amount = 9")
    assert (again(recorded, "t", clone).problems, again(recorded, "t", clone).unknown) == ((), None)
    clone.run("UPDATE t SET amount = 0")
    (problem,) = again(recorded, "t", clone).problems
    assert problem.startswith("t.amount: 100% of the rows hold the same value, 2% held one value when recorded")


def test_a_column_that_always_changes_is_quiet(clone: Clone) -> None:
    """All rows were touched between captures: they may be touched again. To one value they never were: that holds."""
    clone.run(*SALES, "UPDATE t SET state = 'x' WHERE amount = 7")
    first = taken(clone, ago=101 * HOUR)  # by the pace alone few rows would change in an hour
    clone.run("UPDATE t SET amount = amount + 0.5")
    recorded = history(first, taken(clone, first, ago=HOUR))
    clone.run("UPDATE t SET amount = amount + 0.25")
    assert (again(recorded, "t", clone).problems, again(recorded, "t", clone).unknown) == ((), None)
    clone.run("UPDATE t SET amount = 0")
    answer = again(recorded, "t", clone)
    assert answer.problems == ()
    assert "t.amount: 100% of the rows hold the same value" in str(answer.unknown)


def test_a_column_that_lost_its_values_is_named_once(clone: Clone) -> None:
    """By its distribution, where it has few values; the sample says nothing more of it."""
    clone.run(SALES[0], SALES[1].replace("'new'", "'s' || n % 3"), "UPDATE t SET state = 'x' WHERE amount = 7")
    recorded = history(taken(clone))
    clone.run("UPDATE t SET state = 'z'")
    (problem,) = again(recorded, "t", clone).problems
    assert "t.state: 100% of" in problem
    assert "have another value than recorded" in problem


def test_a_capture_of_few_new_rows_samples_the_others_too(clone: Clone) -> None:
    """Captures that read little each: what they compare of a changing column is not those few rows alone."""
    clone.run(*SALES, "UPDATE t SET state = 'x' WHERE amount = 7")
    first = taken(clone, ago=4 * HOUR)
    clone.run("UPDATE t SET amount = amount + 0.5 WHERE amount = 1234")
    second = taken(clone, first, ago=3 * HOUR)
    third = taken(clone, second, ago=2 * HOUR)
    assert third["core"]["t"]["goes_on"]
    assert 0 < sum(rows for rows, _, _ in third["core"]["t"]["buckets"].values()) < 20
    clone.run("UPDATE t SET amount = NULL")
    (problem,) = again(history(first, second, third), "t", clone).problems
    assert problem.startswith("t.amount: 100% of the rows hold NULL")


def test_a_column_that_was_cleared_before_may_be_cleared_again(clone: Clone) -> None:
    """Between captures all of its values became one, and others again."""
    clone.run(*SALES, "UPDATE t SET state = 'x' WHERE amount = 7")
    first = taken(clone, ago=3 * HOUR)
    clone.run("UPDATE t SET amount = 0")
    second = taken(clone, first, ago=2 * HOUR)
    clone.run("UPDATE t SET amount = extract(epoch FROM at)")
    recorded = history(first, second, taken(clone, second, ago=HOUR))
    clone.run("UPDATE t SET amount = 0")
    assert (again(recorded, "t", clone).problems, again(recorded, "t", clone).unknown) == ((), None)


def test_rows_added_to_closed_buckets_are_told_by_who_wrote_them(clone: Clone) -> None:
    """A birth date is no order of rows. On a copy of the same cluster a row written since is a note."""
    clone.run("CREATE TABLE t (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text, born date NOT NULL)",
              "INSERT INTO t (name, born) SELECT n, date '1950-01-01' + n % 2000 FROM generate_series(1, 3000) n",
              FLUSH)  # fmt: skip
    body = taken(clone)
    assert history(body).tables["t"].table.bucket == "born"
    clone.run("INSERT INTO t (name, born) VALUES ('new', '1951-01-01'), ('new', '1980-05-05')")
    answer = again(history(body), "t", clone)
    assert (answer.problems, answer.unknown) == ((), None)
    assert "t: 2 rows written into closed buckets since they were recorded" in answer.notes
    assert len(again(on("other", body), "t", clone).problems) == 2
    clone.run("DELETE FROM t WHERE name = '365'")
    assert again(history(body), "t", clone).problems


def test_what_is_not_known_does_not_hide_a_problem() -> None:
    """One part of a table holds, another one fails: it fails, and the reason of the first is a note."""
    both = joined([Finding(1, "rows", unknown="too many"), Finding(1, "buckets", ("1 row missing",))])
    assert (both.problems, both.unknown, both.notes) == (("1 row missing",), None, ("too many",))


LOG = ("CREATE TABLE t (line text)", "INSERT INTO t SELECT 'line ' || n FROM generate_series(1, 40) n")


@pytest.mark.parametrize(
    ("cluster", "change", "said"),
    [
        ("other", "INSERT INTO t TABLE t", "problem"),
        ("other", "INSERT INTO t VALUES ('later'); INSERT INTO t TABLE t", "hold"),
        ("same", "INSERT INTO t TABLE t", "hold"),
        ("other", "INSERT INTO t VALUES ('later'), ('line 7')", "note"),
        ("same", "INSERT INTO t VALUES ('later'), ('later')", "note"),
    ],
)
def test_rows_that_were_loaded_twice_show_where_no_key_forbids_it(
    clone: Clone, cluster: str, change: str, said: str
) -> None:
    """By a dump that was restored twice: each row is there twice. Some rows more, equal or not, are production's."""
    clone.run(*LOG)
    recorded = on(cluster, taken(clone))
    clone.run(*change.split("; "))
    answer = again(recorded, "t", clone)
    lines = {"problem": answer.problems, "hold": (answer.unknown,), "note": answer.notes}[said]
    assert any(("loaded twice" in str(line)) == (said != "note") for line in lines)
    assert bool(answer.problems) == (said == "problem")
    assert bool(answer.unknown) == (said == "hold")


def test_a_few_equal_rows_may_be_there_twice(clone: Clone) -> None:
    """A table of three states of which one more of each was written says nothing."""
    clone.run("CREATE TABLE t (state text)", "INSERT INTO t VALUES ('new'), ('done'), ('failed')")
    recorded = on("other", taken(clone))
    clone.run("INSERT INTO t VALUES ('new'), ('done'), ('failed')")
    answer = again(recorded, "t", clone)
    assert (answer.problems, answer.unknown) == ((), None)
