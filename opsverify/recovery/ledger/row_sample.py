"""Sample of a table's rows, with the values of columns that are not in the row's hash since production changes them.

Such a column is not compared row by row; how many of its values change is known, though, and whether they are all the
same, or NULL. The sample has the rows with the lowest hashes of their keys: the same ones whenever they are read.
"""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opsverify.recovery.ledger.buckets import Span, edge, edges, key
from opsverify.recovery.ledger.row_hash import row_hash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.tables import CoreTable

ROWS: Final = 64
"""Rows of a sample."""
_BITS: Final = (1 << 32) - 1
NULL: Final = 0
"""How NULL is kept; the hash of every other value is odd."""


@dataclass(frozen=True)
class RowSample:
    """Sample of the `rows` rows from `since` up to `until` (None: of the whole table): hashes of keys, and by column.

    `terms` is what of each column is hashed, in SQL.
    """

    since: str | None
    until: str | None
    rows: int = 0
    keys: tuple[int, ...] = ()
    columns: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    terms: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As recorded in the ledger."""
        columns = {name: _packed(values) for name, values in self.columns.items()}
        return {"since": self.since, "until": self.until, "rows": self.rows, "keys": _packed(self.keys),
                "columns": columns, "terms": dict(self.terms)}  # fmt: skip

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> RowSample:
        """Read what `to_dict` gave."""
        columns = {name: _unpacked(values) for name, values in raw["columns"].items()}
        return cls(raw["since"], raw["until"], raw["rows"], _unpacked(raw["keys"]), columns, raw["terms"])

    def changed(self, now: RowSample, column: str) -> tuple[int, int]:
        """Return how many rows have another value in `now`, and of how many that are in both."""
        before, after = self._by_key(column), now._by_key(column)
        both = before.keys() & after.keys()
        return sum(before[one] != after[one] for one in both), len(both)

    def commonest(self, column: str) -> tuple[int, float]:
        """Return the value that most rows hold, and their share."""
        values = self.columns[column]
        ((value, count),) = Counter(values).most_common(1) or [(NULL, 0)]
        return value, count / max(1, len(values))

    def _by_key(self, column: str) -> dict[int, int]:
        once = {one for one, times in Counter(self.keys).items() if times == 1}
        return {one: value for one, value in zip(self.keys, self.columns[column], strict=True) if one in once}


def read_sample(source: Source, table: CoreTable, span: Span | None, terms: Mapping[str, str], rows: int) -> RowSample:
    """Read the sample of the `rows` rows in `span` (None: of all); `terms` are those of the columns, by name.

    The server keeps no more rows than it returns, however many there are: counting them here would store them all.
    """
    conditions = [f"{table.at} >= %(since0)s AND {table.at} < %(until0)s"] if span else []
    conditions += [table.where] if table.where else []
    hashes = [
        f"CASE WHEN ({term}) IS NOT DISTINCT FROM NULL THEN NULL ELSE {row_hash([term])} END" for term in terms.values()
    ]
    listed = "".join(f", {one} AS c{nth}" for nth, one in enumerate(hashes))
    order = "".join(f", c{nth}" for nth in range(len(hashes)))
    sql = f"""
        SELECT sampled.*
          FROM (WITH separate AS (SELECT)
                SELECT {row_hash(table.key_terms or table.terms)} AS key{listed}
                  FROM {table.relation} t WHERE {" AND ".join(conditions) or "true"}) sampled
         ORDER BY key{order} LIMIT {ROWS}"""
    read = list(source(sql, edges([span]) if span else {}))
    values = [[NULL if value is None else int(value) & _BITS | 1 for value in row[1:]] for row in read]
    return RowSample(
        key(span.since) if span else None,
        key(span.until) if span else None,
        rows,
        tuple(int(row[0]) & _BITS for row in read),
        {name: tuple(row[nth] for row in values) for nth, name in enumerate(terms)},
        dict(terms),
    )


def read_again(
    source: Source, table: CoreTable, sample: RowSample, there: Mapping[str, str] | None = None
) -> RowSample:
    """Read the rows of `sample` again, as they were recorded; of its columns only those still `there`, if given."""
    terms = {name: term for name, term in sample.terms.items() if there is None or there.get(name) == term}
    bounded = sample.since is not None and sample.until is not None
    span = Span(edge(table, str(sample.since)), edge(table, str(sample.until))) if bounded else None
    return read_sample(source, table, span, terms, sample.rows)


def shares(before: RowSample, now: RowSample) -> dict[str, list[float]]:
    """Return, by column, the share of rows that changed, and by how much more of them hold one and the same value."""
    found = {}
    for name in now.columns.keys() & before.columns.keys():
        changed, of = before.changed(now, name)
        found[name] = [changed / max(1, of), max(0.0, now.commonest(name)[1] - before.commonest(name)[1])]
    return found


def _packed(values: Sequence[int]) -> str:
    return base64.b64encode(b"".join(value.to_bytes(4, "big") for value in values)).decode()


def _unpacked(text: str) -> tuple[int, ...]:
    read = base64.b64decode(text)
    return tuple(int.from_bytes(read[at : at + 4], "big") for at in range(0, len(read), 4))
