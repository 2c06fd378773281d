"""Queries of the catalog's fingerprint for settings, collations, replication, extensions and foreign data.

Secrets (connection strings, options of user mappings) are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.recovery.ledger.catalog_parts import dotted, fields, in_order, no_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.recovery.ledger.queries import Source

MAJOR: Final = "major version"
"""Name of the setting that says how definitions are written: another major version writes the same ones otherwise."""

_HERE: Final = "(SELECT oid FROM pg_database WHERE datname = current_database())"
_EXTENSIONS: Final = """
SELECT quote_ident(e.extname), e.extversion || ' in ' || quote_ident(n.nspname)
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
"""
# Only what a recovery must not change; a drill's ports, folders and memory are its own.
_SETTINGS: Final = f"""
SELECT s.name, s.reset_val FROM pg_settings s
 WHERE s.name IN ('server_encoding', 'data_checksums', 'block_size', 'wal_block_size', 'segment_size',
                  'integer_datetimes', 'max_identifier_length', 'max_index_keys', 'zero_damaged_pages',
                  'ignore_checksum_failure')
UNION ALL
SELECT '{MAJOR}', (current_setting('server_version_num')::int / 10000)::text
UNION ALL
SELECT 'connections to this database', d.datconnlimit::text FROM pg_database d WHERE d.datname = current_database()
UNION ALL
SELECT concat_ws(' ', 'for', coalesce(quote_ident(r.rolname), 'all roles'),
                 CASE WHEN s.setdatabase <> 0 THEN 'in this database' END),
       {in_order("s.setconfig")}
  FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
 WHERE s.setdatabase IN (0, {_HERE})
"""
# A text index that was built under another version of its collation is wrong without being damaged.
_COLLATIONS: Final = f"""
SELECT 'database',
       concat_ws(' ', to_jsonb(d) ->> 'datlocprovider', d.datcollate, d.datctype,
                 coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), to_jsonb(d) ->> 'daticurules',
                 @database_version@)
  FROM pg_database d WHERE d.datname = current_database()
UNION ALL
SELECT 'recorded', concat_ws(' ', to_jsonb(d) ->> 'datcollversion')
  FROM pg_database d WHERE d.datname = current_database()
UNION ALL
SELECT {dotted("n.nspname", "c.collname")},
       concat_ws(' ', {fields("c", ("oid", "collname", "collnamespace", "collowner"))},
                 pg_collation_actual_version(c.oid))
  FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
 WHERE (c.oid >= 16384 OR c.oid IN (SELECT attcollation FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid
                                     WHERE r.relkind IN ('r', 'p', 'i') AND a.attnum > 0 AND r.oid >= 16384))
   AND c.collname <> 'default'
"""
# Columns by their names: a dropped one leaves a gap in the numbers, which a restored table does not have.
_PUBLICATIONS: Final = f"""
SELECT quote_ident(p.pubname), {fields("p", ("oid", "pubname", "pubowner"))} FROM pg_publication p
UNION ALL
SELECT quote_ident(p.pubname) || ' table ' || r.prrelid::regclass::text,
       concat_ws(' ', (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) FROM pg_attribute a
                        WHERE a.attrelid = r.prrelid AND a.attnum = ANY (@row_columns@)),
                 'WHERE ' || @row_filter@)
  FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
UNION ALL
SELECT quote_ident(name) || ' schema ' || schema, '' FROM (@publication_schemas@) listed (name, schema)
"""
_NOT_OF_A_SUBSCRIPTION: Final = ("oid", "subdbid", "subskiplsn", "subname", "subowner", "subconninfo")
"""Its name, its owner (a grant), a secret, and where its stream stands."""
_SUBSCRIPTION_COLUMNS: Final = f"""
SELECT string_agg(format('%L, s.%I', a.attname, a.attname), ', ' ORDER BY a.attname) FROM pg_attribute a
 WHERE a.attrelid = 'pg_subscription'::regclass AND a.attnum > 0 AND NOT a.attisdropped
   AND a.attname <> ALL ('{{{",".join(_NOT_OF_A_SUBSCRIPTION)}}}'::name[])
   AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
"""
_SUBSCRIPTIONS: Final = f"""
SELECT quote_ident(s.subname), jsonb_strip_nulls(jsonb_build_object(@subscription_columns@))::text
  FROM pg_subscription s WHERE s.subdbid = {_HERE}
UNION ALL
SELECT quote_ident(s.subname) || ' table ' || r.srrelid::regclass::text, ''
  FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
"""
_WRAPPER: Final = fields(
    "w",
    ("oid", "fdwname", "fdwowner", "fdwacl"),
    {
        "fdwhandler": "w.fdwhandler::regprocedure",
        "fdwvalidator": "w.fdwvalidator::regprocedure",
        "fdwoptions": in_order("w.fdwoptions"),
    },
)
_SERVER: Final = fields(
    "s",
    ("oid", "srvname", "srvowner", "srvacl"),
    {
        "srvfdw": "(SELECT w.fdwname FROM pg_foreign_data_wrapper w WHERE w.oid = s.srvfdw)",
        "srvoptions": in_order("s.srvoptions"),
    },
)
_FOREIGN: Final = f"""
SELECT 'wrapper ' || quote_ident(w.fdwname), {_WRAPPER}
  FROM pg_foreign_data_wrapper w WHERE {no_schema("w.oid", "pg_foreign_data_wrapper")}
UNION ALL
SELECT 'server ' || quote_ident(s.srvname), {_SERVER} FROM pg_foreign_server s
UNION ALL
SELECT 'user mapping ' || quote_ident(u.srvname) || ' ' || quote_ident(u.usename), '' FROM pg_user_mappings u
UNION ALL
SELECT 'table ' || f.ftrelid::regclass::text,
       concat_ws(' ', (SELECT quote_ident(srvname) FROM pg_foreign_server s WHERE s.oid = f.ftserver),
                 {in_order("f.ftoptions")})
  FROM pg_foreign_table f
"""
_TABLESPACES: Final = f"""
SELECT quote_ident(s.spcname), {in_order("s.spcoptions")} FROM pg_tablespace s WHERE s.oid >= 16384
"""

SERVER: Final[Mapping[str, str]] = {
    "extensions": _EXTENSIONS,
    "settings": _SETTINGS,
    "collations": _COLLATIONS,
    "publications": _PUBLICATIONS,
    "subscriptions": _SUBSCRIPTIONS,
    "foreign": _FOREIGN,
    "tablespaces": _TABLESPACES,
}
"""The queries by kind."""


def with_readable_columns(sql: str, source: Source) -> str:
    """Return the query of subscriptions with every column that the role may read.

    Such a row cannot be read whole: its connection string is open to superusers only.
    """
    ((listed,),) = source(_SUBSCRIPTION_COLUMNS, {})
    return sql.replace("@subscription_columns@", str(listed))
