"""Silence of a canary: it is scraped and counts nothing, while its own traffic before and the baseline's say it should.

A process that hangs, and an exporter that stands still, leave counters as they were: nothing failed, and nothing is
known of what was served. A line that is quiet now and then is told by its own earlier pauses, traffic that ends
everywhere by the baseline's, a pod that is drained by the others, which take its traffic over.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from opsverify.canary.unseen import label
from opsverify.language.message import say
from opsverify.units import duration

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from opsverify.canary.instance import Instance
    from opsverify.canary.series_growth import GrowthTally
    from opsverify.canary.series_state import InstanceGrowth

_LEAST_EXPECTED: Final = 20.0
"""Trials that must be missing: by chance alone no traffic leaves out so many."""
_LONGER: Final = 2.0
"""Times the longest pause before that a silence lasts."""
_BEFORE_S: Final = 300.0
"""Seconds before a silence by which it is known what to expect."""


class QuietSpan(NamedTuple):
    """Nothing counted from `since` to `until` (Unix seconds), where about `expected` trials were due."""

    since: float
    until: float
    expected: float


def rate(tally: GrowthTally, span: tuple[float, float], only: str | None = None) -> float:
    """Growth of a tally's last signal in a span of time, 1/s, of one instance or of all."""
    total = 0.0
    for name, one in tally.of.items():
        if only is None or name == only:
            for begun, ended, counted in one.history:
                inside = min(ended, span[1]) - max(begun, span[0])
                if inside > 0:
                    total += counted.get(tally.signals[-1], 0.0) * inside / (ended - begun)
    return total / (span[1] - span[0]) if span[1] > span[0] else 0.0


def silence_of_all(tally: GrowthTally, baseline: GrowthTally, alive: Collection[str]) -> QuietSpan | None:
    """The silence of a scope: every instance that is scraped counts nothing of the tally's last signal."""
    ones = [tally.of[name] for name in alive if name in tally.of]
    quiet = [_quiet_since(one, tally.signals[-1]) for one in ones]
    if not quiet or None in quiet:
        return None
    since = max(at for at in quiet if at is not None)
    until = min(one.cut for one in ones)
    return _unusual(tally, baseline, (since, until), tuple(tally.of.values()))


def silent_instances(
    tally: GrowthTally, baseline: GrowthTally, alive: Collection[str]
) -> Iterator[tuple[Instance, QuietSpan]]:
    """Instances that count nothing although they are scraped, and whose traffic did not go to the others."""
    for name in alive:
        one = tally.of.get(name)
        since = None if one is None else _quiet_since(one, tally.signals[-1])
        if one is None or since is None:
            continue
        found = _unusual(tally, baseline, (since, one.cut), (one,), only=name)
        if found is not None and not _taken_over(tally, baseline, found, name):
            yield one.instance, found


def silence_text(signal: str, found: QuietSpan, instance: Instance | None = None) -> str:
    """What to say of it."""
    return say(
        "{signal}: {who} counted nothing for {seconds} while it is scraped, about {expected:,.0f} were due: it hangs, "
        "or its metrics stand still; check the service and its /metrics",
        signal=signal,
        who=say("the canary") if instance is None else label(instance),
        seconds=duration(round(found.until - found.since)),
        expected=found.expected,
    )


def _quiet_since(one: InstanceGrowth, signal: str) -> float | None:
    """Since when an instance counts nothing until its latest scrape; None where it does, never did, or is unknown."""
    shown = any(series.signal == signal and series.seen >= one.cut for series in one.series)
    if not shown or not one.history or one.history[-1][1] != one.cut:
        return None  # series that are not scraped any more are no counters that stand still
    since = one.cut
    for begun, _, counted in reversed(one.history):
        if counted.get(signal):
            return None if since == one.cut else since
        since = begun
    return None


def _unusual(
    tally: GrowthTally,
    baseline: GrowthTally,
    span: tuple[float, float],
    ones: Collection[InstanceGrowth],
    only: str | None = None,
) -> QuietSpan | None:
    since, until = span
    signal = tally.signals[-1]
    ends = sorted({ended for one in ones for _, ended, counted in one.history if counted.get(signal)})
    longest = max((later - earlier for earlier, later in pairwise(ends)), default=until - since)
    if until - since < _LONGER * longest:
        return None
    first = min(one.history[0][0] for one in ones if one.history)
    before = (max(first, since - _BEFORE_S), since)
    expected = rate(tally, before, only) * _change(baseline, before, span) * (until - since)
    return QuietSpan(since, until, expected) if expected >= _LEAST_EXPECTED else None


def _change(baseline: GrowthTally, before: tuple[float, float], span: tuple[float, float]) -> float:
    """How far the baseline's traffic went on, 0 to 1; 0 where it has none to tell by."""
    was = rate(baseline, before)
    return min(1.0, rate(baseline, span) / was) if was else 0.0


def _taken_over(tally: GrowthTally, baseline: GrowthTally, found: QuietSpan, name: str) -> bool:
    span = (found.since, found.until)
    first = min(begun for begun, _, _ in tally.of[name].history)
    before = (max(first, found.since - _BEFORE_S), found.since)
    own, all_of = rate(tally, before, name), rate(tally, before)
    return rate(tally, span) >= all_of * _change(baseline, before, span) - own / 2
