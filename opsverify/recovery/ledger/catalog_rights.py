"""Queries of the catalog's fingerprint for roles, owners and grants.

Of the server's and of extensions' objects a grant is what differs from `pg_init_privs`; nothing of them is an owner's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.recovery.ledger.catalog_parts import OURS, dotted, fields, in_order, named, own

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROLES: Final = f"""
SELECT quote_ident(r.rolname),
       concat_ws(' ', CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcanlogin THEN 'LOGIN' END,
                 CASE WHEN r.rolinherit THEN 'INHERIT' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
                 CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolreplication THEN 'REPLICATION' END,
                 CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END, 'LIMIT', r.rolconnlimit,
                 'UNTIL ' || r.rolvaliduntil)
  FROM pg_roles r WHERE NOT starts_with(r.rolname, 'pg_')
UNION ALL
SELECT quote_ident(m.rolname) || ' IN ' || quote_ident(g.rolname)
       || ' BY ' || quote_ident(pg_get_userbyid(a.grantor)), {fields("a", ("oid", "roleid", "member", "grantor"))}
  FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.roleid
 WHERE NOT (starts_with(m.rolname, 'pg_') AND starts_with(g.rolname, 'pg_'))
"""


def _held(name: str, owner: str, acl: str | None, standard: str, rest: str) -> str:
    """Return the query of owner and grants; without grants of its own an object has those that are built in."""
    given = f", {in_order(f'coalesce({acl}, acldefault({standard}, {owner}))')}" if acl else ""
    return f"SELECT {name}, concat_ws(' ', 'OWNER ' || quote_ident(pg_get_userbyid({owner})){given}) {rest}"


def _owned(catalog: str, prefix: str, schema: str | None = None, condition: str = "") -> str:
    """Return the query of the owners of objects that nothing can be granted on."""
    place = f"JOIN pg_namespace n ON n.oid = o.{schema} WHERE {own('o.oid', catalog)}" if schema else condition
    return _held(named(catalog, "o.oid"), f"o.{prefix}owner", None, "", f"FROM {catalog} o {place}")


def _changed(name: str, catalog: str, oid: str, acl: str, standard: str, rest: str, sub: str = "0") -> str:
    """Return the query of what was granted (+) or revoked (-) since an object was made by initdb or its extension."""
    before, after = f"coalesce(i.initprivs, {standard})", f"coalesce({acl}, {standard})"
    return f"""
SELECT 'given ' || {name}, given.items
  FROM {rest}
  LEFT JOIN pg_init_privs i ON i.objoid = {oid} AND i.classoid = '{catalog}'::regclass AND i.objsubid = {sub}
  CROSS JOIN LATERAL (
    SELECT string_agg(one.item, ' ' ORDER BY one.item) FROM (
      SELECT concat_ws(' ', d.sign || d.privilege_type, CASE WHEN d.is_grantable THEN 'WITH GRANT OPTION' END,
                       'TO', CASE WHEN d.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(d.grantee)) END,
                       'BY', quote_ident(pg_get_userbyid(d.grantor)))
        FROM (SELECT '+' AS sign, p.*
                FROM (SELECT * FROM aclexplode({after}) EXCEPT SELECT * FROM aclexplode({before})) p
               UNION ALL
              SELECT '-', m.*
                FROM (SELECT * FROM aclexplode({before}) EXCEPT SELECT * FROM aclexplode({after})) m) d
    ) one (item)) given (items)
 WHERE given.items IS NOT NULL AND ({acl} IS NOT NULL OR i.initprivs IS NOT NULL)"""


_CLASS: Final = "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
_PROC: Final = "pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
_ATTRIBUTE: Final = "pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
_OF_A_RELATION: Final = "(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::\"char\""
_COLUMN: Final = dotted("n.nspname", "c.relname", "a.attname")
_OF_OTHERS: Final = "n.nspname !~ '^(pg_toast|pg_temp_|pg_toast_temp_|opsverify_)' AND NOT"
_OWN_TYPES: Final = (
    "(t.typrelid = 0 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))"
    " AND t.typtype <> 'm' AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)"
)


_GRANTS: Final = "UNION ALL\n".join(
    f"{query}\n"
    for query in (
        _held(
            f"'relation ' || {dotted('n.nspname', 'c.relname')}", "c.relowner", "c.relacl", _OF_A_RELATION,
            f"FROM {_CLASS} WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {own('c.oid', 'pg_class')}",
        ),
        f"""SELECT 'column ' || {_COLUMN}, {in_order("a.attacl")} FROM {_ATTRIBUTE}
 WHERE cardinality(a.attacl) > 0 AND a.attnum > 0 AND NOT a.attisdropped AND {own("c.oid", "pg_class")}""",
        _held(
            "'schema ' || quote_ident(n.nspname)", "n.nspowner", "n.nspacl", "'n'", f"FROM pg_namespace n WHERE {OURS}"
        ),
        _held(
            "'routine ' || p.oid::regprocedure", "p.proowner", "p.proacl", "'f'",
            f"FROM {_PROC} WHERE {own('p.oid', 'pg_proc')}",
        ),
        _held(
            "'database'", "d.datdba", "d.datacl", "'d'", "FROM pg_database d WHERE d.datname = current_database()"
        ),
        _held(
            named("pg_type", "t.oid"), "t.typowner", "t.typacl", "'T'",
            "FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace"
            f" WHERE {_OWN_TYPES} AND {own('t.oid', 'pg_type')}",
        ),
        _held(named("pg_language", "l.oid"), "l.lanowner", "l.lanacl", "'l'", "FROM pg_language l"),
        _held(
            named("pg_foreign_data_wrapper", "w.oid"), "w.fdwowner", "w.fdwacl", "'F'", "FROM pg_foreign_data_wrapper w"
        ),
        _held(named("pg_foreign_server", "s.oid"), "s.srvowner", "s.srvacl", "'S'", "FROM pg_foreign_server s"),
        _held("'tablespace ' || quote_ident(s.spcname)", "s.spcowner", "s.spcacl", "'t'", "FROM pg_tablespace s"),
        f"""SELECT 'large objects of ' || quote_ident(pg_get_userbyid(lomowner)) || coalesce(' ' || items, ''),
       count(*) || ' ' || sum(hashoidextended(oid, 0))
  FROM (SELECT oid, lomowner, {in_order("coalesce(lomacl, acldefault('L', lomowner))")} AS items
          FROM pg_largeobject_metadata) held GROUP BY lomowner, items""",
        f"""SELECT 'parameter ' || name, {in_order("acl")} FROM (@parameters@) given (name, acl)
 WHERE cardinality(acl) > 0""",
        f"""SELECT 'default ' || quote_ident(pg_get_userbyid(d.defaclrole)) || ' ' || d.defaclobjtype::text
       || coalesce(' in ' || quote_ident(n.nspname), ''), {in_order("d.defaclacl")}
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace""",
        _owned("pg_operator", "opr", "oprnamespace"),
        _owned("pg_opfamily", "opf", "opfnamespace"),
        _owned("pg_opclass", "opc", "opcnamespace"),
        _owned("pg_collation", "coll", "collnamespace"),
        _owned("pg_conversion", "con", "connamespace"),
        _owned("pg_statistic_ext", "stx", "stxnamespace"),
        _owned("pg_ts_config", "cfg", "cfgnamespace"),
        _owned("pg_ts_dict", "dict", "dictnamespace"),
        _owned("pg_publication", "pub"),
        _owned("pg_event_trigger", "evt"),
        _held(
            "'subscription ' || quote_ident(s.subname)", "s.subowner", None, "",
            "FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
        ),
        _changed(
            f"'relation ' || {dotted('c.nspname', 'c.relname')}", "pg_class", "c.oid", "c.relacl",
            f"acldefault({_OF_A_RELATION}, c.relowner)",
            f"(SELECT c.*, n.nspname FROM {_CLASS} WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"
            f" AND {_OF_OTHERS} ({own('c.oid', 'pg_class')})) c",
        ),
        _changed(
            f"'column ' || {dotted('a.nspname', 'a.relname', 'a.attname')}", "pg_class", "a.attrelid", "a.attacl",
            "'{}'::aclitem[]",
            f"(SELECT a.attrelid, a.attnum, a.attname, a.attacl, c.relname, n.nspname FROM {_ATTRIBUTE}"
            f" WHERE NOT a.attisdropped AND {_OF_OTHERS} ({own('c.oid', 'pg_class')})) a",
            "a.attnum",
        ),
        _changed(
            "'routine ' || p.oid::regprocedure", "pg_proc", "p.oid", "p.proacl", "acldefault('f', p.proowner)",
            f"(SELECT p.oid, p.proacl, p.proowner FROM {_PROC} WHERE {_OF_OTHERS} ({own('p.oid', 'pg_proc')})) p",
        ),
        _changed(
            named("pg_type", "t.oid"), "pg_type", "t.oid", "t.typacl", "acldefault('T', t.typowner)",
            f"(SELECT t.oid, t.typacl, t.typowner FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace"
            f" WHERE {_OF_OTHERS} ({own('t.oid', 'pg_type')})) t",
        ),
        _changed(
            "'schema ' || quote_ident(n.nspname)", "pg_namespace", "n.oid", "n.nspacl", "acldefault('n', n.nspowner)",
            "(SELECT * FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema')) n",
        ),
    )
)  # fmt: skip

RIGHTS: Final[Mapping[str, str]] = {"roles": _ROLES, "grants": _GRANTS}
"""The queries by kind."""
