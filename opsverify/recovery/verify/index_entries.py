"""Entries of the indexes that pg_amcheck does not follow, held against the rows of their table, page by page.

B-trees are pg_amcheck's. Of a hash, GiST or SP-GiST index every entry's row (TID) is read from its files: each page of
the table needs at least as many as it has rows, and none may lead past the table's end. GIN is checked by amcheck where
that can (PostgreSQL 18). Summaries of BRIN are read by pageinspect. What is not examined is said.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from opsverify.language.message import join, say
from opsverify.recovery.verify.brin import Brin, check_summaries, missing_extension
from opsverify.recovery.verify.finding import Finding, finding_of
from opsverify.recovery.verify.heap_storage import Heap
from opsverify.recovery.verify.loss import page_list
from opsverify.recovery.verify.page_layout import BY_METHOD, PAGE, flags_of, items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from opsverify.recovery.ledger.queries import Source

    _Errors = type[Exception] | tuple[type[Exception], ...]

_INDEXES: Final = """
SELECT x.oid::int8 AS oid, quote_ident(n.nspname) || '.' || quote_ident(x.relname) AS quoted, m.amname AS method,
       pg_relation_filepath(x.oid) AS path, quote_ident(t.nspname) || '.' || quote_ident(c.relname) AS of_table,
       pg_get_expr(i.indpred, i.indrelid) AS predicate, pg_get_indexdef(x.oid, 1, true) AS first
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace
  JOIN pg_am m ON m.oid = x.relam JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace t ON t.oid = c.relnamespace
 WHERE x.relkind = 'i' AND x.relpersistence = 'p' AND i.indisvalid AND m.amname <> 'btree'
 ORDER BY 2
"""
_GIN: Final = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(p.proname) AS function
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.proname = 'gin_index_check'
"""
_ENTRY_AT: Final = {"hash": 0, "gist": 0, "spgist": 6}
"""Where in an item the TID of its row is."""
_BRIN: Final = "brin"
_SPGIST_LEAF: Final = 4
_GIST_LEAF, _GIST_DELETED = 1, 2
_HASH_BUCKET: Final = 1 | 2


@dataclass(frozen=True)
class _Index:
    oid: int
    quoted: str
    method: str
    path: str
    table: str
    predicate: str | None
    first: str
    readable: bool = True

    @property
    def named(self) -> str:
        """Its name, with what it is."""
        return say("{method} index {quoted}", method=self.method, quoted=self.quoted)


def check_entries(
    source: Source, data_dir: Path, errors: _Errors, until: Callable[[], bool] = lambda: False
) -> Finding:
    """Find rows without an entry in a hash, GiST or SP-GiST index, and entries that lead past the table's end.

    `until` is asked before each index whether time is up: the rest is named as not reached.
    """
    indexes = [_Index(*row) for row in source(_INDEXES, {})]
    if any(index.method == _BRIN for index in indexes) and missing_extension(source):
        indexes = [replace(index, readable=index.method != _BRIN) for index in indexes]
    gin = [function for (function,) in source(_GIN, {})]
    problems: list[str] = []
    notes: list[str] = []
    unknown: list[str] = []
    for index in indexes:
        if until():
            notes.append(say("not examined: entries of {index}: time was up", index=index.named))
            continue
        found = finding_of(partial(_examined, source, data_dir, index, gin, until), errors=errors)
        problems += [_blamed(index, problem) for problem in found.problems]
        notes += found.notes
        unknown += [found.unknown] if found.unknown else []
    of = say("of {count} other indexes disagree with their table", count=len(indexes))
    return Finding(len(indexes), of, tuple(problems), None if problems else join("; ", unknown) or None, tuple(notes))


def _blamed(index: _Index, problem: str) -> str:
    return problem if index.quoted in problem else say("{index}: {problem}", index=index.named, problem=problem)


def _examined(source: Source, data_dir: Path, index: _Index, gin: list[str], until: Callable[[], bool]) -> Finding:
    problems: tuple[str, ...] = ()
    if index.method == _BRIN and index.readable:
        notes: list[str] = []
        brin = Brin(index.oid, index.quoted, index.named, index.table, index.predicate)
        problems = tuple(check_summaries(source, brin, until, notes))
        return Finding(1, say("indexes"), problems, notes=tuple(notes))
    if index.method in _ENTRY_AT:
        problems = tuple(_against_rows(source, Heap(data_dir / index.path), index))
        note = say("not examined: {index}: the keys in its entries are not held against the rows", index=index.named)
    elif index.method == "gin" and gin and not any(Heap(data_dir / index.path).zero_pages()):
        source(f"SELECT {gin[0].replace('%', '%%')}(%(oid)s::oid::regclass)", {"oid": index.oid})
        note = say("not examined: {index}: its entries are not held against the rows", index=index.named)
    elif index.method == "gin" and gin:  # a lost page ends the server that follows it; it is a finding already
        note = say("not examined: {index}, but for its pages: it lost some", index=index.named)
    elif index.method == "gin":
        note = say(
            "not examined: {index}, but for its pages: amcheck of PostgreSQL 18 is the first that follows GIN",
            index=index.named,
        )
    elif index.method == _BRIN:
        note = say(
            "not examined: {index}: its summaries are not held against the rows: this machine has no pageinspect",
            index=index.named,
        )
    else:
        note = say("not examined: {index}, but for its page headers", index=index.named)
    return Finding(1, say("indexes"), problems, notes=(note,))


def _against_rows(source: Source, file: Heap, index: _Index) -> Iterator[str]:
    """Compare the number of entries that lead into each page of the table with that of its rows."""
    conditions = [f"CASE WHEN {index.predicate} THEN true ELSE false END"] if index.predicate else []
    conditions += [f"({index.first}) IS NOT NULL"] if index.method == "hash" else []
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = source(
        f"SELECT (ctid::text::point)[0]::int8 AS page, count(*) FROM (SELECT ctid FROM {index.table}{where} OFFSET 0) t"
        " GROUP BY 1",
        {},
    )
    wanted = {int(page): int(count) for page, count in rows}
    found = _entries(file, index.method)
    if fewer := {page: count - found[page] for page, count in wanted.items() if found[page] < count}:
        yield say(
            "{index} lacks entries for at least {rows:,} rows of {table} ({pages}): REINDEX INDEX {quoted}",
            index=index.named,
            rows=sum(fewer.values()),
            table=index.table,
            pages=page_list(sorted(fewer)),
            quoted=index.quoted,
        )
    ((size,),) = source("SELECT pg_relation_size(%(table)s::text::regclass) / 8192", {"table": index.table})
    if beyond := [page for page in found if page >= size]:
        yield say(
            "{index}: {entries:,} entries lead past the end of {table}: REINDEX INDEX {quoted}",
            index=index.named,
            entries=sum(found[page] for page in beyond),
            table=index.table,
            quoted=index.quoted,
        )


def _entries(file: Heap, method: str) -> Mapping[int, int]:
    """Return how many entries lead into each page of the table."""
    layout, at = BY_METHOD[method], _ENTRY_AT[method]
    found: Counter[int] = Counter()
    for number, page in file.pages():
        if not any(page[12:16]) or not _leads_to_rows(page, number, method):
            continue
        for offset, length in items(page, layout):
            if length < at + 6 or offset + length > PAGE or (method == "spgist" and page[offset] & 3):
                continue  # an SP-GiST item that is not live leads to no row
            high, low = page[offset + at : offset + at + 2], page[offset + at + 2 : offset + at + 4]
            found[int.from_bytes(high, "little") << 16 | int.from_bytes(low, "little")] += 1
    return found


def _leads_to_rows(page: bytes, number: int, method: str) -> bool:
    flags = flags_of(page, BY_METHOD[method])
    if method == "gist":
        return bool(flags & _GIST_LEAF) and not flags & _GIST_DELETED
    return bool(number and flags & _HASH_BUCKET) if method == "hash" else bool(flags & _SPGIST_LEAF)
