"""Scrapers of a series: one process that two jobs or replicas scrape shows each of its counters twice.

Who scraped is told by labels that the scraper attaches: `job` and those of replicas by their names, the others by what
they are. An operator's ServiceMonitor and PodMonitor of one pod differ in `job`, `service` and `endpoint`, relabelling
adds labels of any name: each has one value in all that a job scraped of a process.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING, Final

from opsverify.metrics.identity import INSTANCE, labels_of, process_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_JOB: Final = "job"
_OF_JOB: Final = re.compile(r"(?:^|,)job=([^,]*)")

_SCRAPER: Final = re.compile(r"(?:^|(?<=,))(job|prometheus|\w*replica\w*)=[^,]*,?")
"""Labels that say who scraped a series; those of replicas are named freely (`replica`, `prometheus_replica`)."""
_SCRAPER_MARKS: Final = ("job=", "prometheus=", "replica")
"""One of which every text that matches has: found sooner."""


def scraped_twice(series: Iterable[str], instance_label: str = "", *, by_value: bool = True) -> tuple[str, ...]:
    """List series that differ from an earlier one only in who scraped them: they would count twice.

    `instance_label` tells processes apart, whatever its name. Without `by_value` labels of scrapers are known by their
    names only.
    """
    keys = tuple(series)
    labels = ",".join(keys)
    if not any(mark in labels for mark in _SCRAPER_MARKS):
        return ()
    found: set[str] = set()
    twice: dict[str, None] = {}
    for key in keys:
        bare = _SCRAPER.sub(lambda found: found[0] if found[1] == instance_label else "", key).rstrip(",")
        if bare in found:
            twice[key] = None
        found.add(bare)
    if by_value and instance_label != _JOB and len(set(_OF_JOB.findall(labels))) > 1:
        again = set(_by_two_jobs(keys, instance_label)) - twice.keys()
        return tuple(key for key in keys if key in again or key in twice)
    return tuple(twice)


def _by_two_jobs(keys: Sequence[str], instance_label: str) -> Iterator[str]:
    """Series of a process that another job scraped as well, with labels of its own on all of them."""
    processes: defaultdict[str, defaultdict[str, dict[str, Mapping[str, str]]]] = defaultdict(lambda: defaultdict(dict))
    for key in keys:
        labels = labels_of(key)
        if labels.get(INSTANCE) and labels.get(_JOB):
            processes[process_of(key, instance_label)][labels[_JOB]][key] = labels
    for jobs in processes.values():
        for one, other in combinations(jobs.values(), 2):
            own = _varying(one.values()) | _varying(other.values())
            known = {_only(labels, own) for labels in one.values()}
            yield from (key for key, labels in other.items() if _only(labels, own) in known)


def _varying(series: Iterable[Mapping[str, str]]) -> set[str]:
    """Labels that some of the series have, and not all with one value: the exporter's own."""
    found = tuple(series)
    names = set().union(*found)
    return {name for name in names if len({labels.get(name, "") for labels in found}) > 1}


def _only(labels: Mapping[str, str], names: set[str]) -> frozenset[tuple[str, str]]:
    return frozenset(pair for pair in labels.items() if pair[0] in names)
