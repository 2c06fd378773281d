"""Storage of a target, from what Prometheus answers: too little history, no series, several volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from opsverify.config.reviews import RetentionRule, StorageVolume
from opsverify.errors import Inconclusive
from opsverify.limits import Limit
from opsverify.periodic.storage import forecasts
from opsverify.probes.prometheus_values import Sample, Series, Vector

if TYPE_CHECKING:
    from opsverify.probes.prometheus import Prometheus

VOLUME = StorageVolume(free="free", size="size")
TWO_WEEKS = Limit(">=", 14 * 86400, "s")


class Answers:
    """A Prometheus that knows two volumes."""

    def __init__(self, days: int = 30, names: tuple[str, ...] = ("/data", "/wal")) -> None:
        self.days, self.names = days, names

    def current(self, query: str) -> Vector:
        """Both volumes, of the same size."""
        value = {"free": 30e9, "size": 100e9}[query]
        samples = [
            Sample({"__name__": query, "mountpoint": name}, value - (10e9 * n if query == "free" else 0), 0.0)
            for n, name in enumerate(self.names)
        ]
        return Vector(tuple(samples), (), 0.0, query)

    def every(self, *_: object) -> tuple[Series, ...]:
        """Lows of each day: the second volume loses a GB a day."""
        return tuple(
            Series(
                {"mountpoint": name},
                tuple((day * 86400.0, 30e9 - 10e9 * n + n * (self.days - day) * 1e9) for day in range(self.days)),
            )
            for n, name in enumerate(self.names)
        )


def found(answers: Any) -> Any:  # noqa: ANN401 - a double
    """The forecasts of what a double answers."""
    return forecasts(cast("Prometheus", answers), VOLUME, TWO_WEEKS)


def test_every_volume_is_judged_least_free_first() -> None:
    """The one that grows has a date, the other one none."""
    wal, data = found(Answers())
    assert (wal.name, data.name) == ("/wal", "/data")
    assert wal.left_s == pytest.approx(20 * 86400, rel=0.1)
    assert data.left_s is None
    assert (wal.share, data.share) == (pytest.approx(0.2), pytest.approx(0.3))


def test_five_days_are_too_little_history() -> None:
    """Trap 23: no date and no pass, with what is free now."""
    with pytest.raises(Inconclusive, match=r"/data: 5 days of history, >= 14d needed for a trend; 30% free now"):
        found(Answers(days=5))


def test_a_selector_without_a_series_is_named() -> None:
    """A misspelt metric is no volume that is fine."""
    with pytest.raises(Inconclusive, match="no series of size; correct it in the target"):
        found(Answers(names=()))


@pytest.mark.parametrize(
    "given",
    [
        {"at_most": "7d"},
        {"oldest": "SELECT 1", "promql": "x", "at_most": "7d"},
        {"oldest": "SELECT 1"},
        {"oldest": "SELECT 1", "at_least": "9d", "at_most": "7d"},
    ],
)
def test_a_rule_that_says_too_little_is_refused(given: dict[str, str]) -> None:
    """One source, and a bound that can hold."""
    with pytest.raises(ValueError, match=r"expected|no log can keep both"):
        RetentionRule(**given)
