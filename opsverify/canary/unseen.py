"""Unseen part of a scope: what its counters cannot show of the window, each named and bounded.

No process is taken to have served more than the busiest one that was seen in its scope; where all were seen idle, none
is taken to have served. What was unseen is taken to be at least as bad as the limit, or as what the process showed
last, where that is worse: it is never taken for good.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from opsverify.canary.instance import InstanceStatus
from opsverify.language.message import say
from opsverify.units import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opsverify.canary.instance import Instance
    from opsverify.canary.series_growth import GrowthTally
    from opsverify.canary.series_state import InstanceGrowth, Past, SeriesState
    from opsverify.canary.window_setup import Counted

_FEW_PAST = 10.0
_ROUNDED = 1e-9


@dataclass(frozen=True)
class Unseen:
    """Trials that were not seen, at most, and how many of them to take for bad; `text` names them.

    Not `bounded` where no rate was seen by which to tell how many they are.
    """

    text: str
    trials: float
    bad: float
    bounded: bool = True

    def worse_than(self, limit: float) -> bool:
        """Whether it is taken for worse than a limit on the share of bad ones: something was seen that says so."""
        return self.bad > limit * self.trials + _ROUNDED


def unseen(
    tally: GrowthTally,
    counted: Counted,
    status: Callable[[Instance], InstanceStatus],
    at: float,
    *,
    excuse_quiet: bool,
) -> Iterator[Unseen]:
    """Everything unseen in a scope until `at` (Unix seconds), for one criterion."""
    busiest = tally.busiest(counted.trials)
    rated = busiest > 0 or (excuse_quiet and tally.rated(counted.trials))
    for one in tally.of.values():
        for past in one.pasts:
            # Bounded by its own count, whatever the rate.
            yield replace(_of_past(past, one, counted, busiest), bounded=rated or excuse_quiet)
        for tail in one.tails:
            restarted = say("{name} restarted", name=_name(one))
            yield _of_tail(restarted, tail.seconds * busiest, tail.last, counted, bounded=rated)
        state = status(one.instance)
        if not tally.instances.in_window(one.instance) or state is InstanceStatus.ALIVE:
            continue
        if state is InstanceStatus.ENDED:
            rhythm = one.instance.rhythm_s or tally.instances.rhythm_s
            yield _of_tail(say("{name} ended", name=_name(one)), rhythm * busiest, one.last, counted, bounded=rated)
        else:
            most = (at - one.instance.last) * busiest
            yield _of_tail(missing_text(one.instance, at), most, one.last, counted, bounded=busiest > 0)
    for _, series, lag in tally.open_gaps():
        if series.released and series.rate:
            most = series.rate * lag
            text = stale_text(series, lag)
            if series.signal == counted.trials:
                yield Unseen(text, most, most * counted.criterion.limit if counted.good_counted else 0.0)
            elif not counted.good_counted:
                yield Unseen(text, 0.0, most)
            else:
                yield Unseen(text, most, 0.0)


def missing_text(instance: Instance, at: float) -> str:
    """What to say of an instance that is not scraped, and not known to have ended."""
    return say(
        "missing canary instance {name}: not scraped for {lag:.0f} s, and not known to have ended; check that it runs",
        name=label(instance),
        lag=at - instance.last,
    )


def stale_text(series: SeriesState, lag_s: float) -> str:
    """What to say of a series without samples whose instance is scraped."""
    return say(
        "stale series {signal} {{{series}}}: no sample for {lag:.0f} s while its instance is scraped; "
        "check its /metrics",
        signal=series.signal,
        series=shown(series.key),
        lag=lag_s,
    )


def invalid_text(series: SeriesState, lag_s: float) -> str:
    """What to say of a series whose samples no counter can have."""
    return say(
        "{signal} {{{series}}} is {reason} for {lag:.0f} s",
        signal=series.signal,
        series=shown(series.key),
        reason=series.invalid.text if series.invalid else "",
        lag=lag_s,
    )


def fell_text(series: SeriesState) -> str:
    """What to say of a series that fell, and not by a restart."""
    old, new = series.fell or (math.nan, math.nan)
    return say(
        "{signal} {{{series}}} fell from {old:,.0f} to {new:,.0f}, which is no restart (more than one process can have "
        "counted since the scrape before, or its other counters go on): no cumulative counter of one process; select "
        "each process by itself, not a shared address, several workers, a recording rule or a gauge",
        signal=series.signal,
        series=shown(series.key),
        old=old,
        new=new,
    )


def label(instance: Instance) -> str:
    """The name of an instance, as it is shown."""
    return instance.name or say("(no label)")


def shown(key: str) -> str:
    """A series key as it is shown."""
    return ",".join(pair for pair in key.split(",") if not pair.startswith("__name__="))


def _name(one: InstanceGrowth) -> str:
    return say("instance {name}", name=label(one.instance))


def _of_past(past: Past, one: InstanceGrowth, counted: Counted, busiest: float) -> Unseen:
    values = past.values
    trials = values.get(counted.trials, 0.0)
    part = values.get(counted.bad, 0.0)
    bad = max(0.0, trials - part) if counted.good_counted else part
    room = past.room(busiest) if busiest else max(trials, bad)
    text = _past_text(past, one, counted)
    if max(trials, bad) <= max(_FEW_PAST, room):
        return Unseen(text, trials, bad)
    share = bad / trials if trials else 1.0
    if past.arrived:
        return Unseen(text, room, room * max(counted.criterion.limit, min(1.0, share)))
    return Unseen(text, min(trials, room), min(bad, room))


def _past_text(past: Past, one: InstanceGrowth, counted: Counted) -> str:
    if past.unseen_s:
        return say(
            "gap before the window: {instance} shows no {trials} from {before} before its start to {after} after it; "
            "what it counted meanwhile is not judged",
            instance=_name(one),
            trials=counted.trials,
            before=duration(round(past.unseen_s)),
            after=duration(round(past.seconds)),
        )
    if past.arrived:
        arrival = say(
            "extra instance {name}: {trials} already at {count:,.0f} in its first scrape, {after} into the window",
            name=label(one.instance),
            trials=counted.trials,
            count=past.values.get(counted.trials, 0.0),
            after=duration(round(past.seconds)),
        )
        if one.instance.starts:
            return say("{arrival}; its process is older than the window: rerun", arrival=arrival)
        return say("{arrival}; export process_start_time_seconds, or rerun", arrival=arrival)
    return say(
        "extra series {trials} {{{series}}}: appeared in mid-window with an unknown earlier count; "
        "export process_start_time_seconds, or rerun ({instance})",
        trials=counted.trials,
        series=shown(past.key),
        instance=_name(one),
    )


def _of_tail(text: str, most: float, last: dict[str, float], counted: Counted, *, bounded: bool) -> Unseen:
    trials = last.get(counted.trials, 0.0)
    part = last.get(counted.bad, 0.0)
    bad = trials - part if counted.good_counted else part
    share = min(1.0, max(0.0, bad / trials)) if trials else 0.0
    return Unseen(text, most, most * max(counted.criterion.limit, share), bounded)
