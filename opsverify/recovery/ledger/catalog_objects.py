"""Queries of the catalog's fingerprint for routines, types, operators and text search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.recovery.ledger.catalog_parts import dotted, fields, named, no_schema, own

if TYPE_CHECKING:
    from collections.abc import Mapping

# The body is a hash, but for BEGIN ATOMIC: the server writes that one anew each time, and not always alike.
_ROUTINES: Final = f"""
SELECT p.oid::regprocedure::text,
       CASE WHEN p.prokind = 'a'
            THEN concat_ws(' ', 'AGGREGATE', pg_get_function_arguments(p.oid), 'RETURNS',
                           pg_get_function_result(p.oid), p.proparallel::text, p.proisstrict)
            WHEN strpos(w.text, w.body) = 0 THEN w.text
            ELSE left(w.text, strpos(w.text, w.body)) || 'AS ' || md5(substr(w.text, strpos(w.text, w.body))) END
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  CROSS JOIN LATERAL (SELECT CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END, E'\\nAS ') w (text, body)
 WHERE {own("p.oid", "pg_proc")}
"""
_RANGE: Final = fields(
    "r",
    ("rngtypid",),
    {
        "rngsubtype": "format_type(r.rngsubtype, NULL)",
        "rngmultitypid": "(to_jsonb(r) ->> 'rngmultitypid')::oid::regtype",
        "rngcollation": "nullif(r.rngcollation, 0)::regcollation",
        "rngsubopc": named("pg_opclass", "r.rngsubopc"),
    },
)
_TYPE: Final = fields(
    "t",
    ("oid", "typname", "typnamespace", "typowner", "typacl", "typrelid", "typarray", "typdefaultbin", "typdefault",
     "typndims", "typtypmod"),
    {
        "typbasetype": "CASE WHEN t.typbasetype <> 0 THEN format_type(t.typbasetype, t.typtypmod) END",
        "typelem": "CASE WHEN t.typelem <> 0 THEN format_type(t.typelem, NULL) END",
        "typcollation": "CASE WHEN t.typcollation <> 0 THEN t.typcollation::regcollation END",
    },
)  # fmt: skip
_TYPES: Final = f"""
SELECT {dotted("n.nspname", "t.typname")},
       concat_ws(' ', {_TYPE}, 'DEFAULT ' || t.typdefault,
                 'ENUM ' || (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                               FROM pg_enum e WHERE e.enumtypid = t.oid),
                 'AS ' || (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
                                             || CASE WHEN a.attcollation <> y.typcollation
                                                     THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END,
                                             ', ' ORDER BY a.attnum)
                             FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
                            WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
                 (SELECT {_RANGE} FROM pg_range r WHERE r.rngtypid = t.oid))
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
 WHERE (t.typrelid = 0 OR c.relkind = 'c') AND t.typtype IN ('b', 'c', 'd', 'e', 'p', 'r')
   AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid) AND {own("t.oid", "pg_type")}
"""


def _schema(alias: str, column: str, catalog: str) -> str:
    return f"JOIN pg_namespace n ON n.oid = {alias}.{column} WHERE {own(f'{alias}.oid', catalog)}"


def _type(column: str) -> str:
    return f"CASE WHEN {column} <> 0 THEN format_type({column}, NULL) END"


_OPERATOR: Final = fields(
    "o",
    ("oid", "oprname", "oprnamespace", "oprowner", "oprleft", "oprright"),
    {
        "oprresult": _type("o.oprresult"),
        "oprcom": "o.oprcom::regoperator",
        "oprnegate": "o.oprnegate::regoperator",
    },
)
_IN_FAMILY: Final = fields(
    "a",
    ("oid", "amopfamily", "amopmethod"),
    {
        "amoplefttype": _type("a.amoplefttype"),
        "amoprighttype": _type("a.amoprighttype"),
        "amopopr": "a.amopopr::regoperator",
        "amopsortfamily": named("pg_opfamily", "a.amopsortfamily"),
    },
)
_SUPPORT: Final = fields(
    "a",
    ("oid", "amprocfamily"),
    {
        "amproclefttype": _type("a.amproclefttype"),
        "amprocrighttype": _type("a.amprocrighttype"),
        "amproc": "a.amproc::regprocedure",
    },
)
_CLASS: Final = fields(
    "o",
    ("oid", "opcname", "opcnamespace", "opcowner", "opcmethod"),
    {
        "opcfamily": named("pg_opfamily", "o.opcfamily"),
        "opcintype": _type("o.opcintype"),
        "opckeytype": _type("o.opckeytype"),
    },
)
_AGGREGATE: Final = fields(
    "a",
    ("aggfnoid",),
    {
        "aggsortop": "a.aggsortop::regoperator",
        "aggtranstype": _type("a.aggtranstype"),
        "aggmtranstype": _type("a.aggmtranstype"),
    },
)
_LANGUAGE: Final = fields(
    "l",
    ("oid", "lanname", "lanowner", "lanacl"),
    {column: f"l.{column}::regprocedure" for column in ("lanplcallfoid", "laninline", "lanvalidator")},
)
_OPERATORS: Final = f"""
SELECT {named("pg_operator", "o.oid")}, {_OPERATOR}
  FROM pg_operator o {_schema("o", "oprnamespace", "pg_operator")}
UNION ALL
SELECT {named("pg_opfamily", "f.oid")},
       concat_ws(' ', (SELECT string_agg(one, ', ' ORDER BY one) FROM (
                         SELECT {_IN_FAMILY} FROM pg_amop a WHERE a.amopfamily = f.oid
                          UNION ALL
                         SELECT {_SUPPORT} FROM pg_amproc a WHERE a.amprocfamily = f.oid) listed (one)))
  FROM pg_opfamily f {_schema("f", "opfnamespace", "pg_opfamily")}
UNION ALL
SELECT {named("pg_opclass", "o.oid")}, {_CLASS}
  FROM pg_opclass o {_schema("o", "opcnamespace", "pg_opclass")}
UNION ALL
SELECT {named("pg_cast", "c.oid")},
       {fields("c", ("oid", "castsource", "casttarget"), {"castfunc": "c.castfunc::regprocedure"})}
  FROM pg_cast c WHERE {no_schema("c.oid", "pg_cast")}
UNION ALL
SELECT {named("pg_conversion", "c.oid")}, {fields("c", ("oid", "conname", "connamespace", "conowner"))}
  FROM pg_conversion c {_schema("c", "connamespace", "pg_conversion")}
UNION ALL
SELECT {named("pg_language", "l.oid")}, {_LANGUAGE} FROM pg_language l WHERE l.oid >= 12000 AND l.lanispl
UNION ALL
SELECT {named("pg_am", "a.oid")}, {fields("a", ("oid", "amname"))}
  FROM pg_am a WHERE {no_schema("a.oid", "pg_am")}
UNION ALL
SELECT {named("pg_transform", "t.oid")}, {fields("t", ("oid", "trftype", "trflang"))}
  FROM pg_transform t WHERE {no_schema("t.oid", "pg_transform")}
UNION ALL
SELECT {named("pg_proc", "p.oid")}, {_AGGREGATE}
  FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid {_schema("p", "pronamespace", "pg_proc")}
"""
_TEXT_SEARCH: Final = f"""
SELECT {named("pg_ts_config", "c.oid")},
       concat_ws(' ', {named("pg_ts_parser", "c.cfgparser")},
                 (SELECT string_agg(concat_ws(' ', m.maptokentype, m.mapseqno, m.mapdict::regdictionary), ', '
                                    ORDER BY m.maptokentype, m.mapseqno)
                    FROM pg_ts_config_map m WHERE m.mapcfg = c.oid))
  FROM pg_ts_config c {_schema("c", "cfgnamespace", "pg_ts_config")}
UNION ALL
SELECT {named("pg_ts_dict", "t.oid")}, concat_ws(' ', t.dictinitoption, {named("pg_ts_template", "t.dicttemplate")})
  FROM pg_ts_dict t {_schema("t", "dictnamespace", "pg_ts_dict")}
UNION ALL
SELECT {named("pg_ts_parser", "t.oid")}, {fields("t", ("oid", "prsname", "prsnamespace"))}
  FROM pg_ts_parser t {_schema("t", "prsnamespace", "pg_ts_parser")}
UNION ALL
SELECT {named("pg_ts_template", "t.oid")}, {fields("t", ("oid", "tmplname", "tmplnamespace"))}
  FROM pg_ts_template t {_schema("t", "tmplnamespace", "pg_ts_template")}
"""

OBJECTS: Final[Mapping[str, str]] = {
    "routines": _ROUTINES,
    "types": _TYPES,
    "operators": _OPERATORS,
    "text_search": _TEXT_SEARCH,
}
"""The queries by kind."""
