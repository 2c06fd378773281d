"""Fleets without runs: targets, their plan, and the sealed folder of each unit as `opsverify verify` leaves it."""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.config.digest import one_digest, target_digests
from opsverify.config.load import load_target
from opsverify.core.exit_codes import EXIT
from opsverify.core.stages import STAGES, Outcome
from opsverify.evidence.origin import origin_of
from opsverify.evidence.run_folder import RunFolder, timestamp
from opsverify.evidence.seal import seal
from opsverify.fleet.plan import FleetPlan, planned_fleet, write_plan
from tests.support.target_file import SMALLEST

if TYPE_CHECKING:
    from pathlib import Path

CREATED: Final = dt.datetime(2026, 11, 28, 6, 0, tzinfo=dt.UTC)
OUTCOMES: Final = {"accept": Outcome.PASS, "reject": Outcome.FAIL, "hold": Outcome.INCONCLUSIVE}


@dataclass(frozen=True)
class MadeFleet:
    """One fleet in a project of its own: its plan, and the file of it."""

    project: Path
    plan: FleetPlan
    plan_file: Path

    @property
    def folder(self) -> Path:
        """The fleet's folder."""
        return self.plan_file.parent

    def unit(
        self, number: int, decision: str = "accept", *, name: str = "", ended: int = 0, key: str | None = None,
        files: int = 0, origin: dict[str, Any] | None = None, **changes: Any,  # noqa: ANN401 - fields of a verdict
    ) -> Path:  # fmt: skip
        """Leave the sealed folder of a unit: `ended` makes another run of it, `origin` changes who started it.

        `files`: attachments of 4 KB.
        """
        unit = self.plan.units[number]
        began = CREATED + dt.timedelta(minutes=1 + ended)
        folder = self.folder / "units" / (name or unit.target)
        folder.mkdir(parents=True)
        stage = STAGES[self.plan.stage_name]
        run_id = f"{began:%Y%m%dT%H%M%SZ}-{stage.name}-{number:04x}"
        for attachment in range(files):
            (folder / f"{attachment}-attachment.txt").write_bytes(os.urandom(2048).hex().encode())
        check = {"id": "health.redis", "outcome": OUTCOMES[decision].value}
        _write(folder / "plan.json", {"run_id": run_id, "checks": [check], "signature_expected": key is not None})
        by = {"OPSVERIFY_FLEET": self.plan.fleet, "OPSVERIFY_FLEET_PLAN": self.plan.sha256,
              "OPSVERIFY_FLEET_UNIT": str(number)}  # fmt: skip
        _write(folder / "origin.json", {**origin_of(self.project, by), **(origin or {})})
        keys = target_digests(load_target(self.project / unit.file, with_secrets=False)[0])
        outcome = OUTCOMES[decision]
        reasons = [] if decision == "accept" else ["health.redis: measured 3, limit <= 2"]
        verdict = {
            "schema": "opsverify.verdict/1", "run_id": run_id, "stage": stage.name, "target": unit.target,
            "outcome": outcome.value, "decision": stage.decide(outcome).value, "reasons": reasons,
            "reasons_ko": ["health.redis: 측정 3, 기준 <= 2"] * len(reasons), "started_at": timestamp(began),
            "finished_at": timestamp(began + dt.timedelta(seconds=2)), "planned": 1, "executed": 1,
            "exit_code": int(EXIT[stage.decide(outcome)]), "checks": [check], "target_keys": keys,
            "bound": {"target": one_digest(keys), "runbook": self.plan.runbook, "suites": self.plan.suites}, **changes,
        }  # fmt: skip
        seal(RunFolder(run_id, folder), verdict, key)
        return folder


def made_fleet(project: Path, count: int, *, created: dt.datetime = CREATED, stage: str = "daily") -> MadeFleet:
    """A project with `count` targets and the plan of a fleet over them."""
    (project / "targets").mkdir(parents=True, exist_ok=True)
    (project / "runbook.toml").touch()
    files = []
    for number in range(count):
        files.append(project / "targets" / f"plant-{number:04}.toml")
        files[-1].write_text(SMALLEST.replace('name = "t"', f'name = "plant-{number:04}"'), encoding="utf-8")
    content = planned_fleet(stage, files, (), created, project)
    path = write_plan(content, project / "reports" / "fleets")
    return MadeFleet(project, FleetPlan.load(path), path)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
