"""Two databases that should hold the same rows: every missing or different row is found, by key, in both directions."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from opsverify.errors import Inconclusive
from opsverify.recovery.postgres.server import Server
from opsverify.switchback.compare import compare_sample, compare_span, late_writes
from opsverify.switchback.table import TableCopy, TimeSpan
from tests.support.primary import server_tools

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    Database = psycopg.Connection[tuple[Any, ...]]
    Pair = tuple[Database, Database]

NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
HOUR, SECOND = dt.timedelta(hours=1), dt.timedelta(seconds=1)
SPAN = TimeSpan(NOON, NOON + HOUR)
BEFORE, WITHIN, AFTER = NOON - HOUR, NOON + HOUR / 2, NOON + 2 * HOUR
TABLE = """
CREATE TABLE "Odd % name" (
    line text, number int, at timestamptz, amount numeric, ratio float8, note text, detail json, points point,
    PRIMARY KEY (line, number)
)
"""
FILL = """
INSERT INTO "Odd %% name"
SELECT 'L' || n %% 3, n, %(at)s, n / 7.0, n / 3.0::float8, 'n' || n, json_build_object('n', n), point(n, n)
  FROM generate_series(%(first)s::int, %(last)s::int) n
"""


@pytest.fixture(scope="module")
def pair(open_folder: Path) -> Iterator[Pair]:
    """Two databases of one server."""
    tools, account = server_tools(18, open_folder)
    home = open_folder / "databases"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    made = tools.run(
        "initdb", "-D", home / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", account=account
    )
    assert made.exit_code == 0, made.transcript
    options = {"fsync": "off", "listen_addresses": "", "unix_socket_directories": str(home)}
    with Server(
        tools, home / "data", options, account=account, socket_dir=home, port=5432, superuser="postgres",
        log=open_folder / "databases.log",
    ) as server:  # fmt: skip
        server.wait_for("SELECT 1", "1", within_s=60, what="start")
        with _connect(home, "postgres") as first:
            first.execute("CREATE DATABASE other")
            with _connect(home, "other") as second:
                for database in (first, second):
                    database.execute(TABLE)
                    for number, moment in enumerate((BEFORE, WITHIN, AFTER)):
                        database.execute(FILL, {"at": moment, "first": 100 * number, "last": 100 * number + 99})
                    database.execute("ANALYZE")
                yield first, second


@pytest.fixture
def databases(pair: Pair) -> Iterator[Pair]:
    """The same 300 rows in both, a third before the span, within it and after it; rolled back afterwards."""
    with pair[0].transaction(force_rollback=True), pair[1].transaction(force_rollback=True):
        yield pair


def _connect(home: Path, dbname: str) -> Database:
    return psycopg.connect(f"host={home} user=postgres dbname={dbname}", autocommit=True)


def _copy(database: Database) -> TableCopy:
    def source(statement: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        return database.execute(statement.encode(), values or None).fetchall()

    return TableCopy(source, '"Odd % name"'.strip('"'), ("line", "number"), "at")


def _copies(databases: Pair) -> tuple[TableCopy, TableCopy]:
    return _copy(databases[0]), _copy(databases[1])


def test_equal_rows_are_equal(databases: Pair) -> None:
    """Every row of the span is compared, of any column type, and none is different."""
    found = compare_span(*_copies(databases), SPAN)
    assert (found.rows, found.count) == (100, 0)
    sampled = compare_sample(*_copies(databases), 50, 7, SPAN)
    assert 0 < sampled.rows <= 100
    assert sampled.count == 0


@pytest.mark.parametrize(
    ("change", "missing", "differs"),
    [
        ("DELETE FROM t WHERE number = 150", True, False),
        ("UPDATE t SET amount = (amount::text || '0')::numeric WHERE number = 150", False, True),
        ("UPDATE t SET ratio = '-0' WHERE number = 150", False, True),
        ("UPDATE t SET note = '' WHERE number = 150", False, True),
        ("UPDATE t SET note = NULL WHERE number = 150", False, True),
        ("UPDATE t SET detail = '{\"n\":  150}' WHERE number = 150", False, True),
        ("UPDATE t SET points = '(150,1)' WHERE number = 150", False, True),
        ("UPDATE t SET at = at - interval '10 h' WHERE number = 150", False, True),
    ],
)
@pytest.mark.parametrize("changed", [0, 1])
def test_a_difference_is_named(databases: Pair, changed: int, change: str, *, missing: bool, differs: bool) -> None:
    """A row lost or altered in either database is found, with its key: 1.0 is not 1.00, NULL not '', -0 not 0."""
    if "-0" in change or "''" in change:
        plain = "UPDATE t SET ratio = 0, note = NULL WHERE number = 150".replace(" t ", ' "Odd % name" ')
        for database in databases:
            database.execute(plain.encode())
    if "note = NULL" in change:
        databases[1 - changed].execute("UPDATE \"Odd % name\" SET note = '' WHERE number = 150")
    databases[changed].execute(change.replace(" t ", ' "Odd % name" ').encode())
    found = compare_span(*_copies(databases), SPAN)
    key = (("L0", "150"),)
    assert (found.missing_in_first, found.missing_in_second)[changed] == (key if missing else ())
    assert (found.missing_in_first, found.missing_in_second)[1 - changed] == ()
    assert found.different == (key if differs else ())
    assert found.count == 1
    assert "L0/150" in found.named("A", "B")[0]


def test_older_rows_are_found_by_the_sample_of_the_other_database(databases: Pair) -> None:
    """A row from before the span that one database lost is in the other one's sample; the span does not show it."""
    databases[0].execute('DELETE FROM "Odd % name" WHERE number = 10')
    databases[1].execute('DELETE FROM "Odd % name" WHERE number = 11')
    assert compare_span(*_copies(databases), SPAN).count == 0
    found = compare_sample(*_copies(databases), 1000, 7, SPAN)
    assert (found.missing_in_first, found.missing_in_second) == ((("L1", "10"),), (("L2", "11"),))


def test_rows_written_after_the_span_are_left_out(databases: Pair) -> None:
    """Traffic goes on: a row that was rewritten since in one database is no difference."""
    databases[0].execute("UPDATE \"Odd %% name\" SET note = 'new', at = %s WHERE number IN (10, 150)", (AFTER,))
    assert compare_span(*_copies(databases), SPAN).count == 0
    assert compare_sample(*_copies(databases), 1000, 7, SPAN).count == 0


@pytest.mark.parametrize(
    ("side", "moment", "found"),
    [
        # The DR region's clock is 2 s behind: its first row bears a time of before the outage.
        (1, NOON - 2 * SECOND, "missing"),
        (1, NOON - 4 * SECOND, "nothing"),
        # It is 2 s ahead: its last row bears a time of after the switch.
        (1, SPAN.until + 2 * SECOND, "missing"),
        (1, SPAN.until + 4 * SECOND, "nothing"),
        # The original region's clock is behind: its first row after the switch bears a time of before it.
        (0, SPAN.until - 2 * SECOND, "nothing"),
        (0, SPAN.until - 4 * SECOND, "missing"),
    ],
)
def test_the_clocks_of_both_regions_widen_the_span(databases: Pair, side: int, moment: dt.datetime, found: str) -> None:
    """By as much as they differ (3 s): no row of the DR period escapes, and new traffic is no difference."""
    databases[side].execute(FILL, {"at": moment, "first": 500, "last": 500})
    answer = compare_span(*_copies(databases), SPAN, 3 * SECOND)
    assert (answer.missing_in_first, answer.missing_in_second)[1 - side] == (
        (("L2", "500"),) if found == "missing" else ()
    )
    assert answer.count == (found == "missing")
    assert answer.rows >= 100


def test_what_was_written_too_late_in_one_database_is_found(databases: Pair) -> None:
    """Rows of the second database that are missing or older in the first; not those the first rewrote."""
    databases[0].execute('DELETE FROM "Odd % name" WHERE number = 210')
    databases[0].execute("UPDATE \"Odd %% name\" SET note = 'old', at = %s WHERE number = 211", (WITHIN,))
    databases[0].execute("UPDATE \"Odd % name\" SET note = 'newer' WHERE number = 212")
    first, second = _copies(databases)
    found = late_writes(first, second, SPAN.until)
    assert (found.rows, found.missing_in_first, found.different) == (100, (("L0", "210"),), (("L1", "211"),))
    assert late_writes(second, first, SPAN.until).count == 0


def test_an_unequal_chunk_is_all_that_is_fetched(databases: Pair) -> None:
    """One different row costs the rows of one chunk, not of the table."""
    databases[0].execute('DELETE FROM "Odd % name" WHERE number = 150')
    queries: Counter[str] = Counter()
    first, second = _copies(databases)
    fetched: list[int] = []

    def counting(statement: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        rows = list(second.source(statement, values))
        if "chunks" in values:
            queries["rows_in"] += 1
            fetched.append(len(rows))
        return rows  # type: ignore[return-value]

    watched = TableCopy(counting, second.table, second.key, second.changed)
    assert compare_span(first, watched, SPAN).count == 1
    assert queries["rows_in"] == 1
    assert sum(fetched) < 10


@settings(max_examples=25)
@given(
    gone=st.tuples(*[st.sets(st.integers(100, 199), max_size=12)] * 2),
    altered=st.sets(st.integers(100, 199), max_size=12),
)
def test_exactly_the_different_rows_are_found(
    databases: Pair, gone: tuple[set[int], set[int]], altered: set[int]
) -> None:
    """For any rows lost in either database and any altered, just those are named."""
    with databases[0].transaction(force_rollback=True), databases[1].transaction(force_rollback=True):
        for database, lost in zip(databases, gone, strict=True):
            database.execute('DELETE FROM "Odd %% name" WHERE number = ANY(%s)', (list(lost),))
        databases[1].execute("UPDATE \"Odd %% name\" SET note = 'x' WHERE number = ANY(%s)", (list(altered),))
        found = compare_span(*_copies(databases), SPAN)

    def numbers(keys: tuple[tuple[str, ...], ...]) -> set[int]:
        return {int(key[1]) for key in keys}

    first, second = gone
    assert numbers(found.missing_in_first) == first - second
    assert numbers(found.missing_in_second) == second - first
    assert numbers(found.different) == altered - first - second
    assert found.rows == 100 - len(first & second)


def test_what_cannot_be_compared_is_inconclusive(databases: Pair) -> None:
    """Other columns, other settings, a wrong name: no verdict on the rows."""
    first, second = _copies(databases)
    with pytest.raises(Inconclusive, match="no column 'when'"):
        compare_span(TableCopy(first.source, first.table, first.key, "when"), second, SPAN)
    databases[1].execute("SET extra_float_digits = 0")
    with pytest.raises(Inconclusive, match="settings differ"):
        compare_span(first, second, SPAN)
    databases[1].execute("RESET extra_float_digits")
    databases[1].execute(sql.SQL('ALTER TABLE "Odd % name" ADD COLUMN more int'))
    with pytest.raises(Inconclusive, match="columns differ"):
        compare_span(first, second, SPAN)
