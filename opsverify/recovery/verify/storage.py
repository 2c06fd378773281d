"""Storage of a restored server: its files, forks, indexes and maps, asked in two questions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.recovery.ledger.heap_pages import SYSTEM
from opsverify.recovery.verify.amcheck import check_indexes
from opsverify.recovery.verify.finding import Finding, finding_of, joined
from opsverify.recovery.verify.heap_files import check_heaps
from opsverify.recovery.verify.index_entries import check_entries
from opsverify.recovery.verify.index_files import check_index_files
from opsverify.recovery.verify.relation_files import check_files
from opsverify.recovery.verify.visibility import check_visibility

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.postgres.server import Server


@dataclass(frozen=True)
class Storage:
    """Questions to the files of a restored server; ask `pages` first, which learns about `of_indexes` as well.

    `until` says whether time is up: what was not reached by then is named in the evidence.
    """

    server: Server
    dbname: str
    data_dir: Path
    source: Source
    errors: type[Exception]
    history: History | None
    until: Callable[[], bool] = lambda: False
    of_indexes: list[str] = field(default_factory=list)

    @property
    def same_cluster(self) -> bool:
        """Whether the files are those of the cluster that was recorded."""
        ((system,),) = self.source(SYSTEM, {})
        return self.history is not None and self.history.system == system

    def pages(self) -> Finding:
        """Tables, sequences, catalogs, TOAST tables and their maps."""
        return self._joined(
            partial(check_heaps, self.source, self.data_dir, self.errors, self.history, self.of_indexes),
            partial(
                check_files,
                self.source,
                self.data_dir,
                self.errors,
                indexes=False,
                same_cluster=self.same_cluster,
                until=self.until,
            ),
            partial(check_visibility, self.source, self.errors, self.until),
        )

    def indexes(self) -> Finding:
        """Indexes of every access method, each against its table."""
        return self._joined(
            partial(check_indexes, self.server, self.dbname),
            partial(check_index_files, self.source, self.data_dir),
            partial(
                check_files,
                self.source,
                self.data_dir,
                self.errors,
                indexes=True,
                same_cluster=self.same_cluster,
                until=self.until,
            ),
            partial(check_entries, self.source, self.data_dir, self.errors, self.until),
            lambda: Finding(0, "", tuple(self.of_indexes)),
        )

    def _joined(self, *asks: Callable[[], Finding]) -> Finding:
        found = joined([finding_of(ask, errors=(self.errors, Inconclusive)) for ask in asks])
        return replace(found, unknown=None if found.problems else found.unknown)
