"""Limits as the runbook writes them: `< 1 %`, `< 1.5 s`, `10..20 %`, `>= 14 d`.

A limit is parsed once, kept in the base unit of its kind (ratio, seconds, bytes, plain count) and printed
in two ways: `str(limit)` for programs (`< 0.01`), `limit.for_people` for people (`< 1%`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UNITS: Final[dict[str, dict[str, float]]] = {
    "ratio": {"%": 0.01, "": 1.0},
    "s": {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0},
    "bytes": {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12},
    "count": {"": 1.0},
    "usd": {"usd": 1.0, "USD": 1.0},
    "times": {"x": 1.0},
}
"""Kinds of quantity: the base unit, and the factor of every spelling that a target file may use."""

_HOLDS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
    "==": lambda value, bound: value == bound,
}
_NUMBER = r"-?\d+(?:\.\d+)?"
_ONE_SIDED = re.compile(rf"(<=|>=|==|<|>)\s*({_NUMBER})\s*([A-Za-z%]*)")
_RANGE = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})\s*([A-Za-z%]*)")


@dataclass(frozen=True)
class Limit:
    """One bound (`op`, `bound`) or a closed range (`op` is `..`, `bound` to `upper`) in base unit `unit`."""

    op: str
    bound: float
    unit: str
    upper: float = math.inf

    @classmethod
    def parse(cls, text: str, unit: str) -> Limit:
        """Read a limit of kind `unit` (a key of `UNITS`).

        Raises ValueError naming the expected form, with an example of the right kind.
        """
        spellings = UNITS[unit]
        example = f'"<= 5{" " if max(spellings, key=len) else ""}{next(iter(spellings))}"'
        if match := _ONE_SIDED.fullmatch(text.strip()):
            op, number, suffix = match.groups()
            upper = ""
        elif match := _RANGE.fullmatch(text.strip()):
            number, upper, suffix = match.groups()
            op = ".."
            if float(upper) < float(number):
                raise ValueError(f'"{text}" is an empty range: expected the smaller number first')
        else:
            raise ValueError(f'"{text}" is not a limit: expected an operator and a number, such as {example}')
        if suffix not in spellings:
            raise ValueError(f'"{text}" has the wrong unit: expected {_any_of(spellings)}, such as {example}')
        factor = spellings[suffix]
        return cls(op, _scaled(number, factor), unit, _scaled(upper, factor) if upper else math.inf)

    def holds(self, value: float) -> bool:
        """Whether `value` (base unit) is within the limit; NaN never is."""
        if self.op == "..":
            return self.bound <= value <= self.upper
        return _HOLDS[self.op](value, self.bound)

    def reaches(self, low: float, high: float) -> bool:
        """Whether some value between `low` and `high` is within the limit."""
        return any(map(self.holds, (low, min(max(self.bound, low), high), high)))

    def __str__(self) -> str:
        if self.op == "..":
            return f"{self.bound:.12g}..{self.upper:.12g}"
        return f"{self.op} {self.bound:.12g}"

    @property
    def for_people(self) -> str:
        """The limit with a unit that reads well: `< 1%`, `<= 30m`."""
        if self.op == "..":
            return f"{quantity(self.bound, self.unit)}..{quantity(self.upper, self.unit)}"
        return f"{self.op} {quantity(self.bound, self.unit)}"


NONE: Final = Limit("==", 0, "count")
"""Not a single one."""


def listed(what: str, names: Sequence[str], most: int = 3) -> str:
    """`what`, followed by the first of `names` if there are any: `targets down: edge 127.0.0.1:17400`."""
    shown = ", ".join(names[:most])
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what}: {shown}{more}" if names else what


def quantity(value: float, unit: str) -> str:  # noqa: PLR0911 - one for each unit
    """Print `value` (in base unit `unit`) for a person: `2.31%`, `1.5s`, `4,120`, `12.5 MB`."""
    if not math.isfinite(value):
        return str(value)
    if unit == "ratio":
        return f"{value * 100:.3g}%" if abs(value) < 1 else f"{value * 100:,.1f}%".replace(".0%", "%")
    if unit == "s":
        return duration(value)
    if unit == "bytes":
        for name, factor in reversed(UNITS["bytes"].items()):
            if abs(value) >= factor:
                return f"{value / factor:.4g} {name}"
    if unit == "times":
        return f"{_readable(value)}x"
    if unit == "usd":
        return f"{_readable(value)} USD"
    return _readable(value)


def duration(seconds: float) -> str:
    """Print seconds in the unit a person would say: `340ms`, `1.5s`, `12m`, `4h`, `14d`."""
    for name in ("d", "h", "m"):
        factor = UNITS["s"][name]
        if abs(seconds) >= factor and (seconds / factor).is_integer():
            return f"{seconds / factor:.0f}{name}"
    for name in ("d", "h"):
        if abs(seconds) >= UNITS["s"][name]:
            return f"{_readable(seconds / UNITS['s'][name])}{name}"
    return f"{_readable(seconds)}s" if abs(seconds) >= 1 or seconds == 0 else f"{seconds * 1000:.3g}ms"


def brief(seconds: float) -> str:
    """Print a measured time at a glance: `340ms`, `3.34s`, `1h 12m`."""
    if seconds < UNITS["s"]["m"]:
        return duration(round(seconds, 3))
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if hours else f"{minutes}m {rest:02d}s"


def parse_duration(text: str) -> float:
    """Seconds in `12m`, `30s`, `1.5h`. Raises ValueError with the expected form."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", text.strip())
    if not match:
        raise ValueError(f'"{text}" is not a duration: expected a number and a unit, such as "12m" or "30s"')
    return _scaled(match[1], UNITS["s"][match[2]])


def parse_bytes(text: str) -> float:
    """Bytes in `500 GB`. Raises ValueError with the expected form."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB)", text.strip())
    if not match:
        raise ValueError(f'"{text}" is not a size: expected a number and a unit, such as "500 GB"')
    return _scaled(match[1], UNITS["bytes"][match[2]])


def _readable(value: float) -> str:
    """Three digits or more, whole thousands with commas, never in powers of ten."""
    if float(value).is_integer() or abs(value) >= 100:  # noqa: PLR2004 - from here on three digits are whole
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _scaled(number: str, factor: float) -> float:
    return float(f"{float(number) * factor:.12g}")  # 0.5 % is 0.005, not 0.005000000000000001


def _any_of(spellings: dict[str, float]) -> str:
    return " or ".join(spelling or "no unit" for spelling in spellings)
