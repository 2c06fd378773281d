"""Criterion of the canary table: the signals that count bad ones and trials, and the limit on their ratio."""

from __future__ import annotations

from dataclasses import dataclass, field

from opsverify.core.spec import CheckSpec, Row
from opsverify.core.stages import CANARY
from opsverify.limits import Limit

SLOW = "slow_judgments"
"""In place of a signal of bad ones: what no bucket up to the limit counts."""
P95_SLOWER = Limit("<", 0.05, "ratio")
"""p95 below a limit means that fewer than 5 % are slower: counted in buckets, never interpolated."""


@dataclass(frozen=True, kw_only=True)
class Criterion(Row):
    """One criterion of runbook 8.

    `inverse` means that the limit is on the share that is *not* bad (hit rate); `rollback_only`, that it need
    not be proven before an early promotion.
    """

    spec: CheckSpec = field(init=False)
    name: str
    line: str
    bad: str
    trials: str
    limit: str
    counted: str
    ko: str
    en: str
    inverse: bool = False
    rollback_only: bool = False

    def __post_init__(self) -> None:
        spec = CheckSpec(
            f"canary.{self.name}",
            (self.line,),
            CANARY,
            "sev1",
            self.ko,
            self.en,
            needs=("prometheus", "canary"),
            signals=(self.trials, "duration_buckets") if self.bad == SLOW else (self.bad, self.trials),
        )
        object.__setattr__(self, "spec", spec)
