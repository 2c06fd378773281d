"""Interval and share: the two forms in which a measured ratio reaches a check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A ratio, and its confidence interval; (0, inf) where that is unknown."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Share:
    """A share (0..1; NaN without trials) of `trials`, which `text` names: `of 4,120 requests in 12m`."""

    share: float
    trials: int
    text: str
