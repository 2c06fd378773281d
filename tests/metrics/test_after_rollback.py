"""Observation after a rollback: its times are those of Prometheus, as its samples' are."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest

from opsverify.metrics.after_rollback import BASELINE, observe
from opsverify.probes.prometheus_values import Series, Vector
from tests.canary.named_cluster import target_at


@dataclass
class Skewed:
    """A Prometheus whose clock is so many seconds ahead; every series grew by 100 in a second, until now."""

    ahead_s: float
    asked: list[float] = field(default_factory=list)

    def now(self) -> float:
        """Its clock."""
        return time.time() + self.ahead_s

    def history(self, selector: str, span_s: float, at: float) -> tuple[Series, ...]:
        """Samples of a scrape every 0.1 s."""
        self.asked.append(at - self.now())
        moments = [at - 0.1 * number for number in range(int(span_s / 0.1) + 1)]
        points = tuple((moment, 100.0 * (moment - 1e9)) for moment in reversed(moments) if moment <= self.now())
        name = selector.partition("{")[0]
        return (Series(MappingProxyType({"__name__": name, "instance": "a:1"}), points),) if points else ()

    def known(self, _selector: str, _back: str) -> bool:
        """Whether a selector ever matched."""
        return True

    def whole(self, query: str, _at: float | None = None) -> Vector:
        """Nothing had counted before."""
        return Vector((), (), 0.0, query)


@pytest.mark.parametrize("ahead_s", [0.0, 90.0, -90.0])
def test_times_are_those_of_prometheus(ahead_s: float) -> None:
    """A machine 90 s behind saw the traffic of before the rollback, one ahead of it saw none."""
    target = target_at("http://x", {})
    target = target.model_copy(update={"actions": target.actions.model_copy(update={"look": "1s"})})
    source, kept = Skewed(ahead_s), io.StringIO()
    observe(source, target, lambda _: None, kept)  # type: ignore[arg-type]
    raw = json.loads(kept.getvalue())
    assert raw["end"] == pytest.approx(source.now(), abs=5)
    assert 1.0 <= raw["end"] - raw["start"] < 30
    assert all(abs(asked) < 5 for asked in source.asked)
    assert raw["samples"][BASELINE]["requests"]
