"""The catalog's fingerprint: the objects of a database other than its rows, kind by kind, name by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.language.message import say
from opsverify.recovery.ledger.catalog_more import MORE, OURS, own, publication_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opsverify.recovery.ledger.queries import Source

Catalog = dict[str, dict[str, str]]
"""Definition of every object by kind and name."""


def _acl(privileges: str) -> str:
    # Sorted: the order of grants has no meaning, and granting again changes it.
    return f"(SELECT string_agg(one::text, ' ' ORDER BY one::text) FROM unnest({privileges}) one)"


_OF_A_RELATION: Final = (
    "coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::text::\"char\", c.relowner))"
)

_COLUMNS: Final = f"""
SELECT n.nspname || '.' || c.relname || '.' || a.attname,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                 CASE a.attidentity WHEN 'a' THEN 'IDENTITY ALWAYS' WHEN 'd' THEN 'IDENTITY' END,
                 CASE a.attgenerated WHEN '' THEN NULL WHEN 'v' THEN 'GENERATED VIRTUAL' ELSE 'GENERATED' END,
                 'DEFAULT ' || pg_get_expr(x.adbin, x.adrelid),
                 CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || l.collname END)
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_collation l ON l.oid = a.attcollation
  LEFT JOIN pg_attrdef x ON x.adrelid = a.attrelid AND x.adnum = a.attnum
 WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND {own("c.oid", "pg_class")}
"""
_TABLES: Final = f"""
SELECT n.nspname || '.' || c.relname,
       CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END
       || CASE c.relkind WHEN 'v' THEN 'VIEW ' || md5(pg_get_viewdef(c.oid))
                         WHEN 'm' THEN 'MATERIALIZED VIEW ' || md5(pg_get_viewdef(c.oid))
                                       || CASE WHEN c.relispopulated THEN '' ELSE ' WITH NO DATA' END
                         WHEN 'p' THEN 'PARTITIONED TABLE ' || pg_get_partkeydef(c.oid)
                         WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END
       || coalesce(' ' || pg_get_expr(c.relpartbound, c.oid), '')
       || coalesce(' OF ' || (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
                                FROM pg_inherits i WHERE i.inhrelid = c.oid), '')
       || CASE WHEN c.relkind IN ('r', 'p') AND c.relreplident <> 'd' THEN ' REPLICA IDENTITY ' || c.relreplident::text
               ELSE '' END
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND {own("c.oid", "pg_class")}
"""
_CONSTRAINTS: Final = f"""
SELECT coalesce(c.conrelid::regclass::text, c.contypid::regtype::text) || '.' || c.conname,
       pg_get_constraintdef(c.oid)
  FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
 WHERE c.contype <> 't' AND {own("c.oid", "pg_constraint")}
"""
_INDEXES: Final = f"""
SELECT n.nspname || '.' || c.relname,
       pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid AND i.indisready THEN '' ELSE ' (invalid)' END
       || coalesce(' OF ' || (SELECT h.inhparent::regclass::text FROM pg_inherits h
                                WHERE h.inhrelid = i.indexrelid), '')
       || CASE WHEN i.indisclustered THEN ' CLUSTERED' ELSE '' END
       || CASE WHEN i.indisreplident THEN ' REPLICA' ELSE '' END
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {own("i.indrelid", "pg_class")}
"""
_SEQUENCES: Final = f"""
SELECT n.nspname || '.' || c.relname,
       concat_ws(' ', format_type(s.seqtypid, NULL), 'START', s.seqstart, 'INCREMENT', s.seqincrement,
                 'MIN', s.seqmin, 'MAX', s.seqmax, CASE WHEN s.seqcycle THEN 'CYCLE' END,
                 'OWNED BY ' || (SELECT o.refobjid::regclass::text || '.' || a.attname FROM pg_depend o
                                   JOIN pg_attribute a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid
                                  WHERE o.objid = c.oid AND o.classid = 'pg_class'::regclass
                                    AND o.deptype IN ('a', 'i') AND o.refobjsubid > 0))
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {own("c.oid", "pg_class")}
"""
_EXTENSIONS: Final = """
SELECT e.extname, e.extversion || ' in ' || n.nspname
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
"""
_ROLES: Final = """
SELECT r.rolname,
       concat_ws(' ', CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcanlogin THEN 'LOGIN' END,
                 CASE WHEN r.rolinherit THEN 'INHERIT' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
                 CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolreplication THEN 'REPLICATION' END,
                 CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END, 'LIMIT', r.rolconnlimit,
                 'UNTIL ' || r.rolvaliduntil,
                 'IN ' || (SELECT string_agg(g.rolname, ', ' ORDER BY g.rolname)
                             FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid))
  FROM pg_roles r WHERE NOT starts_with(r.rolname, 'pg_')
"""
_GRANTS: Final = f"""
SELECT 'relation ' || n.nspname || '.' || c.relname, 'OWNER ' || pg_get_userbyid(c.relowner) || ' '
       || {_acl(_OF_A_RELATION)}
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {own("c.oid", "pg_class")}
UNION ALL
SELECT 'column ' || n.nspname || '.' || c.relname || '.' || a.attname, {_acl("a.attacl")}
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE a.attacl IS NOT NULL AND a.attnum > 0 AND NOT a.attisdropped AND {own("c.oid", "pg_class")}
UNION ALL
SELECT 'schema ' || n.nspname, 'OWNER ' || pg_get_userbyid(n.nspowner) || ' '
       || {_acl("coalesce(n.nspacl, acldefault('n', n.nspowner))")}
  FROM pg_namespace n WHERE {OURS}
UNION ALL
SELECT 'routine ' || p.oid::regprocedure, 'OWNER ' || pg_get_userbyid(p.proowner) || ' '
       || {_acl("coalesce(p.proacl, acldefault('f', p.proowner))")}
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {own("p.oid", "pg_proc")}
UNION ALL
SELECT 'database', 'OWNER ' || pg_get_userbyid(d.datdba) || ' '
       || {_acl("coalesce(d.datacl, acldefault('d', d.datdba))")}
  FROM pg_database d WHERE d.datname = current_database()
UNION ALL
SELECT 'default ' || pg_get_userbyid(d.defaclrole) || ' ' || d.defaclobjtype::text
       || coalesce(' in ' || n.nspname, ''), {_acl("d.defaclacl")}
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
"""
_ROW_SECURITY: Final = f"""
SELECT n.nspname || '.' || c.relname,
       'ENABLED' || CASE WHEN c.relforcerowsecurity THEN ' FORCED' ELSE '' END
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relrowsecurity AND {OURS}
UNION ALL
SELECT p.schemaname || '.' || p.tablename || '.' || p.policyname,
       concat_ws(' ', p.permissive, p.cmd, 'TO', (SELECT string_agg(r, ', ' ORDER BY r) FROM unnest(p.roles) r),
                 'USING ' || p.qual, 'CHECK ' || p.with_check)
  FROM pg_policies p
"""
_TRIGGERS: Final = f"""
SELECT t.tgrelid::regclass::text || '.' || t.tgname,
       pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE ' (' || t.tgenabled::text || ')' END
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT t.tgisinternal AND {OURS}
UNION ALL
SELECT 'event ' || e.evtname, concat_ws(' ', e.evtevent, e.evtenabled, e.evtfoid::regproc, e.evttags)
  FROM pg_event_trigger e
"""
_ROUTINES: Final = f"""
SELECT p.oid::regprocedure::text, p.prokind::text || ' ' || md5(concat_ws(' ', p.prosrc, p.proconfig,
       (SELECT lanname FROM pg_language l WHERE l.oid = p.prolang),
       p.provolatile, p.prosecdef, p.proisstrict, pg_get_function_result(p.oid),
       pg_get_function_arguments(p.oid), p.proparallel, p.proleakproof, p.probin))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {own("p.oid", "pg_proc")}
"""
# Only what a recovery must not change; a drill's ports, folders and memory are its own.
_SETTINGS: Final = """
SELECT s.name, s.reset_val FROM pg_settings s
 WHERE s.name IN ('server_encoding', 'data_checksums', 'block_size', 'wal_block_size', 'segment_size',
                  'integer_datetimes', 'max_identifier_length', 'max_index_keys', 'zero_damaged_pages',
                  'ignore_checksum_failure')
UNION ALL
SELECT 'connections to this database', d.datconnlimit::text FROM pg_database d WHERE d.datname = current_database()
UNION ALL
SELECT concat_ws(' ', 'for', r.rolname, CASE WHEN s.setdatabase <> 0 THEN 'in this database' END),
       (SELECT string_agg(one, ' ' ORDER BY one) FROM unnest(s.setconfig) one)
  FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
 WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
# A text index that was built under another version of its collation is wrong without being damaged.
_COLLATIONS: Final = """
SELECT 'database', concat_ws(' ', d.datlocprovider, d.datcollate, d.datctype, d.datlocale,
                             pg_database_collation_actual_version(d.oid))
  FROM (SELECT oid, datlocprovider, datcollate, datctype, to_jsonb(x) ->> 'datlocale' AS datlocale
          FROM pg_database x WHERE datname = current_database()) d
UNION ALL
SELECT 'recorded', concat_ws(' ', to_jsonb(d) ->> 'datcollversion')
  FROM pg_database d WHERE d.datname = current_database()
UNION ALL
SELECT n.nspname || '.' || c.collname, concat_ws(' ', c.collprovider, c.collcollate,
       CASE WHEN c.collisdeterministic THEN '' ELSE 'nondeterministic' END,
       pg_collation_actual_version(c.oid), c.collversion)
  FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
 WHERE (c.oid >= 16384 OR c.oid IN (SELECT attcollation FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid
                                     WHERE r.relkind IN ('r', 'p', 'i') AND a.attnum > 0 AND r.oid >= 16384))
   AND c.collname <> 'default'
"""

_QUERIES: Final[Mapping[str, str]] = {
    "tables": _TABLES,
    "columns": _COLUMNS,
    "constraints": _CONSTRAINTS,
    "indexes": _INDEXES,
    "sequences": _SEQUENCES,
    "extensions": _EXTENSIONS,
    "roles": _ROLES,
    "grants": _GRANTS,
    "row_security": _ROW_SECURITY,
    "triggers": _TRIGGERS,
    "routines": _ROUTINES,
    "settings": _SETTINGS,
    "collations": _COLLATIONS,
    **MORE,
}

VERSION: Final = 2
"""Of the definitions' form: those that another version recorded are not compared."""
KINDS: Final = tuple(_QUERIES)
"""The kinds of the fingerprint, in the order in which they are read."""


def read_catalog(source: Source, kinds: Iterable[str] = KINDS) -> Catalog:
    """Return the definitions of the given kinds, all by default; no right beyond reading the catalog is needed."""
    ((version,),) = source("SELECT current_setting('server_version_num')::int", {})
    queries = {**_QUERIES, "publications": publication_query(int(version))}
    return {
        kind: {
            str(name): str(definition or "")
            for name, definition in source(
                f"SELECT name, definition FROM ({queries[kind]}) listed (name, definition)", {}
            )
        }
        for kind in kinds
    }


def changes(recorded: Mapping[str, str], found: Mapping[str, str]) -> tuple[str, ...]:
    """List what of one kind is missing, was added, or is defined otherwise; one line each."""
    lines = [
        say("{name} is missing ({recorded})", name=name, recorded=recorded[name])
        for name in sorted(recorded.keys() - found.keys())
    ]
    lines += [
        say("{name} was not recorded ({found})", name=name, found=found[name])
        for name in sorted(found.keys() - recorded.keys())
    ]
    lines += [
        say("{name} is {found!r}, recorded {recorded!r}", name=name, found=found[name], recorded=recorded[name])
        for name in sorted(recorded.keys() & found.keys())
        if recorded[name] != found[name]
    ]
    return tuple(lines)
