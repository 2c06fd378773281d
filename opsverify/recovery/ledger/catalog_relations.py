"""Queries of the catalog's fingerprint for tables and what belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.recovery.ledger.catalog_parts import OURS, dotted, fields, in_order, own

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = dotted("n.nspname", "c.relname")
_SCHEMA: Final = "JOIN pg_namespace n ON n.oid = c.relnamespace"

_COLUMNS: Final = f"""
SELECT {dotted("n.nspname", "c.relname", "a.attname")},
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                 CASE a.attidentity WHEN 'a' THEN 'IDENTITY ALWAYS' WHEN 'd' THEN 'IDENTITY' END,
                 CASE a.attgenerated WHEN '' THEN NULL WHEN 'v' THEN 'GENERATED VIRTUAL' ELSE 'GENERATED' END,
                 'DEFAULT ' || pg_get_expr(x.adbin, x.adrelid),
                 CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END,
                 'OPTIONS ' || {in_order("a.attfdwoptions")})
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  {_SCHEMA}
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef x ON x.adrelid = a.attrelid AND x.adnum = a.attnum
 WHERE c.relkind IN ('r', 'p', 'f', 'v') AND a.attnum > 0 AND NOT a.attisdropped AND {own("c.oid", "pg_class")}
"""
# pg_dump writes the columns of an inheritance child behind its parents', so their order is no loss; a partition's is.
_TABLES: Final = f"""
SELECT {_NAME},
       concat_ws(' ', CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' END,
                 CASE c.relkind WHEN 'v' THEN 'VIEW ' || pg_get_viewdef(c.oid)
                                WHEN 'm' THEN 'MATERIALIZED VIEW ' || pg_get_viewdef(c.oid)
                                WHEN 'p' THEN 'PARTITIONED TABLE ' || pg_get_partkeydef(c.oid)
                                WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,
                 CASE WHEN NOT c.relispopulated THEN 'WITH NO DATA' END,
                 CASE WHEN c.relkind = 'v' THEN 'WITH ' || {in_order("c.reloptions")} END,
                 CASE WHEN c.reloftype <> 0 THEN 'OF TYPE ' || c.reloftype::regtype END,
                 'USING ' || (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam AND m.amname <> 'heap'),
                 pg_get_expr(c.relpartbound, c.oid),
                 'OF ' || (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
                             FROM pg_inherits i WHERE i.inhrelid = c.oid),
                 CASE WHEN c.relkind IN ('r', 'p') AND c.relreplident <> 'd'
                      THEN 'REPLICA IDENTITY ' || c.relreplident::text END,
                 CASE WHEN c.relkind IN ('r', 'p', 'f')
                           AND (c.relispartition OR NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid))
                      THEN 'COLUMNS ' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                                            FROM pg_attribute a
                                           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) END)
  FROM pg_class c {_SCHEMA}
 WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND {own("c.oid", "pg_class")}
"""
# The constraints that a foreign key has for each partition get new names when they are restored.
_CONSTRAINTS: Final = f"""
SELECT CASE WHEN c.conrelid <> 0 THEN c.conrelid::regclass::text ELSE 'domain ' || c.contypid::regtype END
       || '.' || quote_ident(c.conname), pg_get_constraintdef(c.oid)
  FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
 WHERE c.contype <> 't' AND NOT (c.contype = 'f' AND c.conparentid <> 0) AND {own("c.oid", "pg_constraint")}
"""
_INDEXES: Final = f"""
SELECT {_NAME},
       concat_ws(' ', pg_get_indexdef(i.indexrelid),
                 CASE WHEN NOT (i.indisvalid AND i.indisready AND i.indislive) THEN '(invalid)' END,
                 'OF ' || (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = i.indexrelid),
                 CASE WHEN i.indisreplident THEN 'REPLICA' END)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid {_SCHEMA}
 WHERE {own("i.indrelid", "pg_class")}
"""
_SEQUENCES: Final = f"""
SELECT {_NAME},
       concat_ws(' ', CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' END,
                 format_type(s.seqtypid, NULL), 'START', s.seqstart, 'INCREMENT', s.seqincrement,
                 'MIN', s.seqmin, 'MAX', s.seqmax, 'CACHE', s.seqcache, CASE WHEN s.seqcycle THEN 'CYCLE' END,
                 'OWNED BY ' || (SELECT o.refobjid::regclass::text || '.' || quote_ident(a.attname) FROM pg_depend o
                                   JOIN pg_attribute a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid
                                  WHERE o.objid = c.oid AND o.classid = 'pg_class'::regclass
                                    AND o.refclassid = 'pg_class'::regclass
                                    AND o.deptype IN ('a', 'i') AND o.refobjsubid > 0))
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid {_SCHEMA}
 WHERE {own("c.oid", "pg_class")}
"""
_ROW_SECURITY: Final = f"""
SELECT {_NAME},
       concat_ws(' ', CASE WHEN c.relrowsecurity THEN 'ENABLED' END, CASE WHEN c.relforcerowsecurity THEN 'FORCED' END)
  FROM pg_class c {_SCHEMA} WHERE (c.relrowsecurity OR c.relforcerowsecurity) AND {OURS}
UNION ALL
SELECT p.polrelid::regclass || '.' || quote_ident(p.polname),
       concat_ws(' ', CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, p.polcmd::text, 'TO',
                 (SELECT string_agg(CASE WHEN r = 0 THEN 'public' ELSE quote_ident(pg_get_userbyid(r)) END, ', '
                                    ORDER BY pg_get_userbyid(r)) FROM unnest(p.polroles) r),
                 'USING ' || pg_get_expr(p.polqual, p.polrelid), 'CHECK ' || pg_get_expr(p.polwithcheck, p.polrelid))
  FROM pg_policy p
"""
_TRIGGERS: Final = f"""
SELECT t.tgrelid::regclass::text || '.' || quote_ident(t.tgname),
       pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE ' (' || t.tgenabled::text || ')' END
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid {_SCHEMA}
 WHERE NOT t.tgisinternal AND {OURS}
UNION ALL
SELECT 'event ' || quote_ident(e.evtname), {
    fields("e", ("oid", "evtname", "evtowner"), {"evtfoid": "e.evtfoid::regprocedure"})
}
  FROM pg_event_trigger e
"""
_RULES: Final = f"""
SELECT {dotted("n.nspname", "c.relname", "r.rulename")},
       pg_get_ruledef(r.oid) || CASE r.ev_enabled WHEN 'O' THEN '' ELSE ' (' || r.ev_enabled::text || ')' END
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class {_SCHEMA}
 WHERE r.rulename <> '_RETURN' AND {own("c.oid", "pg_class")}
"""
_STATISTICS: Final = f"""
SELECT {dotted("n.nspname", "s.stxname")}, pg_get_statisticsobjdef(s.oid) || ' '
       || coalesce(to_jsonb(s) ->> 'stxstattarget', '')
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE {own("s.oid", "pg_statistic_ext")}
"""

RELATIONS: Final[Mapping[str, str]] = {
    "tables": _TABLES,
    "columns": _COLUMNS,
    "constraints": _CONSTRAINTS,
    "indexes": _INDEXES,
    "sequences": _SEQUENCES,
    "row_security": _ROW_SECURITY,
    "triggers": _TRIGGERS,
    "rules": _RULES,
    "statistics": _STATISTICS,
}
"""The queries by kind."""
