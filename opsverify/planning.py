"""`opsverify plan`: what a stage would execute on a target."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from opsverify.plan import Plan
from opsverify.run import with_uncovered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from opsverify.plugin import PlanPlugin


class _Capture:
    """Takes hold of the plan when pytest has collected the suites."""

    plugin: PlanPlugin | None = None

    def pytest_collection_finish(self, session: object) -> None:
        self.plugin = session.config.pluginmanager.get_plugin("opsverify-plan")  # type: ignore[attr-defined]


def print_plan(stage: str, target: str, root: Path, more: Sequence[str] = (), *, as_json: bool) -> int:
    """Print the plan; 0 when it is complete, else pytest's status and the reasons on stderr."""
    import pytest  # noqa: PLC0415 - 0.2 s, not for the other commands

    capture = _Capture()
    status = int(
        pytest.main(
            [
                f"--rootdir={root}",
                f"--config-file={root / 'pyproject.toml'}",
                f"--confcutdir={root}",
                "-popsverify.plugin",
                "-pno:terminal",
                "--collect-only",
                "--opsverify-plan",
                f"--stage={stage}",
                f"--target={target}",
                *more,
            ],
            plugins=[capture],
        )
    )
    if capture.plugin is None:
        return status
    plugin = capture.plugin
    plan = Plan(plugin.stage, with_uncovered(plugin.stage, plugin.target, plugin.planned.values()))
    if as_json:
        sys.stdout.write(json.dumps(plan.as_json(), ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(_lines(plan, plugin.target.name, plugin.target.language)) + "\n")
    for trouble in plugin.troubles:
        sys.stderr.write(f"opsverify: {trouble}\n")
    return 2 if plugin.troubles else 0


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
