"""Policy of a window, and the criteria it judges: windows, error rates, and what the runbook leaves to the target."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from opsverify.canary.e_process import BREACH_WEIGHTS, FRACTIONS, StartWeights
from opsverify.units import quantity

START_GROUPS: Final = 20
"""Steps at which a regression may begin, as far as the weights go: one a minute in a window of 20 minutes."""


class Kind(StrEnum):
    """Whether a criterion must be proven before an early promotion, or can only roll back."""

    PROMOTE = "promote"
    ROLLBACK_ONLY = "rollback_only"


@dataclass(frozen=True, kw_only=True)
class GateCriterion:
    """A limit (share of trials, 0..1) on what counts as bad; `strict`: the limit itself is already outside.

    `counted` completes "2.31% of 4,120 ..." and is in the language of the report. `inverse`: the share that is
    shown, and its limit, are of what is *not* bad (a hit rate); everything else here is still about the bad ones.
    """

    name: str
    limit: float
    min_samples: int
    kind: Kind = Kind.PROMOTE
    strict: bool = True
    counted: str = "were bad"
    inverse: bool = False

    def text(self, share: float) -> str:
        """A share of bad ones as it is shown."""
        return quantity(1 - share if self.inverse else share, "ratio")

    @property
    def limit_text(self) -> str:
        """The limit as it is shown."""
        orderly, strictly = (">=", ">") if self.inverse else ("<=", "<")
        return f"{strictly if self.strict else orderly} {self.text(self.limit)}"

    def holds(self, share: float) -> bool:
        """Whether a measured share is within the limit."""
        return share < self.limit if self.strict else share <= self.limit


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Windows and steps in seconds, error rates, and what to do where the runbook leaves a choice.

    `breach_evidence`: a breach is proven by steps alone, or as well by trials (`trial_evidence`), which is sooner.
    `fraction_weights`: of the fractions of the e-process; they add up to 1.
    `warm_up_s`: what each process counts so long after it began in the window is not judged. `restarts`: how many a
    canary may have. `alert_grace_s`, `shared_grace_s`: how long an alert that fired before the window, and a breach
    that the baseline shares, are waited for (None: the shortest window, and a quarter of it). `leaves_gap_out`: what
    grew over a gap that began before the window is not judged. `excuse_quiet`: of a signal that counts too little to be
    judged, less than a tenth of what that takes may be unseen, unless it is known to be bad. `strict_series`: series
    that cannot be what they are taken for are faults: in both scopes, of a label value that says neither good nor bad,
    trials without a bucket; one that is scraped twice counts once in the share of the traffic too.
    `awaits_growth`: a canary that counts nothing, although it is scraped and its traffic goes on, is not judged.
    `alerts_go_on`: an alert of before that fires in every answered step is the same one, whenever it says it began.
    `awaits_late`: an instance whose samples always come late is not lost for that, and one that shows nothing in
    the window while its target is there is lost, and not over. `doubts_falls`: a counter that fell is a restart
    only where one process can have counted its new value since the scrape before, or its start time says so.
    `finds_scrapers`: two jobs that scrape one process are found whatever other labels each attaches.
    """

    shortest_s: float = 600.0
    longest_s: float = 1200.0
    step_s: float = 15.0
    alpha: float = 0.05
    beta: float = 0.05
    min_coverage: float = 0.9
    end_rule: Literal["literal", "proof"] = "literal"
    on_shared_breach: Literal["rollback", "hold"] = "rollback"
    on_worse_than_baseline: Literal["note", "hold", "rollback"] = "note"
    breach_evidence: Literal["steps", "trials"] = "steps"
    fraction_weights: tuple[float, ...] = BREACH_WEIGHTS
    warm_up_s: float = 0.0
    restarts: int | None = 1
    alert_grace_s: float | None = None
    shared_grace_s: float | None = None
    excuse_rollback_only: bool = True
    leaves_gap_out: bool = True
    excuse_quiet: bool = True
    strict_series: bool = True
    awaits_growth: bool = True
    alerts_go_on: bool = True
    awaits_late: bool = True
    doubts_falls: bool = True
    finds_scrapers: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.step_s <= self.shortest_s <= self.longest_s:
            given = f"{self.step_s}, {self.shortest_s}, {self.longest_s}"
            raise ValueError(f"expected 0 < step <= shortest <= longest, not {given}")
        if not (0 < self.alpha < 1 and 0 < self.beta < 1):
            raise ValueError(f"expected alpha and beta in (0, 1), not {self.alpha} and {self.beta}")

        if len(self.fraction_weights) != len(FRACTIONS) or not math.isclose(math.fsum(self.fraction_weights), 1):
            raise ValueError(f"expected a weight of each fraction, adding up to 1, not {self.fraction_weights}")

    @property
    def starts(self) -> StartWeights:
        """The weights of the e-process over the longest window."""
        steps = max(1, round(self.longest_s / self.step_s))
        return StartWeights(steps, max(1, round(steps / START_GROUPS)))

    @property
    def waits_for_alerts_s(self) -> float:
        """How long an alert that fires since before the window is waited for."""
        return self.shortest_s if self.alert_grace_s is None else self.alert_grace_s

    @property
    def waits_for_shared_s(self) -> float:
        """How long a breach that the baseline shares is waited for."""
        return self.shortest_s / 4 if self.shared_grace_s is None else self.shared_grace_s

    @property
    def tolerated_s(self) -> float:
        """Seconds of the longest window that may be missing."""
        return max(2 * self.step_s, (1 - self.min_coverage) * self.longest_s)

    @property
    def recent_steps(self) -> int:
        """A quarter of the shortest window: a canary outside its limit in the latest steps is not promoted."""
        return max(1, round(self.shortest_s / self.step_s / 4))
