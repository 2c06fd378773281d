"""Alerts of the canary over a window: which began in it, which fire since before, and which go on beyond a grace."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.language.message import say
from opsverify.units import duration

if TYPE_CHECKING:
    from opsverify.canary.observation import ObservedStep


@dataclass
class _Seen:
    since: float | None
    began_inside: bool
    last: float


class AlertWatch:
    """Every alert that fired; `start` of the window in Unix seconds, `grace_s` for those that fire since before it.

    `goes_on`: one that fires since before the window, and in every answered step, is the same alert whenever it says
    that it began: a Prometheus that was restarted begins to count its alerts anew.
    """

    def __init__(self, start: float, grace_s: float, *, goes_on: bool = True) -> None:
        self._start, self._grace_s, self._goes_on = start, grace_s, goes_on
        self._seen: dict[str, _Seen] = {}
        self._answered = 0
        self._at = start
        self._over_grace: dict[str, None] = {}

    def advance(self, step: ObservedStep) -> None:
        """Add one answered step."""
        self._answered += 1
        before, self._at = self._at, step.at
        for name in step.alerts:
            since = step.alerts_since.get(name)
            inside = since > self._start if since is not None else self._answered > 1 and name not in self._seen
            seen = self._seen.setdefault(name, _Seen(since, inside, step.at))
            if self._goes_on and not seen.began_inside and seen.last == before:
                inside = False
            seen.last, seen.began_inside = step.at, seen.began_inside or inside
            if seen.began_inside or step.at - self._start >= self._grace_s:
                self._over_grace[name] = None

    @property
    def fired(self) -> tuple[str, ...]:
        """Alerts that roll back: begun in the window, or gone on beyond the grace."""
        return tuple(self._over_grace)

    @property
    def earlier(self) -> tuple[str, ...]:
        """Alerts that fire since before the window, and still are waited for."""
        return tuple(
            say(
                "alert {name} fires{since}, before the window; waiting {grace}",
                name=name,
                since=_since(seen.since),
                grace=duration(round(self._grace_s)),
            )
            for name, seen in self._seen.items()
            if name not in self._over_grace and seen.last == self._at
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Every alert that fires or fired."""
        return tuple(self._seen)

    def text(self, name: str) -> str:
        """An alert and since when it fires, where it began before the window."""
        seen = self._seen[name]
        if seen.began_inside or seen.since is None or self._grace_s == 0:
            return name
        return say("{name} (fires{since}, before the window)", name=name, since=_since(seen.since))


def _since(since: float | None) -> str:
    if not since:
        return say(" since its beginning")
    return say(" since {at}", at=f"{dt.datetime.fromtimestamp(since, dt.UTC):%Y-%m-%d %H:%M:%SZ}")
