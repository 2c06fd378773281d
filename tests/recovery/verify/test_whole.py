"""The whole database compared: every table whatever its key, what may change, and names from all of Unicode."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from opsverify.recovery.verify.catalog_checks import check_large_objects
from opsverify.recovery.verify.consistency import check_sequences, check_validity
from opsverify.recovery.verify.coverage import check_coverage
from opsverify.recovery.verify.finding import finding_of
from opsverify.recovery.verify.index_files import check_index_files
from opsverify.recovery.verify.partitions import check_partitions
from opsverify.recovery.verify.questions import as_in_production, production_of
from tests.support.ledgers import again, history, record

if TYPE_CHECKING:
    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.verify.finding import Finding
    from tests.support.clones import Clone

OTHERS = ("events", "lines", "totals", "readings", "plain")
FLUSH = "SELECT pg_stat_force_next_flush()"
TABLES = {
    "uuid key": "CREATE TABLE t (id uuid PRIMARY KEY, v text)",
    "composite": "CREATE TABLE t (id text, n int, v text, PRIMARY KEY (id, n))",
    "few integers": "CREATE TABLE t (id int PRIMARY KEY, v text)",
    "no key": "CREATE TABLE t (id text, v text)",
    "collation": "CREATE EXTENSION citext; CREATE TABLE t (id citext PRIMARY KEY, v text)",
    "partitions": "CREATE TABLE t (id text, v text) PARTITION BY HASH (id); "
                  "CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0); "
                  "CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    "row security": "CREATE TABLE t (id text PRIMARY KEY, v text); ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "infinity": "CREATE TABLE t (id timestamptz PRIMARY KEY, v text)",
    "dates": "CREATE TABLE t (id date PRIMARY KEY, v text)",
}  # fmt: skip
_INTEGER = "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (2147483000, 'sentinel')"
ROWS = {
    "uuid key": "INSERT INTO t SELECT gen_random_uuid(), n::text FROM generate_series(1, 3) n",
    "composite": "INSERT INTO t VALUES ('a', 1, 'a'), ('a', 2, 'b'), ('b', 1, 'b')",
    "few integers": _INTEGER,
    "infinity": "INSERT INTO t VALUES ('infinity', 'a'), ('-infinity', 'b'), ('4713-01-01 BC', 'c'), "
                "('294270-01-01', 'd'), (now(), 'e'), (now() - interval '3 days', 'f')",
    "dates": "INSERT INTO t VALUES ('infinity', 'a'), ('-infinity', 'b'), ('4713-01-01 BC', 'c'), "
             "('5000000-01-01', 'd'), "
             "('2020-01-01', 'e')",
}  # fmt: skip
_ANY = "INSERT INTO t VALUES ('a', 'a'), ('b', 'b'), ('가', 'c')"


def built(clone: Clone, kind: str) -> History:
    """One table of a kind with a few rows, recorded."""
    clone.run(*TABLES[kind].split("; "), ROWS.get(kind, _ANY), FLUSH)
    return history(record(clone, chosen={}))


def coverage(recorded: History, clone: Clone, **left_out: str) -> Finding:
    """How every table of the clone is covered."""
    covers = {name: again(recorded, name, clone).cover for name in recorded.tables}
    return check_coverage(recorded, clone.source, covers, left_out)


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize(
    "damage", ["DELETE FROM t WHERE v = (SELECT min(v) FROM t)", "UPDATE t SET v = 'other'", "DELETE FROM t"]
)
def test_a_row_of_any_table_that_is_gone_or_other_is_found(clone: Clone, kind: str, damage: str) -> None:
    """After one capture, whatever the key; and the table as it was is row by row."""
    recorded = built(clone, kind)
    whole = again(recorded, "t", clone)
    assert (whole.problems, whole.unknown, whole.cover) == ((), None, "rows")
    clone.run(damage)
    assert again(recorded, "t", clone).problems


@pytest.mark.parametrize("kind", TABLES)
def test_rows_that_production_adds_are_no_difference(clone: Clone, kind: str) -> None:
    """Rows written after the capture are told by the transaction that wrote them."""
    recorded = built(clone, kind)
    more = {
        "uuid key": "INSERT INTO t VALUES (gen_random_uuid(), 'z')", "composite": "INSERT INTO t VALUES ('z', 9, 'z')",
        "few integers": "INSERT INTO t VALUES (3, 'z')", "infinity": "INSERT INTO t VALUES (now(), 'z')",
        "dates": "INSERT INTO t VALUES (current_date, 'z')",
    }.get(kind, "INSERT INTO t VALUES ('z', 'z')")  # fmt: skip
    clone.run(more)
    answer = again(recorded, "t", clone)
    assert (answer.problems, answer.unknown, answer.cover) == ((), None, "rows")
    assert any("1 rows written since" in note for note in answer.notes)


def test_what_production_does_to_a_table_is_no_finding(clone: Clone) -> None:
    """Of a table that sees deletes and updates a few rows may be missing: it changed, and the coverage says so."""
    clone.run("CREATE TABLE t (id text PRIMARY KEY, v text)", "INSERT INTO t SELECT n, n FROM generate_series(1, 9) n",
              "DELETE FROM t WHERE id = '9'", "UPDATE t SET v = 'x' WHERE id = '8'", FLUSH)  # fmt: skip
    recorded = history(record(clone, chosen={}))
    clone.run("DELETE FROM t WHERE id = '7'", "UPDATE t SET v = 'y' WHERE id = '8'")
    answer = again(recorded, "t", clone)
    assert (answer.problems, answer.unknown, answer.cover) == ((), None, "changed")
    assert "1 of 6 changed since, not compared row by row: t" in coverage(recorded, clone).of


def test_columns_that_change_are_found_by_a_later_capture(clone: Clone) -> None:
    """At first keys only; then every column but those that changed: the body of one row is found, its state is not."""
    clone.run("UPDATE events SET note = 'seen' WHERE qty = 1", FLUSH)
    first = record(clone, chosen={}, ago=dt.timedelta(minutes=1))
    assert again(history(first), "events", clone).cover == "keys"
    assert "by keys only: events" in coverage(history(first), clone).of
    clone.run("UPDATE events SET note = 'read' WHERE qty = 2", FLUSH)
    second = record(clone, first, chosen={})
    recorded = history(first, second)
    assert set(recorded.tables["events"].table.hashed) >= {"id", "line", "code", "qty"}
    assert "note" not in recorded.tables["events"].table.hashed
    clone.run("UPDATE events SET note = 'done' WHERE qty = 3")
    assert (again(recorded, "events", clone).problems, again(recorded, "events", clone).cover) == ((), "columns")
    assert "but for columns that change: events (note)" in coverage(recorded, clone).of
    clone.run("UPDATE events SET qty = 99 WHERE code = 'E65'")
    assert len(again(recorded, "events", clone).problems) == 1


def test_closed_rows_that_all_change_their_state_are_a_finding(clone: Clone) -> None:
    """Some may; when most of them do the distribution has moved."""
    recorded = history(record(clone))
    clone.run("UPDATE events SET note = 'x'")
    (problem,) = again(recorded, "events", clone).problems
    assert problem.startswith("events.note: ")
    assert "2,400 closed rows have another value than recorded" in problem


def test_a_table_outside_the_comparison_is_named(clone: Clone) -> None:
    """Unless the target leaves it out by name, with a reason that the coverage repeats."""
    recorded = history(record(clone, chosen={}))
    clone.run("CREATE TABLE late (v text)")
    answer = coverage(recorded, clone)
    assert "late (not in the ledger: capture again)" in str(answer.unknown)
    answer = coverage(recorded, clone, late="rebuilt every night")
    assert answer.unknown is None
    assert answer.of == "5 of 5 tables row by row; 1 left out: late (rebuilt every night)"


def test_a_child_by_inheritance_is_a_table_of_its_own(clone: Clone) -> None:
    """Rows of the child do not count as rows of its parent."""
    clone.run("CREATE TABLE parent (v text)", "CREATE TABLE child () INHERITS (parent)",
              "INSERT INTO parent VALUES ('p')", "INSERT INTO child VALUES ('c')")  # fmt: skip
    recorded = history(record(clone, chosen={}))
    clone.run("DELETE FROM child")
    assert again(recorded, "parent", clone).problems == ()
    assert again(recorded, "child", clone).problems


@pytest.mark.parametrize(
    "damage",
    [
        "SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
        "SELECT lo_put(oid, 0, 'x') FROM pg_largeobject_metadata LIMIT 1",
    ],
)
def test_large_objects_are_compared_by_number_and_content(clone: Clone, damage: str) -> None:
    """Unlinked ones, and one byte of one."""
    clone.run("SELECT lo_from_bytea(0, convert_to(repeat(n::text, 3000), 'UTF8')) FROM generate_series(1, 3) n")
    recorded = history(record(clone))
    assert check_large_objects(recorded, clone.source).problems == ()
    clone.run(damage)
    assert len(check_large_objects(recorded, clone.source).problems) == 1


NAMES = st.text(st.characters(min_codepoint=1, exclude_categories=("Cs", "Cn")), min_size=1, max_size=12).filter(
    lambda name: 0 < len(name.encode()) <= 63
)
SPECIAL = st.sampled_from(
    ['"', "%", "%s", "%(since0)s", "{}", "\\", "'", "select", "키", "a b", "a.b", "ROW", "t", "hash"]
)


@settings(max_examples=12)
@given(table=NAMES | SPECIAL, key=NAMES | SPECIAL, value=NAMES | SPECIAL)
def test_any_name_costs_nothing(clone: Clone, table: str, key: str, value: str) -> None:
    """Schema, table and columns of any name: recorded, compared, and a lost row found."""
    assume(key not in {f"v{value}", "ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"})  # PostgreSQL refuses it itself
    schema, quoted = f"s{table}"[:20], [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in (table, key, f"v{value}")]
    while len(schema.encode()) > 63:
        schema = schema[:-1]
    named = f'"{schema.replace(chr(34), chr(34) * 2)}"'
    where = f"{named}.{quoted[0]}"
    clone.run(f"DROP SCHEMA IF EXISTS {named} CASCADE",
              f"CREATE SCHEMA {named}",
              f"CREATE TABLE {where} ({quoted[1]} timestamptz PRIMARY KEY, {quoted[2]} text)",
              f"INSERT INTO {where} SELECT now() - n * interval '1 hour', n FROM generate_series(1, 9) n")  # noqa: S608 - quoted  # fmt: skip
    try:
        recorded = history(record(clone, chosen={}, left_out=OTHERS))
        (name,) = [one for one in recorded.tables if one.startswith((f"{schema}.", f"{named}."))]
        assert (again(recorded, name, clone).problems, again(recorded, name, clone).cover) == ((), "rows")
        clone.run(f"DELETE FROM {where} WHERE {quoted[2]} = '5'")  # noqa: S608 - quoted
        assert again(recorded, name, clone).problems
    finally:
        clone.run(f"DROP SCHEMA {named} CASCADE")


VALUES = {
    "timestamptz": st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)).map(str) | st.sampled_from(  # noqa: DTZ001
        ["infinity", "-infinity", "4713-01-01 BC", "294276-12-31 23:59:59", "2000-01-01"]),
    "timestamp": st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)).map(str) | st.sampled_from(  # noqa: DTZ001
        ["infinity", "-infinity", "4713-01-01 BC", "294276-12-31 23:59:59"]),
    "date": st.dates().map(str) | st.sampled_from(["infinity", "-infinity", "4713-01-01 BC", "5874897-12-31"]),
    "int8": (st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**63 - 1, -(2**63), 0])).map(str),
    "int2": st.integers(-(2**15), 2**15 - 1).map(str),
}  # fmt: skip


@pytest.mark.parametrize("kind", VALUES)
@settings(max_examples=8)
@given(data=st.data())
def test_any_value_of_a_bucket_column_is_covered(clone: Clone, kind: str, data: st.DataObject) -> None:
    """Over the whole range of each type: every row is recorded once, and the loss of any one is found."""
    values = data.draw(st.lists(VALUES[kind], min_size=1, max_size=6, unique=True))
    clone.run("DROP TABLE IF EXISTS t", f"CREATE TABLE t (id {kind} PRIMARY KEY, v int)")
    for nth, value in enumerate(values):
        clone.run(f"INSERT INTO t VALUES ('{value}', {nth}) ON CONFLICT DO NOTHING")  # noqa: S608
    recorded = history(record(clone, chosen={}, left_out=OTHERS))
    table = recorded.tables["t"]
    ((rows,),) = clone.source("SELECT count(*) FROM public.t", {})
    assert table.open is not None
    assert table.rows + table.open.rows == rows
    assert again(recorded, "t", clone).problems == ()
    clone.run(f"DELETE FROM t WHERE v = {data.draw(st.integers(0, len(values) - 1))} OR v = 0")  # noqa: S608
    assert again(recorded, "t", clone).problems


@pytest.mark.parametrize("method", ["gin (tags)", "gist (spot)", "spgist (word)", "brin (id)"])
def test_a_zeroed_page_of_another_index_is_named(clone: Clone, method: str) -> None:
    """Such a page is in no list of amcheck's; a query would fail at it."""
    clone.run("CREATE TABLE docs (id int, tags text[], spot point, word text)",
              "INSERT INTO docs SELECT n, ARRAY['a' || n, 'b'], point(n, n), 'w' || n FROM generate_series(1, 5000) n",
              f"CREATE INDEX docs_other ON docs USING {method}")  # fmt: skip
    assert check_index_files(clone.source, clone.data).problems == ()
    clone.zero("docs_other", 1)
    (problem,) = check_index_files(clone.source, clone.data).problems
    assert "index public.docs_other: page 1 all zero" in problem


def test_a_hash_index_is_said_to_be_not_examined(clone: Clone) -> None:
    """It has unused pages of zeros by design."""
    clone.run("CREATE INDEX lines_hash ON lines USING hash (name)")
    answer = check_index_files(clone.source, clone.data)
    assert answer.notes == ("public.lines_hash: pages of a hash index are not examined",)


def test_a_row_in_the_wrong_partition_is_found(clone: Clone) -> None:
    """PostgreSQL believes the bound when it reads: only the row itself shows it."""
    clone.run("CREATE TABLE p (v int) PARTITION BY LIST (v)", "CREATE TABLE p1 (v int)", "INSERT INTO p1 VALUES (2)",
              "ALTER TABLE p1 ADD CONSTRAINT one CHECK (v IS NOT NULL AND v = 1) NOT VALID",
              "UPDATE pg_constraint SET convalidated = true WHERE conname = 'one'",
              "ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1)")  # fmt: skip
    (problem,) = check_partitions(clone.source).problems
    assert problem.startswith("public.p1: 1 rows do not belong to this partition")


def test_what_production_is_itself_is_a_note(clone: Clone) -> None:
    """A constraint that is NOT VALID, a disabled trigger, an id above its sequence: recorded, found again, not red."""
    clone.run("ALTER TABLE events ADD CONSTRAINT small CHECK (qty < 9) NOT VALID",
              "ALTER TABLE events DISABLE TRIGGER events_touch", "SELECT setval('events_id_seq', 7)")  # fmt: skip
    recorded = production_of(clone.source)
    for name, ask in {"validity": check_validity, "sequences": check_sequences}.items():
        answer = as_in_production(lambda ask=ask: ask(clone.source), recorded[name])  # type: ignore[misc]
        assert answer.problems == ()
        assert answer.notes
    clone.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'events_created_at'::regclass")
    answer = as_in_production(lambda: check_validity(clone.source), recorded["validity"])
    assert answer.problems == ("index public.events_created_at is invalid",)


def test_a_role_that_row_security_narrows_does_not_record(clone: Clone) -> None:
    """What it sees is not the table: it is named as not covered."""
    clone.run(
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO plant_reader",
        "ALTER POLICY reader ON events USING (false)",
        "SET ROLE plant_reader",
    )
    try:
        answer = finding_of(lambda: coverage(history(record(clone, chosen={})), clone), errors=psycopg.Error)
    finally:
        clone.run("RESET ROLE")
    assert "events (row security narrows what this role reads" in str(answer.unknown)
