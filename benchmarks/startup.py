"""Start-up and collection: `opsverify plan` and `--help`, bare pytest, and optionally another checkout, in turns.

    python benchmarks/startup.py [--stage staging] [--target sandbox] [--rounds 15] [--baseline CHECKOUT]

The reference is a bare `pytest --collect-only` of as many trivial tests as the plan has checks. Same interpreter, one
process each, bytecode compiled. pytest runs twice: with no installed plugin loaded, as opsverify starts it (the
stricter comparison), and with all that are installed, as a person types it. With `--baseline` (a checkout of an
earlier version, run with this interpreter's packages) its `plan` and `--help` run in the same turns, and the medians
of the ratios within a turn are printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from interleave import Contender, Finished, measure, require, table

ROOT = Path(__file__).resolve().parent.parent
TRIVIAL = '''"""Trivial tests."""

import pytest


@pytest.mark.parametrize("number", range({count}))
def test_nothing(number):
    """Nothing."""
'''


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="start-up of opsverify plan and --help against bare pytest")
    parser.add_argument("--stage", default="staging")
    parser.add_argument("--target", default="sandbox")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--baseline", type=Path, metavar="CHECKOUT", help="checkout of an earlier version, run in turn")
    options = parser.parse_args()
    plan = ("plan", options.stage, "--target", options.target)
    pairs = []
    for arguments, expected in ((plan, options.stage), (("--help",), "usage")):
        pairs.append([_command(ROOT, arguments, expected)])
        if options.baseline:
            pairs[-1].append(_command(options.baseline.resolve(), arguments, expected, ", baseline"))
    with tempfile.TemporaryDirectory() as folder:
        bare = _pytest(Path(folder), _planned(plan))
        contenders = [*bare, *(contender for pair in pairs for contender in pair)]
        measure(contenders, options.rounds)
    print(table(contenders, bare[0]))
    if options.baseline:
        for ours, baseline in pairs:
            print(f"\n{ours.name}: {_ratio(ours, baseline):.2f} of the baseline (median of the ratios within a turn)")


def _planned(plan: tuple[str, ...]) -> int:
    """The number of checks in the plan."""
    command = [sys.executable, "-m", "opsverify", *plan, "--json"]
    return len(json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)["checks"])


def _pytest(folder: Path, count: int) -> tuple[Contender, Contender]:
    """Collection of `count` trivial tests without and with the installed plugins."""
    (folder / "test_trivial.py").write_text(TRIVIAL.format(count=count), encoding="utf-8")
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q"]

    def confirm(run: Finished) -> None:
        _require_output(run, f"{count} tests collected")

    bare = Contender(
        f"pytest --collect-only, {count} trivial tests, no other plugins",
        collect,
        folder,
        {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        confirm=confirm,
    )
    return bare, Contender("the same with the installed plugins", collect, folder, confirm=confirm)


def _command(checkout: Path, arguments: tuple[str, ...], expected: str, note: str = "") -> Contender:
    """A command of the opsverify in `checkout`, which must print `expected`."""
    return Contender(
        f"opsverify {' '.join(arguments)}{note}",
        [sys.executable, "-m", "opsverify", *arguments],
        checkout,
        # An installed opsverify may be this checkout: the working directory comes first, also for its own processes.
        {"PYTHONPATH": str(checkout)},
        confirm=lambda run: _require_output(run, expected),
    )


def _ratio(ours: Contender, baseline: Contender) -> float:
    turns = zip(ours.runs, baseline.runs, strict=True)
    return statistics.median(run.wall_s / base.wall_s for run, base in turns)


def _require_output(run: Finished, expected: str) -> None:
    require(run.status == 0 and expected in run.output, f"expected {expected!r}", run)


if __name__ == "__main__":
    main()
