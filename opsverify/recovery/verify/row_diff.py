"""Rows that differ, one by one: primary keys and hashes of the bad buckets alone, from both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

from opsverify.language.message import say
from opsverify.recovery.ledger.buckets import Bucket, differing_names, edges, hashed, runs
from opsverify.recovery.ledger.row_hash import row_hash
from opsverify.recovery.verify.loss import Keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opsverify.recovery.ledger.buckets import Span
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.tables import CoreTable

SLOTS: Final = 1024
"""Parts, by the hash of the key, into which bad buckets are divided before rows are fetched; a power of two."""


def differing_keys(table: CoreTable, source: Source, restored: Source, names: Iterable[str]) -> Keys:
    """Return the keys that differ between `source` and `restored` in the buckets called `names`, and only there.

    A key that one side holds twice counts as added (or missing). Raises ValueError for a table without key.
    """
    if not table.key:
        raise ValueError(say("{name} has no primary key: its rows cannot be named", name=table.name))
    missing: list[str] = []
    added: list[str] = []
    changed: list[str] = []
    with ThreadPoolExecutor(max_workers=2) as threads:
        for spans in runs(table, names):
            bad = differing_names(*threads.map(partial(_slots, table, spans), (source, restored)))
            before, after = threads.map(partial(_hashes, table, spans, bad), (source, restored))
            for key in sorted({*before, *after}, key=_in_order):
                there, here = before.get(key, ()), after.get(key, ())
                if len(here) < len(there):
                    missing.append(key)
                elif len(here) > len(there):
                    added.append(key)
                elif sorted(here) != sorted(there):
                    changed.append(key)
    return Keys(tuple(missing), tuple(added), tuple(changed))


def _slots(table: CoreTable, spans: Sequence[Span], source: Source) -> dict[int, Bucket]:
    """Divide spans by the hash of its keys, so that a few bad rows do not cost the transfer of all."""
    sql = f"""
        SELECT slot, count(*) AS rows, sum(hash) AS total, bit_xor(hash) AS xored
          FROM ({hashed(table, f"{_slot(table)} AS slot", spans)}) hashed
         GROUP BY slot"""
    rows = source(sql, edges(spans))
    return {int(slot): Bucket(int(count), int(total), int(xored)) for slot, count, total, xored in rows}


def _hashes(
    table: CoreTable, spans: Sequence[Span], slots: Sequence[int], source: Source
) -> dict[str, tuple[int, ...]]:
    name = f"t.{table.key[0]}::text" if len(table.key) == 1 else f"ROW({_listed(table.key)})::text"
    sql = f"{hashed(table, f'{name} AS key', spans)} AND {_slot(table)} = ANY (%(slots)s)"
    hashes: dict[str, tuple[int, ...]] = {}
    for digest, key in source(sql, edges(spans) | {"slots": list(slots)}):
        hashes[key] = (*hashes.get(key, ()), int(digest))
    return hashes


def _in_order(key: str) -> tuple[int, str]:
    return len(key), key  # numbers by their size


def _slot(table: CoreTable) -> str:
    return f"({row_hash(f't.{part}' for part in table.key)} & {SLOTS - 1})"


def _listed(key: Sequence[str]) -> str:
    return ", ".join(f"t.{part}" for part in key)
