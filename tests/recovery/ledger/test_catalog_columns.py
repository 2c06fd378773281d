"""Every column of every table of PostgreSQL's catalog is read by the fingerprint, or left out with a reason."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from opsverify.recovery.ledger.catalog import QUERIES
from opsverify.recovery.ledger.catalog_parts import for_version

if TYPE_CHECKING:
    from tests.support.clones import Clone

_FILE: Final[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("catalog_columns.toml").read_text(encoding="utf-8")
)
LEFT_OUT: Final[dict[str, str]] = _FILE["left_out_tables"]
TABLES: Final[dict[str, dict[str, Any]]] = {name: table for name, table in _FILE.items() if name != "left_out_tables"}
HOLDS_OIDS: Final = frozenset({"oid", "oidvector", "int2vector", "pg_node_tree", "aclitem[]", "oid[]", "smallint[]"})
"""Types whose values mean nothing on another server: read as they are, such a column is never the same."""
_COLUMNS: Final = """
SELECT c.relname, a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
"""
_TAKEN_AWAY: Final = re.compile(r"- '\{[^}]*\}'::text\[\]|ALL \('\{[^}]*\}'::name\[\]\)")


def _unread(table: str, version: int, columns: dict[str, str]) -> set[str]:
    """Columns of a table that nothing reads, and nothing leaves out."""
    entry = TABLES[table]
    sql = " ".join(for_version(QUERIES[kind], version) for kind in entry["kinds"])
    assert table.removeprefix("pg_") in sql, table
    named = _TAKEN_AWAY.sub("", sql)
    covered = {"oid", *entry.get("left_out", {})}
    for function, known in entry.get("by", {}).items():
        assert function in sql, function
        covered |= {*known}
    if entry.get("whole"):
        gone = set(re.findall(r"\w+", " ".join(_TAKEN_AWAY.findall(sql))))
        covered |= {name for name, kind in columns.items() if name not in gone and kind not in HOLDS_OIDS}
        covered |= {name for name in columns if name.endswith(("name", "namespace")) and name in gone}
    return {name for name in columns if name not in covered and not re.search(rf"\b{name}\b", named)}


def test_every_column_of_the_catalog_is_read_or_left_out(clone: Clone) -> None:
    """A column that a later version adds, and a table that it adds, fails here until somebody has judged it."""
    ((version,),) = clone.source("SELECT current_setting('server_version_num')::int", {})
    columns: dict[str, dict[str, str]] = {}
    for table, column, kind in clone.source(_COLUMNS, {}):
        columns.setdefault(table, {})[column] = kind
    assert columns.keys() - TABLES.keys() - LEFT_OUT.keys() == set()
    unread = {table: _unread(table, version, columns[table]) for table in TABLES if table in columns}
    assert {table: names for table, names in unread.items() if names} == {}


@pytest.mark.since(18)
def test_a_reason_stands_for_what_is_there(clone: Clone) -> None:
    """What is left out has a reason, and no query reads it all the same."""
    known = {(table, column) for table, column, _ in clone.source(_COLUMNS, {})}
    for table, entry in TABLES.items():
        for column, reason in entry.get("left_out", {}).items():
            assert reason
            assert (table, column) in known or column in {"attcacheoff", "datlastsysoid", "oid"}, (table, column)
