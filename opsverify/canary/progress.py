"""Progress of one criterion in a window: counts and evidence of canary and baseline, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.canary.e_process import EProcess, EProcessState, log_sum_exp
from opsverify.canary.trial_evidence import log_e_trials

if TYPE_CHECKING:
    from opsverify.canary.policy import GateCriterion, Policy


@dataclass(frozen=True)
class Counts:
    """Bad ones out of trials in one step; `hidden`: more trials that there may have been, all good at best."""

    bad: float
    trials: float
    hidden: float = 0.0


NOTHING: Final = Counts(0, 0)


class Progress:
    """Counts and evidence of one criterion, canary and baseline; advanced step by step.

    `fault` is why it cannot be decided, if so; `distorted` means that its counts are not valid either. `unseen` is what
    may be missing from the canary's counts, at most, and `most_unseen` names the worst of it; `notes` are said with its
    measurement. `shared_since`: the step at which a breach was proven that the baseline shares, while that goes on;
    `waited`: it is still waited for.
    """

    def __init__(self, criterion: GateCriterion, policy: Policy) -> None:
        self.criterion = criterion
        self.fault: str | None = None
        self.distorted = False
        self.unseen = NOTHING
        self.most_unseen = ""
        self.notes: tuple[str, ...] = ()
        self.shared_since: int | None = None
        self.waited = False
        self.history: list[tuple[Counts, Counts]] = []
        self._policy = policy
        self._left_out: set[int] = set()
        self._begin()

    def advance(self, canary: Counts, baseline: Counts = NOTHING) -> None:
        """Add one step; without a baseline nothing is compared."""
        self.history.append((canary, baseline))
        self._add(canary, baseline)

    def leave_out(self, steps: set[int]) -> None:
        """Judge without these steps (numbers of `history`)."""
        self._left_out |= steps
        self._begin()
        for number, (canary, baseline) in enumerate(self.history):
            out = number in self._left_out
            self._add(*((NOTHING, NOTHING) if out else (canary, baseline)))

    @property
    def left_out(self) -> frozenset[int]:
        """Steps that are not judged."""
        return frozenset(self._left_out)

    @property
    def log_e_worse(self) -> float:
        """The most evidence so far that the canary is worse than the baseline."""
        return self._worse.peak

    @property
    def log_e_breach(self) -> float:
        """The most evidence so far that the canary breaks its limit, by steps and (`breach_evidence`) by trials."""
        return self._breach_peak

    def _begin(self) -> None:
        self.canary = EProcessState(self.criterion.limit, self._policy.starts, self._policy.fraction_weights)
        self.baseline = EProcessState(self.criterion.limit, self._policy.starts, self._policy.fraction_weights)
        self._worse = EProcess(self._policy.starts)
        self._breach_peak = 0.0

    def _add(self, canary: Counts, baseline: Counts) -> None:
        self.canary.advance(canary.bad, canary.trials, canary.hidden)
        self.baseline.advance(baseline.bad, baseline.trials, baseline.hidden)
        log_e = self.canary.log_e_breach
        if self._policy.breach_evidence == "trials":
            log_e = log_sum_exp((log_e, log_e_trials(self.canary, self.baseline))) - math.log(2)
        self._breach_peak = max(self._breach_peak, log_e)
        bad = canary.bad + baseline.bad
        if bad and canary.trials and baseline.trials:
            # At equal rates the canary's share of a step's bad ones is its share of the trials.
            self._worse.advance(canary.bad / bad, canary.trials / (canary.trials + baseline.trials))
        else:
            self._worse.skip()
