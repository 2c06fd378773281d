"""Counts of bad or good ones that cannot be a part of their trials: they are counted elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say

if TYPE_CHECKING:
    from opsverify.config.signals import Signals

READ_APART: Final = 0.01
"""Bad ones without a trial, as a share of the trials, explained by reading two counters one after the other."""


def counts_more(part: float, trials: float) -> bool:
    """Whether a part of the trials is more than all of them, beyond what reading both one after the other explains."""
    return part - trials > max(1.0, READ_APART * trials)


def require_a_part(signals: Signals, part: tuple[str, float], trials: tuple[str, float], scope: str = "") -> None:
    """Raise Inconclusive where `part` (a signal and its growth) grew more than its `trials`: a share above 100 %."""
    (one, more), (all_of, total) = part, trials
    if counts_more(more, total):
        raise Inconclusive(
            say(
                "{part} grew by {more:,.0f}, {trials} by {total:,.0f}: it is counted elsewhere than its trials; "
                "correct prometheus.signals.{part} ({part_selector}) or .{trials} ({trials_selector})",
                part=one,
                more=more,
                trials=all_of,
                total=total,
                part_selector=signals.of(one).selector(scope),
                trials_selector=signals.of(all_of).selector(scope),
            )
        )
