"""Timing of a drill: each stage timed, and shown on the progress display with bytes, rate and segments."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsverify.recovery.restore.throughput import DrillStage, Meter
from opsverify.units import duration, quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


_SHOW_EVERY_S = 0.5


@dataclass
class Transferred:
    """Bytes and WAL segments that a stage transferred, filled in while it runs."""

    bytes: int | None = None
    segments: int | None = None


def _meter() -> Meter:
    return Meter()


@dataclass
class StageTimer:
    """Stages of one drill in the order in which they end; `show` displays one line of progress."""

    show: Callable[[str], None]
    stages: list[DrillStage] = field(default_factory=list)
    meter: Meter = field(default_factory=_meter)
    _began: float = field(default_factory=time.monotonic)
    _shown_at: float = 0.0

    def elapsed(self) -> float:
        """Seconds since the drill began."""
        return time.monotonic() - self._began

    @contextmanager
    def stage(self, name: str) -> Iterator[Transferred]:
        """Time the block as the stage `name`, also when it fails."""
        began, transferred = self.elapsed(), Transferred()
        self.show(f"rehearsal: {name}")
        try:
            yield transferred
        finally:
            self._add(name, began, self.elapsed() - began, transferred)

    def add(self, began: float, durations: Mapping[str, float], transferred: Mapping[str, Transferred]) -> None:
        """Add stages that followed each other from `began` on (seconds after the drill's beginning)."""
        for name, seconds in durations.items():
            self._add(name, began, seconds, transferred.get(name, Transferred()))
            began += seconds

    def restore_progress(self, segment_size: int) -> Callable[[str, int, int], None]:
        """Progress callback of a restore, for `opsverify.recovery.restore.pitr`."""

        def report(stage: str, done: int, total: int) -> None:
            if stage == "copy":
                if not self.meter.started:
                    self.meter.start()
                self.meter.note(done, total)
                rate = f" at {quantity(self.meter.rates[-1], 'bytes')}/s" if self.meter.rates else ""
                self._show(f"copy {done / max(total, 1):.0%} of {quantity(total, 'bytes')}{rate}", done == total)
            elif stage == "recover":
                self._show(
                    f"recover: {quantity(done, 'bytes')} of WAL, {done // segment_size:,} segments", done == total > 0
                )
            else:
                self._show(stage, done == total)

        return report

    def _show(self, text: str, last: bool) -> None:  # noqa: FBT001 - whether it is the stage's last line
        now = time.monotonic()
        if last or now - self._shown_at >= _SHOW_EVERY_S:
            self._shown_at = now
            self.show(f"rehearsal: {text}")

    def _add(self, name: str, began: float, seconds: float, transferred: Transferred) -> None:
        stage = DrillStage(name, began, seconds, transferred.bytes, transferred.segments)
        self.stages.append(stage)
        rate = f", {quantity(stage.bytes_per_s, 'bytes')}/s" if stage.bytes_per_s else ""
        pace = f", {stage.segments_per_s:,.0f} segments/s" if stage.segments_per_s else ""
        self.show(f"rehearsal: {name} done in {duration(round(seconds, 3))}{rate}{pace}")
