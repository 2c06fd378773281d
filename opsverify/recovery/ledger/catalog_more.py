"""Queries of the catalog's fingerprint for objects other than tables and what belongs to them: rules, types, operators.

With `catalog.py` they cover every type of entry that pg_dump writes (tests/recovery/ledger/pg_dump_entries.toml names
each, and what is left out on purpose). Secrets (connection strings, options of user mappings) are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS: Final = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(n.nspname, 'pg_') "
    "AND n.nspname !~ '^opsverify_'"
)
NOT_OF_AN_EXTENSION: Final = (
    "NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = {oid} AND d.classid = '{catalog}'::regclass"
    " AND d.deptype = 'e')"
)


def own(oid: str, catalog: str) -> str:
    """Return the SQL condition that an object is in a schema of the database's own, and of no extension."""
    return f"{OURS} AND " + NOT_OF_AN_EXTENSION.format(oid=oid, catalog=catalog)


def _no_schema(oid: str, catalog: str) -> str:
    return f"{oid} >= 16384 AND " + NOT_OF_AN_EXTENSION.format(oid=oid, catalog=catalog)


def _named(catalog: str, oid: str) -> str:
    return f"(SELECT type || ' ' || identity FROM pg_identify_object('{catalog}'::regclass, {oid}, 0))"


_RULES: Final = f"""
SELECT n.nspname || '.' || c.relname || '.' || r.rulename,
       pg_get_ruledef(r.oid) || CASE r.ev_enabled WHEN 'O' THEN '' ELSE ' (' || r.ev_enabled::text || ')' END
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE r.rulename <> '_RETURN' AND {own("c.oid", "pg_class")}
"""
_PUBLICATIONS: Final = """
SELECT p.pubname, concat_ws(' ', pg_get_userbyid(p.pubowner), (to_jsonb(p) - 'oid' - 'pubowner' - 'pubname')::text)
  FROM pg_publication p
UNION ALL
SELECT p.pubname || ' table ' || r.prrelid::regclass::text,
       concat_ws(' ', to_jsonb(r) ->> 'prattrs', md5(to_jsonb(r) ->> 'prqual'))
  FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
UNION ALL
SELECT name || ' schema ' || schema, '' FROM ({schemas}) listed (name, schema)
"""
_PUBLICATION_SCHEMAS: Final = """
SELECT p.pubname, s.pnnspid::regnamespace::text FROM pg_publication_namespace s
  JOIN pg_publication p ON p.oid = s.pnpubid
"""
_SUBSCRIPTIONS: Final = """
SELECT s.subname, concat_ws(' ', pg_get_userbyid(s.subowner), s.subenabled, s.subslotname, s.subsynccommit,
                            s.subpublications)
  FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT s.subname || ' table ' || r.srrelid::regclass::text, ''
  FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
"""
_TYPES: Final = f"""
SELECT n.nspname || '.' || t.typname,
       concat_ws(' ', t.typtype::text, t.typisdefined, t.typcategory::text, t.typnotnull, t.typdefault,
                 CASE WHEN t.typbasetype <> 0 THEN format_type(t.typbasetype, t.typtypmod) END,
                 CASE WHEN t.typtype = 'b' THEN concat_ws(' ', t.typlen, t.typinput, t.typoutput, t.typsend) END,
                 (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e
                   WHERE e.enumtypid = t.oid),
                 (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
                    FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
                 (SELECT concat_ws(' ', format_type(r.rngsubtype, NULL), r.rngcanonical, r.rngsubdiff)
                    FROM pg_range r WHERE r.rngtypid = t.oid),
                 'OWNER ' || pg_get_userbyid(t.typowner),
                 (SELECT string_agg(one::text, ' ' ORDER BY one::text) FROM unnest(t.typacl) one))
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
 WHERE (t.typrelid = 0 OR c.relkind = 'c') AND t.typtype IN ('b', 'c', 'd', 'e', 'p', 'r')
   AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid) AND {own("t.oid", "pg_type")}
"""
_OPERATORS: Final = f"""
SELECT {_named("pg_operator", "o.oid")},
       concat_ws(' ', o.oprcode, format_type(o.oprresult, NULL), o.oprcom::regoper, o.oprnegate::regoper,
                 o.oprrest, o.oprjoin, o.oprcanmerge, o.oprcanhash)
  FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE {own("o.oid", "pg_operator")}
UNION ALL
SELECT {_named("pg_opfamily", "f.oid")},
       concat_ws(' ', (SELECT string_agg(concat_ws(' ', a.amopstrategy, a.amopopr::regoperator), ', '
                                          ORDER BY a.amopstrategy, a.amopopr::regoperator::text)
                         FROM pg_amop a WHERE a.amopfamily = f.oid),
                 (SELECT string_agg(concat_ws(' ', a.amprocnum, a.amproc), ', ' ORDER BY a.amprocnum, a.amproc::text)
                    FROM pg_amproc a WHERE a.amprocfamily = f.oid))
  FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace WHERE {own("f.oid", "pg_opfamily")}
UNION ALL
SELECT {_named("pg_opclass", "o.oid")}, concat_ws(' ', format_type(o.opcintype, NULL), o.opcdefault)
  FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace WHERE {own("o.oid", "pg_opclass")}
UNION ALL
SELECT {_named("pg_cast", "c.oid")}, concat_ws(' ', c.castfunc::regprocedure, c.castcontext::text, c.castmethod::text)
  FROM pg_cast c WHERE {_no_schema("c.oid", "pg_cast")}
UNION ALL
SELECT {_named("pg_conversion", "c.oid")}, concat_ws(' ', c.conproc, c.condefault)
  FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace WHERE {own("c.oid", "pg_conversion")}
UNION ALL
SELECT {_named("pg_language", "l.oid")}, concat_ws(' ', l.lanpltrusted, l.lanplcallfoid::regproc,
       pg_get_userbyid(l.lanowner),
       (SELECT string_agg(one::text, ' ' ORDER BY one::text) FROM unnest(l.lanacl) one))
  FROM pg_language l WHERE l.oid >= 12000 AND l.lanispl
UNION ALL
SELECT {_named("pg_am", "a.oid")}, concat_ws(' ', a.amhandler, a.amtype::text)
  FROM pg_am a WHERE {_no_schema("a.oid", "pg_am")}
UNION ALL
SELECT {_named("pg_transform", "t.oid")}, concat_ws(' ', t.trffromsql, t.trftosql)
  FROM pg_transform t WHERE {_no_schema("t.oid", "pg_transform")}
UNION ALL
SELECT {_named("pg_proc", "p.oid")}, concat_ws(' ', a.aggtransfn, a.aggfinalfn, a.agginitval, a.aggtranstype::regtype,
                                               a.aggcombinefn, a.aggmtransfn, a.aggsortop::regoper)
  FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE {own("p.oid", "pg_proc")}
"""
_TEXT_SEARCH: Final = f"""
SELECT {_named("pg_ts_config", "c.oid")},
       concat_ws(' ', c.cfgparser, (SELECT string_agg(concat_ws(' ', m.maptokentype, m.mapseqno,
                                                                       m.mapdict::regdictionary),
                                             ', ' ORDER BY m.maptokentype, m.mapseqno)
                       FROM pg_ts_config_map m WHERE m.mapcfg = c.oid))
  FROM (SELECT oid, cfgnamespace, (SELECT prsname FROM pg_ts_parser p WHERE p.oid = cfgparser) AS cfgparser
          FROM pg_ts_config) c JOIN pg_namespace n ON n.oid = c.cfgnamespace WHERE {own("c.oid", "pg_ts_config")}
UNION ALL
SELECT {_named("pg_ts_dict", "t.oid")}, concat_ws(' ', t.dictinitoption,
       (SELECT tmplname FROM pg_ts_template m WHERE m.oid = t.dicttemplate))
  FROM pg_ts_dict t JOIN pg_namespace n ON n.oid = t.dictnamespace WHERE {own("t.oid", "pg_ts_dict")}
UNION ALL
SELECT {_named("pg_ts_parser", "t.oid")}, concat_ws(' ', t.prsstart, t.prstoken, t.prsend, t.prslextype)
  FROM pg_ts_parser t JOIN pg_namespace n ON n.oid = t.prsnamespace WHERE {own("t.oid", "pg_ts_parser")}
UNION ALL
SELECT {_named("pg_ts_template", "t.oid")}, concat_ws(' ', t.tmplinit, t.tmpllexize)
  FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace WHERE {own("t.oid", "pg_ts_template")}
"""
_STATISTICS: Final = f"""
SELECT n.nspname || '.' || s.stxname, pg_get_statisticsobjdef(s.oid) || ' '
       || coalesce(to_jsonb(s) ->> 'stxstattarget', '')
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE {own("s.oid", "pg_statistic_ext")}
"""
_FOREIGN: Final = f"""
SELECT 'wrapper ' || w.fdwname, concat_ws(' ', pg_get_userbyid(w.fdwowner), w.fdwhandler::regproc,
       w.fdwvalidator::regproc, w.fdwoptions)
  FROM pg_foreign_data_wrapper w WHERE {_no_schema("w.oid", "pg_foreign_data_wrapper")}
UNION ALL
SELECT 'server ' || s.srvname, concat_ws(' ', pg_get_userbyid(s.srvowner), s.srvtype, s.srvversion, s.srvoptions,
       (SELECT string_agg(one::text, ' ' ORDER BY one::text) FROM unnest(s.srvacl) one))
  FROM pg_foreign_server s
UNION ALL
SELECT 'user mapping ' || u.srvname || ' ' || u.usename, '' FROM pg_user_mappings u
UNION ALL
SELECT 'table ' || f.ftrelid::regclass::text, concat_ws(' ', (SELECT srvname FROM pg_foreign_server s
                                                           WHERE s.oid = f.ftserver),
       f.ftoptions)
  FROM pg_foreign_table f
"""
_TABLESPACES: Final = """
SELECT s.spcname, concat_ws(' ', 'OWNER', pg_get_userbyid(s.spcowner),
       (SELECT string_agg(one::text, ' ' ORDER BY one::text) FROM unnest(s.spcacl) one))
  FROM pg_tablespace s WHERE s.oid >= 16384
"""

MORE: Final[Mapping[str, str]] = {
    "rules": _RULES,
    "publications": _PUBLICATIONS,
    "subscriptions": _SUBSCRIPTIONS,
    "types": _TYPES,
    "operators": _OPERATORS,
    "text_search": _TEXT_SEARCH,
    "statistics": _STATISTICS,
    "foreign": _FOREIGN,
    "tablespaces": _TABLESPACES,
}
"""The queries by kind."""
LEFT_OUT: Final = (
    "comments and security labels",
    "storage options, column storage and compression, statistics targets, the tablespace of a table",
    "statistics of the planner",
    "connection strings of subscriptions, options of user mappings: they may be secrets",
)
"""What the fingerprint leaves out on purpose."""


def publication_query(version: int) -> str:
    """Return the query of publications; schemas can be published since PostgreSQL 15."""
    schemas = _PUBLICATION_SCHEMAS if version >= 150000 else "SELECT NULL::text, NULL::text WHERE false"  # noqa: PLR2004
    return _PUBLICATIONS.replace("{schemas}", schemas)
