"""Results: what a check measured, and its outcome; the rows of `verdict.json`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from opsverify.core.stages import Outcome
from opsverify.language.message import in_language, packed, pair, say, unpair
from opsverify.language.plain import plain_line
from opsverify.probes.local_timer import Elapsed
from opsverify.units import plain_number, quantity, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opsverify.core.plan import Planned
    from opsverify.limits import Limit

_Record = TypeVar("_Record", "Measurement", "CheckResult")


@dataclass(frozen=True)
class Measurement:
    """One measured value against its limit, both in base unit `unit` (`ratio`, `s`, `bytes`, `count`, `text`).

    `upper_bound`, `proven` and `log_e` only where the canary gate decided: the bound that the share of bad ones is
    proven to stay below, whether `holds` is proven, and the natural log of the evidence for it. `by_clock`: a time
    that this machine's clock measured.
    """

    name: str
    measured: float | str
    limit: str
    unit: str
    holds: bool
    samples: int | None = None
    message: str = ""
    upper_bound: float | None = None
    proven: bool | None = None
    log_e: float | None = None
    by_clock: bool = False

    def __post_init__(self) -> None:
        """Clean what came from a service: it goes to terminals and pages."""
        for name in ("name", "measured", "limit", "message"):
            value = getattr(self, name)
            if isinstance(value, str):
                object.__setattr__(self, name, plain_line(value))

    @classmethod
    def of(cls, name: str, measured: float, limit: Limit, *, samples: int | None = None, what: str = "") -> Measurement:
        """Compare `measured` with `limit`; `what` names what was counted (`of 4,120 requests failed`).

        Raises TypeError where `measured` or `samples` is no number.
        """
        by_clock = isinstance(measured, Elapsed)
        measured = plain_number(name, measured)
        samples = None if samples is None else whole_number(name, samples)
        text = quantity(measured, limit.unit)
        if what:
            counted = say("{measured} {what}", measured=text, what=what)
        elif samples is not None:
            counted = say("{name} {measured} of {samples:,} samples", name=name, measured=text, samples=samples)
        else:
            counted = say("{name} {measured}", name=name, measured=text)
        return cls(
            in_language(name, "en"),
            measured,
            str(limit),
            limit.unit,
            limit.holds(measured),
            samples,
            say("{counted}, limit {limit}", counted=counted, limit=limit.text),
            by_clock=by_clock,
        )

    @classmethod
    def equal(cls, name: str, measured: object, expected: object) -> Measurement:
        """Compare `measured` with the one value `expected`, both shown as text."""
        holds = measured == expected
        found, wanted = str(measured), str(expected)
        message = (
            say("{name} {measured}", name=name, measured=found)
            if holds
            else say("{name} {measured}, expected {expected}", name=name, measured=found, expected=wanted)
        )
        return cls(
            in_language(name, "en"),
            in_language(found, "en"),
            f"== {in_language(wanted, 'en')}",
            "text",
            holds,
            None,
            message,
        )

    def each(self, change: Callable[[Any], Any]) -> Measurement:
        """The measurement with `change` applied to its texts and its value."""
        return _changed(self, ("name", "measured", "limit", "unit", "message"), change)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, the message in both languages."""
        # Flat: dataclasses.asdict would copy every string deeply.
        return {**vars(self), **pair("message", self.message)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Measurement:
        """The inverse of `to_dict`."""
        plain = {name: value for name, value in content.items() if name != "message_ko"}
        return cls(**{**plain, "message": unpair(content, "message")})


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one planned check, with everything that `verdict.json` holds of it."""

    id: str
    outcome: Outcome
    message: str
    started_at: str | None = None
    duration_s: float = 0.0
    measurements: tuple[Measurement, ...] = field(default=())
    coverage: str = ""
    """How the tables of a restored database were compared; of the one check that says so."""

    def __post_init__(self) -> None:
        """Clean the message, which may quote a service: it goes to terminals and pages."""
        object.__setattr__(self, "message", plain_line(self.message))

    @property
    def decisive(self) -> Measurement | None:
        """The measurement to show: the first outside its limit, else the first."""
        return next((m for m in self.measurements if not m.holds), next(iter(self.measurements), None))

    def verdict_entry(self, planned: Planned) -> dict[str, Any]:
        """One entry of `checks` in `verdict.json`."""
        shown = self.decisive
        return {
            "id": self.id,
            "title": {"ko": planned.ko, "en": planned.en},
            "runbook": list(planned.sections),
            "severity": planned.severity,
            "owner": planned.owner,
            "outcome": self.outcome.value,
            "measured": shown.measured if shown else None,
            "limit": shown.limit if shown else None,
            "unit": shown.unit if shown else None,
            "samples": shown.samples if shown else None,
            **pair("message", self.message),
            "started_at": self.started_at,
            "duration_s": round(self.duration_s, 3),
            "lines": list(planned.lines),
            "measurements": [measurement.to_dict() for measurement in self.measurements],
        }

    def each(self, change: Callable[[Any], Any]) -> CheckResult:
        """The result with `change` applied to its texts and to what was measured."""
        measurements = tuple(measurement.each(change) for measurement in self.measurements)
        return _changed(replace(self, measurements=measurements), ("id", "message", "coverage"), change)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that crosses from an xdist worker to its controller."""
        measurements = [measurement.to_dict() for measurement in self.measurements]
        return {
            **vars(self),
            **packed("message", self.message),
            **pair("coverage", self.coverage),
            "outcome": self.outcome.value,
            "measurements": measurements,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> CheckResult:
        """The inverse of `to_dict`."""
        return cls(
            content["id"],
            Outcome(content["outcome"]),
            unpair(content, "message"),
            content["started_at"],
            content["duration_s"],
            tuple(Measurement.from_dict(row) for row in content["measurements"]),
            unpair({"coverage": "", **content}, "coverage"),
        )


def _changed(record: _Record, names: Iterable[str], change: Callable[[Any], Any]) -> _Record:
    """`record` with `change` applied to the fields `names`; itself where that changes nothing."""
    new = {name: after for name in names if (after := change(before := getattr(record, name))) is not before}
    return replace(record, **new) if new else record
