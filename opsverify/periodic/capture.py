"""Capture: the snapshots that later comparisons begin from, of every source that a target has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.periodic import change_review, database_counters, redis_counters, retention, statements, table_scans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opsverify.config.model import Target
    from opsverify.history.snapshot import Snapshot
    from opsverify.probes.postgres import Postgres
    from opsverify.probes.prometheus import Prometheus
    from opsverify.probes.redis import Redis


@dataclass(frozen=True)
class Sources:
    """How to reach what is captured; each is called where the target has that part."""

    postgres: Callable[[], Postgres]
    redis: Callable[[], Redis]
    prometheus: Callable[[], Prometheus]


def captures(target: Target) -> Iterator[tuple[str, Callable[[Sources], Snapshot]]]:
    """The subjects of a target, and how each is captured. A capture raises Inconclusive."""
    if target.postgres is not None:
        yield database_counters.SUBJECT, lambda sources: database_counters.database_counters(sources.postgres())
        yield table_scans.SUBJECT, lambda sources: table_scans.table_counters(sources.postgres())
        if target.has("statements"):
            yield statements.SUBJECT, lambda sources: statements.statements(sources.postgres())
    if target.redis is not None:
        yield redis_counters.SUBJECT, lambda sources: redis_counters.redis_counters(sources.redis())
    for name, rule in target.retention.items():
        yield (
            retention.subject_of(name),
            lambda sources, name=name, rule=rule: retention.oldest_entry(  # type: ignore[misc]
                name, rule, sources.postgres, sources.prometheus
            ),
        )
    for kind, described in target.changes.items():
        if described.history is not None and target.postgres is not None:
            yield (
                change_review.changes_subject(kind),
                lambda sources, kind=kind, described=described: change_review.snapshot(  # type: ignore[misc]
                    kind, described, sources.postgres()
                ),
            )
