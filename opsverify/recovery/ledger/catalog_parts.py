"""Parts of the catalog's queries: which objects are the database's own, their names, their fields, their grants.

A row of a catalog table is read whole where it can be (`fields`): a column that a later PostgreSQL adds is compared
without a line here. tests/recovery/ledger/test_catalog_columns.py changes every column of every catalog table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OURS: Final = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(n.nspname, 'pg_') "
    "AND n.nspname !~ '^opsverify_'"
)
NOT_OF_AN_EXTENSION: Final = (
    "NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = {oid} AND d.classid = '{catalog}'::regclass"
    " AND d.deptype = 'e')"
)
LEFT_OUT: Final = (
    "comments and security labels",
    "storage options, column storage and compression, statistics targets, the tablespace of a table",
    "statistics of the planner",
    "connection strings of subscriptions, options of user mappings: they may be secrets",
    "passwords of roles: a dump without them is a choice, and their hashes are secrets",
    "the order of columns of an inheritance child: pg_dump does not keep it",
    "the index that CLUSTER used last",
    "the name of the database, and that a partition is being detached",
    "where a sequence that cycles stands",
    "the owner of an extension: pg_dump does not keep it",
)
"""What the fingerprint leaves out on purpose."""

_SINCE: Final[Mapping[str, tuple[int, str, str]]] = {
    "publication_schemas": (
        150000,
        (
            "SELECT p.pubname, s.pnnspid::regnamespace::text FROM pg_publication_namespace s"
            " JOIN pg_publication p ON p.oid = s.pnpubid"
        ),
        "SELECT NULL::text, NULL::text WHERE false",
    ),
    "row_columns": (150000, "r.prattrs::int2[]", "NULL::int2[]"),
    "row_filter": (150000, "pg_get_expr(r.prqual, r.prrelid)", "NULL"),
    "parameters": (
        150000,
        "SELECT parname, paracl FROM pg_parameter_acl",
        "SELECT NULL::text, NULL::aclitem[] WHERE false",
    ),
    "database_version": (150000, "pg_database_collation_actual_version(d.oid)", "NULL"),
}


def own(oid: str, catalog: str) -> str:
    """Return the SQL condition that an object is in a schema of the database's own, and of no extension."""
    return f"{OURS} AND " + NOT_OF_AN_EXTENSION.format(oid=oid, catalog=catalog)


def no_schema(oid: str, catalog: str) -> str:
    """Return the SQL condition that an object without a schema was not made by initdb, and is of no extension."""
    return f"{oid} >= 16384 AND " + NOT_OF_AN_EXTENSION.format(oid=oid, catalog=catalog)


def named(catalog: str, oid: str) -> str:
    """Return the SQL of an object's kind and full name, quoted: no two objects have the same."""
    return f"(SELECT type || ' ' || identity FROM pg_identify_object('{catalog}'::regclass, {oid}, 0))"


def dotted(*parts: str) -> str:
    """Return the SQL of a name of several parts: quoted, so that a dot in one of them is none between two."""
    return " || '.' || ".join(f"quote_ident({part})" for part in parts)


def fields(alias: str, out: Iterable[str], names: Mapping[str, str] | None = None) -> str:
    """Return the SQL of a whole row as text, without the columns `out`, and with `names` for those that hold OIDs."""
    given = names or {}
    gone = ",".join([*out, *given])
    written = ", ".join(f"'{column}', {expression}" for column, expression in given.items())
    return f"jsonb_strip_nulls(to_jsonb({alias}) - '{{{gone}}}'::text[] || jsonb_build_object({written}))::text"


def in_order(texts: str) -> str:
    """Return the SQL of an array in alphabetical order, as text; NULL of an empty one."""
    return f"(SELECT string_agg(one::text, ' ' ORDER BY one::text) FROM unnest({texts}) one)"


def for_version(sql: str, version: int) -> str:
    """Return the query as a server of `version` (`160004`) can carry it out."""
    for name, (since, text, otherwise) in _SINCE.items():
        sql = sql.replace(f"@{name}@", text if version >= since else otherwise)
    return sql
