"""Closed buckets that production changed: the next capture records them as they are, and reads no others again."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.errors import Inconclusive
from opsverify.recovery.ledger import probe
from opsverify.recovery.ledger.capture import capture_details
from opsverify.recovery.ledger.tables import TableChoice
from tests.support.ledgers import again, history, now_at, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.clones import Clone

FLUSH = "SELECT pg_stat_force_next_flush()"
OTHERS = ("events", "lines", "totals", "readings", "plain")
HOUR = dt.timedelta(hours=1)
KEYS = ("CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t SELECT n, 'new' FROM generate_series(1, 30000) n")
TIMES = ("CREATE TABLE t (id int, at timestamptz NOT NULL, v text)",
         "INSERT INTO t SELECT n, now() - n * interval '10 min', 'new' FROM generate_series(1, 3000) n")  # fmt: skip
CORRECTED = "UPDATE t SET v = 'corrected' WHERE id = 2990"
LATE = "INSERT INTO t VALUES (7, now() - interval '10 days', 'late')"


@pytest.fixture(autouse=True)
def _small_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ROWS", 1)  # one bucket: what happens to the others the probe does not show


def taken(clone: Clone, previous: Mapping[str, Any] | None, ago: int, chosen: Mapping[str, TableChoice]) -> Any:  # noqa: ANN401 - JSON
    """One record of the table `t`, when the statistics know what was done to it."""
    clone.run(FLUSH)
    return record(clone, previous, chosen=chosen, ago=ago * HOUR, left_out=OTHERS)


@pytest.mark.parametrize(
    ("table", "change"),
    [
        (KEYS, "UPDATE t SET v = 'paid' WHERE id = 5"),
        (KEYS, "DELETE FROM t WHERE id = 5"),
        (TIMES, CORRECTED),
        (TIMES, "DELETE FROM t WHERE id = 2990"),
        (TIMES, LATE),
    ],
)
def test_an_old_row_that_production_changed_heals_at_the_next_capture(
    clone: Clone, table: tuple[str, ...], change: str
) -> None:
    """Updated, deleted, inserted with an old date: not as recorded until then, and not red for ever."""
    clone.run(*table)
    first = taken(clone, None, 3, {})
    clone.run(change)
    assert again(history(first), "t", clone).problems or again(history(first), "t", clone).notes
    second = taken(clone, first, 2, {})
    assert not second["core"]["t"]["goes_on"]
    third = taken(clone, second, 1, {})
    assert third["core"]["t"]["goes_on"]
    recorded = history(first, second, third)
    assert (again(recorded, "t", clone).problems, again(recorded, "t", clone).unknown) == ((), None)
    recorded.rows_system = "another"
    assert (again(recorded, "t", clone).problems, again(recorded, "t", clone).unknown) == ((), None)
    clone.run("DELETE FROM t WHERE id = 20000 OR id = 2000")
    answer = again(recorded, "t", clone)
    assert answer.problems or answer.unknown


def test_buckets_that_are_as_recorded_are_not_recorded_again(clone: Clone) -> None:
    """New rows, and changes of new rows alone, start no new series."""
    clone.run(*TIMES)
    first = taken(clone, None, 3, {})
    clone.run("INSERT INTO t VALUES (0, now(), 'now')")
    second = taken(clone, first, 2, {})
    assert second["core"]["t"]["goes_on"]
    clone.run("UPDATE t SET v = 'seen' WHERE id = 0", "DELETE FROM t WHERE id = 0")
    third = taken(clone, second, 0, {})
    # What a first update changes is not known before it: the row's hash has other columns from then on.
    assert third["core"]["t"]["table"]["hashed"] == second["core"]["t"]["table"]["hashed"]
    assert third["core"]["t"]["goes_on"]
    assert all(0 < len(one["core"]["t"]["buckets"]) < 9 for one in (second, third))
    recorded = history(first, second, third)
    buckets = [rows for one in (first, second, third) for rows, _, _ in one["core"]["t"]["buckets"].values()]
    assert recorded.tables["t"].rows == sum(buckets)
    assert again(recorded, "t", clone).problems == ()


def test_a_declared_table_is_taken_at_its_word(clone: Clone) -> None:
    """Its closed buckets do not change, says the target: they are read once, and a change of one stays a finding."""
    clone.run(*TIMES)
    chosen = {"t": TableChoice(bucket="at")}
    first = taken(clone, None, 3, chosen)
    clone.run("UPDATE t SET v = 'changed' WHERE id = 2990")
    second = taken(clone, first, 2, chosen)
    assert second["core"]["t"]["goes_on"]
    assert len(again(history(first, second), "t", clone).problems) == 1


@pytest.mark.parametrize("change", [CORRECTED, LATE])
def test_a_record_of_an_earlier_version_goes_on(clone: Clone, change: str) -> None:
    """It has no sum over its buckets: once production worked on the table everything is recorded anew."""
    clone.run(*TIMES)
    first = taken(clone, None, 3, {})
    first["core"]["t"].pop("closed", None)
    assert taken(clone, first, 2, {})["core"]["t"]["goes_on"]
    clone.run(change)
    second = taken(clone, first, 1, {})
    assert not second["core"]["t"]["goes_on"]
    assert again(history(first, second), "t", clone).problems == ()


def test_a_standby_is_not_recorded(clone: Clone) -> None:
    """Its statistics know of no update or delete: what is recorded there would call production's work a loss."""

    def standby(sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        return [(True,)] if sql == "SELECT pg_is_in_recovery()" else clone.source(sql, values)

    with pytest.raises(Inconclusive, match=r"a standby.*capture from the primary"):
        capture_details(standby, now_at(clone), None, {}, None)
