"""Instances of one scope (canary or baseline): when each was scraped, at what rhythm, when it restarted, came and went.

An instance is one process identity (`identity.process_of`); its samples of all signals tell of it together. A counter
that falls is a restart of its process where the process does not export its start time, and can have counted the new
value since the scrape before (`resets`). Where it does export it, only a start time that moved is one: to a time since
the scrape before, or as a counter fell so. A clock that is set moves a start time as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from opsverify.canary.instance import Instance, insert
from opsverify.canary.sample_columns import rows_of
from opsverify.canary.window_setup import PROCESS_START, REQUESTS, UP
from opsverify.metrics.counters import reason_against
from opsverify.metrics.identity import endpoint_of, family_of, process_of
from opsverify.metrics.resets import falls, is_reset, pace_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsverify.canary.sample_columns import Points
    from opsverify.canary.window_setup import Setup

_METRIC: Final = "__name__="
_SAME_START_S: Final = 1.0
_TARGET_GONE_S: Final = 65.0
"""Seconds without `up` after which a target is gone: longer than one scrape a minute."""


@dataclass(slots=True)
class _Latest:
    """The newest usable sample of a series, and the instance that it is of."""

    instance: Instance
    key: str
    at: float = -math.inf
    value: float = -math.inf


@dataclass(frozen=True)
class _Fall:
    """A series that fell: time and value before and after.

    `trials`: the signal that it is a part of; `family`: its labels without those that pick it out of them.
    """

    instance: Instance
    trials: str
    family: frozenset[tuple[str, str]]
    old: tuple[float, float]
    new: tuple[float, float]


class Instances:
    """Every instance of one scope, advanced step by step; `start` of the window in Unix seconds.

    `leaves_gap_out`: what grew over a gap that began before the window is not counted. `awaits_late`,
    `doubts_falls`: as `Policy` has. `parts`: by signals of bad ones, the trials that
    they are a part of, and the labels that pick them out of these.
    """

    def __init__(
        self,
        start: float,
        instance_label: str = "",
        *,
        leaves_gap_out: bool = False,
        awaits_late: bool = False,
        doubts_falls: bool = False,
        parts: Mapping[str, tuple[str, tuple[str, ...]]] | None = None,
    ) -> None:
        self.start = start
        self.label = instance_label
        self.leaves_gap_out = leaves_gap_out
        self.awaits_late = awaits_late
        self.doubts_falls = doubts_falls
        self._parts = parts or {}
        self._fallen: list[_Fall] = []
        self.all: dict[str, Instance] = {}
        self.earlier: dict[str, dict[str, float]] = {}
        self._latest: dict[str, dict[str, _Latest]] = {}
        self._by_labels: dict[str, Instance] = {}

    @classmethod
    def of_setup(cls, setup: Setup) -> Instances:
        """Those of a window, by its rules."""
        return cls(
            setup.start,
            setup.instance_label,
            leaves_gap_out=setup.policy.leaves_gap_out,
            awaits_late=setup.policy.awaits_late,
            doubts_falls=setup.policy.doubts_falls,
            parts={one.bad: (one.trials, one.picked_by) for one in setup.counted},
        )

    def of(self, key: str) -> Instance:
        """The instance of a series."""
        metric, comma, labels = key.partition(",")
        # Many metrics have the same labels, which name the instance.
        shared = labels if comma and metric.startswith(_METRIC) and self.label != _METRIC[:-1] else key
        found = self._by_labels.get(shared)
        if found is None:
            name = process_of(shared, self.label)
            found = self.all.get(name)
            if found is None:
                found = self.all[name] = Instance(name, endpoint_of(shared), doubted=self.doubts_falls)
            self._by_labels[shared] = found
        return found

    def of_series(self, signal: str, key: str) -> Instance:
        """As `of`, for a series that was added."""
        latest = self._latest.get(signal, {}).get(key)
        return self.of(key) if latest is None else latest.instance

    def add(
        self,
        signals: Mapping[str, Mapping[str, Points]],
        asked: float = math.inf,
        earlier: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        """Add the new samples of one step, which were `asked` for at that time; `earlier` as `ObservedStep` has."""
        for signal, counted in (earlier or {}).items():
            self.earlier.setdefault(signal, {}).update(counted)
        for key, points in signals.get(UP, {}).items():
            self._add_up(key, points)
        # Start times first: they say whether a counter that falls is a restart.
        for signal in sorted(signals.keys() - {UP}, key=lambda name: name != PROCESS_START):
            known = self._latest.setdefault(signal, {})
            for key, times, values in rows_of(signals[signal]):
                latest = known.get(key)
                instance = latest.instance if latest is not None else self.of(key)
                if not instance.known.issuperset(times):
                    instance.scraped(times)
                if instance.starts and signal not in (REQUESTS, PROCESS_START):
                    continue  # its start time tells of every restart
                if latest is None:
                    latest = known[key] = _Latest(instance, key)
                self._add(signal, latest, times, values)
        self._judge_falls()
        for one in self.all.values():
            if one.scrapes and one.last > one.aged:
                one.age_s, one.aged = min(one.age_s, asked - one.last), one.last

    @property
    def seen(self) -> tuple[Instance, ...]:
        """Instances of the window: what missed a scrape before it began is over."""
        return tuple(one for one in self.all.values() if self.in_window(one))

    def in_window(self, one: Instance) -> bool:
        """Whether an instance may have gone on in the window."""
        if not one.scrapes:
            return False
        return one.last + (one.rhythm_s or self.rhythm_s) > self.start or (self.awaits_late and self._silent(one))

    def _silent(self, one: Instance) -> bool:
        """Whether the target of an instance is still there, without samples of it in the window."""
        newest = max(other.up_at for other in self.all.values())
        rhythm = one.rhythm_s or self.rhythm_s
        return one.up_at > max(self.start, one.last) and newest - one.up_at <= max(2 * rhythm, _TARGET_GONE_S)

    @property
    def rhythm_s(self) -> float:
        """The usual rhythm over the instances; 0 where unknown."""
        return median([one.rhythm_s for one in self.all.values() if one.rhythm_s is not None] or [0.0])

    def usual_gap_s(self, one: Instance, step_s: float, tolerated_s: float) -> float:
        """Seconds between samples of an instance that are no gap: two steps, or two scrapes where these are rarer."""
        rhythm = one.rhythm_s if one.rhythm_s is not None else self.rhythm_s
        return max(2 * step_s, min(2 * rhythm, tolerated_s))

    def up_known(self) -> bool:
        """Whether this scope's scrape targets are exported as `up`."""
        return any(one.up_at > -math.inf for one in self.all.values())

    def target_gone(self, one: Instance) -> bool:
        """Whether the scrape target of an instance is gone from service discovery, others not."""
        newest = max(other.up_at for other in self.all.values())
        return one.up_at > -math.inf and one.up == 1 and one.up_at <= one.last < newest

    def _add_up(self, key: str, points: Points) -> None:
        instance = self.of(key)
        at = max(points, default=-math.inf)
        if at > instance.up_at:
            instance.up_at, instance.up = at, points[at]

    def _add(self, signal: str, latest: _Latest, times: Sequence[float], values: Sequence[float]) -> None:
        instance = latest.instance
        if signal == PROCESS_START:
            _add_starts(instance, times, values)
            return
        counted = instance.counted if signal == REQUESTS else None
        for at, value in zip(times, values, strict=True):
            if at <= latest.at or not 0 <= value < math.inf:
                continue
            if counted is not None:
                insert(counted, at)
            if self.doubts_falls:
                self._note(signal, latest, at, value)
            # A series of the old process that comes again later belongs to the restart that was seen first.
            elif value < latest.value and not (instance.falls and instance.falls[-1] > latest.at):
                insert(instance.falls, at)
            latest.at, latest.value = at, value

    def _note(self, signal: str, latest: _Latest, at: float, value: float) -> None:
        """Note what a series grew by until a scrape, or that it fell: judged once the whole step is known."""
        if latest.at == -math.inf:
            return
        trials, picked_by = self._parts.get(signal, (signal, ()))
        if falls(value, latest.value):
            family = family_of(latest.key, picked_by)
            self._fallen.append(_Fall(latest.instance, trials, family, (latest.at, latest.value), (at, value)))
            latest.instance.grown.setdefault(trials, {})[at] = None
        elif trials == signal and value > latest.value:
            grown = latest.instance.grown.setdefault(signal, {})
            if (known := grown.get(at, 0.0)) is not None:
                grown[at] = known + value - latest.value

    def _judge_falls(self) -> None:
        """Tell restarts from other falls, by what processes of the scope count where none falls."""
        paces = {
            trials: pace_of(one.pace(trials) for one in self.all.values())
            for trials in {fall.trials for fall in self._fallen}
        }
        for fall in sorted(self._fallen, key=lambda fall: fall.new[0]):
            one, (before, old), (at, value) = fall.instance, fall.old, fall.new
            pace = paces[fall.trials]
            if not is_reset(value, old, pace, at - before) or self._goes_on(fall, pace):
                insert(one.odd_falls, at)
            elif not (one.falls and one.falls[-1] > before):
                insert(one.falls, at)
        self._fallen.clear()

    def _goes_on(self, fall: _Fall, pace: float) -> bool:
        """Whether a counter of the same process shows more than a new one can have: a restart resets all of them."""
        before, _ = fall.old
        picked_by = next((picked for trials, picked in self._parts.values() if trials == fall.trials), ())
        return pace > 0 and any(
            latest.instance is fall.instance
            and latest.at >= fall.new[0]
            and family_of(key, picked_by) == fall.family
            and not is_reset(latest.value, latest.value, pace, latest.at - before)
            for key, latest in self._latest.get(fall.trials, {}).items()
        )


def _add_starts(instance: Instance, times: Sequence[float], values: Sequence[float]) -> None:
    for at, value in zip(times, values, strict=True):
        if reason_against(value) is None and value > instance.started_at(at) + _SAME_START_S:
            instance.starts.append((at, value))
