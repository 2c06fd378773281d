"""Names of a database in SQL: quoted so that they also pass through a statement with parameters.

A `%` in a name would be taken for a parameter there: such a name is written as `U&"..."`, with the percent by its
code point. Names go into SQL by these functions only.
"""

from __future__ import annotations

from typing import Final

_ESCAPED: Final = 'U&"'


def in_sql(name: str) -> str:
    r"""Return the SQL expression that quotes `name`, itself an expression: `quote_ident`, or `U&"100\0025"`."""
    escaped = f"replace(replace(replace({name}, '\\', '\\\\'), '\"', '\"\"'), chr(37), '\\0025')"
    return (
        f"CASE WHEN strpos({name}::text, chr(37)) > 0 THEN 'U&\"' || {escaped} || '\"' ELSE quote_ident({name}) END"
    ).replace(f"({name},", f"({name}::text,")


def plain(schema: str, relation: str) -> str:
    """Return the SQL of a table's name as people write it, `schema.relation`, both of them expressions.

    A part that holds what would divide the name is quoted: no two tables share a name.
    """
    parts = (f"CASE WHEN {part} ~ '^\"|[.]|: ' THEN quote_ident({part}) ELSE {part} END" for part in (schema, relation))
    return " || '.' || ".join(parts)


def label(schema: str, relation: str) -> str:
    """Return the SQL of the name by which the ledger knows a table: `plain`, without the schema `public`."""
    name = plain(schema, relation)
    return f"CASE {schema} WHEN 'public' THEN substr({name}, length('public.') + 1) ELSE {name} END"


def narrowed(oid: str) -> str:
    """Return the SQL that row security keeps rows of the table `oid`, an expression, from this role.

    A policy that lets the role read every row, with no restrictive one beside it, keeps none.
    """
    applies = (
        f"p.polrelid = {oid} AND p.polcmd IN ('r', '*') AND EXISTS "
        "(SELECT FROM unnest(p.polroles) one (role) WHERE one.role = 0 OR pg_has_role(one.role, 'USAGE'))"
    )
    everything = "pg_get_expr(p.polqual, p.polrelid) = 'true'"
    return (
        f"(row_security_active({oid}) AND (NOT EXISTS (SELECT FROM pg_policy p WHERE {applies} AND p.polpermissive "
        f"AND {everything}) OR EXISTS (SELECT FROM pg_policy p WHERE {applies} AND NOT p.polpermissive "
        f"AND ({everything}) IS NOT TRUE)))"
    )


def as_regclass(quoted: str) -> str:
    """Return a qualified name that `in_sql` quoted as the text that `regclass` reads, which knows no `U&`."""
    read: list[str] = []
    rest = quoted
    while _ESCAPED in rest:
        before, _, rest = rest.partition(_ESCAPED)
        name, rest = _quoted_part(rest)
        plain = name.replace("\\0025", "%").replace("\\\\", "\\")
        read += [before, '"', plain, '"']
    return "".join([*read, rest])


def _quoted_part(text: str) -> tuple[str, str]:
    """Split `text` after the quote that ends the name it begins with; a doubled quote is part of the name."""
    at = 0
    while True:
        at = text.index('"', at)
        if text[at + 1 : at + 2] != '"':
            return text[:at], text[at + 1 :]
        at += 2
