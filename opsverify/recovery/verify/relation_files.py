"""The files of every relation of a restored server, page by page: every fork, access method, catalog and map.

Relations come from the catalog, whatever their kind. What is not examined is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from opsverify.language.message import join, say
from opsverify.recovery.verify.finding import Finding, finding_of
from opsverify.recovery.verify.heap_files import ENTRIES, by_pageinspect
from opsverify.recovery.verify.heap_storage import Heap
from opsverify.recovery.verify.loss import page_list
from opsverify.recovery.verify.page_layout import ALL_VISIBLE, ANY, BY_METHOD, HEAP, SEQUENCE, ZEROS, page_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.verify.page_layout import Layout

    _Errors = type[Exception] | tuple[type[Exception], ...]

RELATIONS: Final = """
SELECT c.oid::int8 AS oid, n.nspname AS schema, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted,
       c.relkind::text AS kind, coalesce(m.amname, '') AS method, pg_relation_filepath(c.oid) AS path,
       c.relpages AS pages, c.relpersistence = 'u' AS unlogged,
       (SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
          JOIN pg_am a ON a.oid = x.relam AND a.amname = 'btree'
         WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL ORDER BY x.relpages, x.oid LIMIT 1) AS index
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am m ON m.oid = c.relam
 WHERE pg_relation_filepath(c.oid) IS NOT NULL AND c.relpersistence <> 't'
 ORDER BY 3
"""
_WAL: Final = "SELECT (pg_current_wal_insert_lsn() - '0/0')::int8"
_FORKS: Final = ("", "_fsm", "_vm", "_init")
_BEYOND: Final = f"{ENTRIES.rsplit('AND', 1)[0]}AND (heap::text::point)[0]::int8 >= %(size)s"
_INDEX: Final = "i"
_HEAPS: Final = ("r", "m", "t")


@dataclass(frozen=True)
class Relation:
    """A relation with a file of its own, as the catalog has it; `pages` when it was last vacuumed or analyzed."""

    oid: int
    schema: str
    quoted: str
    kind: str
    method: str
    path: str
    pages: int
    unlogged: bool
    index: str | None

    @property
    def layout(self) -> Layout:
        """The layout of its pages."""
        return SEQUENCE if self.kind == "S" else BY_METHOD.get(self.method, ANY)

    @property
    def named(self) -> str:
        """Its name, with what it is."""
        if self.kind == _INDEX:
            return say("{method} index {quoted}", method=self.method, quoted=self.quoted)
        return self.quoted

    def fork(self, ending: str) -> str:
        """Its name, or that of the fork whose files have this ending."""
        if ending == "_fsm":
            return say("free space map of {relation}", relation=self.named)
        if ending == "_vm":
            return say("visibility map of {relation}", relation=self.named)
        return say("initial copy of {relation}", relation=self.named) if ending == "_init" else self.named

    @property
    def of_the_system(self) -> bool:
        """Whether it is a catalog or a TOAST table: no rows of it are in the record."""
        return self.schema in ("pg_catalog", "information_schema", "pg_toast")


def check_files(
    source: Source,
    data_dir: Path,
    errors: _Errors,
    *,
    indexes: bool,
    same_cluster: bool = False,
    until: Callable[[], bool] = lambda: False,
) -> Finding:
    """Find pages that cannot be ones of their relation: of indexes, or of everything else that has files.

    `same_cluster`: the files are those that were recorded, so that a file shorter than the catalog has it is a loss
    (statistics that were restored from a dump are of other files). `until` is asked before each whether time is up:
    the rest is named as not reached.
    """
    written = _flushed(source)
    relations = [Relation(*row) for row in source(RELATIONS, {})]
    chosen = [one for one in relations if (one.kind == _INDEX) == indexes]
    problems: list[str] = []
    notes: list[str] = []
    unknown: list[str] = []
    for relation in chosen:
        if until():
            notes.append(say("not examined: files of {relation}: time was up", relation=relation.named))
            continue
        ask = partial(_examined, source, data_dir, relation, written, same_cluster=same_cluster)
        found = finding_of(ask, errors=errors)
        problems += found.problems
        unknown += [found.unknown] if found.unknown else []
        if relation.layout is ANY:
            notes.append(
                say(
                    "not examined: {relation}, but for its page headers: the access method {method} is not known here",
                    relation=relation.named,
                    method=relation.method or "-",
                )
            )
    if not indexes:
        notes.append(
            say(
                "not examined: the numbers in free space maps, and bits that a visibility map lost: PostgreSQL sets "
                "both anew by itself; their page headers were examined"
            )
        )
        unlogged = [relation.quoted for relation in relations if relation.unlogged]
        notes += [
            say("not examined: rows and entries of {name}: unlogged, recovery empties it", name=name)
            for name in unlogged
        ]
    of = say("of {count} tables, sequences and catalogs have pages that are not theirs", count=len(chosen))
    if indexes:
        of = say("of {count} indexes have pages that are not theirs", count=len(chosen))
    return Finding(len(chosen), of, tuple(problems), None if problems else join("; ", unknown) or None, tuple(notes))


def _flushed(source: Source) -> int:
    """Bring every page to disk; return the WAL's position."""
    source("CHECKPOINT", {})
    ((written,),) = source(_WAL, {})
    return int(written)


def _examined(source: Source, data_dir: Path, relation: Relation, written: int, *, same_cluster: bool) -> Finding:
    main = Heap(data_dir / relation.path)
    problems = list(_wrong_pages(source, main.first, relation, written))
    if same_cluster and not relation.unlogged and relation.pages > main.size:
        problems += _lost_tail(source, main.size, relation)
    if relation.kind in _HEAPS and relation.method == "heap":
        problems += _heap_problems(source, main, relation)
    return Finding(1, say("relations"), tuple(problems))


def _lost_tail(source: Source, size: int, relation: Relation) -> Iterator[str]:
    """Say what is lost of a relation that had more pages when it was last vacuumed or analyzed.

    An index never gives pages back; B-trees are pg_amcheck's. VACUUM may have given back those of a catalog after it
    counted them, so there the entries of its index decide: none leads past the end of a whole table.
    """
    if relation.kind == _INDEX and relation.method != "btree":
        yield say(
            "{relation} lost its tail: {size:,} pages, {pages:,} when last vacuumed or analyzed; "
            "REINDEX INDEX {quoted}",
            relation=relation.named,
            size=size,
            pages=relation.pages,
            quoted=relation.quoted,
        )
    if relation.of_the_system and relation.kind in _HEAPS and relation.index is not None:
        ((entries,),) = source(by_pageinspect(source, _BEYOND), {"index": relation.index, "size": size})
        if entries:
            yield say(
                "{relation} lost its tail: {entries:,} entries of {index} lead past its {size:,} pages: these rows are "
                "lost",
                relation=relation.quoted,
                entries=entries,
                index=relation.index,
                size=size,
            )


def _wrong_pages(source: Source, first: Path, relation: Relation, written: int) -> Iterator[str]:
    """Say of each fork which pages cannot be its own; the first page with the reason."""
    for ending in _FORKS:
        file = Heap(first.with_name(first.name + ending))
        if _is_empty(file, ending, relation):
            yield _repaired(say("{fork}: its file is empty", fork=relation.fork(ending)), relation)
        # A page that was being written while it was read is whole by the second time.
        if _reasons(file, ending, relation, written) and (wrong := _reasons(file, ending, relation, _flushed(source))):
            number, reason = next(iter(wrong.items()))
            problem = say(
                "{fork}: {pages} not its own: page {number}: {reason}",
                fork=relation.fork(ending),
                pages=page_list(list(wrong)),
                number=number,
                reason=reason,
            )
            yield _repaired(problem, relation)


def _is_empty(file: Heap, ending: str, relation: Relation) -> bool:
    """Whether a file is empty that has a page from the beginning: of sequences, and of indexes of a known method."""
    if relation.kind not in (_INDEX, "S") or relation.layout is ANY or file.size:
        return False
    return not ending or (ending == "_init" and file.first.exists())


def _repaired(problem: str, relation: Relation) -> str:
    if relation.kind != _INDEX:
        return problem
    return say("{problem}; REINDEX INDEX {quoted}", problem=problem, quoted=relation.quoted)


def _reasons(file: Heap, ending: str, relation: Relation, written: int) -> dict[int, str]:
    layout = HEAP if ending in ("_fsm", "_vm") else relation.layout
    pages = file.size
    wrong: dict[int, str] = {}
    for number, page in file.pages():
        if reason := page_problem(page, number, layout, pages, written):
            wrong[number] = reason
        elif page == ZEROS and layout is not ANY and (ending == "_init" or relation.kind == "S"):
            wrong[number] = say("it is all zero")
    return wrong


def _denied(main: Heap) -> list[int]:
    """Return the pages that the visibility map has as all-visible, and that do not say so themselves."""
    marked = {*main.known_visible(range(main.size))}
    if not marked:
        return []
    return [
        number
        for number, page in main.pages()
        if number in marked and page[15] | page[14] and not page[10] & ALL_VISIBLE
    ]


def _heap_problems(source: Source, main: Heap, relation: Relation) -> Iterator[str]:
    """Say which pages of a heap the visibility map has and they do not say so; and what a catalog lost."""
    if _denied(main):
        _flushed(source)
        if denied := _denied(main):
            yield say(
                "{quoted}: the visibility map has {pages} as all-visible, the table has not: index-only scans will "
                "answer wrongly; SELECT pg_truncate_visibility_map('{quoted}'), then VACUUM",
                quoted=relation.quoted,
                pages=page_list(denied),
            )
    if not relation.of_the_system or relation.unlogged:
        return
    if (by_map := main.size_by_map) > main.size:
        yield say(
            "{name} lost its tail: {size:,} pages, the visibility map has {by_map:,}",
            name=relation.quoted,
            size=main.size,
            by_map=by_map,
        )
    zeroed = list(main.zero_pages())
    lost = main.known_visible(zeroed)
    entries = 0
    if zeroed and relation.index is not None:
        ((entries,),) = source(by_pageinspect(source, ENTRIES), {"index": relation.index, "blocks": zeroed})
    if entries:
        yield say(
            "{quoted}: {entries:,} entries of {index} point into zeroed {page_list}: these rows are lost",
            quoted=relation.quoted,
            entries=entries,
            index=relation.index,
            page_list=page_list(zeroed),
        )
    elif lost:
        why = say("was in use by the visibility map")
        yield say("{quoted}: {page_list} all zero: {why}", quoted=relation.quoted, page_list=page_list(lost), why=why)
