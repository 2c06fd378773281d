"""Renames of series: a label changes while the process goes on, and its counters go on under other labels, or anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.canary.series_state import Renamed, SeriesTail
from opsverify.metrics.identity import labels_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.canary.series_state import InstanceGrowth, SeriesState


def renames(
    one: InstanceGrowth, firsts: list[SeriesState], most_new: Callable[[float], float], picked_by: tuple[str, ...]
) -> dict[tuple[str, str], Renamed]:
    """Series that began as others ended, by the labels that changed: whether their counters went on or began anew.

    One that is too large to be new (`most_new` of the seconds since the scrape before), or smaller than its
    predecessor, tells of all whose labels changed alike.
    """
    groups: dict[tuple[float, frozenset[str], frozenset[str]], list[tuple[SeriesState, SeriesState]]] = {}
    for series in firsts:
        before = one.instance.scrape_before(series.at)
        if before is None or one.instance.restarts(before, series.at):
            continue
        predecessor = _predecessor(one, series, before, picked_by)
        if predecessor is not None:
            predecessor.succeeded = True
            was, now = frozenset(predecessor.key.split(",")), frozenset(series.key.split(","))
            groups.setdefault((series.at, was - now, now - was), []).append((series, predecessor))
    found = {}
    for (at, lost, _), pairs in groups.items():
        before = one.instance.scrape_before(at) or at
        most = most_new(at - before)
        anew = any(series.value < predecessor.value for series, predecessor in pairs)
        goes_on = not anew and any(series.value > most for series, _ in pairs)
        for series, predecessor in pairs:
            found[series.signal, series.key] = Renamed(predecessor, goes_on=goes_on, certain=anew or goes_on)
        if anew or goes_on:
            for other in one.series:
                if other.seen == before and other.invalid is None and lost <= set(other.key.split(",")):
                    other.succeeded = True
        if anew:
            one.tails.append(SeriesTail(at - before, dict(one.last)))
    return found


def alike(key: str, other: str, picked_by: tuple[str, ...]) -> bool:
    """Whether two series agree in the labels that tell bad ones from good ones."""
    mine, others = labels_of(key), labels_of(other)
    return all(mine.get(label) == others.get(label) for label in picked_by)


def _predecessor(
    one: InstanceGrowth, series: SeriesState, before: float, picked_by: tuple[str, ...]
) -> SeriesState | None:
    """A series that ended as this one began, and may be the same counter under other labels."""
    labels = set(series.key.split(","))
    ended = [
        other
        for other in one.series
        if other.signal == series.signal
        and other is not series
        and not other.succeeded
        and other.invalid is None
        and other.seen == before
        and alike(other.key, series.key, picked_by)
    ]
    return max(
        ended,
        key=lambda other: (other.value <= series.value, len(labels & set(other.key.split(",")))),
        default=None,
    )
