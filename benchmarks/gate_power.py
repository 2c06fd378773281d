"""Power of the canary gate, compared with Argo Rollouts', Flagger's and Kayenta's rules on identical simulated windows.

    python benchmarks/gate_power.py [--quick] [--traces N] [--step S] [--seed N] [--out FILE.md] [--plots DIR]

Progress goes to stderr, the Markdown table to stdout and --out. Needs numpy; plots need matplotlib.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import pickle
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from gate_peers import PROMOTE, ROLLBACK, Verdicts, argo, failed_minutes, flagger, kayenta
from gate_traces import GOOD, Cell, Counts, Traces, cells, simulate
from gate_vectorised import by_the_library, opsverify

from opsverify.canary.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

OURS: Final = "opsverify"
PROOF: Final = "opsverify, proof at 1 %"
PATIENT: Final = "opsverify, proof at 1 %, whole window"
TRIALS: Final = "opsverify, proof at 1 %, by trials"
MATCHED: Final = "Argo Rollouts, matched"
TOLERATED: Final = 0.01
PATIENCE: Final = 20  # failureLimit that never rolls back


@dataclass(frozen=True)
class Row:
    """One gate in one cell: shares of traces, median minutes (NaN where no trace was decided so)."""

    cell: Cell
    gate: str
    rollback: float
    promote: float
    minute: float
    rollback_minute: float
    early: float

    @property
    def hold(self) -> float:
        """Share of traces left to a person."""
        return max(0.0, 1 - self.rollback - self.promote)


def policies(step_s: float) -> dict[str, Policy]:
    """Settings of opsverify's gate: the runbook's default, and three whose every decision is proven."""
    # Without the wait for breaches that the baseline shares: the peers have none, and `gate_vectorised` neither.
    plain = Policy(step_s=step_s, shared_grace_s=0.0, excuse_rollback_only=False)
    proof = replace(plain, alpha=0.01, beta=0.01, end_rule="proof")
    return {
        OURS: plain,
        PROOF: proof,
        PATIENT: replace(proof, shortest_s=proof.longest_s),
        TRIALS: replace(proof, breach_evidence="trials"),
    }


def by_minute(counts: Counts, step_s: float) -> Counts:
    """Sum steps up to whole minutes."""
    per_minute = round(60 / step_s)
    minutes: Counts = counts.reshape(*counts.shape[:2], -1, per_minute).sum(axis=3)
    return minutes


def judge(cell: Cell, traces: Traces, step_s: float) -> tuple[list[Row], NDArray[np.bool_]]:
    """Return each gate's row, and the failed minutes by Argo's rule."""
    limits = np.array([rule.limit for rule in cell.rules])
    strict = np.array([rule.strict for rule in cell.rules])
    bad, trials = by_minute(traces.bad, step_s), by_minute(traces.trials, step_s)
    base_bad, base_trials = by_minute(traces.base_bad, step_s), by_minute(traces.base_trials, step_s)
    failed = failed_minutes(bad, trials, limits, strict)
    failed_flagger = failed_minutes(bad, trials, limits, np.zeros_like(strict))
    rate, base_rate = (100.0 * part / np.maximum(whole, 1) for part, whole in ((bad, trials), (base_bad, base_trials)))
    verdicts = {name: opsverify(traces, cell.rules, policy) for name, policy in policies(step_s).items()}
    verdicts |= {
        "Argo Rollouts, failureLimit 0": argo(failed, 0),
        "Argo Rollouts, failureLimit 3": argo(failed, 3),
        "Flagger, threshold 1": flagger(failed_flagger, 1),
        "Flagger, threshold 5": flagger(failed_flagger, 5),
        "Kayenta, at the end": kayenta(rate, base_rate, (20,)),
        "Kayenta, 4 looks": kayenta(rate, base_rate, (5, 10, 15, 20)),
    }
    return [row(cell, name, verdict) for name, verdict in verdicts.items()], failed


def row(cell: Cell, gate: str, verdicts: Verdicts) -> Row:
    """Sum up the decisions of one gate over all traces of a cell."""
    rolled, promoted = verdicts.outcome == ROLLBACK, verdicts.outcome == PROMOTE
    return Row(
        cell,
        gate,
        float(rolled.mean()),
        float(promoted.mean()),
        float(np.median(verdicts.minute)),
        float(np.median(verdicts.minute[rolled])) if rolled.any() else math.nan,
        float((promoted & (verdicts.minute <= 10)).mean()),
    )


def matched(rows: list[Row], failures: dict[Cell, NDArray[np.bool_]]) -> list[Row]:
    """Return Argo's rows, per traffic, at the least failureLimit with no more false rollbacks than opsverify."""
    found = []
    for traffic in sorted({cell.traffic for cell in failures}):
        here = {cell: failed for cell, failed in failures.items() if cell.traffic == traffic}
        ours = max(r.rollback for r in rows if r.gate == PROOF and r.cell.allowed and r.cell.traffic == traffic)
        target = max(ours, TOLERATED)
        limit = next(
            limit
            for limit in range(PATIENCE + 1)
            if all((argo(f, limit).outcome == ROLLBACK).mean() <= target for c, f in here.items() if c.allowed)
        )
        found += [row(cell, f"{MATCHED} (failureLimit {limit})", argo(f, limit)) for cell, f in here.items()]
    return found


def self_check(cell: Cell, traces: Traces, step_s: float, number: int) -> None:
    """Raise unless the vectorised rule decides the first traces exactly as the library does."""
    for name, policy in policies(step_s).items():
        fast = opsverify(traces, cell.rules, policy)
        for trace in range(number):
            expected = by_the_library(traces, cell.rules, policy, trace)
            obtained = (int(fast.outcome[trace]), float(fast.minute[trace]))
            if expected != obtained:
                raise AssertionError(f"{cell}, {name}, trace {trace}: {obtained}, library {expected}")


def markdown(rows: list[Row], traces: int, step_s: float, seed: int) -> str:
    """Lay the rows out as tables, one for each traffic and kind, with the verdict on the aims below."""
    intro = (
        f"Seed {seed}, {traces:,} windows a cell, steps of {step_s:g} s. *Minute*: median minute of the "
        "decision, over all windows; *(rollback)*: over those rolled back."
    )
    lines = [intro, ""]
    order = list(dict.fromkeys(r.cell for r in rows))
    for cell in order:
        truth = "allowed: a rollback is false" if cell.allowed else "breach: a promotion is false"
        lines += [f"### {cell.traffic:g} requests/s, {cell.name} ({truth})", ""]
        lines += [
            "| gate | rollback | promote | hold | minute | (rollback) |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        for r in (r for r in rows if r.cell == cell):
            shares = f"{r.rollback:.2%} | {r.promote:.2%} | {r.hold:.2%}"
            lines.append(f"| {r.gate} | {shares} | {r.minute:.2f} | {_minute(r.rollback_minute)} |")
        lines.append("")
    return "\n".join([*lines, *aims(rows, traces)]) + "\n"


def aims(rows: list[Row], traces: int) -> list[str]:
    """Return a line for each aim, and one for every cell that a peer of equal false-rollback rate wins."""
    ours = {(r.cell, r.gate): r for r in rows if r.gate.startswith(OURS)}
    good = [r for r in ours.values() if r.gate == OURS and r.cell.kind == "steady" and r.cell.traffic >= 10]
    lines = ["### Aims", ""]
    lines += [
        f"- promoted at minute 10, good canary (0.3 %), {r.cell.traffic:g}/s: {r.early:.2%} (aim >= 95 %)"
        for r in good
        if r.cell.name == "0.30%"
    ]
    lines += [
        f"- false promote at 1.5 %, {r.cell.traffic:g}/s: {r.promote:.2%} (aim <= 1 %)"
        for r in good
        if r.cell.name == "1.50%"
    ]
    worst = _worst(rows, lambda cell: cell.allowed)
    alike = _worst(rows, lambda cell: cell.allowed and cell.kind != "drift")
    at_good = _worst(rows, lambda cell: cell.name == f"{GOOD:.2%}")
    lines += [
        "",
        "| worst false rollback over all allowed cells | 1/s | 10/s | 100/s |",
        "| --- | ---: | ---: | ---: |",
    ]
    gates = [gate for gate in dict.fromkeys(r.gate for r in rows) if not gate.startswith(MATCHED)]
    lines += [f"| {gate} | " + " | ".join(f"{worst[gate, t]:.2%}" for t in (1.0, 10.0, 100.0)) + " |" for gate in gates]
    for title, rates in (
        ("over all allowed cells", worst),
        ("over the allowed cells whose baseline is no better than the canary", alike),
        ("on the good canary (0.3 %) alone", at_good),
    ):
        lines += ["", f"Lost by *{PROOF}* to a peer with false rollback <= 1 % at that traffic {title}:", ""]
        lines += _losses(rows, rates, traces) or ["- none"]
    return lines


def _losses(rows: list[Row], rates: dict[tuple[str, float], float], traces: int) -> list[str]:
    ours = {r.cell: r for r in rows if r.gate == PROOF}
    peers = [r for r in rows if not r.gate.startswith(OURS) and not r.cell.allowed]
    fair = [r for r in peers if rates[r.gate, r.cell.traffic] <= TOLERATED]
    return [line for r in fair if (line := _lost(r, ours[r.cell], traces))]


def _worst(rows: list[Row], which: Callable[[Cell], bool]) -> dict[tuple[str, float], float]:
    worst: dict[tuple[str, float], float] = {}
    for r in rows:
        if which(r.cell):
            worst[r.gate, r.cell.traffic] = max(worst.get((r.gate, r.cell.traffic), 0.0), r.rollback)
    return worst


def _lost(peer: Row, ours: Row, traces: int) -> str | None:
    noise = 3 * math.sqrt(0.5 / traces)
    where = f"{ours.cell.traffic:g}/s, {ours.cell.name}"
    if peer.rollback > ours.rollback + noise:
        return f"- {where}: power {ours.rollback:.1%}, {peer.gate} {peer.rollback:.1%}"
    if peer.rollback > 0.5 and peer.rollback_minute < ours.rollback_minute:
        return f"- {where}: minute {ours.rollback_minute:.2f}, {peer.gate} {peer.rollback_minute:.2f}"
    return None


def _minute(minute: float) -> str:
    return "-" if math.isnan(minute) else f"{minute:.2f}"


def plot(rows: list[Row], folder: Path) -> None:
    """Draw the rollback probability against the true error rate, one picture for each traffic."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - optional

    folder.mkdir(parents=True, exist_ok=True)
    for traffic in sorted({r.cell.traffic for r in rows}):
        steady = [r for r in rows if r.cell.kind == "steady" and r.cell.traffic == traffic]
        figure, axes = plt.subplots(figsize=(8, 5))
        for gate in dict.fromkeys(r.gate for r in steady):
            mine = [r for r in steady if r.gate == gate]
            style = "o-" if gate.startswith(OURS) else ".--"
            axes.plot([100 * r.cell.shares[0] for r in mine], [r.rollback for r in mine], style, label=gate)
        axes.axvline(1.0, color="grey", linewidth=0.8)
        axes.set(
            xscale="log", xlabel="true error rate, %", ylabel="rollback probability", title=f"{traffic:g} requests/s"
        )
        axes.legend(fontsize=7)
        figure.savefig(folder / f"gate_power_{traffic:g}.svg", bbox_inches="tight")
        plt.close(figure)


def finished(path: Path | None, settings: tuple[int, float, int]) -> dict[Cell, tuple[list[Row], NDArray[np.bool_]]]:
    """Return what runs with the same settings have finished."""
    found: dict[Cell, tuple[list[Row], NDArray[np.bool_]]] = {}
    if path is not None and path.exists():
        with path.open("rb") as file, contextlib.suppress(EOFError):
            while True:
                made_with, cell, judged = pickle.load(file)  # noqa: S301 - a file of this benchmark
                if made_with == settings:
                    found[cell] = judged
    return found


def main() -> None:
    """Run all cells and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="60 windows a cell: seconds, to see that it works")
    parser.add_argument("--traces", type=int, default=4000, help="windows simulated for each cell")
    parser.add_argument("--step", type=float, default=15.0, help="seconds between two looks; must divide 60")
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--check", type=int, default=1, help="windows a cell decided by the library itself as well")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="file of finished cells: a run that was stopped goes on from there")
    parser.add_argument("--plots", type=Path, help="folder for pictures")
    chosen = parser.parse_args()
    traces, started = 60 if chosen.quick else chosen.traces, time.monotonic()
    rows: list[Row] = []
    failures: dict[Cell, NDArray[np.bool_]] = {}
    todo, settings = cells(), (traces, chosen.step, chosen.seed)
    kept = finished(chosen.keep, settings)
    for number, cell in enumerate(todo, 1):
        if cell not in kept:
            simulated = simulate(cell, traces, chosen.step, chosen.seed)
            self_check(cell, simulated, chosen.step, chosen.check)
            kept[cell] = judge(cell, simulated, chosen.step)
            if chosen.keep:
                with chosen.keep.open("ab") as file:
                    pickle.dump((settings, cell, kept[cell]), file)
        found, failures[cell] = kept[cell]
        rows += found
        done = f"{number}/{len(todo)} cells, {time.monotonic() - started:.0f} s"
        print(f"{done}: {cell.traffic:g}/s, {cell.name}", file=sys.stderr, flush=True)
    rows += matched(rows, failures)
    text = markdown(rows, traces, chosen.step, chosen.seed)
    print(text)
    if chosen.out:
        chosen.out.write_text(text, encoding="utf-8")
    if chosen.plots:
        plot(rows, chosen.plots)


if __name__ == "__main__":
    main()
