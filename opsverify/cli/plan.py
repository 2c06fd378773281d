"""`opsverify plan`: what a stage would execute on a target."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from opsverify.core.plan import Plan
from opsverify.errors import TargetError
from opsverify.pytest_plugin.stage_run import with_uncovered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from opsverify.pytest_plugin.plugin import PlanPlugin


class _Capture:
    """Takes hold of the plan when pytest has collected the suites."""

    plugin: PlanPlugin | None = None

    def pytest_collection_finish(self, session: object) -> None:
        self.plugin = session.config.pluginmanager.get_plugin("opsverify-plan")  # type: ignore[attr-defined]


def collect(stage: str, target: str, root: Path, more: Sequence[str] = ()) -> PlanPlugin:
    """Work the plan out as pytest collects it, contacting nothing.

    Raises TargetError, after pytest has said why, when there is nothing to plan from.
    """
    import pytest  # noqa: PLC0415 - 0.2 s, not for the other commands

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    capture = _Capture()
    pytest.main(
        [
            f"--rootdir={root}",
            f"--config-file={root / 'pyproject.toml'}",
            f"--confcutdir={root}",
            "-popsverify.pytest_plugin.plugin",
            "-pno:terminal",
            "--collect-only",
            "--opsverify-plan",
            f"--stage={stage}",
            f"--target={target}",
            *more,
        ],
        plugins=[capture],
    )
    if capture.plugin is None:
        raise TargetError(f"stage {stage} on target {target}: no plan, for the reason above")
    return capture.plugin


def print_plan(stage: str, target: str, root: Path, more: Sequence[str] = (), *, as_json: bool) -> int:
    """Print the plan; 0 when it is complete, 2 (as pytest for errors in collection) with the reasons on stderr."""
    found = collect(stage, target, root, more)
    plan = Plan(found.stage, with_uncovered(found.stage, found.target, found.planned.values()))
    if as_json:
        sys.stdout.write(json.dumps(plan.to_dict(), ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(_lines(plan, found.target.name, found.target.language)) + "\n")
    for trouble in found.troubles:
        sys.stderr.write(f"opsverify: {trouble}\n")
    return 2 if found.troubles else 0


def _lines(plan: Plan, target: str, language: str) -> Iterator[str]:
    yield f"{plan.stage.name} on {target}: {len(plan.checks)} planned"
    width = max((len(check.id) for check in plan.checks), default=0)
    for check in plan.checks:
        state = ""
        if check.not_applicable:
            state = f"  (not applicable: {check.not_applicable})"
        elif check.cannot_run:
            state = f"  (the stage will hold: {check.cannot_run})"
        elif check.waiver:
            state = f"  (waived: {check.waiver})"
        yield f"  {check.severity}  {check.id:<{width}}  {check.title(language)}  [{', '.join(check.sections)}]{state}"
