"""Storage of a platform: how full each volume is, and when it will be, from daily lows of its free space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.periodic.trend import Point, Slope, falling
from opsverify.units import quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.config.reviews import StorageVolume
    from opsverify.language.message import Message
    from opsverify.limits import Limit
    from opsverify.probes.prometheus import Prometheus

DAY_S: Final = 86400.0
LOOKED_BACK_DAYS: Final = 30
_FINER: Final = "10m"
_MOST_DAYS: Final = 3650.0


@dataclass(frozen=True, slots=True)
class VolumeForecast:
    """One volume: free share now, days of history, and how fast it falls (None: no trend)."""

    name: str
    free: float
    size: float
    days: int
    slope: Slope | None

    @property
    def share(self) -> float:
        """Free share (0..1)."""
        return self.free / self.size if self.size else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds until it is full; None without a trend."""
        return None if self.slope is None else self._days(self.slope.value) * DAY_S

    @property
    def text(self) -> Message:
        """When it is full, for a person."""
        if self.slope is None:
            return say("{name}: no trend over {days} days", name=self.name or "volume", days=self.days)
        return say(
            "until {name} is full ({rate} a day, {low} to {high})",
            name=self.name or "volume",
            rate=quantity(-self.slope.value, "bytes"),
            low=quantity(self._days(self.slope.low) * DAY_S, "s"),
            high=quantity(self._days(self.slope.high) * DAY_S, "s"),
        )

    def _days(self, slope: float) -> float:
        return min(_MOST_DAYS, self.free / -slope) if slope < 0 else _MOST_DAYS


def forecasts(prometheus: Prometheus, volume: StorageVolume, enough: Limit) -> tuple[VolumeForecast, ...]:
    """The forecast of every series of a volume, least free first.

    Raises Inconclusive for no value now, and for fewer days than `enough`.
    """
    sizes = _values(prometheus, volume.size)
    free = _values(prometheus, volume.free)
    lows = {
        series.key: series.points
        for series in prometheus.every(f"min_over_time(({volume.free})[1d:{_FINER}])", LOOKED_BACK_DAYS * DAY_S, DAY_S)
    }
    whole = next(iter(sizes.values())) if len(sizes) == 1 else None
    found = []
    for key, (title, now) in free.items():
        size = sizes.get(key, whole)
        if size is None:
            raise Inconclusive(say("{name}: free space but no size; correct size in the target", name=title))
        daily = [(at / DAY_S, value) for at, value in lows.get(key, ())]
        if not enough.holds(len(daily) * DAY_S):
            raise Inconclusive(
                say(
                    "{name}: {days} days of history, {needed} needed for a trend; {share} free now",
                    name=title or "volume",
                    days=len(daily),
                    needed=enough.text,
                    share=quantity(now / size[1] if size[1] else 0.0, "ratio"),
                )
            )
        found.append(VolumeForecast(title, now, size[1], len(daily), forecast_slope(daily)))
    return tuple(sorted(found, key=lambda one: one.share))


def forecast_slope(daily: list[Point]) -> Slope | None:
    """How fast the daily lows fall; None without a trend."""
    return falling(daily)


def _values(prometheus: Prometheus, query: str) -> Mapping[str, tuple[str, float]]:
    """Title and value of every series now, by its labels without the metric's name."""
    found = {}
    for sample in prometheus.current(query).samples:
        labels = {name: value for name, value in sorted(sample.labels.items()) if name != "__name__"}
        key = ",".join(f"{name}={value}" for name, value in labels.items())
        title = labels.get("mountpoint") or labels.get("volume") or labels.get("persistentvolumeclaim") or key
        found[key] = (title, sample.value)
    if not found:
        raise Inconclusive(say("no series of {query}; correct it in the target, or export the metric", query=query))
    return found
