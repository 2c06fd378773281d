"""Retention of Prometheus: how long samples are kept, as its runtime information tells it."""

from __future__ import annotations

import re
from typing import Final

_PART: Final = re.compile(r"([0-9]+)(ms|s|m|h|d|w|y)(?![A-Za-z])")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0, "y": 365 * 86400.0}


def read_retention(text: str) -> float | None:
    """Seconds of `storageRetention` (`15d`, `5w5d or 512MB`); None where it names no time."""
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)) or None
