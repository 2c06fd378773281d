"""Index files of a restored server: pages of zeros in access methods that amcheck does not follow.

pg_amcheck verifies heaps and B-trees. Of GIN, GiST, SP-GiST and BRIN indexes a page that was zeroed, its checksum
right, is noticed by the first query that meets it. Hash indexes have unused pages of zeros by design: not examined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.language.message import say
from opsverify.recovery.verify.finding import Finding
from opsverify.recovery.verify.heap_storage import Heap
from opsverify.recovery.verify.loss import page_list

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.recovery.ledger.queries import Source

_INDEXES: Final = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted, m.amname AS method,
       pg_relation_filepath(c.oid) AS path
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am m ON m.oid = c.relam
 WHERE c.relkind = 'i' AND c.relpersistence = 'p' AND m.amname <> 'btree' AND n.nspname <> 'pg_catalog'
 ORDER BY 1
"""
_EXAMINED: Final = ("gin", "gist", "spgist", "brin")


def check_index_files(source: Source, data_dir: Path) -> Finding:
    """Find pages of zeros before the last used page of an index; it names the indexes that are not examined."""
    source("CHECKPOINT", {})
    problems, notes, examined = [], [], 0
    for quoted, method, path in source(_INDEXES, {}):
        if method not in _EXAMINED:
            notes.append(say("{quoted}: pages of a {method} index are not examined", quoted=quoted, method=method))
            continue
        examined += 1
        file = Heap(data_dir / path)
        zeroed = list(file.zero_pages())
        used = file.used(zeroed)
        if lost := [page for page in zeroed if page < used] or zeroed[: 1 if not used else 0]:
            problems.append(
                say(
                    "{method} index {quoted}: {page_list} all zero; REINDEX INDEX {quoted}",
                    method=method,
                    quoted=quoted,
                    page_list=page_list(lost),
                )
            )
    return Finding(examined, say("of the other indexes lost pages"), tuple(problems), notes=tuple(notes))
