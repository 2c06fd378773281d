"""Delay of the run: how late the run's own process woke up while it measured, and what that makes of a measured time.

A process that is stopped, throttled or without a processor measures its own waiting. A time beyond its limit is then
no measurement of the platform: the check holds. What no clock of this machine measured (a status, a row, a count)
stays what it is.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import CheckFailed, MachineBusy
from opsverify.language.message import join, say
from opsverify.units import quantity

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.core.check import Check

EVERY_S: Final = 0.1
"""Time between two wake-ups that are asked for."""
TOLERANCE_S: Final = 0.05
"""A wake-up that comes this late is on time."""
_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Spell:
    """Wake-ups that came late one after the other: from when to when, and by how much together."""

    began: float
    ended: float
    late_s: float


@dataclass
class WakeUps:
    """Wake-ups asked for every `EVERY_S` seconds, and how late they came; told of each one by `woke`."""

    clock: Callable[[], float]

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._due = self.clock() + EVERY_S
        self._spells: deque[_Spell] = deque(maxlen=_MOST)
        self._running: _Spell | None = None

    def woke(self) -> None:
        """A wake-up has come; the next one is due after `EVERY_S`."""
        with self._lock:
            now = self.clock()
            spell = self._with_pending(now)
            if spell is None and self._running is not None:
                self._spells.append(self._running)
            self._running = spell
            self._due = now + EVERY_S

    def longest_s(self, since: float) -> float:
        """The longest spell of late wake-ups that reached beyond `since`; one that has not ended counts."""
        with self._lock:
            running = self._with_pending(self.clock()) or self._running
            spells = [*self._spells, *([running] if running else [])]
        return max((min(spell.late_s, spell.ended - since) for spell in spells if spell.ended > since), default=0.0)

    def _with_pending(self, now: float) -> _Spell | None:
        """The running spell with the wake-up that is due; None where that one is on time."""
        late = now - self._due
        if late <= TOLERANCE_S:
            return None
        before = self._running
        return _Spell(before.began if before else self._due, now, late + (before.late_s if before else 0.0))


@dataclass(frozen=True, slots=True)
class RunDelay:
    """How late the run's process was during a check: by its own wake-ups, and as the kernel counts (None: unknown)."""

    late_s: float
    kernel_s: float | None = None

    @property
    def text(self) -> str:
        """Both in words."""
        late = say("the run's own process woke up {late} late", late=quantity(self.late_s, "s"))
        if self.kernel_s is None:
            return late
        waited = quantity(self.kernel_s, "s")
        return say("{late} (it waited {waited} for a processor)", late=late, waited=waited)


def excused(check: Check, error: Exception, delay: Callable[[], RunDelay]) -> MachineBusy | None:
    """What a failure of `check` really is where it rests on this machine's clock only, and the run came late.

    None where it stays a failure: the run was on time (limit `run_delay`), or anything else is wrong as well.
    """
    outside = check.outside
    resting = error.by_clock if isinstance(error, CheckFailed) else not isinstance(error, AssertionError)
    if not outside or not resting or not all(measurement.by_clock for measurement in outside):
        return None
    found, limit = delay(), check.limits.run_delay
    if limit.holds(found.late_s):
        return None
    detail = say(
        ": {outside}, while {late}, limit {limit}",
        outside=join("; ", (measurement.message for measurement in outside)),
        late=found.text,
        limit=limit.text,
    )
    return MachineBusy(
        say("this machine was too busy to measure{detail}; run again on a machine with free CPU", detail=detail)
    )
