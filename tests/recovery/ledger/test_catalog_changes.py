"""Changes of the catalog that its fingerprint notices, and those that it stays quiet about, on a real server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from opsverify.errors import Inconclusive
from opsverify.recovery.ledger.catalog import KINDS, read_catalog
from opsverify.recovery.ledger.catalog_server import MAJOR
from opsverify.recovery.ledger.definition_text import same_meaning
from opsverify.recovery.ledger.sequence_values import read_sequence_values
from opsverify.recovery.verify.catalog_checks import check_catalog, check_large_objects, check_sequence_values
from opsverify.recovery.verify.questions import Questions, as_in_production
from tests.support.ledgers import history, now_at, record

if TYPE_CHECKING:
    from opsverify.recovery.ledger.history import History
    from tests.support.clones import Clone

SERIAL = "serialfunc=numeric_avg_serialize, deserialfunc=numeric_avg_deserialize"
AVERAGE = "sfunc=numeric_avg_accum, stype=internal, finalfunc=numeric_avg, combinefunc=numeric_avg_combine"
WRAPPER = ("CREATE FOREIGN DATA WRAPPER far", "CREATE SERVER s FOREIGN DATA WRAPPER far")
CHANGES = {
    "body of BEGIN ATOMIC": ("routines", ("CREATE FUNCTION f(x int) RETURNS int BEGIN ATOMIC SELECT x + 1; END",),
                             ("CREATE OR REPLACE FUNCTION f(x int) RETURNS int BEGIN ATOMIC SELECT x - 1; END",)),
    "cost of a function": ("routines", ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1' COST 10",),
                           ("ALTER FUNCTION f() COST 99",)),
    "option of a view": ("tables", ("CREATE VIEW w WITH (security_invoker=true) AS SELECT * FROM lines",),
                         ("ALTER VIEW w RESET (security_invoker)",)),
    "default of a view": ("columns", ("CREATE VIEW w AS SELECT * FROM lines",
                                      "ALTER VIEW w ALTER name SET DEFAULT 'x'"),
                          ("ALTER VIEW w ALTER name DROP DEFAULT",)),
    "first of two domains": ("constraints", ("CREATE DOMAIN d1 AS int CONSTRAINT plus CHECK (value > 0)",
                                             "CREATE DOMAIN d2 AS int CONSTRAINT plus CHECK (value > 0)"),
                             ("ALTER DOMAIN d1 DROP CONSTRAINT plus",)),
    "second of two domains": ("constraints", ("CREATE DOMAIN d1 AS int CONSTRAINT plus CHECK (value > 0)",
                                              "CREATE DOMAIN d2 AS int CONSTRAINT plus CHECK (value > 0)"),
                              ("ALTER DOMAIN d2 DROP CONSTRAINT plus",)),
    "admin option": ("roles", ("GRANT plant_reader TO plant_app WITH ADMIN OPTION",),
                     ("REVOKE ADMIN OPTION FOR plant_reader FROM plant_app",)),
    "inherit option": ("roles", ("GRANT plant_reader TO plant_app WITH INHERIT FALSE",),
                       ("GRANT plant_reader TO plant_app WITH INHERIT TRUE",)),
    "function of the server": ("grants", ("GRANT EXECUTE ON FUNCTION pg_read_file(text) TO plant_app",),
                               ("REVOKE EXECUTE ON FUNCTION pg_read_file(text) FROM plant_app",)),
    "view of the server": ("grants", ("REVOKE SELECT ON pg_user FROM PUBLIC",), ("GRANT SELECT ON pg_user TO PUBLIC",)),
    "view of an extension": ("grants", ("GRANT SELECT ON pg_buffercache TO plant_app",),
                             ("REVOKE SELECT ON pg_buffercache FROM plant_app",)),
    "parameter": ("grants", ("GRANT SET ON PARAMETER log_statement TO plant_app",),
                  ("REVOKE SET ON PARAMETER log_statement FROM plant_app",)),
    "wrapper": ("grants", (*WRAPPER, "GRANT USAGE ON FOREIGN DATA WRAPPER far TO plant_app"),
                ("REVOKE USAGE ON FOREIGN DATA WRAPPER far FROM plant_app",)),
    "owner of a large object": ("grants", ("SELECT lo_create(4711)",),
                                ("ALTER LARGE OBJECT 4711 OWNER TO plant_app",)),
    "owner of a collation": ("grants", ('CREATE COLLATION co FROM "C"',), ("ALTER COLLATION co OWNER TO plant_app",)),
    "forced row security": ("row_security", ("ALTER TABLE lines FORCE ROW LEVEL SECURITY",),
                            ("ALTER TABLE lines NO FORCE ROW LEVEL SECURITY",)),
    "cache of a sequence": ("sequences", ("CREATE SEQUENCE s CACHE 50",), ("ALTER SEQUENCE s CACHE 1",)),
    "ctype of a collation": ("collations", ("CREATE COLLATION co (provider=libc, lc_collate='C', lc_ctype='C')",),
                             ("DROP COLLATION co",
                              "CREATE COLLATION co (provider=libc, lc_collate='C', lc_ctype='C.UTF-8')")),
    "option of a foreign column": ("columns", (*WRAPPER, "CREATE FOREIGN TABLE t (v text OPTIONS (a 'b')) SERVER s"),
                                   ("ALTER FOREIGN TABLE t ALTER v OPTIONS (SET a 'c')",)),
    "wrapper of a server": ("foreign", (*WRAPPER, "CREATE FOREIGN DATA WRAPPER near"),
                            ("DROP SERVER s", "CREATE SERVER s FOREIGN DATA WRAPPER near")),
    "parts of an aggregate": ("operators", (f"CREATE AGGREGATE a(numeric) ({AVERAGE}, {SERIAL})",),
                              ("DROP AGGREGATE a(numeric)", f"CREATE AGGREGATE a(numeric) ({AVERAGE})")),
    "collation of a domain": ("types", ('CREATE DOMAIN d AS text COLLATE "C"',),
                              ("DROP DOMAIN d", "CREATE DOMAIN d AS text")),
    "collation of a range": ("types", ('CREATE TYPE r AS RANGE (subtype=text, collation="C")',),
                             ("DROP TYPE r", "CREATE TYPE r AS RANGE (subtype=text)")),
    "type of a table": ("tables", ("CREATE TYPE ty AS (a int)", "CREATE TABLE t OF ty"), ("ALTER TABLE t NOT OF",)),
    "order of columns": ("tables", ("CREATE TABLE t (a int, b int)",),
                         ("DROP TABLE t", "CREATE TABLE t (b int, a int)")),
    "name with a dot": ("tables", ('CREATE SCHEMA "a.b"', "CREATE SCHEMA a", 'CREATE TABLE "a.b".c (v int)',
                                   'CREATE TABLE a."b.c" (v int)'), ('DROP TABLE "a.b".c',)),
    "stream of a subscription": ("subscriptions", (("CREATE SUBSCRIPTION su CONNECTION 'dbname=x' PUBLICATION p "
                                                   "WITH (connect=false, slot_name=NONE)"),),
                                 ("ALTER SUBSCRIPTION su SET (binary = true)",)),
}  # fmt: skip
AFTERWARDS = (
    "DROP SUBSCRIPTION IF EXISTS su", "REVOKE plant_reader FROM plant_app", "GRANT plant_reader TO plant_app",
    "REVOKE SET ON PARAMETER log_statement FROM plant_app",
)  # fmt: skip
"""What is of the whole server, and would be there in the next test."""
ORDINARY = (
    (
        "CREATE TABLE o (id int PRIMARY KEY, s varchar(10) CHECK (s IN ('new', 'paid')), n int, gone int, "
        "CHECK (n BETWEEN 1 AND 5 AND n <> 3), g bool GENERATED ALWAYS AS (s IN ('a', 'b')) STORED)"
    ),
    "ALTER TABLE o DROP gone",
    "ALTER TABLE o ADD c int",
    "CREATE DOMAIN st AS varchar(10) CHECK (VALUE IN ('new', 'paid'))",
    "CREATE INDEX part ON o (id) WHERE s IN ('new', 'paid')",
    "CREATE VIEW w AS SELECT * FROM o WHERE s IN ('new', 'paid')",
    "ALTER TABLE o ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY po ON o USING (s IN ('new', 'paid'))",
    "CREATE TRIGGER tg BEFORE UPDATE ON o FOR EACH ROW WHEN (NEW.s IN ('new', 'paid')) EXECUTE FUNCTION touch()",
    "CREATE FUNCTION f(x varchar) RETURNS bool BEGIN ATOMIC SELECT x IN ('new', 'paid'); END",
    "CREATE PUBLICATION pu FOR TABLE o (id, c) WHERE (n > 5)",
    "GRANT USAGE ON TYPE mood TO plant_app",
    "REVOKE USAGE ON TYPE mood FROM plant_app",
    "GRANT SELECT (name) ON lines TO plant_app",
    "REVOKE SELECT (name) ON lines FROM plant_app",
    "CREATE TABLE par (id int PRIMARY KEY) PARTITION BY RANGE (id)",
    "CREATE TABLE ref (id int REFERENCES par)",
    "CREATE TABLE par_z PARTITION OF par FOR VALUES FROM (0) TO (10)",
    "CREATE TABLE par_a PARTITION OF par FOR VALUES FROM (10) TO (20)",
    "CREATE TABLE par_m PARTITION OF par FOR VALUES FROM (-10) TO (0)",
    "SELECT lo_from_bytea(4711, 'abc')",
    "SELECT lo_put(4711, 10000, 'xyz')",
    'CREATE TABLE "100%" (id serial PRIMARY KEY)',
    'INSERT INTO "100%" DEFAULT VALUES',
)
"""A schema of which PostgreSQL writes parts otherwise once it has read them from a dump."""


def _noticed(recorded: History, clone: Clone) -> dict[str, tuple[str, ...]]:
    found = {kind: check_catalog(recorded, kind, clone.source).problems for kind in KINDS}
    return {kind: lines for kind, lines in found.items() if lines}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.since(16 if case == "inherit option" else 0)) for case in CHANGES]
)
def test_a_property_that_changed_is_noticed(clone: Clone, case: str) -> None:
    """And one that did not is quiet."""
    kind, create, change = CHANGES[case]
    clone.run(*create)
    recorded = history(record(clone, chosen={}))
    try:
        assert _noticed(recorded, clone) == {}
        clone.run(*change)
        assert kind in _noticed(recorded, clone)
    finally:
        clone.run(*(AFTERWARDS if case.endswith(("option", "subscription")) or case == "parameter" else ()))


@pytest.mark.since(18)
def test_a_dump_of_an_ordinary_schema_is_quiet(clone: Clone) -> None:
    """Restored into a new database: other OIDs, expressions read from text, holes filled, constraints named anew."""
    clone.run(*ORDINARY)
    recorded = history(record(clone, chosen={}))
    other = f"{clone.name}_again"
    clone.run(f"CREATE DATABASE {other}")
    tools, account, home = clone.server.tools, clone.server.account, clone.server.socket_dir
    where = ("-h", str(home), "-p", str(clone.server.port), "-U", "postgres")
    dump = clone.data.parent / f"{other}.dump"
    tools.succeed("pg_dump", *where, "-Fc", "-f", dump, clone.name, account=account)
    tools.succeed("pg_restore", *where, "-d", other, dump, account=account)
    with psycopg.connect(
        f"host={home} port={clone.server.port} user=postgres dbname={other}", autocommit=True
    ) as there:
        restored = replace(clone, name=other, session=there)
        assert _noticed(recorded, restored) == {}
        assert check_large_objects(recorded, restored.source).problems == ()
        assert check_sequence_values(recorded, restored.source).problems == ()
        restored.run("ALTER TABLE o DROP CONSTRAINT o_s_check, ADD CONSTRAINT o_s_check CHECK (s IN ('new', 'late'))")
        assert _noticed(recorded, restored).keys() == {"constraints"}
        restored.run("SELECT lo_put(4711, 5000, 'q')")
        assert check_large_objects(recorded, restored.source).problems
    clone.run(f"DROP DATABASE {other}")


def test_no_function_of_a_user_is_called(clone: Clone) -> None:
    """It fits better than the one of pg_catalog, and would answer that every table is the system's."""
    clone.run("CREATE FUNCTION public.starts_with(name, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true'")
    recorded = history(record(clone, chosen={}))
    assert "lines" in recorded.tables
    clone.run("DROP TABLE plain")
    assert "tables" in _noticed(recorded, clone)


def test_objects_of_one_name_are_all_kept() -> None:
    """Nothing is overwritten, should two objects ever share a name."""

    def source(sql: str, _: object) -> list[tuple[object, ...]]:
        return [(180000,)] if "server_version_num')::int" in sql and "listed" not in sql else [("a", "2"), ("a", "1")]

    assert read_catalog(source, ["tables"]) == {"tables": {"a": "1\n2"}}


def test_another_major_version_holds(clone: Clone) -> None:
    """Definitions that differ are no loss where the server writes them in another way; equal ones are equal."""
    recorded = history(record(clone, chosen={}))
    recorded.catalog["settings"][MAJOR] = "14"
    assert check_catalog(recorded, "tables", clone.source).unknown is None
    recorded.catalog["tables"]["public.lines"] = "otherwise"
    answer = check_catalog(recorded, "tables", clone.source)
    assert answer.problems == ()
    assert "recorded on PostgreSQL 14, this is 1" in str(answer.unknown)


@pytest.mark.parametrize(
    ("before", "after", "behind"),
    [
        ("SELECT setval('s', 100000, false)", "SELECT setval('s', 1, false)", True),
        ("ALTER SEQUENCE s RESTART WITH 5000000", "ALTER SEQUENCE s RESTART WITH 1", True),
        ("SELECT setval('s', 9)", "SELECT setval('s', 8)", True),
        ("SELECT setval('s', 9)", "SELECT setval('s', 9, false)", True),
        ("SELECT setval('s', 9)", "SELECT setval('s', 10, false)", False),
        ("SELECT setval('s', 1, false)", "SELECT nextval('s')", False),
    ],
)
def test_a_sequence_stands_where_it_gives_next(clone: Clone, before: str, after: str, behind: bool) -> None:  # noqa: FBT001
    """Also where its last value was never given out."""
    clone.run("CREATE SEQUENCE s", before)
    recorded = history(record(clone, chosen={}))
    clone.run(after)
    assert bool(check_sequence_values(recorded, clone.source).problems) is behind


def test_a_column_below_a_sequence_that_was_set_is_no_problem(clone: Clone) -> None:
    """setval(..., false) has a last value that was not given out: rows up to it are as they should be."""
    clone.run("CREATE TABLE t (id serial)", "INSERT INTO t VALUES (99)", "SELECT setval('t_id_seq', 100, false)")
    ask = Questions(None, now_at(clone), clone.source, errors=Inconclusive).all()["sequences"]
    assert ask().problems == ()
    clone.run("SELECT setval('t_id_seq', 99, false)")
    assert "t_id_seq is at 98, public.t.id holds 99" in str(ask().problems)


def test_what_another_version_recorded_of_production_holds(clone: Clone) -> None:
    """Its names were written otherwise, so that nothing says whether production has the same problem."""
    clone.run("ALTER TABLE events DISABLE TRIGGER events_touch")
    recorded = history(record(clone, chosen={}))
    recorded.production = {"validity": ("trigger events.events_touch is disabled",)}
    ask = Questions(None, now_at(clone), clone.source).all()["validity"]
    assert as_in_production(ask, recorded.production["validity"]).problems
    recorded.catalog_version = 2
    answer = Questions(recorded, now_at(clone), clone.source).all()["validity"]()
    assert (answer.problems, "recorded by another version" in str(answer.unknown)) == ((), True)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("((s)::text = ANY ((ARRAY['a'::character varying, 'b,)'::character varying])::text[]))",
         "((s)::text = ANY (ARRAY[('a'::character varying)::text, ('b,)'::character varying)::text]))", True),
        ("((s)::text = ANY ((ARRAY['a'::character varying])::text[]))",
         "((s)::text = ANY (ARRAY[('a'::character varying)::\"char\"]))", False),
        ("(((n >= 1) AND (n <= 5)) AND (n <> 3))", "((n >= 1) AND (n <= 5) AND (n <> 3))", True),
        ("((a AND b) OR c)", "(a AND (b OR c))", False),
        ("(a - (b - c))", "((a - b) - c)", False),
        ("('(')", "('((')", False),
        ("x 'a  b'", "x 'a b'", False),
        (") (", "( )", False),
    ],
)  # fmt: skip
def test_definitions_say_the_same(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    """Only what keeps the meaning is rewritten."""
    assert same_meaning(one, other) is same


def test_a_sequence_that_was_not_read_when_it_was_recorded_is_named(clone: Clone) -> None:
    """Set back, it could not be told: whoever asks later, with every right, holds until it is granted and captured."""
    clone.run("CREATE SEQUENCE numbers", "SELECT nextval('numbers')", "SET ROLE plant_reader")
    closed = read_sequence_values(clone.source)
    clone.run("RESET ROLE", "ALTER SEQUENCE numbers RESTART")
    body = record(clone, chosen={})
    answer = check_sequence_values(history(body | {"sequences": closed}), clone.source, Inconclusive)
    assert answer.problems == ()
    assert "sequence public.numbers: GRANT SELECT on it" in str(answer.unknown)
    assert check_sequence_values(history(body), clone.source, Inconclusive).unknown is None
