"""Decisions of the canary gate in situations of a real cluster, over simulated windows, seeded.

    python benchmarks/gate_cluster.py [--windows N] [--only TEXT] [--first N --last N] [--out FILE.md]

Every window goes through the real observer in this process: raw samples, counting, decision. The situations are
those of `tests/canary/situations.py`, where each has the decision that is wanted. Progress goes to stderr, the table to
stdout; --out writes it between the marks of that file, where rows of situations that were left out stay. Exit status 1
where a situation is decided otherwise in more than 5 %.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.canary.situations import SITUATIONS

BEGIN: Final = "<!-- gate_cluster: begin -->"
END: Final = "<!-- gate_cluster: end -->"
TOLERATED: Final = 0.05


def window(place: tuple[int, int]) -> tuple[str, float]:
    """The outcome of one window, and the minute in which it was reached: number of the situation, seed."""
    number, seed = place
    watch = SITUATIONS[number].make(seed).watch()
    return watch.decision.outcome.value, watch.elapsed_s / 60


def table(found: dict[int, list[tuple[str, float]]], windows: int, before: str = "") -> str:
    """The table, in the order of the situations; rows of situations that were left out come from `before`."""
    kept = {line.split(" | ")[0].removeprefix("| "): line for line in before.splitlines() if line.startswith("| ")}
    intro = (
        f"`python benchmarks/gate_cluster.py --windows {windows}`: {windows} windows a situation (seeds 0 to "
        f"{windows - 1}), 20 minutes at most, 15 s steps, 10 requests/s into the canary, limit 1 %, 0.3 % errors where "
        "nothing else is said. *Minute*: median minute of the decision."
    )
    head = ["| situation | wanted | promote | rollback | hold | minute |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    lines = [BEGIN, intro, "", *head]
    for number, situation in enumerate(SITUATIONS):
        if number not in found:
            lines += [kept[situation.name]] if situation.name in kept else []
            continue
        decided = found[number]
        counts = Counter(outcome for outcome, _ in decided)
        shares = " | ".join(f"{counts[outcome] / len(decided):.1%}" for outcome in ("promote", "rollback", "hold"))
        minute = median(minute for _, minute in decided)
        lines.append(f"| {situation.name} | {' or '.join(situation.wanted)} | {shares} | {minute:.2f} |")
    return "\n".join([*lines, END]) + "\n"


def main() -> int:
    """Watch all windows and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=200, help="windows simulated for each situation")
    parser.add_argument("--only", default="", help="situations whose name contains this")
    parser.add_argument("--first", type=int, default=0, help="number of the first situation")
    parser.add_argument("--last", type=int, default=len(SITUATIONS) - 1, help="number of the last one")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    started = time.monotonic()
    found: dict[int, list[tuple[str, float]]] = {}
    with ProcessPoolExecutor(chosen.processes) as pool:
        for number, situation in enumerate(SITUATIONS):
            if chosen.only in situation.name and chosen.first <= number <= chosen.last:
                places = [(number, seed) for seed in range(chosen.windows)]
                found[number] = list(pool.map(window, places, chunksize=10))
                print(f"{time.monotonic() - started:.0f} s: {situation.name}", file=sys.stderr, flush=True)
    before, _, rest = chosen.out.read_text(encoding="utf-8").partition(BEGIN) if chosen.out else ("", "", "")
    old, _, after = rest.partition(END)
    text = table(found, chosen.windows, old)
    print(text)
    if chosen.out:
        chosen.out.write_text(before + text.rstrip("\n") + after, encoding="utf-8")
    wrong = {
        number: sum(outcome not in SITUATIONS[number].wanted for outcome, _ in decided) / len(decided)
        for number, decided in found.items()
    }
    return int(any(share > TOLERATED for share in wrong.values()))


if __name__ == "__main__":
    sys.exit(main())
