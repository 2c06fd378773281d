"""The files of every relation of a restored server, page by page: every fork, access method, catalog and map.

Relations come from the catalog, whatever their kind. What is not examined is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from opsverify.recovery.verify.finding import Finding, finding_of
from opsverify.recovery.verify.heap_files import ENTRIES
from opsverify.recovery.verify.heap_storage import Heap
from opsverify.recovery.verify.loss import page_list
from opsverify.recovery.verify.page_layout import ALL_VISIBLE, ANY, BY_METHOD, HEAP, SEQUENCE, ZEROS, page_problem

if TYPE_CHECKING:
    from collections.abc import Iterator
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
_FORKS: Final = {"": "", "_fsm": "free space map of ", "_vm": "visibility map of ", "_init": "initial copy of "}
_SHOWN: Final = 3
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
        return f"{self.method} index {self.quoted}" if self.kind == _INDEX else self.quoted

    @property
    def of_the_system(self) -> bool:
        """Whether it is a catalog or a TOAST table: no rows of it are in the record."""
        return self.schema in ("pg_catalog", "information_schema", "pg_toast")


def check_files(
    source: Source, data_dir: Path, errors: _Errors, *, indexes: bool, same_cluster: bool = False
) -> Finding:
    """Find pages that cannot be ones of their relation: of indexes, or of everything else that has files.

    `same_cluster`: the files are those that were recorded, so that a file shorter than the catalog has it is a loss
    (statistics that were restored from a dump are of other files).
    """
    source("CHECKPOINT", {})
    ((written,),) = source(_WAL, {})
    relations = [Relation(*row) for row in source(RELATIONS, {})]
    chosen = [one for one in relations if (one.kind == _INDEX) == indexes]
    problems: list[str] = []
    notes: list[str] = []
    unknown: list[str] = []
    for relation in chosen:
        ask = partial(_examined, source, data_dir, relation, int(written), same_cluster=same_cluster)
        found = finding_of(ask, errors=errors)
        problems += found.problems
        unknown += [found.unknown] if found.unknown else []
        if relation.layout is ANY:
            notes.append(
                f"not examined: {relation.named}, but for its page headers: the access method "
                f"{relation.method or 'none'} is not known here"
            )
    if not indexes:
        notes.append(
            "not examined: the numbers in free space maps, and bits that a visibility map lost: PostgreSQL sets both "
            "anew by itself; their page headers were examined"
        )
        unlogged = [relation.quoted for relation in relations if relation.unlogged]
        notes += [f"not examined: rows and entries of {name}: unlogged, recovery empties it" for name in unlogged]
    of = f"of {len(chosen)} {'indexes' if indexes else 'tables, sequences and catalogs'} have pages that are not theirs"
    return Finding(len(chosen), of, tuple(problems), None if problems else "; ".join(unknown) or None, tuple(notes))


def _examined(source: Source, data_dir: Path, relation: Relation, written: int, *, same_cluster: bool) -> Finding:
    main = Heap(data_dir / relation.path)
    problems = list(_wrong_pages(main.first, relation, written))
    size = main.size
    if same_cluster and (relation.kind == _INDEX or relation.of_the_system) and relation.pages > size:
        problems.append(
            f"{relation.named} lost its tail: {size:,} pages, {relation.pages:,} when last vacuumed or analyzed"
        )
    if relation.kind in _HEAPS and relation.method == "heap":
        problems += _heap_problems(source, main, relation)
    return Finding(1, "relations", tuple(problems))


def _wrong_pages(first: Path, relation: Relation, written: int) -> Iterator[str]:
    """Say of each fork which pages cannot be its own; the first page with the reason."""
    repair = f"; REINDEX INDEX {relation.quoted}" if relation.kind == _INDEX else ""
    for ending, words in _FORKS.items():
        file = Heap(first.with_name(first.name + ending))
        pages = file.size
        if not pages and relation.kind in (_INDEX, "S") and (not ending or (ending == "_init" and file.first.exists())):
            yield f"{words}{relation.named}: its file is empty{repair}"
        layout = HEAP if ending in ("_fsm", "_vm") else relation.layout
        wrong: dict[int, str] = {}
        for number, page in file.pages():
            if reason := page_problem(page, number, layout, pages, written):
                wrong[number] = reason
            elif page == ZEROS and (ending == "_init" or relation.kind == "S"):
                wrong[number] = "it is all zero"
        if wrong:
            number, reason = next(iter(wrong.items()))
            yield f"{words}{relation.named}: {page_list(list(wrong))} not its own: page {number}: {reason}{repair}"


def _heap_problems(source: Source, main: Heap, relation: Relation) -> Iterator[str]:
    """Say which pages of a heap the visibility map has and they do not say so; and what a catalog lost."""
    marked = {*main.known_visible(range(main.size))}
    denied = [number for number, page in main.pages() if number in marked and page[15] | page[14]
              and not page[10] & ALL_VISIBLE]  # fmt: skip
    if denied:
        yield (
            f"{relation.quoted}: the visibility map has {page_list(denied)} as all-visible, the table has not: "
            f"index-only scans will answer wrongly; SELECT pg_truncate_visibility_map('{relation.quoted}'), then VACUUM"
        )
    if not relation.of_the_system:
        return
    if (by_map := main.size_by_map) > main.size:
        yield f"{relation.quoted} lost its tail: {main.size:,} pages, the visibility map has {by_map:,}"
    zeroed = list(main.zero_pages())
    lost = main.known_visible(zeroed)
    entries = 0
    if zeroed and relation.index is not None:
        ((entries,),) = source(ENTRIES, {"index": relation.index, "blocks": zeroed})
    if entries or lost:
        yield (
            f"{relation.quoted}: {page_list(zeroed)} all zero, "
            + (f"{entries:,} entries of {relation.index} point there" if entries else "in use by the visibility map")
            + ": these rows are lost"
        )
