"""Shared breach: canary and baseline outside the same limit in the same steps, waited for and left out once it is over.

A database or provider that fails for two minutes proves nothing about the canary. While the baseline breaches too
and the canary is not proven worse, the decision waits (`shared_grace_s`); what was counted in that time is then left
out on both sides. The canary alone cannot cause it to be left out: the steps are chosen by the baseline.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsverify.canary.policy import Policy
    from opsverify.canary.progress import Progress

CALM_S = 60.0
"""Seconds in which the baseline is within its limit again before a shared breach is over."""


def follow(progress: Progress, policy: Policy, criteria: int, *, shared: bool) -> None:
    """Note after a step whether a breach is shared and waited for, and leave it out once it is over."""
    proven = progress.log_e_breach >= -math.log(policy.alpha / criteria)
    now = len(progress.history) - 1
    if not (proven and shared):
        progress.shared_since, progress.waited = None, False
        return
    if progress.shared_since is None:
        progress.shared_since = now
    outside = sum(_outside(progress, number, 1) for number in range(progress.shared_since, now + 1))
    progress.waited = 0 < policy.waits_for_shared_s >= outside * policy.step_s
    calm = max(1, round(CALM_S / policy.step_s))
    if progress.waited and not _outside(progress, now, calm):
        spell = _spell(progress, calm, now)
        if spell - progress.left_out:
            progress.leave_out(spell)
            again = progress.log_e_breach >= -math.log(policy.alpha / criteria)
            progress.shared_since, progress.waited = None, again and progress.waited


def _spell(progress: Progress, calm: int, now: int) -> set[int]:
    """The latest time in which the baseline was outside: from its first step outside to its last."""
    last = now
    while last >= 0 and not _outside(progress, last, calm):
        last -= 1
    first = last
    while first >= 0 and _outside(progress, first, calm):
        first -= 1
    outside = [number for number in range(max(0, first - calm + 2), last + 1) if _outside(progress, number, 1)]
    return set(range(outside[0], outside[-1] + 1)) if outside else set()


def _outside(progress: Progress, number: int, steps: int) -> bool:
    """Whether the baseline was outside the limit in the `steps` steps up to this one."""
    part = [baseline for _, baseline in progress.history[max(0, number - steps + 1) : number + 1]]
    trials = math.fsum(one.trials for one in part)
    return trials > 0 and not progress.criterion.holds(math.fsum(one.bad for one in part) / trials)
