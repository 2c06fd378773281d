"""Start-up and collection: `opsverify plan` against a bare `pytest --collect-only` of as many trivial tests.

    python benchmarks/startup.py [--stage staging] [--target sandbox] [--rounds 15]

Same interpreter, one process each, bytecode compiled. pytest runs twice: with no installed plugin loaded, as
opsverify starts it (the stricter comparison), and with all that are installed, as a person types it.
"""

from __future__ import annotations

import argparse
import json
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
    parser = argparse.ArgumentParser(description="start-up of opsverify plan against bare pytest")
    parser.add_argument("--stage", default="staging")
    parser.add_argument("--target", default="sandbox")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    plan = [sys.executable, "-m", "opsverify", "plan", options.stage, "--target", options.target]
    written = subprocess.run([*plan, "--json"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    count = len(json.loads(written)["checks"])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_trivial.py").write_text(TRIVIAL.format(count=count), encoding="utf-8")
        collect = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
        collected = f"{count} tests collected"
        bare = Contender(
            f"pytest --collect-only, {count} trivial tests, no other plugins",
            collect,
            Path(folder),
            {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            confirm=lambda run: _says(run, collected),
        )
        loaded = Contender(
            "the same with the installed plugins",
            collect,
            Path(folder),
            confirm=lambda run: _says(run, collected),
        )
        ours = Contender(
            f"opsverify plan {options.stage} --target {options.target}",
            plan,
            ROOT,
            confirm=lambda run: _says(run, f"{count} planned"),
        )
        contenders = (bare, loaded, ours)
        measure(contenders, options.rounds)
    print(table(contenders, bare))


def _says(run: Finished, expected: str) -> None:
    require(run.status == 0 and expected in run.output, f"expected {expected!r}", run)


if __name__ == "__main__":
    main()
