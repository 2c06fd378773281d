"""Two regions on the way through an incident, and stages run on them."""

from __future__ import annotations

import multiprocessing
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from sandbox.regions.ground import DR, ORIGINAL, TTL_S
from tests.proof.regions_faults import RegionFaults
from tests.support.paths import REPOSITORY
from tests.support.standin import RUN_DEADLINE_S, Verified, run_opsverify, verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox.regions.pair import Regions

_SUITES = ("checks", "smoke", "dr_validation", "conftest.py", "pyproject.toml")
_PRELOAD = (
    "pytest", "allure_pytest.plugin", "opsverify.cli.main", "opsverify.cli.verify", "opsverify.pytest_plugin.fixtures",
    "opsverify.switchback.regions",
    "opsverify.recovery", "opsverify.evidence.seal", "opsverify.evidence.signature", "opsverify.smoke.runner",
    "opsverify.probes.redis", "opsverify.probes.cleanup", "opsverify.probes.dns", "opsverify.probes.http",
    "opsverify.probes.postgres", "opsverify.probes.tcp",
)  # fmt: skip


@dataclass
class RegionsOnTheirWay:
    """The regions, up, and the steps that lead from one state to the next; each is taken once, in this order."""

    regions: Regions
    folder: Path
    _taken: list[str] = field(default_factory=list)
    _runs: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self._warm = multiprocessing.get_context("forkserver")
        self._warm.set_forkserver_preload(list(_PRELOAD))
        # Incidents are kept in the project: those of the repository are left alone.
        self.project = self.folder / "project"
        self.project.mkdir()
        for name in _SUITES:
            (self.project / name).symlink_to(REPOSITORY / name)

    def reach(self, state: str) -> None:
        """Take the steps up to `state`, and let the old record's time to live pass."""
        steps: dict[str, Callable[[], None]] = {
            "promoted": self.regions.promote,
            "started_old": self.regions.start_old,
            "reverse": self._reverse,
            "dr_as_standby": self.regions.keep_as_standby,
        }
        names = list(steps)
        for name in names[: names.index(state) + 1]:
            if name not in self._taken:
                steps[name]()
                self._taken.append(name)
        switched = self.regions.ground.switched_at
        assert switched is not None
        # Nothing can be awaited here: it is time itself that has to pass.
        time.sleep(max(0.0, switched.timestamp() + TTL_S + 0.01 - time.time()))

    def verify(self, stage: str) -> Verified:
        """Run a stage by `opsverify verify` in a fork of a warm process."""
        folder = self.folder / f"{next(self._runs):03d}-{stage}"
        log = folder.with_suffix(".log")
        argv = ["verify", stage, f"--target={self.regions.target}", f"--report-dir={folder}"]
        process = self._warm.Process(target=run_opsverify, args=(argv, str(log), self.project))
        process.start()
        process.join(RUN_DEADLINE_S)
        code = process.exitcode
        return verified(folder, -1 if code is None else code, log.read_text(encoding="utf-8"))

    @contextmanager
    def fault(self, name: str | None) -> Iterator[None]:
        """Inside, `name` is wrong; afterwards it is not, where that can be undone."""
        if name is None:
            yield
            return
        serving = ORIGINAL if "reverse" in self._taken else DR
        with getattr(RegionFaults(self.regions, self.project, serving), name)():
            yield

    def _reverse(self) -> None:
        self.regions.rewind()
        self.regions.switchback("reverse")
