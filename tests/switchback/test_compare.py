"""Two databases that should hold the same rows: whatever is not the same is found, by key, in both directions."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from opsverify.errors import Inconclusive
from opsverify.recovery.postgres.server import Server
from opsverify.switchback.compare import compare_sample, compare_span, strays
from opsverify.switchback.table import Side, TimeSpan
from tests.support.primary import server_tools

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    Database = psycopg.Connection[tuple[Any, ...]]
    Pair = tuple[Database, Database]

NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
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
    home = open_folder / "twins"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    made = tools.run(
        "initdb", "-D", home / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", account=account
    )
    assert made.exit_code == 0, made.transcript
    options = {"fsync": "off", "listen_addresses": "", "unix_socket_directories": str(home)}
    with Server(
        tools, home / "data", options, account=account, socket_dir=home, port=5432, superuser="postgres",
        log=open_folder / "twins.log",
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
def twins(pair: Pair) -> Iterator[Pair]:
    """The same 300 rows in both, a third before the span, within it and after it; rolled back afterwards."""
    with pair[0].transaction(force_rollback=True), pair[1].transaction(force_rollback=True):
        yield pair


def _connect(home: Path, dbname: str) -> Database:
    return psycopg.connect(f"host={home} user=postgres dbname={dbname}", autocommit=True)


def _side(database: Database) -> Side:
    def source(statement: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        return database.execute(statement.encode(), values or None).fetchall()

    return Side(source, '"Odd % name"'.strip('"'), ("line", "number"), "at")


def _sides(twins: Pair) -> tuple[Side, Side]:
    return _side(twins[0]), _side(twins[1])


def test_the_same_rows_are_the_same(twins: Pair) -> None:
    """Every row of the span is compared, of any column type, and none is apart."""
    found = compare_span(*_sides(twins), SPAN)
    assert (found.rows, found.count) == (100, 0)
    sampled = compare_sample(*_sides(twins), 50, 7, SPAN)
    assert 0 < sampled.rows <= 100
    assert sampled.count == 0


@pytest.mark.parametrize(
    ("change", "lacks", "differs"),
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
def test_what_is_apart_is_named(twins: Pair, changed: int, change: str, *, lacks: bool, differs: bool) -> None:
    """A row lost or altered on either side is found, with its key: 1.0 is not 1.00, NULL not '', -0 not 0."""
    if "-0" in change or "''" in change:
        plain = "UPDATE t SET ratio = 0, note = NULL WHERE number = 150".replace(" t ", ' "Odd % name" ')
        for database in twins:
            database.execute(plain.encode())
    if "note = NULL" in change:
        twins[1 - changed].execute("UPDATE \"Odd % name\" SET note = '' WHERE number = 150")
    twins[changed].execute(change.replace(" t ", ' "Odd % name" ').encode())
    found = compare_span(*_sides(twins), SPAN)
    key = (("L0", "150"),)
    assert (found.first_lacks, found.second_lacks)[changed] == (key if lacks else ())
    assert (found.first_lacks, found.second_lacks)[1 - changed] == ()
    assert found.differ == (key if differs else ())
    assert found.count == 1
    assert "L0/150" in found.named("A", "B")[0]


def test_older_rows_are_found_by_the_sample_of_the_other_side(twins: Pair) -> None:
    """A row of before the span that one side lost is in the other side's sample; the span alone does not show it."""
    twins[0].execute('DELETE FROM "Odd % name" WHERE number = 10')
    twins[1].execute('DELETE FROM "Odd % name" WHERE number = 11')
    assert compare_span(*_sides(twins), SPAN).count == 0
    found = compare_sample(*_sides(twins), 1000, 7, SPAN)
    assert (found.first_lacks, found.second_lacks) == ((("L1", "10"),), (("L2", "11"),))


def test_rows_written_after_the_span_are_left_out(twins: Pair) -> None:
    """Traffic goes on: a row that one side has rewritten since is no difference."""
    twins[0].execute("UPDATE \"Odd %% name\" SET note = 'new', at = %s WHERE number IN (10, 150)", (AFTER,))
    assert compare_span(*_sides(twins), SPAN).count == 0
    assert compare_sample(*_sides(twins), 1000, 7, SPAN).count == 0


def test_what_was_written_too_late_on_one_side_is_found(twins: Pair) -> None:
    """Rows of the second side that the first lacks, or holds as they were before; not those the first rewrote."""
    twins[0].execute('DELETE FROM "Odd % name" WHERE number = 210')
    twins[0].execute("UPDATE \"Odd %% name\" SET note = 'old', at = %s WHERE number = 211", (WITHIN,))
    twins[0].execute("UPDATE \"Odd % name\" SET note = 'newer' WHERE number = 212")
    first, second = _sides(twins)
    found = strays(first, second, SPAN.until)
    assert (found.rows, found.first_lacks, found.differ) == (100, (("L0", "210"),), (("L1", "211"),))
    assert strays(second, first, SPAN.until).count == 0


def test_an_unequal_chunk_is_all_that_is_fetched(twins: Pair) -> None:
    """One row apart costs the rows of one chunk, not of the table."""
    twins[0].execute('DELETE FROM "Odd % name" WHERE number = 150')
    asked: Counter[str] = Counter()
    first, second = _sides(twins)
    fetched: list[int] = []

    def counting(statement: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        rows = list(second.source(statement, values))
        if "chunks" in values:
            asked["rows_in"] += 1
            fetched.append(len(rows))
        return rows  # type: ignore[return-value]

    watched = Side(counting, second.table, second.key, second.changed)
    assert compare_span(first, watched, SPAN).count == 1
    assert asked["rows_in"] == 1
    assert sum(fetched) < 10


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    gone=st.tuples(*[st.sets(st.integers(100, 199), max_size=12)] * 2),
    altered=st.sets(st.integers(100, 199), max_size=12),
)
def test_exactly_the_rows_apart_are_found(twins: Pair, gone: tuple[set[int], set[int]], altered: set[int]) -> None:
    """For any rows lost on either side and any altered, just those are named."""
    with twins[0].transaction(force_rollback=True), twins[1].transaction(force_rollback=True):
        for database, lost in zip(twins, gone, strict=True):
            database.execute('DELETE FROM "Odd %% name" WHERE number = ANY(%s)', (list(lost),))
        twins[1].execute("UPDATE \"Odd %% name\" SET note = 'x' WHERE number = ANY(%s)", (list(altered),))
        found = compare_span(*_sides(twins), SPAN)

    def numbers(keys: tuple[tuple[str, ...], ...]) -> set[int]:
        return {int(key[1]) for key in keys}

    first, second = gone
    assert numbers(found.first_lacks) == first - second
    assert numbers(found.second_lacks) == second - first
    assert numbers(found.differ) == altered - first - second
    assert found.rows == 100 - len(first & second)


def test_what_cannot_be_compared_is_said(twins: Pair) -> None:
    """Other columns, other settings, a wrong name: no verdict on the rows."""
    first, second = _sides(twins)
    with pytest.raises(Inconclusive, match="no column 'when'"):
        compare_span(Side(first.source, first.table, first.key, "when"), second, SPAN)
    twins[1].execute("SET extra_float_digits = 0")
    with pytest.raises(Inconclusive, match="settings differ"):
        compare_span(first, second, SPAN)
    twins[1].execute("RESET extra_float_digits")
    twins[1].execute(sql.SQL('ALTER TABLE "Odd % name" ADD COLUMN more int'))
    with pytest.raises(Inconclusive, match="columns differ"):
        compare_span(first, second, SPAN)
