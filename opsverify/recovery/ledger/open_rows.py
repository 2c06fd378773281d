"""Open rows of a table: those that no closed bucket holds; all rows where rows have no order.

They are recorded as of one snapshot. A physical restore keeps which transaction wrote each row: rows written after
that snapshot are told from those that were there, so that what was there can be compared, however much came since.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opsverify.recovery.ledger.buckets import Bucket, Span, edges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.tables import CoreTable

REST: Final = "rest"
"""The name of the one bucket in which the open rows of an ordered table are."""
_XIDS: Final = 1 << 32
_FIRST_XID: Final = 3


@dataclass(frozen=True)
class OpenRows:
    """Open rows by bucket, their keys alone by bucket (empty without a key), and the snapshot as of which."""

    buckets: Mapping[str, Bucket]
    keys: Mapping[str, Bucket] = field(default_factory=dict)
    snapshot: str = ""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(bucket.rows for bucket in self.buckets.values())

    def to_dict(self) -> dict[str, Any]:
        """As recorded in the ledger."""
        return {"buckets": _plain(self.buckets), "keys": _plain(self.keys), "snapshot": self.snapshot}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> OpenRows:
        """Read what `to_dict` gave."""
        return cls(_buckets(raw["buckets"]), _buckets(raw["keys"]), raw["snapshot"])


def read_open(source: Source, table: CoreTable, closed: Span | None, written_before: str = "") -> OpenRows:
    """Return the rows outside of `closed` (None: all), hashed in one statement.

    With `written_before`, a snapshot of this cluster, only those that were written before it.
    """
    ordered = table.kind != "hash"
    start = f"'{REST}'" if ordered else table.at
    conditions = [table.where] if table.where else []
    if ordered and closed is not None:
        conditions.append(f"({table.at} < %(since0)s OR {table.at} >= %(until0)s OR {table.at} IS NULL)")
    if written_before:
        conditions.append(_before(written_before))
    key = f"{_key_hash(table)} AS key" if table.key_terms else "NULL::int8 AS key"
    sql = f"""
        SELECT seen.snapshot, part.*
          FROM (SELECT pg_current_snapshot()::text AS snapshot) seen
          LEFT JOIN (SELECT start, count(*) AS rows, sum(hash) AS total, bit_xor(hash) AS xored,
                            sum(key) AS keys, bit_xor(key) AS keys_xored
                       FROM (WITH separate AS (SELECT)
                             SELECT {table.hash} AS hash, {key}, {start} AS start
                               FROM {table.relation} t WHERE {" AND ".join(conditions) or "true"}) hashed
                      GROUP BY start) part ON true"""
    rows = list(source(sql, edges([closed]) if ordered and closed is not None else {}))
    held = [row for row in rows if row[1] is not None]
    return OpenRows(
        {str(row[1]): Bucket(int(row[2]), int(row[3]), int(row[4])) for row in held},
        {str(row[1]): Bucket(int(row[2]), int(row[5]), int(row[6])) for row in held if row[5] is not None},
        str(rows[0][0]),
    )


def _key_hash(table: CoreTable) -> str:
    return f"hash_record_extended(ROW({', '.join(table.key_terms)}), 1)"


def _before(snapshot: str) -> str:
    """Return the SQL that a row was written before `snapshot` (`xmin:xmax:in progress`), over the alias `t`.

    Both ages count from the same transaction, so that the wrap-around of transaction numbers has no part in it.
    """
    _, xmax, running = snapshot.split(":")
    end = int(xmax) % _XIDS
    older = f"age(t.xmin) > age('{max(end, _FIRST_XID)}'::xid)"
    if not running:
        return older
    late = ", ".join(str(int(xid) % _XIDS) for xid in running.split(","))
    return f"{older} AND t.xmin::text::int8 <> ALL (ARRAY[{late}]::int8[])"


def _plain(buckets: Mapping[str, Bucket]) -> dict[str, list[int | str]]:
    return {name: [one.rows, str(one.total), str(one.xored)] for name, one in buckets.items()}


def _buckets(raw: Mapping[str, Any]) -> dict[str, Bucket]:
    return {name: Bucket(rows, int(total), int(xored)) for name, (rows, total, xored) in raw.items()}
