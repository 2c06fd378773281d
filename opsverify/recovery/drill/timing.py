"""Timing of a drill: each stage timed, and shown on the progress display with bytes, rate and segments."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opsverify.language.message import say
from opsverify.recovery.restore.throughput import DrillStage, Meter
from opsverify.units import duration, quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opsverify.language.message import Message

_SHOW_EVERY_S = 0.5


@dataclass
class Transferred:
    """Bytes and WAL segments that a stage transferred, filled in while it runs."""

    bytes: int | None = None
    segments: int | None = None


def _meter() -> Meter:
    return Meter()


STAGE_TEXTS: Final[Mapping[str, Message]] = {
    "integrity": say("integrity"),
    "continuity": say("WAL continuity"),
    "preflight": say("preflight"),
    "prepare": say("tools prepared"),
    "copy": say("backup copied"),
    "recover": say("replay to the target"),
    "read_only": say("read-only checks"),
    "promote": say("promotion"),
    "write_probe": say("write probe, rolled back"),
    "validate": say("data and log validated"),
    "catalog": say("catalog compared"),
    "random table": say("random table"),
    "unpack": say("unpacking"),
    "examine": say("ledger, indexes"),
    "platform": say("platform started"),
    "cache": say("cache cleared"),
    "smoke": say("business smoke"),
    "checksums": say("checksums"),
    "teardown": say("teardown"),
}
"""Stages of a drill for a reader, by name."""


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
        self.show(say("rehearsal: {text}", text=STAGE_TEXTS.get(name, name)))
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
                rate = say(" at {rate}/s", rate=quantity(self.meter.rates[-1], "bytes")) if self.meter.rates else ""
                self._show(
                    say(
                        "copy {share:.0%} of {total}{rate}",
                        share=done / max(total, 1),
                        total=quantity(total, "bytes"),
                        rate=rate,
                    ),
                    done == total,
                )
            elif stage == "recover":
                self._show(
                    say(
                        "recover: {done} of WAL, {segments:,} segments",
                        done=quantity(done, "bytes"),
                        segments=done // segment_size,
                    ),
                    done == total > 0,
                )
            else:
                self._show(STAGE_TEXTS.get(stage, stage), done == total)

        return report

    def _show(self, text: str, last: bool) -> None:  # noqa: FBT001 - whether it is the stage's last line
        now = time.monotonic()
        if last or now - self._shown_at >= _SHOW_EVERY_S:
            self._shown_at = now
            self.show(say("rehearsal: {text}", text=text))

    def _add(self, name: str, began: float, seconds: float, transferred: Transferred) -> None:
        stage = DrillStage(name, began, seconds, transferred.bytes, transferred.segments)
        self.stages.append(stage)
        rate = f", {quantity(stage.bytes_per_s, 'bytes')}/s" if stage.bytes_per_s else ""
        pace = say(", {segments:,.0f} segments/s", segments=stage.segments_per_s) if stage.segments_per_s else ""
        done = say(
            "{name} done in {took}{rate}{pace}", name=name, took=duration(round(seconds, 3)), rate=rate, pace=pace
        )
        self.show(say("rehearsal: {text}", text=done))
