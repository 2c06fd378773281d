"""Open rows of a table: those that no closed bucket holds; all rows where rows have no order.

They are recorded as of one snapshot. A physical restore keeps which transaction wrote each row: rows written after
that snapshot are told from those that were there, so that what was there can be compared, however much came since.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opsverify.recovery.ledger.buckets import Bucket, Span, edges

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.tables import CoreTable

REST: Final = "rest"
"""The name of the one bucket in which the open rows of an ordered table are."""
_XIDS: Final = 1 << 32
_FIRST_XID: Final = 3
PARTS: Final = 256
"""Parts into which rows fall by a hash of their key, at most: as many differ as rows do, at least."""
_ROWS_PER_PART: Final = 8
_FEWEST_PARTS: Final = 16
_HALF: Final = (1 << 32) - 1


@dataclass(frozen=True)
class OpenRows:
    """Open rows by bucket, their keys alone by bucket (empty without a key), and the snapshot as of which.

    `parts` are the rows once more, divided finely: only to bound how many differ. Empty in old ledgers.
    """

    buckets: Mapping[str, Bucket]
    keys: Mapping[str, Bucket] = field(default_factory=dict)
    snapshot: str = ""
    parts: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(bucket.rows for bucket in self.buckets.values())

    @property
    def even(self) -> bool:
        """Whether there are rows, each an even number of times: then the xor of their hashes is zero."""
        return self.rows > 0 and not any(bucket.xored for bucket in self.buckets.values())

    @property
    def different(self) -> int:
        """How many different rows there are an odd number of times, at least."""
        return sum(part != 0 for part in self.parts)

    def touched(self, now: OpenRows) -> int:
        """Return how many rows are not those of `now`, at least: a row that is changed changes one part."""
        buckets = sum(self.buckets.get(name) != now.buckets.get(name) for name in {*self.buckets, *now.buckets})
        return max(
            buckets,
            sum(was != is_now for was, is_now in zip(self.parts, _folded(now.parts, len(self.parts)), strict=True)),
        )

    def to_dict(self) -> dict[str, Any]:
        """As recorded in the ledger."""
        parts = _folded(self.parts, _parts_of(self.rows))
        written = base64.b64encode(b"".join(part.to_bytes(4, "big") for part in parts)).decode()
        return {"buckets": _plain(self.buckets), "keys": _plain(self.keys), "snapshot": self.snapshot, "parts": written}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> OpenRows:
        """Read what `to_dict` gave."""
        read = base64.b64decode(raw.get("parts", ""))
        parts = tuple(int.from_bytes(read[at : at + 4], "big") for at in range(0, len(read), 4))
        return cls(_buckets(raw["buckets"]), _buckets(raw["keys"]), raw["snapshot"], parts)


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
        conditions.append(before_sql(written_before))
    key = f"{_key_hash(table)} AS key" if table.key_terms else "NULL::int8 AS key"
    each = max(1, PARTS // (1 if ordered else table.width))
    sql = f"""
        SELECT seen.snapshot, grouped.*
          FROM (SELECT pg_current_snapshot()::text AS snapshot) seen
          LEFT JOIN (SELECT start, (coalesce(key, hash) >> 40) & {each - 1} AS part, count(*) AS rows,
                            sum(hash) AS total, bit_xor(hash) AS xored, sum(key) AS keys, bit_xor(key) AS keys_xored
                       FROM (WITH separate AS (SELECT)
                             SELECT {table.hash} AS hash, {key}, {start} AS start
                               FROM {table.relation} t WHERE {" AND ".join(conditions) or "true"}) hashed
                      GROUP BY start, part) grouped ON true"""
    rows = list(source(sql, edges([closed]) if ordered and closed is not None else {}))
    buckets: dict[str, Bucket] = {}
    keys: dict[str, Bucket] = {}
    parts = [0] * PARTS
    for _, name, part, count, total, xored, of_keys, keys_xored in (row for row in rows if row[1] is not None):
        buckets[str(name)] = _joined(buckets.get(str(name)), Bucket(int(count), int(total), int(xored)))
        if of_keys is not None:
            keys[str(name)] = _joined(keys.get(str(name)), Bucket(int(count), int(of_keys), int(keys_xored)))
        parts[((0 if ordered else int(name)) * each + int(part)) % PARTS] ^= int(xored) & _HALF
    return OpenRows(buckets, keys, str(rows[0][0]), tuple(parts))


def _joined(one: Bucket | None, other: Bucket) -> Bucket:
    return Bucket(one.rows + other.rows, one.total + other.total, one.xored ^ other.xored) if one else other


def _parts_of(rows: int) -> int:
    """Return how many parts are worth recording of so many rows: a power of two."""
    return min(PARTS, max(_FEWEST_PARTS, 1 << (rows // _ROWS_PER_PART).bit_length()))


def _folded(parts: Sequence[int], number: int) -> list[int]:
    """Return `parts` laid over each other until there are `number` (a power of two)."""
    folded = [0] * number
    for at, part in enumerate(parts if number else ()):
        folded[at % number] ^= part
    return folded


def _key_hash(table: CoreTable) -> str:
    return f"hash_record_extended(ROW({', '.join(table.key_terms)}), 1)"


def before_sql(snapshot: str) -> str:
    """Return the SQL that a row was written before `snapshot` (`xmin:xmax:in progress`), over the alias `t`.

    Both ages count from the same transaction, so that the wrap-around of transaction numbers has no part in it. A
    frozen row keeps the number of its transaction, however long ago: beyond two thousand million its age is below zero.
    """
    _, xmax, running = snapshot.split(":")
    end = int(xmax) % _XIDS
    older = f"(age(t.xmin) > age('{max(end, _FIRST_XID)}'::xid) OR age(t.xmin) < 0)"
    if not running:
        return older
    late = ", ".join(str(int(xid) % _XIDS) for xid in running.split(","))
    return f"{older} AND t.xmin::text::int8 <> ALL (ARRAY[{late}]::int8[])"


def _plain(buckets: Mapping[str, Bucket]) -> dict[str, list[int | str]]:
    return {name: [one.rows, str(one.total), str(one.xored)] for name, one in buckets.items()}


def _buckets(raw: Mapping[str, Any]) -> dict[str, Bucket]:
    return {name: Bucket(rows, int(total), int(xored)) for name, (rows, total, xored) in raw.items()}
