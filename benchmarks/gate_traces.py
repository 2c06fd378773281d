"""Simulated canary windows, seeded: the same input for every gate of the benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MINUTES: Final = 26  # six more than the window: Flagger repeats the rounds that failed
REGRESSION_MINUTE: Final = 10
BURST: Final = 10  # in a burst the error rate is ten times the mean, in a tenth of the steps; else zero
GOOD: Final = 0.003

Counts = NDArray[np.int64]  # by trace, criterion, step


@dataclass(frozen=True)
class Rule:
    """One criterion: its limit (share of trials), its part of the traffic, whether it can only roll back."""

    limit: float
    part: float = 1.0
    rollback_only: bool = False
    strict: bool = True


ERRORS: Final = (Rule(0.01),)
SIX: Final = (
    Rule(0.01),
    Rule(0.05),
    Rule(0.005, part=0.25),
    Rule(0.01, part=0.25),
    Rule(0.05, part=0.25, rollback_only=True, strict=False),
    Rule(0.8, rollback_only=True, strict=False),
)
"""Errors, slow judgments, LLM parse failures, workflow failures, MCP timeouts, cache misses (runbook 8)."""


@dataclass(frozen=True)
class Cell:
    """One situation: requests/s into the canary, and the true share of bad events by criterion."""

    kind: str
    traffic: float
    name: str
    rules: tuple[Rule, ...]
    shares: tuple[float, ...]
    regression: bool = False
    bursts: bool = False
    baseline_good: bool = False

    @property
    def allowed(self) -> bool:
        """Whether every share is within its limit all the time: a rollback would be false."""
        return all(share < rule.limit for share, rule in zip(self.shares, self.rules, strict=True))


@dataclass(frozen=True)
class Traces:
    """Bad events and trials of canary and baseline."""

    bad: Counts
    trials: Counts
    base_bad: Counts
    base_trials: Counts


def cells() -> list[Cell]:
    """Every situation of the benchmark."""
    found: list[Cell] = []
    for traffic in (1.0, 10.0, 100.0):
        found += [
            Cell("steady", traffic, f"{share:.2%}", ERRORS, (share,))
            for share in (0.003, 0.008, 0.0099, 0.015, 0.03, 0.1)
        ]
        name = f"0.80%, baseline {GOOD:.2%}"
        found.append(Cell("drift", traffic, name, ERRORS, (0.008,), baseline_good=True))
        found += [
            Cell("bursts", traffic, f"{share:.2%} in bursts", ERRORS, (share,), bursts=True)
            for share in (0.003, 0.0099, 0.015, 0.03)
        ]
        for share in (0.015, 0.03, 0.1):
            name = f"{GOOD:.2%}, from minute {REGRESSION_MINUTE} {share:.2%}"
            found.append(Cell("regression", traffic, name, ERRORS, (share,), regression=True))
        for factor, others in ((0.3, 0.3), (0.99, 0.99), (1.5, 0.3), (3.0, 0.3)):
            shares = (SIX[0].limit * factor, *(rule.limit * others for rule in SIX[1:]))
            name = f"six criteria, errors {factor:g} x limit, others {others:g} x"
            found.append(Cell("six", traffic, name, SIX, shares))
    return found


def simulate(cell: Cell, traces: int, step_s: float, seed: int) -> Traces:
    """Draw Poisson traffic and binomial outcomes; the baseline is like an allowed canary, else good.

    The baseline gets as much traffic as the canary, as Kayenta advises.
    """
    random = np.random.default_rng([seed, *cell.name.encode(), round(cell.traffic)])
    steps = round(MINUTES * 60 / step_s)
    shape = (traces, len(cell.rules), steps)
    per_step = np.array([rule.part for rule in cell.rules])[None, :, None] * cell.traffic * step_s
    shares = np.broadcast_to(np.array(cell.shares)[None, :, None], shape).copy()
    calm = np.array([min(share, 0.3 * rule.limit) for share, rule in zip(cell.shares, cell.rules, strict=True)])
    alike = cell.allowed and not cell.baseline_good
    base = shares if alike else np.broadcast_to(calm[None, :, None], shape)
    if cell.regression:
        shares[:, :, : round(REGRESSION_MINUTE * 60 / step_s)] = GOOD
    trials = random.poisson(per_step, shape)
    base_trials = random.poisson(per_step, shape)
    return Traces(
        random.binomial(trials, _burst(random, shares, cell)),
        trials,
        random.binomial(base_trials, _burst(random, base, cell)),
        base_trials,
    )


def _burst(random: np.random.Generator, shares: NDArray[np.float64], cell: Cell) -> NDArray[np.float64]:
    if not cell.bursts:
        return shares
    return np.where(random.random(shares.shape) < 1 / BURST, np.minimum(1.0, shares * BURST), 0.0)
