"""Limit of a proof: how soon the gate proves a breach, against the sequential probability ratio test, and its errors.

    python benchmarks/gate_limit.py [--windows N] [--seed N] [--out FILE.md]

Error 1 % over all criteria. The limit is Wald's: the ratio test that knows the breach beforehand needs
ln(criteria / error) / KL(share, limit) trials on average ("Sequential Analysis", 1947, A.71); the aim is twice that
and one scrape. Needs numpy.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from gate_traces import ERRORS, SIX, Traces
from gate_vectorised import breaches

from opsverify.canary.policy import Policy

if TYPE_CHECKING:
    from gate_traces import Rule
    from numpy.typing import NDArray

ALPHA: Final = 0.01
STEP_S: Final = 15.0
STEPS: Final = 80
GOOD: Final = 0.3
"""Share of bad ones of a good scope, times the limit."""
POLICIES: Final = {
    "by steps": Policy(step_s=STEP_S, alpha=ALPHA),
    "by steps and trials": Policy(step_s=STEP_S, alpha=ALPHA, breach_evidence="trials"),
}


@dataclass(frozen=True)
class Manner:
    """How bad ones come: `spells` of so many times the share in one of so many steps, or `together` in groups."""

    name: str
    spells: float = 1.0
    together: int = 1

    def draw(
        self, random: np.random.Generator, trials: NDArray[np.int64], shares: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Bad ones out of trials."""
        if self.together > 1:
            groups = random.poisson(trials * shares / self.together)
            return np.minimum(trials, groups * self.together)
        if self.spells > 1:
            shares = np.where(random.random(trials.shape) < 1 / self.spells, np.minimum(1.0, shares * self.spells), 0.0)
        return random.binomial(trials, shares)


ALONE: Final = Manner("independent")
MANNERS: Final = (
    ALONE,
    Manner("bursts of 4", together=4),
    Manner("bursts of 8", together=8),
    Manner("spells: 10 times in a tenth of the steps", spells=10),
    Manner("spells: 3 times in a third of the steps", spells=3),
    Manner("spells: twice in half of the steps", spells=2),
    Manner("spells: 1.5 times in two thirds of the steps", spells=1.5),
)


def simulate(
    rules: tuple[Rule, ...],
    traffic: float,
    factors: tuple[float, float],
    manners: tuple[Manner, Manner],
    windows: int,
    seed: int,
) -> Traces:
    """Windows of a canary and its baseline: shares as factors of the limits, and how their bad ones come."""
    random = np.random.default_rng([seed, len(rules), round(traffic * 10), *(round(f * 100) for f in factors)])
    shape = (windows, len(rules), STEPS)
    parts, limits = (np.array([getattr(rule, key) for rule in rules])[None, :, None] for key in ("part", "limit"))
    drawn: list[NDArray[np.int64]] = []
    for scope, (factor, manner) in enumerate(zip(factors, manners, strict=True)):
        shares = np.broadcast_to(limits * factor, shape).copy()
        if scope == 0 and factor > 1:
            shares[:, 1:] = (limits * GOOD)[:, 1:]  # one criterion is broken, the others are good
        trials = random.poisson(parts * traffic * STEP_S, shape)
        drawn += [manner.draw(random, trials, np.minimum(shares, 1.0)), trials]
    return Traces(*drawn)


def limit_s(rules: tuple[Rule, ...], share: float, traffic: float) -> float:
    """Seconds that the ratio test needs on average."""
    limit = rules[0].limit
    information = share * math.log(share / limit) + (1 - share) * math.log((1 - share) / (1 - limit))
    return math.log(len(rules) / ALPHA) / information / traffic


def proofs(windows: int, seed: int) -> list[str]:
    """Rows on breaches whose bad ones come independently, beside a good baseline."""
    lines = [
        "| criteria | traffic | share | limit | aim | by steps | by steps and trials | power, by steps | and trials |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for rules in (ERRORS, SIX):
        for traffic in (1.0, 10.0, 100.0):
            for factor in (1.5, 3.0, 10.0):
                share = rules[0].limit * factor
                traces = simulate(rules, traffic, (factor, GOOD), (ALONE, ALONE), windows, seed)
                minutes, powers = [], []
                for policy in POLICIES.values():
                    first = breaches(traces, rules, policy)
                    found = first >= 0
                    # As many windows as were not decided are later than all that were.
                    took = np.where(found, (first + 1) * STEP_S, np.inf)
                    median = float(np.median(took))
                    minutes.append(f"{median:.0f} s" if math.isfinite(median) else "-")
                    powers.append(f"{found.mean():.1%}")
                limit = limit_s(rules, share, traffic)
                lines.append(
                    f"| {len(rules)} | {traffic:g}/s | {share:.1%} | {limit:.0f} s | {2 * limit + STEP_S:.0f} s | "
                    f"{' | '.join(minutes)} | {' | '.join(powers)} |"
                )
    return lines


def errors(windows: int, seed: int, rules: tuple[Rule, ...]) -> list[str]:
    """Rows on canaries at 0.99 times every limit: a rollback is false."""
    lines = [
        "| bad ones of the canary | of the baseline | criteria | evidence | 1/s | 10/s | 100/s |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: |",
    ]
    pairs = [(manner, manner, 0.99) for manner in MANNERS] + [(manner, ALONE, GOOD) for manner in MANNERS]
    for canary, baseline, factor in pairs:
        rates: dict[str, list[str]] = {name: [] for name in POLICIES}
        for traffic in (1.0, 10.0, 100.0):
            traces = simulate(rules, traffic, (0.99, factor), (canary, baseline), windows, seed)
            for name, policy in POLICIES.items():
                rates[name].append(f"{(breaches(traces, rules, policy) >= 0).mean():.2%}")
        other = "the same" if factor > GOOD else f"independent, {GOOD:g} x limit"
        lines += [
            f"| {canary.name} | {other} | {len(rules)} | {name} | {' | '.join(found)} |"
            for name, found in rates.items()
        ]
    return lines


def main() -> None:
    """Write both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=4000, help="windows simulated for each cell")
    parser.add_argument("--seed", type=int, default=20261128)
    parser.add_argument(
        "--only", action="append", choices=("proofs", "errors", "errors of six"), help="only this table"
    )
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    windows, seed = chosen.windows, chosen.seed
    intro = f"`python benchmarks/gate_limit.py --windows {windows}`: seed {seed}, steps of {STEP_S:g} s, 20 minutes."
    parts = {
        "proofs": lambda: proofs(windows, seed),
        "errors": lambda: errors(windows, seed, ERRORS),
        "errors of six": lambda: errors(windows, seed, SIX),
    }
    lines = [intro]
    for name in chosen.only or parts:
        lines += ["", *parts[name]()]
    sys.stdout.write("\n".join(lines) + "\n")
    if chosen.out:
        chosen.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
