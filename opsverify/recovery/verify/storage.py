"""Storage of a restored server: its files, forks, indexes and maps, asked in two questions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.recovery.ledger.heap_pages import SYSTEM
from opsverify.recovery.verify.finding import Finding, finding_of, joined
from opsverify.recovery.verify.heap_files import check_heaps
from opsverify.recovery.verify.index_entries import check_entries
from opsverify.recovery.verify.index_files import check_index_files
from opsverify.recovery.verify.relation_files import check_files
from opsverify.recovery.verify.visibility import check_visibility

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.queries import Source


@dataclass(frozen=True)
class Storage:
    """Questions to the files of a restored server; ask `pages` first, which learns about `of_indexes` as well.

    `until` says whether time is up: what was not reached by then is named in the evidence. `btrees` is waited for
    last: pg_amcheck's answer, which runs beside the rest.
    """

    data_dir: Path
    source: Source
    errors: type[Exception]
    history: History | None
    btrees: Callable[[], Finding]
    until: Callable[[], bool] = lambda: False
    of_indexes: list[str] = field(default_factory=list)

    @property
    def same_cluster(self) -> bool:
        """Whether the files are those of the cluster that was recorded."""
        ((system,),) = self.source(SYSTEM, {})
        return self.history is not None and self.history.system == system

    def pages(self) -> Finding:
        """Tables, sequences, catalogs, TOAST tables and their maps."""
        answers = self._answers(
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
        return _joined(answers)

    def indexes(self) -> Finding:
        """Indexes of every access method, each against its table."""
        rest = self._answers(
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
        return _joined([*self._answers(self.btrees), *rest])

    def _answers(self, *asks: Callable[[], Finding]) -> list[Finding]:
        return [finding_of(ask, errors=(self.errors, Inconclusive)) for ask in asks]


def _joined(parts: Sequence[Finding]) -> Finding:
    found = joined(parts)
    return replace(found, unknown=None if found.problems else found.unknown)
