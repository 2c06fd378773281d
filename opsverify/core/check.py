"""Check: what the `check` fixture gives to a test, to measure and to record with."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, Protocol

from opsverify.core.results import Measurement
from opsverify.errors import CheckFailed, Inconclusive, Unreachable
from opsverify.language.message import in_language, join, say
from opsverify.limits import NONE
from opsverify.probes.way import missing_way
from opsverify.units import listed, plain_number, quantity, whole_number

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from contextlib import AbstractContextManager

    from opsverify.config.limits import Limits
    from opsverify.config.model import Target
    from opsverify.core.interval import Interval
    from opsverify.core.plan import Planned
    from opsverify.limits import Limit
    from opsverify.probes.record import Kind

LONGER_LOOKBACK = say("lengthen prometheus.lookback")


class EvidenceSink(Protocol):
    """Where a check's steps and attachments go."""

    def attach(self, name: str, body: str, kind: Kind = "text") -> None:
        """Keep one attachment."""

    def step(self, title: str) -> AbstractContextManager[object]:
        """Show what is done inside as one step."""


@dataclass
class Check:
    """One running check: its plan entry, the target, and what it has measured so far.

    `measure` and `expect` record and go on, so that a reader sees every number; values outside their limits
    fail the check when its body has ended.
    """

    planned: Planned
    target: Target
    evidence: EvidenceSink
    measurements: list[Measurement] = field(default_factory=list)
    coverage: str = ""

    @property
    def limits(self) -> Limits:
        """The target's limits."""
        return self.target.limits

    @property
    def outside(self) -> list[Measurement]:
        """The measurements outside their limits, so far."""
        return [measurement for measurement in self.measurements if not measurement.holds]

    def measure(
        self, name: str, value: float | None, limit: Limit, *, samples: int | None = None, of: str = ""
    ) -> bool:
        """Compare `value` (base unit of `limit`) with `limit`; return whether it holds.

        `of` names what was counted, as in "2.31% *of 4,120 requests failed*". Raises Inconclusive when there is
        no value: None, NaN or infinite; TypeError when it is no number.
        """
        number = None if value is None else plain_number(name, value)
        if value is None or number is None or not math.isfinite(number):
            raise Inconclusive(
                say(
                    "{name}: no value ({value}) to compare with limit {limit}",
                    name=name,
                    value=number,
                    limit=limit.text,
                )
            )
        return self._keep(Measurement.of(name, value, limit, samples=samples, what=of))

    def measure_estimate(self, name: str, estimate: Interval, limit: Limit, *, samples: int, of: str) -> bool:
        """Compare an estimate with `limit`, as `measure` does.

        Raises Inconclusive where it lies outside, and chance alone may have moved it there.
        """
        value, low, high = (plain_number(name, end) for end in (estimate.value, estimate.low, estimate.high))
        if math.isfinite(value) and not limit.holds(value) and limit.reaches(low, high):
            measured, low_text, high_text = (quantity(number, limit.unit) for number in (value, low, high))
            raise Inconclusive(
                say(
                    "{measured} {of}, limit {limit}; by chance alone it may be {low} to {high}: "
                    "observe longer (--window) or send more traffic",
                    measured=measured,
                    of=of,
                    limit=limit.text,
                    low=low_text,
                    high=high_text,
                )
            )
        return self.measure(name, value, limit, samples=samples, of=of)

    def expect(self, name: str, value: object, expected: object) -> bool:
        """Require `value` to equal `expected`; return whether it does."""
        return self._keep(Measurement.equal(name, value, expected))

    def expect_all(self, what: str, expected: Iterable[str], found: Collection[str]) -> bool:
        """Require every one of `expected` to be among `found`; return whether they are."""
        wanted = list(expected)
        missing = [name for name in wanted if name not in found]
        return self.measure(
            say("missing {what}", what=what),
            len(missing),
            NONE,
            of=listed(say("of {count} {what} missing", count=len(wanted), what=what), missing),
        )

    def enough(self, name: str, samples: int, longer: str = LONGER_LOOKBACK) -> None:
        """Raise Inconclusive when `samples` trials are too few to decide anything (limit `min_samples`).

        `longer` says how to observe more of them.
        """
        limit, samples = self.limits.min_samples, whole_number(name, samples)
        if not limit.holds(samples):
            raise Inconclusive(
                say(
                    "{name}: {samples:,} samples in the window, {limit} needed; {longer}, or send more traffic",
                    name=name,
                    samples=samples,
                    limit=limit.text,
                    longer=longer,
                )
            )

    def record(self, measurement: Measurement) -> bool:
        """Keep a measurement that was judged elsewhere (by the canary gate); return whether it holds."""
        return self._keep(measurement)

    def fail(self, message: str) -> NoReturn:
        """Fail now: the rest of the check would measure nothing."""
        raise CheckFailed(message)

    @contextmanager
    def must_answer(self, what: str) -> Iterator[None]:
        """Inside, no answer is a failure, not inconclusive: the component under check is down.

        Inconclusive it stays where this machine has no way to the component: then nothing was measured of it.
        """
        try:
            yield
        except Unreachable as error:
            lacking = missing_way(error.peers)
            if lacking:
                raise Inconclusive(say("{what}: not measured: {lacking}", what=what, lacking=lacking)) from error
            name = in_language(what, "en")
            self._keep(
                Measurement(
                    name, "no answer", "== answers", "text",
                    holds=False, message=str(error), by_clock=error.by_clock,
                )
            )  # fmt: skip
            raise CheckFailed(str(error), by_clock=error.by_clock) from error

    def attach(self, name: str, body: str, kind: Kind = "text") -> None:
        """Keep something for the reader of the evidence."""
        self.evidence.attach(name, body, kind)

    def step(self, title: str) -> AbstractContextManager[object]:
        """Show what is done inside as one step of the evidence."""
        return self.evidence.step(title)

    def conclude(self) -> None:
        """End the check: raise CheckFailed for measurements outside their limits, Inconclusive if there are none."""
        if outside := self.outside:
            messages = join("; ", (measurement.message for measurement in outside))
            raise CheckFailed(messages, by_clock=all(measurement.by_clock for measurement in outside))
        if not self.measurements:
            raise Inconclusive(say("the check ended without measuring anything"))

    def _keep(self, measurement: Measurement) -> bool:
        self.measurements.append(measurement)
        return measurement.holds
