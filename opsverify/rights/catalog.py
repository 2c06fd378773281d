"""Catalog of PostgreSQL: what is granted on every object of a database, one row for each pattern of grants.

Objects of one kind, schema, owner and grants are one row: thousands of tables are a few rows. Of the server's own
objects only what differs from the state after initdb is a grant. Large objects are grouped by their owner.
"""

from __future__ import annotations

from typing import Final

SERVER: Final = "SELECT current_setting('server_version_num')::int AS version, current_database() AS database"
ROLES: Final = """
SELECT oid::int8 AS oid, rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin,
       oid < 16384 AND rolname ~ '^pg_' AS predefined,
       oid = (SELECT datdba FROM pg_database WHERE datname = current_database()) AS owns_database
  FROM pg_roles
"""
PARAMETERS_SINCE: Final = 150000
MEMBERSHIP_OPTIONS_SINCE: Final = 160000

_MEMBERS: Final = """
SELECT m.rolname AS member, g.rolname AS "group", bool_or({inherit}) AS inherits, bool_or({settable}) AS sets,
       bool_or(a.admin_option) AS administers
  FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.roleid
 GROUP BY 1, 2
"""
_OURS: Final = "n.nspname !~ '^pg_(toast|temp_|toast_temp_)'"
_SOURCES: Final = (
    """
SELECT CASE WHEN c.relkind = 'S' THEN 'SEQUENCE' WHEN c.relkind IN ('v', 'm') THEN 'VIEW' ELSE 'TABLE' END,
       n.nspname, format('%I.%I', n.nspname, c.relname),
       CASE WHEN c.relispartition THEN
         (SELECT format('TABLE %I.%I', rn.nspname, r.relname) FROM pg_class r JOIN pg_namespace rn
              ON rn.oid = r.relnamespace WHERE r.oid = pg_partition_root(c.oid)) END,
       c.relowner, c.relacl, acldefault((CASE WHEN c.relkind = 'S' THEN 's' ELSE 'r' END)::"char", c.relowner),
       c.oid < 16384, 'pg_class'::regclass, c.oid, 0
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND @ours@
""",
    """
SELECT 'COLUMN', n.nspname, format('%I.%I.%I', n.nspname, c.relname, a.attname),
       format('%s %I.%I', CASE WHEN c.relkind IN ('v', 'm') THEN 'VIEW' ELSE 'TABLE' END, n.nspname, c.relname),
       c.relowner, a.attacl, NULL, c.oid < 16384, 'pg_class'::regclass, c.oid, a.attnum
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND @ours@
""",
    """
SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, n.nspname,
       format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), NULL,
       p.proowner, p.proacl, acldefault('f', p.proowner), p.oid < 16384, 'pg_proc'::regclass, p.oid, 0
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE @ours@
""",
    """
SELECT 'TYPE', n.nspname, format('%I.%I', n.nspname, t.typname), NULL, t.typowner, t.typacl,
       acldefault('T', t.typowner), t.oid < 16384, 'pg_type'::regclass, t.oid, 0
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
 WHERE (t.typrelid = 0 OR c.relkind = 'c') AND @ours@
   AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
""",
    """
SELECT 'SCHEMA', NULL, quote_ident(n.nspname), NULL, n.nspowner, n.nspacl, acldefault('n', n.nspowner),
       n.oid < 16384 AND n.nspname <> 'public', 'pg_namespace'::regclass, n.oid, 0
  FROM pg_namespace n
 WHERE @ours@
""",
    """
SELECT 'DATABASE', NULL, quote_ident(datname), NULL, datdba, datacl, acldefault('d', datdba), false,
       'pg_database'::regclass, oid, 0
  FROM pg_database WHERE datname = current_database()
""",
    """
SELECT 'TABLESPACE', NULL, quote_ident(spcname), NULL, spcowner, spcacl, acldefault('t', spcowner), oid < 16384,
       'pg_tablespace'::regclass, oid, 0
  FROM pg_tablespace
""",
    """
SELECT 'LANGUAGE', NULL, quote_ident(lanname), NULL, lanowner, lanacl, acldefault('l', lanowner), oid < 16384,
       'pg_language'::regclass, oid, 0
  FROM pg_language
""",
    """
SELECT 'FOREIGN DATA WRAPPER', NULL, quote_ident(fdwname), NULL, fdwowner, fdwacl, acldefault('F', fdwowner), false,
       'pg_foreign_data_wrapper'::regclass, oid, 0
  FROM pg_foreign_data_wrapper
""",
    """
SELECT 'FOREIGN SERVER', NULL, quote_ident(srvname), NULL, srvowner, srvacl, acldefault('S', srvowner), false,
       'pg_foreign_server'::regclass, oid, 0
  FROM pg_foreign_server
""",
    """
SELECT DISTINCT ON (lomowner, lomacl::text) 'LARGE OBJECTS', NULL::name,
       'OF ' || quote_ident(pg_get_userbyid(lomowner)), NULL, lomowner, lomacl, acldefault('L', lomowner), false,
       'pg_largeobject'::regclass, 0::oid, 0
  FROM pg_largeobject_metadata
""",
    # An entry of the whole database takes the place of what is built in, which is therefore no grant.
    """
SELECT 'FUTURE', NULL,
       CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                            WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END
       || coalesce(' IN SCHEMA ' || quote_ident(n.nspname), '') || ' BY ' || quote_ident(pg_get_userbyid(d.defaclrole)),
       NULL, d.defaclrole, d.defaclacl,
       acldefault((CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype::text END)::"char", d.defaclrole),
       d.defaclnamespace = 0, 'pg_default_acl'::regclass, d.oid, 0
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
""",
)
_PARAMETERS: Final = """
SELECT 'PARAMETER', NULL, parname, NULL, 10::oid, paracl, acldefault('p', 10), false,
       'pg_parameter_acl'::regclass, oid, 0
  FROM pg_parameter_acl
"""
_OBJECTS: Final = """
WITH found (kind, schema, name, parent, owner, acl, standard, system, classid, oid, sub) AS ({sources}),
granted AS (
SELECT f.kind, CASE WHEN NOT f.system THEN f.schema END AS schema, f.name, f.parent, f.owner, f.system,
       coalesce((SELECT array_agg(format('%s|%s|%s|%s', grantee, grantor, is_grantable, privilege_type)
                                  ORDER BY grantee, grantor, privilege_type)
                   FROM (SELECT * FROM aclexplode(coalesce(f.acl, f.standard))
                         EXCEPT
                         SELECT * FROM aclexplode(CASE WHEN f.system THEN coalesce(i.initprivs, f.standard) END)) e
                  WHERE grantee <> f.owner), '{{}}') AS items
  FROM found f
  LEFT JOIN pg_init_privs i ON f.system AND i.objoid = f.oid AND i.classoid = f.classid AND i.objsubid = f.sub
)
SELECT kind, quote_ident(schema) AS schema, owner::int8 AS owner, items, array_agg(name ORDER BY name) AS names,
       array_agg(parent ORDER BY name) AS parents
  FROM granted
 WHERE NOT system OR items <> '{{}}' OR owner <> 10
 GROUP BY kind, schema, owner, items
 ORDER BY kind, schema, owner, items
"""


def objects_query(version: int) -> str:
    """The statement that lists all objects with their grants on a server of `version` (`160004`)."""
    sources = (*_SOURCES, _PARAMETERS) if version >= PARAMETERS_SINCE else _SOURCES
    return _OBJECTS.format(sources="UNION ALL".join(f"({source})\n" for source in sources).replace("@ours@", _OURS))


def members_query(version: int) -> str:
    """The statement that lists all memberships: before 16 the member's attribute decided whether it inherits."""
    if version >= MEMBERSHIP_OPTIONS_SINCE:
        return _MEMBERS.format(inherit="a.inherit_option", settable="a.set_option")
    return _MEMBERS.format(inherit="m.rolinherit", settable="true")
