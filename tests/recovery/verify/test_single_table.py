"""One table out of a real restored backup, dumped and restored alone, with everything that belongs to it."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.recovery.restore.pitr import RestorePlan, restore
from opsverify.recovery.restore.restored_server import Destination, reserved_port
from opsverify.recovery.verify.single_table import SCRATCH, SingleTable, _differences, draw, restore_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.recovery.restore.restored_server import RestoredServer
    from tests.support.wreck import Disaster

RICH = """
CREATE ROLE reader;
CREATE TYPE state AS ENUM ('new', 'done');
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent VALUES (1);
CREATE TABLE "Ri""ch" (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, serial_no serial, parent int DEFAULT 1 REFERENCES parent,
    state state NOT NULL DEFAULT 'new', amount float8 CHECK (amount > 0), doc json, note text COLLATE "C");
CREATE INDEX "by note" ON "Ri""ch" (lower(note)) WHERE state = 'new';
CREATE TRIGGER stamp BEFORE UPDATE ON "Ri""ch" FOR EACH ROW EXECUTE FUNCTION stamp();
ALTER TABLE "Ri""ch" ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON "Ri""ch" FOR SELECT TO reader USING (note = current_user);
GRANT SELECT ON "Ri""ch" TO reader;
INSERT INTO "Ri""ch" (amount, doc, note) SELECT n / 3.0, '{"a": 1}', 'note ' || n FROM generate_series(1, 500) n;
CREATE TABLE doubled (id int);
CREATE UNIQUE INDEX doubled_id ON doubled (id);
INSERT INTO doubled VALUES (1);
UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid = 'doubled_id'::regclass;
INSERT INTO doubled VALUES (1);
UPDATE pg_index SET indisready = true, indisvalid = true WHERE indexrelid = 'doubled_id'::regclass;
"""


@pytest.fixture(scope="module")
def restored(disaster: Disaster, open_folder: Path) -> Iterator[RestoredServer]:
    """Restore the backup once, and add tables to it that have everything a table may have."""
    with tempfile.TemporaryDirectory(dir=open_folder) as folder, reserved_port() as port:
        Path(folder).chmod(0o755)
        destination = Destination(
            Path(folder) / "data", Path(folder) / "s", port, settings={"shared_buffers": "16MB", "fsync": "off"}
        )
        with restore(RestorePlan(disaster.base, disaster.archive, destination, disaster.between)) as server:
            with psycopg.connect(server.dsn, autocommit=True) as database:
                database.execute(RICH)
            yield server


@pytest.fixture(autouse=True)
def _without_scratch(restored: RestoredServer) -> Iterator[None]:
    yield
    restored.server.rows(f"DROP DATABASE IF EXISTS {SCRATCH}")


def test_a_table_comes_back_with_all_that_belongs_to_it(restored: RestoredServer, tmp_path: Path) -> None:
    """Rows, both sequences, defaults, indexes, trigger, policy and grants are as in the backup."""
    drawn = restore_table(restored.server, "postgres", tmp_path, ['public.Ri"ch'], seed=1)
    assert drawn.differences == ()
    assert (drawn.table, drawn.rows, drawn.candidates) == ('public.Ri"ch', 500, 1)
    there = restored.server.rows("""SELECT max(id), nextval('"Ri""ch_id_seq"') FROM "Ri""ch" """, dbname=SCRATCH)
    assert there == [["500", "501"]]
    indexes = restored.server.rows("SELECT indexname FROM pg_indexes WHERE tablename LIKE 'Ri%'", dbname=SCRATCH)
    assert sorted(indexes) == [['Ri"ch_pkey'], ["by note"]]


def test_of_a_large_table_a_sample_of_its_pages_is_restored(restored: RestoredServer, tmp_path: Path) -> None:
    """With everything else that belongs to it; the same pages for the same seed, and the share is said."""
    drawn = restore_table(restored.server, "postgres", tmp_path, ['public.Ri"ch'], seed=1, most=40_000)
    assert drawn.differences == ()
    assert 0 < drawn.share < 1
    assert drawn.rows < 500
    indexes = restored.server.rows("SELECT indexname FROM pg_indexes WHERE tablename LIKE 'Ri%'", dbname=SCRATCH)
    assert sorted(indexes) == [['Ri"ch_pkey'], ["by note"]]


def test_rows_that_break_their_own_unique_key_are_found(restored: RestoredServer, tmp_path: Path) -> None:
    """A key that is there twice lets every query pass; building the index anew does not."""
    with pytest.raises(NotRestorable, match="could not create unique index"):
        restore_table(restored.server, "postgres", tmp_path, ["doubled"], seed=1)


def test_any_table_may_be_drawn_and_a_missing_one_is_named(restored: RestoredServer, tmp_path: Path) -> None:
    """Without a list every table is a candidate; a listed table that was not restored is a failure."""
    drawn = restore_table(restored.server, "postgres", tmp_path, ["parent", "marks"], seed=5)
    assert drawn.candidates == 2
    with pytest.raises(NotRestorable, match=r"lacks public\.orders"):
        restore_table(restored.server, "postgres", tmp_path, ["orders"], seed=5)
    with pytest.raises(Inconclusive, match="no table that could be drawn"):
        restore_table(restored.server, "template1", tmp_path, [], seed=5)


@pytest.mark.parametrize(
    "made", ["ENCODING 'EUC_KR' LOCALE 'C'", "ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"]
)
def test_a_database_of_its_own_encoding_and_locale(restored: RestoredServer, tmp_path: Path, made: str) -> None:
    """Names in the arguments of PostgreSQL's programs are found, and the copy sorts and compares as the original."""
    restored.server.rows(f'CREATE DATABASE "공장" TEMPLATE template0 {made}')
    try:
        with psycopg.connect(restored.dsn, dbname="공장", autocommit=True, client_encoding="UTF8") as database:
            database.execute("""CREATE TABLE "판정_이력" ("번호" int PRIMARY KEY, "라인" text UNIQUE)""")
            database.execute("""INSERT INTO "판정_이력" SELECT n, '라인-' || n FROM generate_series(1, 300) n""")
        drawn = restore_table(restored.server, "공장", tmp_path, ["판정_이력"], seed=1)
        assert (drawn.table, drawn.rows, drawn.differences) == ("public.판정_이력", 300, ())
        of = "SELECT encoding, datlocprovider, datlocale, datcollate FROM pg_database WHERE datname = '{}'"
        assert restored.server.rows(of.format(SCRATCH)) == restored.server.rows(of.format("공장"))
        assert restored.server.rows('SELECT count(*) FROM "판정_이력"', dbname="공장") == [["300"]]
    finally:
        restored.server.rows(f"DROP DATABASE IF EXISTS {SCRATCH}")
        restored.server.rows('DROP DATABASE "공장"')


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=9), st.integers(0, 2**64))
def test_a_draw_can_be_repeated(sizes: list[int], seed: int) -> None:
    """The seed alone decides."""
    tables = [SingleTable("public", f"t{index}", size) for index, size in enumerate(sizes)]
    assert draw(tables, seed) is draw(tables, seed)


def test_large_tables_are_drawn_more_often() -> None:
    """By weight: three of four draws for three quarters of the bytes; empty tables are not left out."""
    tables = [
        SingleTable("public", "large", 3 << 20),
        SingleTable("public", "small", 1 << 20),
        SingleTable("public", "empty", 0),
    ]
    drawn = Counter(draw(tables, seed).name for seed in range(4000))
    assert 2850 < drawn["large"] < 3150
    assert drawn["empty"] > 0


def test_differences_name_what_is_missing() -> None:
    """A lost index, a changed row and an additional grant are each one line."""
    before = {"rows": ["2"], "definition": ["index a", "grant SELECT to x"]}
    after = {"rows": ["1"], "definition": ["grant SELECT to x", "grant SELECT to y"]}
    assert _differences(before, after) == [
        "rows: 2 in the backup, 1 restored alone",
        "not restored: index a",
        "added: grant SELECT to y",
    ]


STRUCTURES = """
CREATE TABLE staff (id int PRIMARY KEY, name text);
CREATE TABLE manager (level int) INHERITS (staff);
ALTER TABLE staff ADD since date DEFAULT '2026-01-01';
INSERT INTO staff SELECT n, 's' || n FROM generate_series(1, 20) n;
INSERT INTO manager SELECT n, 'm' || n, n FROM generate_series(21, 30) n;
CREATE TABLE visits (region text, at date, note text, PRIMARY KEY (region, at)) PARTITION BY LIST (region);
CREATE TABLE visits_kr PARTITION OF visits FOR VALUES IN ('kr') PARTITION BY RANGE (at);
CREATE TABLE visits_kr_old PARTITION OF visits_kr FOR VALUES FROM ('2020-01-01') TO ('2026-01-01');
CREATE TABLE visits_rest PARTITION OF visits DEFAULT;
CREATE INDEX ON visits (note);
CREATE TRIGGER noted BEFORE UPDATE ON visits FOR EACH ROW EXECUTE FUNCTION stamp();
INSERT INTO visits SELECT 'kr', date '2024-01-01' + n, 'n' FROM generate_series(1, 50) n;
INSERT INTO visits SELECT 'us', date '2024-01-01' + n, 'n' FROM generate_series(1, 50) n;
CREATE TABLE derived (whole int GENERATED ALWAYS AS (42) STORED);
INSERT INTO derived DEFAULT VALUES;
CREATE TABLE bare ();
INSERT INTO bare DEFAULT VALUES;
CREATE TABLE parts (id int, of_all int GENERATED ALWAYS AS (100 / id) VIRTUAL);
INSERT INTO parts VALUES (0);
"""
NAMES = ("staff", "manager", "visits", "visits_kr", "visits_kr_old", "visits_rest", "derived", "bare", "parts")


def test_a_table_of_any_structure_equals_the_original(restored: RestoredServer, tmp_path: Path) -> None:
    """Parents and children by inheritance, roots and partitions at each level, tables without columns of their own."""
    with psycopg.connect(restored.dsn, autocommit=True) as database:
        database.execute(STRUCTURES)
    found = {}
    for name in NAMES:
        folder = tmp_path / name
        folder.mkdir()
        drawn = restore_table(restored.server, "postgres", folder, [name], seed=1)
        found[name] = (drawn.rows, drawn.differences)
        restored.server.rows(f"DROP DATABASE {SCRATCH}")
    counts = dict(zip(NAMES, (20, 10, 100, 50, 50, 50, 1, 1, 1), strict=True))
    assert found == {name: (rows, ()) for name, rows in counts.items()}
