"""Series of a simulated cluster, changed before they are scraped."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.canary.cluster import Cluster

    Sample = tuple[float, float, float]
    """Stored at, time, value."""
    Change = Callable[[str, dict[str, str], list[Sample]], Iterable[tuple[dict[str, str], list[Sample]]]]
    """Series that take the place of one: from its selector, labels and samples."""


def changed(cluster: Cluster, change: Change) -> Cluster:
    """The cluster, with other series in the place of its own."""
    found: defaultdict[str, dict[tuple[tuple[str, str], ...], list[Sample]]] = defaultdict(dict)
    for selector, series in cluster.series.items():
        for labels, samples in series.items():
            for other, its in change(selector, dict(labels), samples):
                found[selector][tuple(sorted(other.items()))] = its
    cluster.series = found
    return cluster
