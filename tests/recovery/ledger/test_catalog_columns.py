"""Every column of every table of PostgreSQL's catalog is in the fingerprint, or left out with a reason."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest

from opsverify.recovery.ledger.catalog import KINDS, read_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.recovery.ledger.catalog import Catalog
    from tests.support.clones import Clone

_FILE: Final[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("catalog_columns.toml").read_text(encoding="utf-8")
)
EXAMPLES: Final[list[str]] = _FILE.pop("examples")
AFTERWARDS: Final[list[str]] = _FILE.pop("afterwards")
LEFT_OUT: Final[dict[str, str]] = _FILE.pop("left_out_tables")
TABLES: Final[dict[str, dict[str, Any]]] = _FILE
BY_TYPE: Final = {
    **dict.fromkeys(("smallint", "integer", "bigint", "real"), "{column} + 1"),
    "boolean": "NOT {column}",
    "name": "'changed'",
    "text": "coalesce({column}, '') || 'x'",
    "text[]": "'{{a=b}}'",
    "timestamp with time zone": "now()",
}
"""What a column is set to where the file does not say it."""
_COLUMNS: Final = """
SELECT c.relname, a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY 1, a.attnum
"""


@pytest.fixture
def examples(clone: Clone) -> Iterator[Clone]:
    """Provide a database with an example of every kind of object; what is of the whole server goes afterwards."""
    try:
        clone.run(*EXAMPLES)
        yield clone
    finally:
        for statement in AFTERWARDS:
            with suppress(psycopg.Error):
                clone.run(statement)


def _changes(table: str, column: str, kind: str) -> list[str]:
    """Return the statements that change a column of an example; none where nothing says how."""
    entry = TABLES[table]
    to = entry.get("to", {}).get(column, BY_TYPE.get(kind, "").format(column=column))
    if isinstance(to, dict) and "by" in to:
        return [*to["by"]]
    value, one = (to["to"], to["of"]) if isinstance(to, dict) else (to, entry["one"])
    return [f"UPDATE pg_catalog.{table} SET {column} = {value} WHERE {one}"] if value else []  # noqa: S608


def _after(clone: Clone, changes: list[str], kinds: list[str]) -> Catalog:
    """Return the record after `changes`, which are undone."""
    clone.run("BEGIN", "SET LOCAL allow_system_table_mods = on")
    try:
        clone.run(*changes)
        return read_catalog(clone.source, kinds)
    finally:
        clone.run("ROLLBACK")


@pytest.mark.since(17)  # names of columns of collations
def test_a_change_of_any_column_of_the_catalog_is_recorded(examples: Clone) -> None:
    """Each is changed in turn. One that a later version adds fails until somebody has judged it; so does a table."""
    listed = examples.source(_COLUMNS, {})
    assert {table for table, _, _ in listed} - TABLES.keys() - LEFT_OUT.keys() == set()
    before = read_catalog(examples.source)
    unseen: list[str] = []
    for table, column, kind in listed:
        if table in LEFT_OUT or column in {"oid", *TABLES[table].get("left_out", {})}:
            continue
        changes, kinds = _changes(table, column, kind), TABLES[table]["kinds"]
        try:
            after = _after(examples, changes, kinds)
        except psycopg.Error as error:
            unseen.append(f"{table}.{column} ({kind}): {error}")
            continue
        if all(after[one] == before[one] for one in kinds):
            unseen.append(f"{table}.{column} ({kind}): {'; '.join(changes) or 'nothing says how to change it'}")
    assert unseen == [], "\n".join(unseen)
    assert read_catalog(examples.source) == before


@pytest.mark.since(18)  # columns that it has first
def test_what_is_said_of_a_column_is_of_one_that_is_there(clone: Clone) -> None:
    """Reasons, changes and kinds: none is left of an earlier version."""
    known: dict[str, set[str]] = {}
    for table, column, _ in clone.source(_COLUMNS, {}):
        known.setdefault(table, set()).add(column)
    of_others = {"attcacheoff", "datlastsysoid"}  # of PostgreSQL 14 to 17
    assert LEFT_OUT.keys() <= known.keys()
    for table, entry in TABLES.items():
        left_out, to = entry.get("left_out", {}), entry.get("to", {})
        assert {*left_out, *to} - known[table] - of_others == set(), table
        assert left_out.keys() & to.keys() == set(), table
        assert {*entry["kinds"]} <= {*KINDS}, table
        assert all(left_out.values()), table
