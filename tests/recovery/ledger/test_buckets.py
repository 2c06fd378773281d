"""The full ledger on a real server: what is recorded, what a later capture reads, what a damaged copy shows."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.errors import Inconclusive
from opsverify.recovery.ledger import probe
from opsverify.recovery.ledger.buckets import SLICE_ROWS, Span
from opsverify.recovery.ledger.capture import capture_details
from opsverify.recovery.ledger.history import History
from opsverify.recovery.ledger.ledger import Ledger
from opsverify.recovery.ledger.tables import TableChoice
from opsverify.recovery.verify.database_diff import compare_databases
from opsverify.recovery.verify.finding import Finding
from opsverify.recovery.verify.ledger_checks import Sampling
from opsverify.recovery.verify.loss import Keys
from tests.support.ledgers import CHOSEN, again, core_table, history, now_at, record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.support.clones import Clone


def test_a_whole_copy_is_clean(clone: Clone) -> None:
    """Every closed bucket of times, dates and whole numbers is recorded, all other rows too, and found again."""
    recorded = history(record(clone))
    assert {name: len(table.buckets) for name, table in recorded.tables.items()} == {
        "events": 40, "totals": 9, "readings": 4, "lines": 0, "plain": 0,
    }  # fmt: skip
    opened = {name: table.open.rows for name, table in recorded.tables.items() if table.open}
    assert opened == {"events": 0, "totals": 0, "readings": 45_000 - 4 * 8192 + 1, "lines": 6, "plain": 300}
    assert recorded.tables["readings"].rows == 4 * 8192 - 1  # the last whole bucket of keys is not closed yet
    for name in recorded.tables:
        answer = again(recorded, name, clone)
        assert (answer.problems, answer.unknown) == ((), None)
        assert answer.asked == recorded.tables[name].rows + opened[name]
        assert answer.cover == ("columns" if name == "events" else "rows")  # its note may change


@pytest.mark.parametrize(
    ("damage", "table", "said"),
    [
        ("DELETE FROM events WHERE code = 'E65'", "events", "1 of 60 rows missing"),
        ("UPDATE events SET qty = qty + 1 WHERE code = 'E65'", "events", "rows changed (still 60)"),
        ("INSERT INTO totals SELECT day, 'L99', qty FROM totals WHERE day = current_date - 3 LIMIT 1",
         "totals", "1 rows added to 6 recorded"),
        ("UPDATE readings SET value = value + 1e-12 WHERE id = 7", "readings", "readings 0: rows changed"),
        ("UPDATE readings SET value = '-0' WHERE id = 7", "readings", "readings 0: rows changed"),
        ("UPDATE readings SET place = point(1, 2.0000000000000004) WHERE id = 7", "readings", "rows changed"),
        ("UPDATE totals SET qty = NULL WHERE day = current_date - 3 AND line = 'L01'", "totals", "rows changed"),
        (
            "DELETE FROM events WHERE code = 'E65'; INSERT INTO events (created_at, line, qty) "  # noqa: ISC004
            "SELECT created_at, 'L01', 1 FROM events WHERE code = 'E66'",
            "events", "rows changed (still 60)",
        ),
        ("DROP TABLE totals", "totals", "does not exist"),
        ("ALTER TABLE totals DROP COLUMN qty", "totals", "does not exist"),
    ],
)  # fmt: skip
def test_rows_that_are_not_as_recorded_show(clone: Clone, damage: str, table: str, said: str) -> None:
    """Lost, changed in the last bit, doubled, swapped, NULL: the bucket is named, and no other table is."""
    recorded = history(record(clone))
    clone.run(*damage.split("; "))
    (problem,) = again(recorded, table, clone).problems
    assert said in problem
    assert all(not again(recorded, other, clone).problems for other in recorded.tables if other != table)


def test_null_and_empty_are_told_apart(clone: Clone) -> None:
    """NULL for '' changes a row."""
    recorded = history(record(clone, chosen={"events": TableChoice(width="1h")}))
    clone.run("UPDATE events SET note = NULL WHERE code = 'E7'")
    assert len(again(recorded, "events", clone).problems) == 1


def test_what_may_change_does_not_count(clone: Clone) -> None:
    """Mutable columns, synthetic rows, rows of open buckets and rows past their retention are no difference."""
    chosen = {"events": TableChoice(mutable=("note",), retention="36h")}
    recorded = history(record(clone, chosen=chosen))
    clone.run(
        "UPDATE events SET note = 'seen' WHERE line = 'L01'",
        "INSERT INTO events (created_at, line, qty, synthetic_tag) "
        "SELECT created_at, line, 1, 'smoke' FROM events LIMIT 9",
        "INSERT INTO events (created_at, line, qty) VALUES (now(), 'L01', 5)",
        "DELETE FROM events WHERE created_at < now() - interval '37 hours'",
    )
    assert again(recorded, "events", clone).problems == ()


@pytest.mark.parametrize("kind", ["json", "point", "money", "int4range", "text[]", "mood", "hstore", "inet"])
def test_any_type_is_hashed(clone: Clone, kind: str) -> None:
    """Types without a hash of their own go in by their binary form or text; a changed value shows."""
    one, other = {
        "json": ('{"a": 1}', '{"a":1}'), "point": ("(1,2)", "(2,1)"),
        "money": ("1.00", "1.01"), "int4range": ("[1,2)", "[1,3)"), "text[]": ("{a,NULL}", '{a,"NULL"}'),
        "mood": ("fine", "grim"), "hstore": ("a=>1", "a=>NULL"), "inet": ("10.0.0.1", "10.0.0.2"),
    }[kind]  # fmt: skip
    clone.run(
        f"CREATE TABLE odd (id int PRIMARY KEY, v {kind})",
        f"INSERT INTO odd SELECT n, CASE WHEN n % 2 = 0 THEN $x${one}$x$::{kind} END FROM generate_series(1, 30) n",  # noqa: S608
    )
    recorded = history(record(clone, chosen={"odd": TableChoice(width=10)}))
    assert recorded.tables["odd"].rows == 19
    assert again(recorded, "odd", clone).problems == ()
    clone.run(f"UPDATE odd SET v = $x${other}$x$ WHERE id = 4")  # noqa: S608
    assert again(recorded, "odd", clone).problems == ("odd 0: rows changed (still 9)",)


@pytest.mark.parametrize("width", [1, 7, 8])
def test_keys_below_zero_fall_into_whole_buckets(clone: Clone, width: int) -> None:
    """Every key is in the bucket that its start names, whatever the width, also around zero."""
    clone.run(
        "CREATE TABLE signed (id int PRIMARY KEY, v int)",
        "INSERT INTO signed SELECT n, n FROM generate_series(-50, 50) n",
    )
    recorded = history(record(clone, chosen={"signed": TableChoice(width=width)}))
    starts = {int(name): bucket.rows for name, bucket in recorded.tables["signed"].buckets.items()}
    there = {*range(-50, 51)}
    assert starts == {
        start: len(there & {*range(start, start + width)}) for start in range(min(starts), max(starts) + 1, width)
    }
    assert min(starts) <= -50 < min(starts) + width
    clone.run("DELETE FROM signed WHERE id = -3")
    (problem,) = again(recorded, "signed", clone).problems
    assert problem.startswith(f"signed {-3 // width * width}: 1 of")


def _reading(clone: Clone, read: list[int]) -> Callable[..., list[tuple[Any, ...]]]:
    """Ask like the clone, and note how many rows each statement on a table of ours had to read."""

    def rows(plan: Mapping[str, Any]) -> int:
        below: int = sum(map(rows, plan.get("Plans", ())))
        if plan.get("Relation Name") != "events":
            return below
        read: int = round(plan["Actual Rows"] * plan["Actual Loops"]) + plan.get("Rows Removed by Filter", 0)
        return below + read

    def source(sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        if "ctid >=" not in sql:  # pages: test_returned_pages.py
            ((explained,),) = clone.source(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values)
            read.append(rows(explained[0]["Plan"]))
        return clone.source(sql, values)

    return source


def test_a_later_capture_reads_new_rows_only(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed buckets that are recorded are not read again: rows read follow the new ones, not the table."""
    monkeypatch.setattr(probe, "ROWS", 1)  # one bucket, for a probe is a small part of a table that it matters for
    first = record(clone, chosen={"events": CHOSEN["events"]}, ago=dt.timedelta(hours=5))
    clone.run(
        "INSERT INTO events (created_at, line, qty) SELECT now() - n * interval '1 minute', 'L01', 1 "
        "FROM generate_series(0, 150) n",
        "SELECT pg_stat_force_next_flush()",  # else the server's statistics know of them when a second has passed
    )
    # The choice is the planner's, by statistics that autovacuum gathers or not; whether the bounds allow it is ours.
    clone.run("SET enable_seqscan = off")
    read: list[int] = []
    at = now_at(clone)
    body = capture_details(_reading(clone, read), at, first, {"events": CHOSEN["events"]}, "synthetic_tag")
    new = body["core"]["events"]
    rows = sum(count for count, _, _ in new["buckets"].values())
    assert 0 < len(new["buckets"]) <= 12
    opened = sum(count for count, _, _ in new["open"]["buckets"].values())
    probed = sum(count for count, _, _ in new["buckets"].values())
    again_probed = first["core"]["events"]["probe"]["rows"]
    assert again_probed == 60
    # And nothing else for the 2,400 rows before. A probe's are read for sums, distribution and sample: three
    # statements, for each keeps a few rows only. One for all would store every row of a bucket, on production.
    assert rows <= sum(read) <= rows + opened + 3 * probed + 3 * again_probed + 2
    both = history(first, body | {"captured_at": at.isoformat()})
    assert both.tables["events"].rows == 2400 + rows
    assert again(both, "events", clone).problems == ()


def test_a_changed_definition_or_timeline_is_recorded_anew(clone: Clone) -> None:
    """Hashes of other columns, or of a timeline that was given up by a recovery, are no beginning to go on from."""
    first = record(clone)
    other = record(clone, first, {**CHOSEN, "events": TableChoice(mutable=("note", "qty"))})
    assert {name: other["core"][name]["goes_on"] for name in CHOSEN} == {
        "events": False, "totals": True, "readings": True,
    }  # fmt: skip
    assert other["catalog"] is None
    moved = record(clone, {**first, "timeline": "0000000A"})
    assert not any(entry["goes_on"] for entry in moved["core"].values())
    assert history(first, moved).tables["events"].buckets == history(first).tables["events"].buckets


def test_tables_are_found_in_the_catalog(clone: Clone) -> None:
    """Every table, by a time, a date, an integer key, or none; of changed tables only what names a row, at first."""
    clone.run("UPDATE totals SET qty = 1 WHERE line = 'L01'", "SELECT pg_stat_force_next_flush()")
    recorded = history(record(clone, chosen={}))
    hashed = {name: (table.table.bucket, table.table.hashed) for name, table in recorded.tables.items()}
    assert hashed["totals"] == ("day", ("day", "line"))
    assert hashed["events"][0] == "created_at"
    assert "note" in hashed["events"][1]
    assert hashed["readings"][0] == "id"
    assert hashed["lines"] == ("", ("code", "name"))
    assert hashed["plain"] == ("", ("note",))
    assert recorded.skipped == ()
    assert again(recorded, "totals", clone).cover == "keys"
    with pytest.raises(Inconclusive, match=r"names evnts: no such table; tables: events, lines"):
        record(clone, chosen={"evnts": TableChoice()})
    with pytest.raises(Inconclusive, match="bucket 'code' is of type text"):
        record(clone, chosen={"events": TableChoice(bucket="code")})


def test_a_live_source_names_the_very_keys(clone: Clone, whole_source: Any) -> None:  # noqa: ANN401 - a source
    """Missing, added and changed rows by their primary key; only the bad buckets are fetched."""
    recorded = history(record(clone))
    clone.run(
        "DELETE FROM events WHERE code IN ('E65', 'E66')",
        "UPDATE events SET qty = 77 WHERE code = 'E70'",
        "INSERT INTO events (created_at, line, code, qty) SELECT created_at, 'L01', 'E-new', 1 FROM events "
        "WHERE code = 'E500'",
    )
    asked: list[Mapping[str, object]] = []

    def live(sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        asked.append(values)
        return list(whole_source(sql, values))

    answer = again(recorded, "events", clone, live=lambda: live)
    assert len(answer.problems) == 2
    assert answer.of.endswith("differ; keys missing 66, 67; added 2401; changed 71")
    assert answer.keys == Keys(missing=("66", "67"), added=("2401",), changed=("71",))
    assert answer.keys.all == ("missing 66", "missing 67", "added 2401", "changed 71")
    assert Finding.from_dict(json.loads(json.dumps(answer.to_dict()))) == answer
    asked_for = {values[f"until{nth}"] - values[f"since{nth}"] for values in asked for nth in range(2)}  # type: ignore[operator]
    assert asked_for == {dt.timedelta(hours=1)}


def test_a_large_table_is_sampled_with_a_stated_confidence(clone: Clone) -> None:
    """A few draws say what they prove; enough of them meet the damage."""
    recorded = history(record(clone))
    few = again(recorded, "events", clone, sampling=Sampling(1000, 10, 0.99, seed=7))
    assert "44 draws with seed 7: if none differs, no more than 1 in 10 of 2,400 recorded rows does, at 99%" in few.of
    assert few.asked < 2400
    clone.run("DELETE FROM events")
    assert again(recorded, "events", clone, sampling=Sampling(1000, 10, 0.99, seed=7)).problems
    assert "sample" not in again(recorded, "totals", clone, sampling=Sampling(1000, 10, 0.99, seed=7)).of


def test_a_server_that_hashes_otherwise_is_unknown(clone: Clone) -> None:
    """Hashes of another major version or byte order cannot be compared; that is no difference."""
    recorded = history(record(clone) | {"witness": "1"})
    answer = again(recorded, "events", clone)
    assert answer.problems == ()
    assert "hashes rows differently" in str(answer.unknown)


def test_records_are_kept_in_the_chain(clone: Clone, tmp_path: Path) -> None:
    """The ledger's file holds them beside the runbook's facts; what was captured after the target does not count."""
    ledger = Ledger(tmp_path / "ledger.sqlite")

    def capture(at: dt.datetime) -> None:
        ledger.capture(
            clone.source, at, {},
            more=lambda at, before: capture_details(clone.source, at, before, CHOSEN, "synthetic_tag"),
        )  # fmt: skip

    at = now_at(clone)
    capture(at - dt.timedelta(hours=5))
    capture(at)
    assert ledger.verify_chain().broken is None
    early = History.of(ledger.bodies_until(at - dt.timedelta(hours=1)))
    late = History.of(ledger.bodies_until(at))
    assert early.tables["events"].buckets.items() <= late.tables["events"].buckets.items()
    assert late.catalog["roles"].keys() >= {"plant_app", "plant_reader"}
    with pytest.raises(Inconclusive, match="nothing was recorded before the recovery target"):
        History.of(ledger.bodies_until(at - dt.timedelta(days=1)))


def test_two_databases_at_hand_are_compared_by_key(clone: Clone, whole_source: Any) -> None:  # noqa: ANN401 - a source
    """All rows of both, bounded or not: the buckets that differ, and the very keys."""
    core = core_table(clone.source, "readings", TableChoice())
    assert compare_databases(core, [whole_source], [clone.source]) == ([], Keys())
    clone.run("DELETE FROM readings WHERE id IN (44990, 7)", "UPDATE readings SET value = 0 WHERE id = 20000")
    for span, rows in ((Span(None, None), 0), (Span(0, 49152), 3 * SLICE_ROWS)):
        wrong, keys = compare_databases(core, [whole_source], [clone.source], span, rows)
        assert [name for name, _, _ in wrong] == ["0", "16384", "40960"]
        assert keys == Keys(missing=("7", "44990"), changed=("20000",))
