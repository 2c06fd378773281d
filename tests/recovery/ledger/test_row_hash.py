"""The hash of a row, on a real server: for every type of PostgreSQL, different values hash differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg
import pytest

from opsverify.recovery.ledger.row_hash import EXACT, columns, row_hash
from opsverify.recovery.ledger.tables import TableChoice
from tests.support.ledgers import again, history, record

if TYPE_CHECKING:
    from tests.support.clones import Clone

DIFFERENT: Final = {
    "aclitem": ["postgres=r/postgres", "postgres=w/postgres"],
    "bit": ["0", "1"],
    "bool": ["true", "false"],
    "box": ["(1,1),(0,0)", "(1,-0),(0,0)"],
    "bpchar": ["a", "a  ", "A"],
    "bytea": [r"\x00", r"\x0000", ""],
    "char": ["a", "b", ""],
    "cid": ["1", "2"],
    "cidr": ["10.0.0.0/8", "10.0.0.0/16"],
    "circle": ["<(0,0),1>", "<(0,0),2>"],
    "date": ["2026-01-01", "2026-01-02", "infinity", "-infinity", "0001-01-01 BC"],
    "datemultirange": ["{}", "{[2026-01-01,2026-01-02)}"],
    "daterange": ["empty", "[2026-01-01,2026-01-02)", "[2026-01-01,)"],
    "float4": ["0", "-0", "1", "NaN", "Infinity"],
    "float8": ["0", "-0", "1", "1.0000000000000002", "NaN", "-Infinity"],
    "inet": ["10.0.0.1", "10.0.0.1/24", "::1"],
    "int2": ["1", "-1", "0"],
    "int4": ["1", "-1", "0", "-2"],
    "int4multirange": ["{}", "{[1,2)}"],
    "int4range": ["empty", "[1,2)", "[1,3)"],
    "int8": ["1", "-1", "0", "-2", "4294967296", "4294967297", "-4294967296", "8589934591"],
    "int8multirange": ["{}", "{[1,2)}"],
    "int8range": ["empty", "[1,2)", "[1,3)"],
    "interval": ["1 day", "24 hours", "1 month", "30 days", "-1 day"],
    "json": ['{"a": 1}', '{"a":1}'],
    "jsonb": ['{"a": 5}', '{"a": -5}', '{"a": 5.0}', '{"a": {"b": 1}, "c": 2}', '{"a": {"b": 1, "c": 2}}', "[[1], 2]",
              "[[1, 2]]", "[]", "[[]]", "{}", '{"a": {}}', '{"a": []}', "null", '"null"', '"5"', "5"],
    "jsonpath": ["$.a", "$.b"],
    "line": ["{1,2,3}", "{1,2,4}"],
    "lseg": ["[(0,0),(1,1)]", "[(0,0),(1,2)]"],
    "macaddr": ["08:00:2b:01:02:03", "08:00:2b:01:02:04"],
    "macaddr8": ["08:00:2b:01:02:03:04:05", "08:00:2b:01:02:03:04:06"],
    "money": ["1", "-1"],
    "name": ["a", "A", ""],
    "numeric": ["5", "-5", "5.0", "5.00", "0", "0.0", "NaN", "Infinity", "-Infinity", "50000", "0.0005"],
    "nummultirange": ["{[1,2)}", "{[-2,-1)}", "{[1.0,2)}"],
    "numrange": ["[1,2)", "[1,2]", "(1,2]", "empty"],
    "oid": ["1", "2"],
    "path": ["((0,0),(1,1))", "[(0,0),(1,1)]"],
    "pg_lsn": ["0/1", "1/0"],
    "pg_snapshot": ["10:20:10,14", "10:20:10,15"],
    "point": ["(1,2)", "(2,1)", "(1,-2)", "(0,0)", "(0,-0)"],
    "polygon": ["((0,0),(1,1))", "((0,0),(1,2))"],
    "refcursor": ["a", "b"],
    "regclass": ["pg_class", "pg_proc"],
    "regcollation": ['"C"', '"POSIX"'],
    "regconfig": ["simple", "english"],
    "regdatabase": ["postgres", "template1"],
    "regdictionary": ["simple", "english_stem"],
    "regnamespace": ["pg_catalog", "information_schema"],
    "regoper": ["pg_catalog.||/", "pg_catalog.|/"],
    "regoperator": ["+(int4,int4)", "+(int8,int8)"],
    "regproc": ["now", "clock_timestamp"],
    "regprocedure": ["abs(int4)", "abs(int8)"],
    "regrole": ["postgres", "pg_monitor"],
    "regtype": ["int4", "int8"],
    "text": ["a", "A", "a ", "", "가"],
    "tid": ["(0,1)", "(1,0)"],
    "time": ["00:00", "01:11:34.967297"],
    "timestamp": ["2000-01-01", "2000-01-01 01:11:34.967297", "infinity", "-infinity"],
    "timestamptz": ["2000-01-01 00:00+00", "2000-01-01 01:11:34.967297+00", "infinity", "-infinity"],
    "timetz": ["10:00+00", "11:00+01"],
    "tsmultirange": ["{}", "{[2026-01-01,2026-01-02)}"],
    "tsquery": ["a & b", "a | b"],
    "tsrange": ["empty", "[2026-01-01,2026-01-02)"],
    "tstzmultirange": ["{}", "{[2026-01-01,2026-01-02)}"],
    "tstzrange": ["empty", "[2026-01-01,2026-01-02)"],
    "tsvector": ["a:1", "a:2", "a:1A"],
    "txid_snapshot": ["10:20:10,14", "10:20:10,15"],
    "uuid": ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"],
    "varbit": ["0", "00", "1"],
    "varchar": ["a", "A", "a ", ""],
    "xid": ["1", "2"],
    "xid8": ["1", "4294967297"],
    "xml": ["<a/>", "<b/>"],
}  # fmt: skip
"""Values of each type, all different; where the type has more than one way to be equal, values that it calls so."""
NEVER_WRITTEN: Final = {
    "gtsvector", "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary", "pg_dependencies", "pg_mcv_list",
    "pg_ndistinct", "pg_node_tree",
}  # fmt: skip
"""Types of which no value can be given: PostgreSQL makes them itself, in its own catalogs and indexes."""
TYPES: Final = """
SELECT typname::text FROM pg_type
 WHERE oid < 10000 AND typtype IN ('b', 'r', 'm') AND typcategory <> 'A' AND typname NOT IN ('int2vector', 'oidvector')
"""


def test_different_values_of_any_type_hash_differently(clone: Clone) -> None:
    """Every type that a server knows, and arrays of it: a new type of a new server has no row here, and fails."""
    kinds = sorted({kind for (kind,) in clone.source(TYPES, {})} - NEVER_WRITTEN)
    assert [kind for kind in kinds if kind not in DIFFERENT] == []
    equal = []
    for kind in kinds:
        values = DIFFERENT[kind]
        clone.run("DROP TABLE IF EXISTS v", f'CREATE TABLE v (one pg_catalog."{kind}", several pg_catalog."{kind}"[])')
        if kind == "xml" and not _built_with_xml(clone):
            continue
        for value in values:
            clone.run(f'INSERT INTO v SELECT x, ARRAY[x, NULL] FROM (SELECT $v${value}$v$::pg_catalog."{kind}") y (x)')  # noqa: S608 - from above
        ((oid,),) = clone.source("SELECT 'public.v'::regclass::oid::int8", {})
        for column in columns(clone.source, oid):
            ((hashes,),) = clone.source(f"SELECT count(DISTINCT {row_hash([column.term])}) FROM public.v t", {})  # noqa: S608
            if hashes != len(values):
                equal.append(f"{column.name} {kind}: {hashes} hashes of {len(values)} values")
            if column.form == "value":
                assert kind in EXACT
    assert equal == []


def _built_with_xml(clone: Clone) -> bool:
    try:
        clone.run("SELECT xml '<a/>'")
    except psycopg.errors.FeatureNotSupported:
        return False
    return True


def test_a_type_of_an_extension_or_a_domain_is_not_taken_at_its_word(clone: Clone) -> None:
    """Whatever hash function they bring, or inherit: citext calls 'A' and 'a' equal."""
    clone.run("CREATE EXTENSION citext", "CREATE DOMAIN amount AS numeric", "CREATE DOMAIN net AS amount",
              "CREATE TABLE v (a citext, b amount, c net, d citext[])")  # fmt: skip
    ((oid,),) = clone.source("SELECT 'public.v'::regclass::oid::int8", {})
    assert [column.form for column in columns(clone.source, oid)] == ["binary", "binary", "binary", "text"]


@pytest.mark.parametrize(("kind", "one", "other"), [("numeric", "n", "-n"), ("jsonb", "to_jsonb(n)", "to_jsonb(-n)")])
def test_a_sign_that_was_lost_is_found(clone: Clone, kind: str, one: str, other: str) -> None:
    """In a closed bucket, where nothing but the hash tells."""
    clone.run(f"CREATE TABLE sums (id int PRIMARY KEY, v {kind})",
              f"INSERT INTO sums SELECT n, {one} FROM generate_series(1, 30) n")  # noqa: S608  # fmt: skip
    recorded = history(record(clone, chosen={"sums": TableChoice(width=10)}))
    assert again(recorded, "sums", clone).problems == ()
    clone.run(f"UPDATE sums SET v = {other} FROM (SELECT 4 AS n) four WHERE id = n")  # noqa: S608
    assert again(recorded, "sums", clone).problems == ("sums 0: rows changed (still 9)",)


@pytest.mark.since(18)  # pg_dump
def test_names_of_objects_survive_a_logical_restore(clone: Clone) -> None:
    """A table made anew has another OID: a column of regclass, or an array of it, holds the name."""
    clone.run("CREATE TABLE log (id int PRIMARY KEY, what regclass, also regtype[])", "CREATE TABLE made (v int)",
              "INSERT INTO log VALUES (1, 'made', '{made}')")  # fmt: skip
    recorded = record(clone, chosen={})
    clone.run("DROP TABLE made", "CREATE TABLE made (v int)", "UPDATE log SET what = 'made', also = '{made}'")
    assert record(clone, chosen={})["core"]["log"]["open"]["buckets"] == recorded["core"]["log"]["open"]["buckets"]
