"""Damage beside the rows' content: keys, references, sequences, catalog, pages; each on a copy of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import psycopg
import pytest

from opsverify.recovery.ledger.catalog import KINDS
from opsverify.recovery.verify import amcheck, consistency, unlogged
from opsverify.recovery.verify.catalog_checks import check_catalog
from opsverify.recovery.verify.finding import Finding, finding_of
from opsverify.recovery.verify.lost_pages import check_pages
from tests.support.ledgers import again, heaps, history, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.clones import Clone


RELATIONS = {
    "sequences": consistency.check_sequences,
    "foreign_keys": consistency.check_foreign_keys,
    "unique_keys": consistency.check_unique_keys,
    "validity": consistency.check_validity,
}
WITHOUT_INDEX = (
    "UPDATE pg_index SET indisready = false WHERE indexrelid = '{0}'::regclass",
    "{1}",
    "UPDATE pg_index SET indisready = true WHERE indexrelid = '{0}'::regclass",
)
"""Write behind an index's back, so that it lacks the entry."""


def behind_the_back(index: str, statement: str) -> tuple[str, ...]:
    """Statements by which `index` does not see what `statement` writes."""
    return tuple(part.format(index, statement) for part in WITHOUT_INDEX)


@pytest.mark.since(18)  # pg_amcheck
def test_a_whole_copy_is_consistent(clone: Clone) -> None:
    """Nothing is found, and everything was asked after."""
    for ask in RELATIONS.values():
        answer = ask(clone.source)
        assert (answer.problems, answer.unknown) == ((), None)
        assert answer.asked > 0
    assert unlogged.check_unlogged(clone.source, {}).problems == ()
    answer = heaps(clone)
    assert (answer.problems, answer.unknown) == ((), None)
    assert amcheck.check_indexes(clone.server, clone.name).problems == ()


@pytest.mark.parametrize(
    ("damage", "name", "said"),
    [
        (("SELECT setval('events_id_seq', 7)",), "sequences", "events_id_seq is at 7, public.events.id holds 2400"),
        (("ALTER SEQUENCE events_id_seq RESTART",), "sequences", "is at 0, public.events.id holds 2400"),
        (("SET session_replication_role = replica", "DELETE FROM lines WHERE code = 'L03'"), "foreign_keys",
         "events_line_fkey: 400 rows refer to no row of public.lines, such as (L03)"),
        (behind_the_back("events_code_key", "INSERT INTO events (created_at, line, code, qty) "
                                            "VALUES (now(), 'L01', 'E9', 1)"), "unique_keys",
         "events_code_key: 1 rows too many, key (E9) more than once"),
        (behind_the_back("totals_pkey", "INSERT INTO totals SELECT * FROM totals WHERE line = 'L01'"), "unique_keys",
         "totals_pkey: 9 rows too many"),
        (("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'events_created_at'::regclass",), "validity",
         "index public.events_created_at is invalid"),
        (("ALTER TABLE events ADD CONSTRAINT small CHECK (qty < 9) NOT VALID",), "validity",
         "constraint public.events.small is not validated"),
        (("ALTER TABLE events DISABLE TRIGGER ALL",), "validity", "trigger public.events.events_touch is disabled"),
    ],
)  # fmt: skip
def test_what_does_not_hold_together_is_named(clone: Clone, damage: tuple[str, ...], name: str, said: str) -> None:
    """By the table, the key or the object, whatever an index or a flag in the catalog says."""
    clone.run(*damage)
    clone.run("RESET session_replication_role")
    problems = RELATIONS[name](clone.source).problems
    assert any(said in problem for problem in problems), problems


def test_validate_says_ok_on_orphans_and_we_do_not(clone: Clone) -> None:
    """The reason for the anti-join: PostgreSQL trusts the flag."""
    clone.run(
        "SET session_replication_role = replica", "DELETE FROM lines WHERE code = 'L03'",
        "RESET session_replication_role", "ALTER TABLE events VALIDATE CONSTRAINT events_line_fkey",
    )  # fmt: skip
    assert len(consistency.check_foreign_keys(clone.source).problems) == 1


def test_columns_of_a_foreign_key_may_have_any_name(clone: Clone) -> None:
    """Also one that the question itself uses, and the same on both sides."""
    for name in ("key", "ours0", "theirs0", "place", "named", "r", "t", '"select"'):
        clone.run(f"CREATE TABLE parents ({name} int PRIMARY KEY)", "INSERT INTO parents VALUES (1), (2)",
                  f"CREATE TABLE children ({name} int REFERENCES parents)",
                  "INSERT INTO children VALUES (1), (2), (2)")  # fmt: skip
        assert consistency.check_foreign_keys(clone.source).problems == ()
        clone.run("SET session_replication_role = replica", f"DELETE FROM parents WHERE {name} = 2",  # noqa: S608 - ours
                  "RESET session_replication_role")  # fmt: skip
        (problem,) = consistency.check_foreign_keys(clone.source).problems
        assert "2 rows refer to no row of public.parents, such as (2)" in problem
        clone.run("DROP TABLE children, parents")


def test_parents_that_row_security_hides_are_no_orphans(clone: Clone) -> None:
    """The role reads a part of the parents: nothing is known, and the message says what to grant."""
    clone.run("ALTER TABLE lines ENABLE ROW LEVEL SECURITY",
              "CREATE POLICY one_line ON lines FOR SELECT TO plant_reader USING (code = 'L01')",
              "SET ROLE plant_reader")  # fmt: skip
    try:
        answer = consistency.check_foreign_keys(clone.source)
    finally:
        clone.run("RESET ROLE")
    assert answer.problems == ()
    assert "row security narrows what this role reads of public.events events_line_fkey" in str(answer.unknown)
    assert consistency.check_foreign_keys(clone.source) == Finding(answer.asked, answer.of, ())


def test_a_sequence_that_may_not_be_read_is_unknown(clone: Clone) -> None:
    """The message says what to grant."""
    clone.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO plant_reader", "SET ROLE plant_reader")
    answer = consistency.check_sequences(clone.source)
    clone.run("RESET ROLE")
    assert answer.unknown == "no right to read public.events_id_seq: GRANT SELECT on the sequences"


def test_uniqueness_and_references_are_read_from_the_tables(clone: Clone) -> None:
    """No plan of theirs asks an index: the index may be what is wrong."""
    plans: list[str] = []

    def explaining(sql: str, values: Mapping[str, object]) -> list[tuple[object, ...]]:
        plans.extend(line for (line,) in clone.source(f"EXPLAIN {sql}", values))
        return clone.source(sql, values)

    clone.run("CREATE UNIQUE INDEX part ON events (code) WHERE qty > 50")
    consistency.check_unique_keys(explaining)
    consistency.check_foreign_keys(explaining)
    used = [line for line in plans if " on events" in line or " on lines" in line or " on totals" in line]
    assert len(used) >= 6
    assert all("Seq Scan" in line for line in used), used


@pytest.mark.parametrize(
    ("damage", "kind", "said"),
    [
        ("ALTER TABLE totals ALTER qty TYPE numeric(9, 2)", "columns", "public.totals.qty is 'numeric(9,2)', recorded"),
        ("ALTER TABLE events DROP CONSTRAINT positive", "constraints", "events.positive is missing (CHECK"),
        ("ALTER TABLE events ADD CONSTRAINT small CHECK (qty < 9) NOT VALID", "constraints",
         "public.events.small was not"),
        ("DROP INDEX events_created_at", "indexes", "public.events_created_at is missing (CREATE INDEX"),
        ("ALTER SEQUENCE events_id_seq INCREMENT 2", "sequences", "INCREMENT 2"),
        ("DROP EXTENSION hstore", "extensions", "hstore is missing (1.8 in public)"),
        ("DROP OWNED BY plant_app; DROP ROLE plant_app; CREATE ROLE plant_app_x LOGIN", "roles",
         "plant_app is missing (LOGIN INHERIT LIMIT -1)"),
        ("REVOKE SELECT ON totals FROM plant_reader", "grants", "relation public.totals is 'OWNER postgres"),
        ("ALTER TABLE events DISABLE ROW LEVEL SECURITY", "row_security", "public.events is missing (ENABLED)"),
        ("DROP POLICY reader ON events", "row_security", "public.events.reader is missing"),
        ("DROP TRIGGER events_touch ON events", "triggers", "public.events.events_touch is missing (CREATE TRIGGER"),
        ("CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD;END'", "routines",
         "touch() is"),
        ("ALTER TABLE plain SET UNLOGGED", "tables",
         "public.plain is 'UNLOGGED TABLE COLUMNS note', recorded 'TABLE COLUMNS note'"),
        ("ALTER DATABASE {name} SET work_mem = '1MB'", "settings", "in this database was not recorded (work_mem=1MB)"),
        ('ALTER TABLE lines ALTER name TYPE text COLLATE "C"', "collations", 'pg_catalog."C" was not recorded'),
    ],
)  # fmt: skip
def test_a_changed_catalog_is_named(clone: Clone, damage: str, kind: str, said: str) -> None:
    """Object by object, with what it was."""
    recorded = history(record(clone))
    clone.run(*damage.format(name=clone.name).split("; "))
    try:
        problems = {name: check_catalog(recorded, name, clone.source).problems for name in KINDS}
    finally:
        if kind == "roles":  # roles are the whole server's
            clone.run("DROP ROLE plant_app_x", "CREATE ROLE plant_app LOGIN", "GRANT plant_reader TO plant_app")
    assert any(said in problem for problem in problems[kind]), problems


@pytest.mark.since(18)  # pg_amcheck
def test_a_zeroed_page_is_found_where_every_tool_passes_it(clone: Clone) -> None:
    """pg_amcheck with all options says nothing; the table's index and the ledger do."""
    recorded = history(record(clone))
    clone.zero("events", 3)
    assert amcheck.check_indexes(clone.server, clone.name).problems == ()
    (problem,) = heaps(clone).problems
    assert "point into zeroed page 3: these rows are lost" in problem
    assert again(recorded, "events", clone).problems


@pytest.mark.since(18)  # pg_amcheck
def test_a_lost_tail_is_found_where_every_tool_passes_it(clone: Clone) -> None:
    """pg_amcheck with all options says nothing; index, page count and ledger do."""
    recorded = history(record(clone))
    clone.cut("events", 2)
    assert amcheck.check_indexes(clone.server, clone.name).problems == ()
    by_index, by_map = heaps(clone).problems
    assert "public.events lost its tail" in by_map
    assert "public.events: public.events_" in by_index
    assert "points past the end of the table, which lost its tail" in by_index
    assert any("public.events lost its tail" in line for line in check_pages(recorded, clone.source).problems)
    assert again(recorded, "events", clone).problems


@pytest.mark.since(18)  # pg_amcheck
def test_an_index_that_lacks_entries_is_found(clone: Clone) -> None:
    """By pg_amcheck's comparison with the heap, and by counting the rows both ways."""
    clone.run(*behind_the_back("totals_pkey", "INSERT INTO totals VALUES (current_date, 'L07', 1)"))
    assert any(
        "lacks matching index tuple" in line for line in amcheck.check_indexes(clone.server, clone.name).problems
    )
    of_indexes: list[str] = []
    assert heaps(clone, of_indexes=of_indexes).problems == ()
    assert of_indexes == [
        "public.totals: 55 rows in the table, 54 by its index public.totals_pkey: REINDEX INDEX public.totals_pkey"
    ]


@pytest.mark.since(18)  # pg_amcheck
def test_a_damaged_leaf_is_no_damage_of_its_table(clone: Clone) -> None:
    """A zeroed leaf of the very index by which the rows are counted: the table lost nothing, and is not named."""
    clone.zero("totals_pkey", 1)
    of_indexes: list[str] = []
    assert heaps(clone, of_indexes=of_indexes).problems == ()
    (line,) = of_indexes
    assert line.startswith("public.totals: its index public.totals_pkey is damaged (")
    assert any("totals_pkey" in line for line in amcheck.check_indexes(clone.server, clone.name).problems)


@pytest.mark.since(18)  # pg_amcheck
def test_a_page_that_fails_its_checksum_is_found(clone: Clone) -> None:
    """Reading it is damage, not a hole in knowledge; pg_amcheck names the relation."""
    recorded = history(record(clone))
    clone.flip("totals", 0)
    assert "invalid page in block 0" in again(recorded, "totals", clone).problems[0]
    problems = amcheck.check_indexes(clone.server, clone.name).problems
    assert any("totals" in line and "invalid page" in line for line in problems), problems


def test_a_table_whose_file_is_gone_is_damage_and_a_missing_library_is_not(clone: Clone) -> None:
    """PostgreSQL has one SQLSTATE for both; what this machine lacks says nothing of the data."""
    gone = clone.path("totals")
    clone.let_go()
    gone.unlink()
    clone.session.execute("DISCARD ALL")
    answer = finding_of(partial(consistency.check_unique_keys, clone.source), errors=psycopg.Error)
    assert any(gone.name in problem for problem in answer.problems), answer

    def load() -> Finding:
        clone.run("LOAD 'no_such_library'")
        raise AssertionError

    lacking = finding_of(load, errors=psycopg.Error)
    assert (lacking.problems, "no_such_library" in str(lacking.unknown)) == ((), True)


def test_an_unlogged_table_that_held_rows_is_named(clone: Clone) -> None:
    """What production has unlogged itself is a note, whatever it held; one nobody recorded may have been a table."""
    clone.run("CREATE UNLOGGED TABLE draft (n int)", "INSERT INTO draft SELECT generate_series(1, 500)")
    recorded = history(record(clone))
    clone.run("TRUNCATE draft")  # as recovery does
    answer = unlogged.check_unlogged(clone.source, recorded.pages)
    assert answer.problems == ()
    assert answer.notes == ("public.draft is unlogged, as in production: recovery empties it (3 pages recorded)",)
    assert "its size was not recorded" in unlogged.check_unlogged(clone.source, None).problems[0]
    clone.run("ALTER TABLE plain SET UNLOGGED")
    (problem,) = unlogged.check_unlogged(clone.source, recorded.pages).problems
    assert problem.startswith("public.plain is unlogged: it held 9 pages")


def test_doubled_keys_are_found_whatever_the_order_of_rows_and_columns(clone: Clone) -> None:
    """One column and several, nulls that differ and nulls that are equal, each after a first proof by bare values."""
    rows = "SELECT n AS a, n + 100 AS b FROM generate_series(1, 300) n ORDER BY md5(n::text)"
    for columns, twice in (
        ("(a)", "(7, 1)"), ("(a, b)", "(7, 107)"), ("((a % 1000))", "(7, 1)"),
        ("(b) NULLS NOT DISTINCT", "(5000, NULL), (5001, NULL)"),
    ):  # fmt: skip
        clone.run(f"CREATE TABLE mixed AS {rows}", f"CREATE UNIQUE INDEX several ON mixed {columns}",
                  "INSERT INTO mixed VALUES (901, 1), (902, 2)")  # fmt: skip
        assert consistency.check_unique_keys(clone.source).problems == (), columns
        clone.run(*behind_the_back("several", f"INSERT INTO mixed VALUES {twice}"))  # noqa: S608 - ours
        (problem,) = consistency.check_unique_keys(clone.source).problems
        assert "public.mixed several: 1 rows too many" in problem
        clone.run("DROP TABLE mixed")
