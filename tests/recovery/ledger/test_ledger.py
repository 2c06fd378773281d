"""The ledger's chain and the comparison: properties, tampering, crashes, and a real database asked twice."""

from __future__ import annotations

import datetime as dt
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from opsverify.errors import EvidenceError, Inconclusive
from opsverify.recovery.ledger.ledger import Ledger, Recorded
from opsverify.recovery.ledger.queries import Facts, fingerprint
from opsverify.recovery.ledger.validations import read_validations
from opsverify.recovery.restore.pitr import RestorePlan, restore
from opsverify.recovery.restore.restored_server import Destination
from opsverify.recovery.verify.key_counts import compare
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.support.wreck import Disaster

SQL = read_validations(REPOSITORY / "dr_validation" / "sql")
AT = dt.datetime(2026, 11, 22, 20, 13, tzinfo=dt.UTC)
HOUR = dt.datetime(2026, 11, 22, 10, 0, tzinfo=dt.UTC)


def _source(
    answers: Mapping[str, list[tuple[Any, ...]]], now: dt.datetime = AT
) -> Callable[..., list[tuple[Any, ...]]]:
    by_sql = {SQL[name].sql: rows for name, rows in answers.items()}
    return lambda sql, _params: [(now,)] if sql == "SELECT now()" else by_sql.get(sql, [])


ROWS: dict[str, list[tuple[Any, ...]]] = {
    "judgment_executions": [(HOUR, 31), (HOUR + dt.timedelta(minutes=10), 29)],
    "workflow_instances": [(HOUR, "COMPLETED", 9), (HOUR, "RUNNING", 2), (HOUR, "DEAD", 1)],
    "fact_daily_production": [
        (dt.date(2026, 11, 20), "L03", 4, Decimal("100.50"), Decimal("98.0"), 3),
        (dt.date(2026, 11, 21), "라인4", 4, None, Decimal("1E+3"), 0),
    ],
}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Provide an empty ledger."""
    return Ledger(tmp_path / "ledger.sqlite")


def test_what_is_recorded_is_read_back_under_stable_ascii_keys(ledger: Ledger) -> None:
    """Counts as integers, sums exact as text, NULL as None."""
    ledger.capture(_source(ROWS), AT, SQL)
    recorded = ledger.newest_before(AT)
    assert recorded.captured_at == AT
    assert recorded.tables["judgment_executions"] == {
        "2026-11-22T10:00Z": {"rows": 31},
        "2026-11-22T10:10Z": {"rows": 29},
    }
    assert recorded.tables["workflow_instances"] == {
        "ALL@2026-11-22T10:00Z": {"rows": 12},
        "COMPLETED@2026-11-22T10:00Z": {"rows": 9},
        "DEAD@2026-11-22T10:00Z": {"rows": 1},
    }
    assert recorded.tables["fact_daily_production"] == {
        "2026-11-20-L03": {"rows": 4, "planned_qty": "100.5", "produced_qty": "98", "defect_qty": "3"},
        "2026-11-21-\\ub77c\\uc7784": {
            "rows": 4,
            "planned_qty": None,
            "produced_qty": "1000",
            "defect_qty": "0",
        },
    }
    assert compare(recorded, recorded.read_facts(_source(ROWS), SQL), AT, SQL) == ()


def test_only_settled_buckets_are_asked_for() -> None:
    """Buckets end before the settling time; the plant's zone decides which date is over."""
    judgments, workflows, facts = (entry.window(AT, ZoneInfo("Asia/Seoul")) for entry in SQL.values())
    assert judgments.until == dt.datetime(2026, 11, 22, 20, 0, tzinfo=dt.UTC)
    assert workflows.until == dt.datetime(2026, 11, 22, 20, 0, tzinfo=dt.UTC)
    assert judgments.since == dt.datetime(2026, 11, 21, 20, 0, tzinfo=dt.UTC)
    assert (facts.since, facts.until) == (dt.date(2026, 11, 16), dt.date(2026, 11, 23))
    assert SQL["fact_daily_production"].window(AT, dt.UTC).until == dt.date(2026, 11, 22)


def test_the_slower_clock_closes_buckets(ledger: Ledger) -> None:
    """A caller whose clock runs ahead of the database's does not close a bucket too early."""
    behind = AT - dt.timedelta(hours=2)
    assert ledger.capture(_source(ROWS, now=behind), AT, SQL).captured_at == behind


def test_the_newest_capture_before_the_target_counts(ledger: Ledger) -> None:
    """Neither an older one nor one from after the target; none at all is inconclusive."""
    for minutes in (0, 30, 60):
        ledger.capture(_source(ROWS, now=AT + dt.timedelta(hours=2)), AT + dt.timedelta(minutes=minutes), SQL)
    assert ledger.newest_before(AT + dt.timedelta(minutes=45)).seq == 2
    with pytest.raises(Inconclusive, match="nothing was recorded before"):
        ledger.newest_before(AT - dt.timedelta(seconds=1))
    with pytest.raises(ValueError, match="after the recovery target"):
        compare(ledger.newest_before(AT + dt.timedelta(hours=3)), {}, AT, SQL)


def test_a_ledger_that_is_not_there_is_inconclusive(ledger: Ledger) -> None:
    """Reading does not create one."""
    with pytest.raises(Inconclusive, match="captured"):
        ledger.newest_before(AT)
    assert not ledger.path.exists()


def test_a_clock_that_went_backwards_is_refused(ledger: Ledger) -> None:
    """The order of records is the order of time."""
    ledger.capture(_source(ROWS), AT, SQL)
    with pytest.raises(EvidenceError, match="clock"):
        ledger.capture(_source(ROWS), AT - dt.timedelta(minutes=1), SQL)


def test_a_changed_query_is_inconclusive(ledger: Ledger) -> None:
    """Another query's numbers cannot be compared; another comment's can."""
    recorded = ledger.capture(_source(ROWS), AT, SQL)
    name = "judgment_executions"
    assert fingerprint(f"-- a word more\n{SQL[name].sql}") == fingerprint(SQL[name].sql)
    changed = {**SQL, name: replace(SQL[name], sql=SQL[name].sql.replace("IS NULL", "IS NOT NULL"))}
    with pytest.raises(Inconclusive, match=r"1-judgments\.sql was changed"):
        recorded.read_facts(_source(ROWS), changed)


def _captures(ledger: Ledger, count: int) -> None:
    for minute in range(count):
        at = AT + dt.timedelta(minutes=minute)
        ledger.capture(_source(ROWS, now=at), at, SQL)


TAMPERING = {
    "UPDATE records SET body = replace(body, '31', '30') WHERE seq = 2": "record 2 does not match its hash",
    "DELETE FROM records WHERE seq = 2": "record 2 is missing",
    "UPDATE records SET previous = hash WHERE seq = 3": "record 3 does not follow",
    "DELETE FROM records WHERE seq = 4": "records after 3 are missing",
}


@pytest.mark.parametrize(("tamper", "message"), TAMPERING.items(), ids=["changed", "removed", "relinked", "cut"])
def test_tampering_shows_and_is_named(ledger: Ledger, tamper: str, message: str) -> None:
    """The first record that does not fit; a tail cut off shows by the head noted before."""
    _captures(ledger, 4)
    whole = ledger.verify_chain()
    assert (whole.records, whole.broken) == (4, None)
    assert ledger.verify_chain(whole.head).broken is None
    with closing(sqlite3.connect(ledger.path)) as database, database:
        with pytest.raises(sqlite3.DatabaseError, match="append-only"):
            database.execute(tamper)
        database.executescript(f"DROP TRIGGER no_update; DROP TRIGGER no_delete; {tamper}")
    broken = ledger.verify_chain(whole.head).broken
    assert broken is not None
    assert message in broken


def test_a_changed_record_is_not_compared_with(ledger: Ledger) -> None:
    """Not even without asking for the chain."""
    _captures(ledger, 1)
    with closing(sqlite3.connect(ledger.path)) as database, database:
        database.executescript("DROP TRIGGER no_update; UPDATE records SET body = replace(body, '31', '30')")
    with pytest.raises(EvidenceError, match="does not match its hash"):
        ledger.newest_before(AT)


CRASH = """
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN IMMEDIATE")
rows = [(n, "x" * 9000, str(n)) for n in range(9, 99)]
database.executemany("INSERT INTO records VALUES (?, 'p', ?, ?)", rows)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_crash_in_mid_capture_leaves_the_ledger_whole(ledger: Ledger) -> None:
    """Pages already written by the killed writer are rolled back by the next reader."""
    _captures(ledger, 2)
    killed = subprocess.run([sys.executable, "-c", CRASH, str(ledger.path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert os.path.exists(f"{ledger.path}-journal")  # noqa: PTH110
    assert ledger.verify_chain().broken is None
    assert ledger.newest_before(AT + dt.timedelta(hours=1)).seq == 2


def test_reading_while_another_process_writes(ledger: Ledger) -> None:
    """A writer in its transaction does not keep a reader waiting, who sees what was there before."""
    _captures(ledger, 1)
    writer = sqlite3.connect(ledger.path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO records VALUES (2, 'p', 'b', 'h')")
    assert ledger.verify_chain().records == 1
    writer.execute("ROLLBACK")
    writer.close()


keys = st.sampled_from(["2026-11-20-L03", "2026-11-21-L03", "2026-11-21-L04"])
values = st.fixed_dictionaries({"rows": st.integers(1, 9), "produced_qty": st.decimals(0, 99, places=1).map(str)})


def _recorded(name: str, facts: Facts) -> Recorded:
    return Recorded(1, AT, {name: facts}, {}, {})


@given(before=st.dictionaries(keys, values), after=st.dictionaries(keys, values))
def test_production_differs_exactly_where_it_is_not_equal(before: Facts, after: Facts) -> None:
    """No difference missed, none invented, each with both sides."""
    name = "fact_daily_production"
    differences = compare(_recorded(name, before), {name: after}, AT, SQL)
    assert {d.key for d in differences} == {k for k in {*before, *after} if before.get(k) != after.get(k)}
    assert all((d.recorded, d.found) == (before.get(d.key), after.get(d.key)) and str(d) for d in differences)


statuses = st.sampled_from(["PENDING", "RUNNING", "COMPLETED", "FAILED", "DEAD"])
ENDS = st.sampled_from(["RUNNING", "COMPLETED", "FAILED", "DEAD"])


def _instances(rows: list[tuple[int, str]]) -> Facts:
    counts: dict[tuple[dt.datetime, str], int] = {}
    for hour, status in rows:
        key = (HOUR + dt.timedelta(hours=hour), status)
        counts[key] = counts.get(key, 0) + 1
    return SQL["workflow_instances"].facts((*key, count) for key, count in counts.items())


@given(rows=st.lists(st.tuples(st.integers(0, 2), statuses), min_size=1), data=st.data())
def test_workflows_that_ended_meanwhile_are_no_loss_and_one_lost_row_is(
    rows: list[tuple[int, str]], data: st.DataObject
) -> None:
    """Open instances may end in any way; whatever they do, one row less or more shows."""
    name = "workflow_instances"
    recorded = _recorded(name, _instances(rows))
    later = [(hour, data.draw(ENDS) if status in {"PENDING", "RUNNING"} else status) for hour, status in rows]
    assert compare(recorded, {name: _instances(later)}, AT, SQL) == ()
    lost = data.draw(st.integers(0, len(later) - 1))
    fewer = compare(recorded, {name: _instances(later[:lost] + later[lost + 1 :])}, AT, SQL)
    hour = HOUR + dt.timedelta(hours=rows[lost][0])
    assert f"ALL@{hour:%Y-%m-%dT%H:%MZ}" in {difference.key for difference in fewer}
    assert compare(recorded, {name: _instances([*later, later[lost]])}, AT, SQL) != ()


@given(sizes=st.lists(st.integers(0, 3), max_size=6), spoiled=st.integers(0, 5), position=st.integers(0, 10**6))
@settings(max_examples=25)
def test_any_changed_byte_of_any_record_breaks_the_chain_there(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], spoiled: int, position: int
) -> None:
    """Up to that record the chain holds."""
    ledger = Ledger(tmp_path_factory.mktemp("chain") / "l.sqlite")
    _captures(ledger, len(sizes) + 1)
    seq = spoiled % (len(sizes) + 1) + 1
    with closing(sqlite3.connect(ledger.path)) as database, database:
        ((body,),) = database.execute("SELECT body FROM records WHERE seq = ?", (seq,))
        at = position % len(body)
        changed = body[:at] + chr(ord(body[at]) ^ 1) + body[at + 1 :]
        database.execute("DROP TRIGGER no_update")
        database.execute("UPDATE records SET body = ? WHERE seq = ?", (changed, seq))
    state = ledger.verify_chain()
    assert state.broken is not None
    assert state.broken.startswith(f"record {seq} ")
    assert state.records == seq - 1


LOSSES = {
    "DELETE FROM judgment_executions WHERE ctid = (SELECT ctid FROM judgment_executions "
    "WHERE synthetic_tag IS NULL AND created_at < now() - interval '3 hours' LIMIT 1)": ("judgment_executions", ""),
    "DELETE FROM workflow_instances WHERE ctid = (SELECT ctid FROM workflow_instances WHERE status = "
    "'RUNNING' "
    "AND started_at < now() - interval '3 hours' LIMIT 1)": ("workflow_instances", "ALL"),
    "UPDATE workflow_instances SET status = 'FAILED' WHERE ctid = (SELECT ctid FROM workflow_instances "
    "WHERE status = 'DEAD' AND started_at < now() - interval '3 hours' LIMIT 1)": ("workflow_instances", "DEAD"),
    "DELETE FROM fact_daily_production WHERE date = current_date - 2 AND line_code = 'L02'": (
        "fact_daily_production",
        "{two_days_ago}-L02",
    ),
    "INSERT INTO fact_daily_production VALUES (current_date - 3, 'L09', 'P1', 1, 1, 1)": (
        "fact_daily_production",
        "{three_days_ago}-L09",
    ),
    "UPDATE fact_daily_production SET produced_qty = produced_qty + 0.001 "
    "WHERE date = current_date - 2 AND line_code = 'L01' AND product_code = 'P2'": (
        "fact_daily_production",
        "{two_days_ago}-L01",
    ),
}
"""Each loss, with its table and group; the days are those of its own transaction, which may begin after midnight."""
DAYS = "SELECT current_date - 2 AS two_days_ago, current_date - 3 AS three_days_ago"


def test_a_restored_database_is_held_against_the_ledger(
    disaster: Disaster, scratch: Path, port: int, ledger: Ledger
) -> None:
    """On a real restore: equal as it is; each loss found in its table and group, and nowhere else."""
    settings = {"shared_buffers": "16MB", "fsync": "off", "timezone": "Asia/Seoul"}
    destination = Destination(scratch / "data", scratch / "s", port, settings=settings)
    with (
        restore(RestorePlan(disaster.base, disaster.archive, destination, disaster.between)) as server,
        psycopg.connect(server.dsn) as database,
    ):

        def source(sql: str, params: Mapping[str, object]) -> list[tuple[Any, ...]]:
            return database.execute(sql.encode(), params).fetchall()

        database.execute("SET timezone TO 'UTC'")
        recorded = ledger.capture(source, dt.datetime.now(dt.UTC), SQL)
        assert {name: len(facts) > 5 for name, facts in recorded.tables.items()} == dict.fromkeys(SQL, True)
        target = recorded.captured_at + dt.timedelta(minutes=1)
        # Smoke data comes and goes, new rows arrive, running workflows end: none of it is a loss.
        database.execute("DELETE FROM judgment_executions WHERE synthetic_tag IS NOT NULL")
        database.execute("INSERT INTO judgment_executions VALUES (now(), NULL)")
        database.execute(
            "UPDATE workflow_instances SET status = 'COMPLETED' WHERE status = 'RUNNING' AND random() < 0.5"
        )
        database.execute("SET timezone TO 'Asia/Seoul'")
        assert compare(recorded, recorded.read_facts(source, SQL), target, SQL) == ()
        database.execute("SET timezone TO 'UTC'")
        database.commit()
        for loss, (name, group) in LOSSES.items():
            days = database.cursor(row_factory=dict_row).execute(DAYS).fetchone()
            assert days
            database.execute(loss.encode())
            differences = compare(recorded, recorded.read_facts(source, SQL), target, SQL)
            database.rollback()
            assert {(d.table, d.group) for d in differences} == {(name, group.format(**days))}, loss
