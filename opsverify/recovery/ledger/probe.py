"""Probe of a table: some closed rows, read again at every capture to find out what of them changes in production.

Statistics say that a table sees updates, not which columns they change. The probe does: column by column a sum of
hashes over the same rows, before and after. It also shows rows that come into, or go from, closed buckets.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opsverify.recovery.ledger.buckets import Span, edge, edges, key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsverify.recovery.ledger.buckets import Bucket
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.row_hash import Column
    from opsverify.recovery.ledger.tables import CoreTable

ROWS: Final = 20_000
"""Rows of a probe, about: the newest closed buckets that hold no more."""
ENOUGH: Final = 64
"""Rows of new buckets that are a probe by themselves."""
VALUES: Final = 20
"""Different values up to which a column's distribution is recorded."""
COLUMNS: Final = 8
"""Columns whose distribution is recorded, at most."""
_FEW_VALUES: Final = ("text", "varchar", "bpchar", "bool", "int2", "int4", "char", "name")


@dataclass(frozen=True)
class TableProbe:
    """Rows of closed buckets from `since` up to `until`: their number, the sum over their keys, one over each column.

    `spread` has, of columns that may change and have few values, how many rows hold each; `quoted` are their names
    in SQL.
    """

    since: str
    until: str
    rows: int
    keys: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    spread: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    quoted: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As recorded in the ledger."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> TableProbe:
        """Read what `to_dict` gave."""
        return cls(**raw)

    def changed(self, before: TableProbe) -> frozenset[str]:
        """Return the columns whose values are not those of `before`, of the same rows."""
        return frozenset(name for name, total in self.columns.items() if before.columns.get(name, total) != total)

    def same_rows(self, before: TableProbe) -> bool:
        """Whether these are the rows that `before` had."""
        return (self.rows, self.keys) == (before.rows, before.keys)


def newest_span(table: CoreTable, buckets: Mapping[str, Bucket], until: str) -> Span | None:
    """Return the newest of `buckets`, up to the edge `until`, that hold about `ROWS` rows; None where there is none."""
    since, rows = None, 0
    for name in sorted(buckets, key=lambda text: edge(table, text), reverse=True):
        rows += buckets[name].rows
        if since is not None and rows > ROWS:
            break
        since = edge(table, name)
    return None if since is None else Span(since, edge(table, until))


def with_earlier(table: CoreTable, new: Span, rows: int, earlier: Mapping[str, Any]) -> Span:
    """Return the span of a probe after a capture that read `rows` of `new` buckets: with the `earlier` probe's.

    A few new rows prove nothing alone. Where both are too many, the earlier ones go as soon as the new ones suffice.
    """
    if earlier["rows"] + rows <= ROWS:
        return Span(edge(table, earlier["since"]), new.until)
    return new if rows >= ENOUGH else Span(edge(table, earlier["since"]), edge(table, earlier["until"]))


def read_probe(
    source: Source, table: CoreTable, span: Span, cols: Sequence[Column], may_change: Sequence[Column]
) -> TableProbe:
    """Read the probe of `span`: sums over each of `cols`, and the distribution of those that `may_change`."""
    where = f"{table.at} >= %(since0)s AND {table.at} < %(until0)s" + (f" AND {table.where}" if table.where else "")
    terms = [f"hash_record_extended(ROW({', '.join((*table.key_terms, column.term))}), 0)" for column in cols]
    keys = f"hash_record_extended(ROW({', '.join(table.key_terms)}), 1)" if table.key_terms else "NULL::int8"
    sums = ", ".join(f"sum({term}) AS c{nth}" for nth, term in enumerate([keys, *terms]))
    ((rows, all_keys, *totals),) = source(
        f"SELECT count(*) AS rows, {sums} FROM {table.relation} t WHERE {where}", edges([span])
    )
    quoted = {column.name: column.quoted for column in may_change if _few(column)}
    return TableProbe(
        key(span.since),
        key(span.until),
        int(rows),
        None if all_keys is None else str(all_keys),
        {column.name: str(total) for column, total in zip(cols, totals, strict=True)},
        read_spread(source, table, span, quoted),
        quoted,
    )


def read_spread(source: Source, table: CoreTable, span: Span, quoted: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Return how the rows of `span` are distributed over the values of some columns, not of those with many."""
    where = f"{table.at} >= %(since0)s AND {table.at} < %(until0)s" + (f" AND {table.where}" if table.where else "")
    spread = {}
    for name, column in list(quoted.items())[:COLUMNS]:
        sql = (
            f"SELECT coalesce(left(t.{column}::text, 60), 'NULL') AS value, count(*) AS rows "
            f"FROM {table.relation} t WHERE {where} "
            f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {VALUES + 1}"
        )
        counted = {str(value): int(rows) for value, rows in source(sql, edges([span]))}
        if 0 < len(counted) <= VALUES:
            spread[name] = counted
    return spread


def moved(before: Mapping[str, int], after: Mapping[str, int]) -> float:
    """Return the share of rows that would have to change their value to get from one distribution to the other."""
    rows = max(1, sum(before.values()), sum(after.values()))
    differ = sum(abs(before.get(value, 0) - after.get(value, 0)) for value in before.keys() | after.keys())
    return differ / 2 / rows


def _few(column: Column) -> bool:
    return column.base_type in _FEW_VALUES or column.form == "text"
