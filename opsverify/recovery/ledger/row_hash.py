"""The 64-bit hash of a row, worked out by PostgreSQL itself: `hash_record_extended(ROW(...), 0)`.

A type's hash function promises only that equal values hash equally. What the type calls equal may be different
values (-0.0 and 0.0, '1 day' and '24 hours', citext 'A' and 'a'), and different values may hash equally: numeric
leaves the sign out, jsonb its brackets; int8, times and timestamps are folded to 32 bits first (0 and 4294967297).
So only types of which the hash is known to be one of every bit go in as they are. Of all others the binary form goes
in (the type's send function): exact, and independent of every setting. Where that would hold an OID, which a logical
restore gives anew (enums, composites, arrays of a user's own types, regclass and the like), or where the type has no
send function of its own, it is the text form. NULL and '' differ in all three.

Sources: PostgreSQL manual, F.23 (row hashing in `hash_record_extended`, since 14), 36.16 (hash support function 2),
42.53 and 42.64 (pg_opclass, pg_type.typsend); its source, hash_numeric_extended, jsonb_hash_extended, hashint8extended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from opsverify.recovery.ledger.names import in_sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opsverify.recovery.ledger.queries import Source

Form = Literal["value", "binary", "text"]

EXACT: Final = ("bool", "char", "int2", "int4", "oid", "uuid", "bytea", "date", "name", "text", "varchar")
"""Types whose own hash is one of all their bits: whole numbers of up to 32 bits, and bytes."""
_BY_NAME: Final = "'{}'".format("', '".join(EXACT))
_PINNED: Final = 10_000
"""OIDs below are the same on every server of a major version; those above are given out when it is built or made."""

COLUMNS: Final = f"""
WITH RECURSIVE base (type, base) AS (
    SELECT oid, oid FROM pg_type WHERE typtype <> 'd'
    UNION ALL
    SELECT d.oid, b.base FROM base b JOIN pg_type d ON d.typbasetype = b.type AND d.typtype = 'd')
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN t.oid < {_PINNED} AND t.typname IN ({_BY_NAME}) AND coalesce(l.collisdeterministic, true)
            THEN 'value'
            WHEN starts_with(coalesce(e.typname, t.typname), 'reg') AND t.oid < {_PINNED} THEN 'text'
            WHEN coalesce(e.typsend, t.typsend) <> 0 AND (f.proargtypes[0] = t.oid OR taken.typtype = 'p')
             AND (t.oid < {_PINNED} AND t.typtype <> 'c' OR t.typtype = 'b' AND t.typelem = 0)
            THEN 'binary'
            ELSE 'text'
        END AS form,
       quote_ident(fn.nspname) || '.' || quote_ident(f.proname) AS send,
       t.typcategory AS category, t.typname AS base_type, a.attnotnull AS not_null,
       {in_sql("a.attname")} AS quoted, a.attgenerated = 'v' AS virtual
  FROM pg_attribute a
  JOIN base ON base.type = a.atttypid
  JOIN pg_type t ON t.oid = base.base
  LEFT JOIN pg_type e ON e.typarray = t.oid
  LEFT JOIN pg_collation l ON l.oid = a.attcollation
  LEFT JOIN pg_proc f ON f.oid = t.typsend
  LEFT JOIN pg_type taken ON taken.oid = f.proargtypes[0]
  LEFT JOIN pg_namespace fn ON fn.oid = f.pronamespace
 WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
"""
"""The columns of the table with OID `oid`, in order, and the form in which each is hashed."""


@dataclass(frozen=True)
class Column:
    """One column: `term` is what of it is hashed, as SQL over the table's alias `t`; `quoted` its name in SQL.

    A `virtual` one holds nothing: its expression, which the catalog has, is worked out when it is read.
    """

    name: str
    type: str
    form: Form
    term: str
    quoted: str
    base_type: str
    not_null: bool
    virtual: bool


def columns(source: Source, oid: int) -> tuple[Column, ...]:
    """Return the columns of the table with OID `oid`, in the order of the table."""
    return tuple(
        Column(name, kind, form, _term(form, send, quoted), quoted, base_type, not_null, virtual)
        for name, kind, form, send, _category, base_type, not_null, quoted, virtual in source(COLUMNS, {"oid": oid})
    )


def row_hash(terms: Iterable[str]) -> str:
    """Return the SQL of the 64-bit hash over `terms`, each over the alias `t`."""
    return f"hash_record_extended(ROW({', '.join(terms)}), 0)"


def _term(form: Form, send: str | None, quoted: str) -> str:
    if form == "binary":
        return f"{send}(t.{quoted})"
    return f"t.{quoted}" if form == "value" else f"t.{quoted}::text"
