"""Units: quantities as a target file has them (`12m`, `500 GB`), and as messages show them (`2.31%`, `1.5s`)."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Final

from opsverify.language.message import join, say

if TYPE_CHECKING:
    from collections.abc import Sequence


UNITS: Final[dict[str, dict[str, float]]] = {
    "ratio": {"%": 0.01, "": 1.0},
    "s": {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0},
    "bytes": {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12},
    "count": {"": 1.0},
    "usd": {"usd": 1.0, "USD": 1.0},
    "times": {"x": 1.0},
}
"""Kinds of quantity: the base unit, and the factor of every spelling that a target file may use."""


def plain_number(name: str, value: object) -> float:
    """A number of any library (numpy, Decimal of a database) as an `int` or `float`, which evidence can hold.

    Raises TypeError, naming the measurement, for what is no number: also for True, which is a slip for a count.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        whole = int(value)
        return whole if abs(whole) < _FLOATS_END else math.inf * (1 if whole > 0 else -1)
    if isinstance(value, Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return plain_number(name, int(value)) if whole else float(value)
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise TypeError(
        say("{name}: {value!r} ({kind}) is no number; convert it", name=name, value=value, kind=type(value).__name__)
    )


def whole_number(name: str, count: object) -> int:
    """A count of any library as an `int`. Raises TypeError, naming the measurement, for what is none."""
    number = plain_number(name, count)
    if not number % 1 == 0:  # NaN and infinity are no count either
        raise TypeError(say("{name}: {value!r} is no count; give a whole number", name=name, value=count))
    return int(number)


_FLOATS_END: Final = 10**308
"""From here on a whole number is none that can be compared with a limit, or written."""


def listed(what: str, names: Sequence[str], most: int = 3) -> str:
    """`what`, followed by the first of `names` if there are any: `targets down: edge 127.0.0.1:17400`."""
    shown = join(", ", names[:most])
    if len(names) > most:
        return say("{what}: {names} and {more} more", what=what, names=shown, more=len(names) - most)
    return say("{what}: {names}", what=what, names=shown) if names else what


def quantity(value: float, unit: str) -> str:  # noqa: PLR0911 - one for each unit
    """Print `value` (in base unit `unit`) for a person: `2.31%`, `1.5s`, `4,120`, `12.5 MB`."""
    if not math.isfinite(value):
        return str(value)
    if unit == "ratio":
        # No exponent: 6.05e-07% is read as 6.05% by whoever is in a hurry.
        small = format(Decimal(f"{value * 100:.3g}"), "f")
        return f"{small}%" if abs(value) < 1 else f"{value * 100:,.1f}%".replace(".0%", "%")
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
    """Print seconds in the largest unit that fits: `340ms`, `1.5s`, `12m`, `4h`, `14d`."""
    for name in ("d", "h", "m"):
        factor = UNITS["s"][name]
        if abs(seconds) >= factor and (seconds / factor).is_integer():
            return f"{seconds / factor:.0f}{name}"
    for name in ("d", "h"):
        if abs(seconds) >= UNITS["s"][name]:
            return f"{_readable(seconds / UNITS['s'][name])}{name}"
    return f"{_readable(seconds)}s" if abs(seconds) >= 1 or seconds == 0 else f"{seconds * 1000:.3g}ms"


def elapsed(seconds: float) -> str:
    """Print a measured time: `340ms`, `3.34s`, `1h 12m`."""
    if seconds < UNITS["s"]["m"]:
        return duration(round(seconds, 3))
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if hours else f"{minutes}m {rest:02d}s"


def parse_duration(text: str) -> float:
    """Seconds in `12m`, `30s`, `1.5h`. Raises ValueError with the expected form."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", text.strip())
    if not match:
        raise ValueError(
            say('"{text}" is not a duration: expected a number and a unit, such as "12m" or "30s"', text=text)
        )
    seconds = scaled(match[1], UNITS["s"][match[2]])
    if seconds > _LONGEST:
        raise ValueError(say('"{text}" is too long: expected at most 36500d', text=text))
    return seconds


_LONGEST: Final = 36_500 * UNITS["s"]["d"]
"""From here on a time is a slip, and more than clocks and dates can hold."""


def parse_bytes(text: str) -> float:
    """Bytes in `500 GB`. Raises ValueError with the expected form."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB)", text.strip())
    if not match:
        raise ValueError(say('"{text}" is not a size: expected a number and a unit, such as "500 GB"', text=text))
    return scaled(match[1], UNITS["bytes"][match[2]])


def _readable(value: float) -> str:
    """Three digits or more, whole thousands with commas, never in powers of ten."""
    if float(value).is_integer() or abs(value) >= 100:  # noqa: PLR2004 - from here on three digits are whole
        return f"{value:,.0f}"
    return f"{value:.3g}"


def scaled(number: str, factor: float) -> float:
    """`number` in the base unit: exact in decimal, which a product of floats is not."""
    return float(f"{float(number) * factor:.12g}")  # 0.5 % is 0.005, not 0.005000000000000001
