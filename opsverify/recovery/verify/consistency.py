"""Consistency between rows, whatever was recorded: keys, references, sequences, validity. Read-only SQL.

An index may be what is damaged, so uniqueness and references are proven from the tables themselves. A subquery
with OFFSET 0 that hands out `ctid` can be answered by reading the table only: an index-only scan has no ctid, and
a sorted index scan is never the cheaper plan.
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from opsverify.language.message import join, say
from opsverify.recovery.ledger.names import in_sql, narrowed
from opsverify.recovery.ledger.sequence_values import READABLE, standing
from opsverify.recovery.verify.finding import Finding, apart, while_listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.verify.finding import Errors

_OURS: Final = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(n.nspname, 'pg_')"


def _qualified(schema: str, relation: str, kind: str = "") -> str:
    """Return the SQL of a table's full name; ONLY where children by inheritance are no part of what is asked."""
    name = f"{in_sql(f'{schema}.nspname')} || '.' || {in_sql(f'{relation}.relname')}"
    return f"CASE {relation}.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END || {name}" if kind else name


def _collate(oid: str) -> str:
    """Return the SQL that adds the collation `oid`; nothing where there is none."""
    named = (
        f"(SELECT ' COLLATE ' || {in_sql('ln.nspname')} || '.' || {in_sql('l.collname')} FROM pg_collation l "
        f"JOIN pg_namespace ln ON ln.oid = l.collnamespace WHERE l.oid = {oid})"
    )
    return f"coalesce({named}, '')"


_SEQUENCES: Final = f"""
SELECT {_qualified("sn", "s")} AS sequence, {_qualified("n", "c")} AS quoted, {in_sql("a.attname")} AS column_name,
       q.seqincrement AS increment,
       {READABLE.format(oid="s.oid", schema="sn.oid")} AS readable
  FROM pg_sequence q
  JOIN pg_class s ON s.oid = q.seqrelid
  JOIN pg_namespace sn ON sn.oid = s.relnamespace
  JOIN (SELECT objid AS sequence, refobjid AS relation, refobjsubid AS number FROM pg_depend
         WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
           AND deptype IN ('a', 'i') AND refobjsubid > 0
         UNION
        SELECT d.refobjid, x.adrelid, x.adnum FROM pg_depend d JOIN pg_attrdef x ON x.oid = d.objid
         WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n') u
    ON u.sequence = s.oid
  JOIN pg_class c ON c.oid = u.relation AND c.relkind IN ('r', 'p')
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid AND t.typcategory = 'N'
 WHERE {_OURS}
 ORDER BY 1, 2, 3
"""

# Compared as the key itself compares: by its operators, which need not be on the search path, and its collations.
# One that was never validated binds new rows only: old orphans are no loss, and `validity` names it.
_FOREIGN_KEYS: Final = f"""
SELECT c.conname AS name,
       {_qualified("n", "r")} AS referencing, {_qualified("fn", "f")} AS referenced,
       {_qualified("n", "r", "ONLY")} AS of_referencing, {_qualified("fn", "f", "ONLY")} AS of_referenced,
       (SELECT array_agg({in_sql("a.attname")} ORDER BY k.nth)
          FROM unnest(c.conkey) WITH ORDINALITY k (num, nth)
          JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num)::text[] AS ours,
       (SELECT array_agg({in_sql("a.attname")} || {_collate("a.attcollation")} ORDER BY k.nth)
          FROM unnest(c.confkey) WITH ORDINALITY k (num, nth)
          JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num)::text[] AS theirs,
       (SELECT array_agg('OPERATOR(' || {in_sql("on_.nspname")} || '.' || o.oprname || ')' ORDER BY k.nth)
          FROM unnest(c.conpfeqop) WITH ORDINALITY k (operator, nth)
          JOIN pg_operator o ON o.oid = k.operator
          JOIN pg_namespace on_ ON on_.oid = o.oprnamespace)::text[] AS operators,
       c.confmatchtype = 'f' AS matches_full,
       {narrowed("c.conrelid")} OR {narrowed("c.confrelid")} AS narrowed
  FROM pg_constraint c
  JOIN pg_class r ON r.oid = c.conrelid
  JOIN pg_namespace n ON n.oid = r.relnamespace
  JOIN pg_class f ON f.oid = c.confrelid
  JOIN pg_namespace fn ON fn.oid = f.relnamespace
 WHERE c.contype = 'f' AND c.conparentid = 0 AND c.convalidated AND {_OURS}
   AND coalesce(to_jsonb(c) ->> 'conperiod', 'false') = 'false'
   AND coalesce(to_jsonb(c) ->> 'conenforced', 'true') = 'true'
 ORDER BY 2, 1
"""

_UNIQUE: Final = f"""
SELECT x.relname AS name, {_qualified("n", "c")} AS quoted, {_qualified("n", "c", "ONLY")} AS of_table,
       (SELECT array_agg('(' || pg_get_indexdef(i.indexrelid, k, true) || ')' || {_collate("i.indcollation[k - 1]")}
                         ORDER BY k)
          FROM generate_series(1, i.indnkeyatts) k)::text[] AS keys,
       pg_get_expr(i.indpred, i.indrelid) AS predicate,
       coalesce(to_jsonb(i) ->> 'indnullsnotdistinct', 'false') = 'true' AS nulls_equal
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indrelid AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  JOIN pg_class x ON x.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE i.indisunique AND NOT i.indisexclusion AND {_OURS}
 ORDER BY 2, 1
"""

_VALIDITY: Final = f"""
SELECT 'index ' || x.oid::regclass || ' is ' || CASE WHEN i.indisvalid THEN 'not maintained' ELSE 'invalid' END
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND {_OURS}
UNION ALL
SELECT 'constraint ' || CASE WHEN c.conrelid <> 0 THEN c.conrelid::regclass::text ELSE c.contypid::regtype::text END
       || '.' || quote_ident(c.conname) || ' is not validated'
  FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
 WHERE NOT c.convalidated AND {_OURS}
UNION ALL
SELECT 'trigger ' || t.tgrelid::regclass || '.' || quote_ident(t.tgname) || ' is disabled'
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE t.tgenabled = 'D' AND {_OURS}
"""
_VALIDITY_OF: Final = f"""
SELECT (SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS})
     + (SELECT count(*) FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE {_OURS})
     + (SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS})
"""


def check_sequences(source: Source, errors: Errors = ()) -> Finding:
    """Find sequences whose next values their column already holds; each is asked by itself (`errors` may end it)."""
    rows = list(source(_SEQUENCES, {}))
    closed = [row[0] for row in rows if row[-1] is False]  # NULL: dropped meanwhile
    ask = while_listed(partial(_behind, source), partial(source, _SEQUENCES, {}), itemgetter(0, 1, 2))
    problems, unknown = apart((row for row in rows if row[-1]), ask, errors, itemgetter(0))
    if closed:
        unknown.append(f"no right to read {', '.join(closed)}: GRANT SELECT on the sequences")
    of = say("of {count} sequences are behind their column", count=len(rows))
    return Finding(len(rows), of, tuple(problems), None if problems else join("; ", unknown) or None)


def _behind(source: Source, row: Sequence[Any]) -> Iterator[str]:
    sequence, quoted, column, increment, _ = row
    furthest = "max" if increment > 0 else "min"
    # The column comes first: rows that are written meanwhile cannot look too far ahead.
    ((reached,),) = source(f"SELECT {furthest}({column})::int8 FROM {quoted}", {})
    last, called = standing(source, sequence)
    given = last if called else last - increment
    if reached is not None and (reached - given) * (1 if increment > 0 else -1) > 0:
        yield say(
            "sequence {sequence} is at {given}, {quoted}.{column} holds {reached}: setval it",
            sequence=sequence,
            given=given,
            quoted=quoted,
            column=column,
            reached=reached,
        )


def check_foreign_keys(source: Source) -> Finding:
    """Find rows whose referenced row is missing, by an anti-join: VALIDATE trusts the flag, and passes on orphans."""
    rows = list(source(_FOREIGN_KEYS, {}))
    closed = [f"{row[1]} {row[0]}" for row in rows if row[-1]]
    ask = while_listed(partial(_orphans, source), partial(source, _FOREIGN_KEYS, {}), itemgetter(0, 1))
    problems = [line for row in rows if not row[-1] for line in ask(row)]
    unknown = (
        say("row security narrows what this role reads of {closed}: GRANT it BYPASSRLS", closed=", ".join(closed))
        if closed
        else None
    )
    of = say("of {count} foreign keys have orphans", count=len(rows))
    return Finding(len(rows), of, tuple(problems), None if problems else unknown)


def _orphans(source: Source, row: Sequence[Any]) -> Iterator[str]:
    name, referencing, referenced, of_ours, of_theirs, ours, theirs, operators, matches_full, _ = row
    # Columns get names of their own: a column may be called like any name here.
    picked = ", ".join(f"{column} AS ours{nth}" for nth, column in enumerate(ours))
    parents = ", ".join(f"{column} AS theirs{nth}" for nth, column in enumerate(theirs))
    equal = " AND ".join(f"r.theirs{nth} {operator} t.ours{nth}" for nth, operator in enumerate(operators))
    given = " AND ".join(f"t.ours{nth} IS NOT NULL" for nth in range(len(ours)))
    some = " OR ".join(f"t.ours{nth} IS NOT NULL" for nth in range(len(ours)))
    named = ", ".join(f"t.ours{nth}" for nth in range(len(ours)))  # written as text for orphans only
    partly = f" OR ({some}) AND NOT ({given})" if matches_full and len(ours) > 1 else ""
    sql = f"""
        SELECT count(*), min(ROW({named})::text)
          FROM (SELECT {picked}, ctid AS place FROM {of_ours} OFFSET 0) t
         WHERE t.place IS NOT NULL
           AND (({given}) AND NOT EXISTS (
                 SELECT FROM (SELECT {parents}, ctid AS place FROM {of_theirs} OFFSET 0) r
                  WHERE r.place IS NOT NULL AND {equal}){partly})"""
    ((orphans, example),) = source(sql, {})
    if orphans:
        yield say(
            "{referencing} {name}: {orphans:,} rows refer to no row of {referenced}, such as {example}",
            referencing=referencing,
            name=name,
            orphans=orphans,
            referenced=referenced,
            example=example,
        )


def check_unique_keys(source: Source) -> Finding:
    """Find rows that share a unique key, by reading the table itself; its index is not used."""
    rows = list(source(_UNIQUE, {}))
    ask = while_listed(partial(_duplicates, source), partial(source, _UNIQUE, {}), itemgetter(0, 1))
    problems = tuple(line for row in rows for line in ask(row))
    return Finding(len(rows), say("of {count} unique keys hold duplicates", count=len(rows)), problems)


def _duplicates(source: Source, row: Sequence[Any]) -> Iterator[str]:
    name, quoted, of_table, keys, predicate, nulls_equal = row
    named = [f"k{nth}" for nth in range(len(keys))]
    picked = ", ".join(f"{key} AS {alias}" for key, alias in zip(keys, named, strict=True))
    # In a CASE, so that no partial index recognises its predicate.
    part = f" WHERE CASE WHEN {predicate} THEN true ELSE false END" if predicate else ""
    given = "" if nulls_equal else "".join(f" AND {alias} IS NOT NULL" for alias in named)
    read = f"(SELECT {picked}, ctid AS place FROM {of_table}{part} OFFSET 0) t WHERE place IS NOT NULL{given}"
    if len(named) == 1 and not nulls_equal and _all_differ(source, named[0], read):
        return
    # Ordered before it is grouped: of millions of groups, sorting takes a third of the time of hashing.
    several = ", ".join(named)
    sql = f"""
        SELECT count(*), coalesce(sum(copies - 1), 0), min(key)
          FROM (SELECT count(*) AS copies, ROW({several})::text AS key
                  FROM (SELECT {several} FROM {read} ORDER BY {several} OFFSET 0) ordered
                 GROUP BY {several} HAVING count(*) > 1) doubled"""
    ((groups, surplus, example),) = source(sql, {})
    if groups:
        yield say(
            "{quoted} {name}: {number:,} rows too many, key {example} more than once",
            quoted=quoted,
            name=name,
            number=int(surplus),
            example=example,
        )


def _all_differ(source: Source, key: str, read: str) -> bool:
    """Whether no two rows have the same value of one column: a sort of bare values, the cheapest proof."""
    ((rows, differing),) = source(f"SELECT count(*) AS rows, count(DISTINCT {key}) AS differing FROM {read}", {})
    return bool(rows == differing)


def check_validity(source: Source) -> Finding:
    """Find invalid indexes, constraints never validated, and disabled triggers (those of foreign keys included)."""
    ((asked,),) = source(_VALIDITY_OF, {})
    problems = tuple(str(line) for (line,) in source(_VALIDITY, {}))
    return Finding(
        int(asked), say("of {number:,} indexes, constraints and triggers are not in force", number=int(asked)), problems
    )
