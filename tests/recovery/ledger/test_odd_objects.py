"""A capture of a database in which something cannot be read: the others are recorded, and the verdict names it."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from opsverify.errors import Inconclusive
from opsverify.recovery.ledger.refusal import read_apart
from opsverify.recovery.verify.catalog_checks import check_catalog
from opsverify.recovery.verify.coverage import check_coverage
from tests.support.ledgers import again, history, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.recovery.ledger.history import History
    from tests.support.clones import Clone


def _coverage(clone: Clone, recorded: History) -> str:
    covers = {name: again(recorded, name, clone).cover for name in recorded.tables}
    found = check_coverage(recorded, clone.source, covers, {})
    return found.unknown or found.of


@pytest.mark.since(18)
def test_a_table_that_cannot_be_read_is_named_and_the_others_are_recorded(clone: Clone) -> None:
    """Its rows are partly on a server out of reach, or its own type fails: the coverage holds with the reason."""
    clone.run(
        "CREATE EXTENSION postgres_fdw",
        "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/nowhere')",
        "CREATE USER MAPPING FOR CURRENT_USER SERVER far",
        "CREATE TABLE shard (k int, v text) PARTITION BY LIST (k)",
        "CREATE TABLE shard_near PARTITION OF shard FOR VALUES IN (1)",
        "CREATE FOREIGN TABLE shard_far PARTITION OF shard FOR VALUES IN (2) SERVER far",
    )
    recorded = history(record(clone, chosen={}))
    assert {"events", "totals", "readings"} <= recorded.tables.keys()
    assert "shard" not in recorded.tables
    assert re.search(r'not compared: shard \(could not connect to server "far"', _coverage(clone, recorded))


def test_a_definition_that_cannot_be_written_is_named_and_the_others_are_compared(clone: Clone) -> None:
    """Its language is gone from the catalog, as after a botched upgrade: the kind holds, and another's change fails."""
    clone.run("CREATE FUNCTION odd() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    clone.run("UPDATE pg_proc SET prolang = 99999 WHERE proname = 'odd'")
    recorded = history(record(clone, chosen={}))
    found = check_catalog(recorded, "routines", clone.source)
    assert not found.problems
    assert re.match(r"not covered: .*odd\(\): .* could not be read \(cache lookup failed for lang", found.unknown or "")
    clone.run("CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'")
    found = check_catalog(recorded, "routines", clone.source)
    assert any("touch()" in line for line in found.problems)
    assert found.unknown is None
    assert any("odd(): its definition could not be read" in line for line in found.notes)
    clone.run("DELETE FROM pg_proc WHERE proname = 'odd'")
    assert any("odd() is missing" in line for line in check_catalog(recorded, "routines", clone.source).problems)


def test_a_definition_that_became_unreadable_is_a_problem(clone: Clone) -> None:
    """It could be read when it was recorded: the restored one is damaged, and is named alone."""
    clone.run("CREATE FUNCTION odd() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    recorded = history(record(clone, chosen={}))
    clone.run("UPDATE pg_proc SET prolang = 99999 WHERE proname = 'odd'")
    (line,) = check_catalog(recorded, "routines", clone.source).problems
    assert "odd() is '(cannot be read) cache lookup failed" in line


def test_what_is_dropped_while_it_is_read_is_no_gap(clone: Clone) -> None:
    """Tables, sequences and views that come and go, as a nightly load makes them, stop no capture and are not named."""
    done = threading.Event()
    failed: list[BaseException] = []

    def come_and_go() -> None:
        try:
            with psycopg.connect(clone.session.info.dsn, autocommit=True) as other:
                while not done.is_set():
                    other.execute("CREATE TABLE staging (id serial PRIMARY KEY, v text CHECK (v <> ''))")
                    other.execute("CREATE VIEW staged AS SELECT v FROM staging WHERE id > 1")
                    other.execute("DROP TABLE staging CASCADE")
        except psycopg.Error as error:
            failed.append(error)

    worker = threading.Thread(target=come_and_go)
    worker.start()
    try:
        bodies = [record(clone, chosen={}) for _ in range(12)]
    finally:
        done.set()
        worker.join()
    assert not failed
    assert [body["left_out"] for body in bodies] == [[]] * 12
    assert all({"events", "lines", "plain"} <= body["core"].keys() for body in bodies)


@pytest.mark.parametrize(("at", "rows"), [("pages", 1), ("rows", 0), ("sequence", 0)])
def test_a_drop_between_list_and_read_is_met(clone: Clone, at: str, rows: int) -> None:
    """By construction: what was listed is gone at the statement that reads its pages, its rows or its value."""
    clone.run("CREATE TABLE staging (v text)", "CREATE SEQUENCE numbers")
    clone.run(*["INSERT INTO staging VALUES ('v')"] * rows)
    kind, name = ("sequence", "numbers") if at == "sequence" else ("table", "staging")

    def source(sql: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        if re.search(rf"FROM (ONLY )?public\.{name}\b", sql):
            clone.run(f"DROP {kind} IF EXISTS {name}")
        return clone.source(sql, values)

    body = record(clone, chosen={}, source=source)
    assert body["left_out"] == []
    assert name not in body["core"]
    assert f"public.{name}" not in body["sequences"]
    assert at == "rows" or f"public.{name}" not in body["pages"]


def test_what_is_not_of_one_object_stops_the_capture(clone: Clone) -> None:
    """A statement that was cancelled, and an error without SQLSTATE, say nothing of what was read."""
    refused: dict[str, str] = {}
    clone.run("SET statement_timeout = '1ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        read_apart(lambda: clone.run("SELECT count(*) FROM generate_series(1, 100000000)"), "one", refused)
    clone.run("RESET statement_timeout")

    def unreachable() -> None:
        raise Inconclusive("no answer")

    with pytest.raises(Inconclusive):
        read_apart(unreachable, "one", refused)
    assert not refused


def test_no_two_tables_share_a_name(clone: Clone) -> None:
    """A dot in a name divides nothing: each of two tables is recorded, and the loss of either shows."""
    clone.run(
        "CREATE SCHEMA a", "CREATE TABLE a.b (id int)", 'CREATE TABLE "a.b" (id int)',
        'CREATE SCHEMA "a.x"', 'CREATE TABLE "a.x".b (id int)', 'CREATE TABLE a."x.b" (id int)',
        "INSERT INTO a.b VALUES (1)", 'INSERT INTO "a.b" VALUES (2)',
        'INSERT INTO "a.x".b VALUES (3)', 'INSERT INTO a."x.b" VALUES (4)',
    )  # fmt: skip
    recorded = history(record(clone, chosen={}))
    names = {"a.b": "a.b", '"a.b"': '"a.b"', '"a.x".b': '"a.x".b', 'a."x.b"': 'a."x.b"'}
    assert names.keys() <= recorded.tables.keys()
    assert _coverage(clone, recorded).startswith(f"{len(recorded.tables)} of {len(recorded.tables)} tables row by row")
    for name, quoted in names.items():
        assert recorded.pages[name if name != '"a.b"' else 'public."a.b"'].pages == 1
        clone.run(f"DELETE FROM {quoted}")  # noqa: S608 - a name of this test
        assert again(recorded, name, clone).problems
    left = check_coverage(recorded, clone.source, {}, {"a.x.b": "of no use"})
    assert "1 left out" in (left.unknown or "")


def test_a_table_without_columns_is_compared_by_its_rows(clone: Clone) -> None:
    """All that it holds is how many there are."""
    clone.run("CREATE TABLE bare ()", "INSERT INTO bare DEFAULT VALUES", "INSERT INTO bare DEFAULT VALUES")
    recorded = history(record(clone, chosen={}))
    assert again(recorded, "bare", clone).problems == ()
    assert "not compared" not in _coverage(clone, recorded)
    clone.run("DELETE FROM bare WHERE ctid = '(0,1)'")
    assert again(recorded, "bare", clone).problems


@pytest.mark.since(18)
def test_a_virtual_column_is_the_catalogs(clone: Clone) -> None:
    """It holds nothing: one whose expression fails for a row hides no row, and another expression is a change."""
    clone.run(
        "CREATE TABLE shares (id int PRIMARY KEY, parts int, share int GENERATED ALWAYS AS (100 / parts) VIRTUAL)",
        "INSERT INTO shares (id, parts) VALUES (1, 4), (2, 0)",
        "CREATE TABLE constants (one int GENERATED ALWAYS AS (1) VIRTUAL)",
        "INSERT INTO constants DEFAULT VALUES",
    )
    recorded = history(record(clone, chosen={}))
    assert not again(recorded, "shares", clone).problems
    assert "not compared" not in _coverage(clone, recorded)
    clone.run("ALTER TABLE shares ALTER share SET EXPRESSION AS (200 / parts)")
    assert check_catalog(recorded, "columns", clone.source).problems
    clone.run("UPDATE shares SET parts = 5 WHERE id = 1", "DELETE FROM constants")
    assert again(recorded, "shares", clone).problems
    assert again(recorded, "constants", clone).problems
