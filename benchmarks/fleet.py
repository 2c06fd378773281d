"""Fleet: what a unit costs beside its checks: planning, Dask and the start of a process, and merging sealed folders.

The command of a unit is replaced by one that does nothing, so that nothing of `opsverify verify` is measured. Folders
are sealed as a small run leaves them. Run: `.venv/bin/python benchmarks/fleet.py [--large]`.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from opsverify.config.project import project_root
from opsverify.fleet.cluster import run_units
from opsverify.fleet.publish import delivered_beside, merge_fleet
from opsverify.fleet.unit import UnitOrder
from tests.support.fleets import MadeFleet, made_fleet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES: Final = (1, 10, 100)
LARGE: Final = 1000
ATTACHMENTS: Final = 20
"""Files of 4 KB in each folder, besides plan, origin and verdict: a daily run of some twenty checks."""
NOTHING: Final = ["/bin/true"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Print nothing."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def require(holds: bool, what: str) -> None:  # noqa: FBT001 - as assert
    """End where a figure would be of something else."""
    if not holds:
        sys.exit(what)


def run_all(fleet: MadeFleet) -> None:
    """Every unit on this machine, as `opsverify fleet` runs it, with a command that does nothing."""
    orders = [UnitOrder.of(fleet.plan, unit.unit) for unit in fleet.plan.units]
    with mock.patch.object(UnitOrder, "begin", return_value=NOTHING):
        ends = list(run_units(orders, fleet.folder / "begun", 60.0, os.cpu_count() or 1, None))
    require([end.exit_code for end in ends] == [0] * len(orders), "a unit failed")


def merge(fleet: MadeFleet) -> None:
    """Every folder, with verdict and page."""
    now, folders = dt.datetime.now(dt.UTC), delivered_beside(fleet.plan_file)
    with quiet():
        code = merge_fleet(fleet.plan_file, folders, fleet.folder, (), now, project_root(), "en")
    require(code == 0, "the merge is not green")


def memory_of_merge(fleet: MadeFleet) -> float:
    """The most memory of a process that merges, in MB."""
    argv = [sys.executable, __file__, "--merge", str(fleet.plan_file)]
    return float(subprocess.run(argv, check=True, capture_output=True, text=True, cwd=fleet.project).stdout)


def row(count: int, folder: Path) -> str:
    """One row of the table."""
    made: list[MadeFleet] = []
    planned = timed(lambda: made.append(made_fleet(folder, count)))
    fleet = made[0]
    os.chdir(folder)
    ran = timed(lambda: run_all(fleet))
    for number in range(count):
        fleet.unit(number, files=ATTACHMENTS)
    merged = timed(lambda: merge(fleet))
    per_unit = (planned + ran + merged) / count
    return (f"| {count:,} | {planned:.2f} s | {ran:.2f} s | {merged:.2f} s | {per_unit * 1000:.0f} ms "
            f"| {memory_of_merge(fleet):.0f} MB |")  # fmt: skip


def main() -> None:
    """Print the table, or merge one fleet and print the memory that it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", action="store_true", help="1,000 targets too")
    parser.add_argument("--merge", type=Path, help="merge one plan, print the memory")
    options = parser.parse_args()
    if options.merge:
        with quiet():
            merge_fleet(
                options.merge, delivered_beside(options.merge), options.merge.parent, (), dt.datetime.now(dt.UTC),
                project_root(), "en",
            )  # fmt: skip
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    print("| targets | plan | Dask and processes | merge | a unit | memory of the merge |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for count in (*SIZES, *([LARGE] if options.large else [])):
        with tempfile.TemporaryDirectory() as folder:
            print(row(count, Path(folder).resolve()), flush=True)
            os.chdir("/")


if __name__ == "__main__":
    main()
