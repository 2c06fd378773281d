"""`opsverify plan`: the checks that a stage would execute on a target."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from opsverify.cli.arguments import add_run_options, add_stage, settings_of, stage_arguments
from opsverify.cli.reader_language import language_of
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root
from opsverify.config.run_options import arguments_of
from opsverify.core.exit_codes import ExitCode
from opsverify.core.left_out import undecided
from opsverify.core.plan import Plan, with_uncovered
from opsverify.core.stages import stage_named
from opsverify.errors import TargetError
from opsverify.language.message import join, say
from opsverify.language.tell import complain, tell
from opsverify.pytest_plugin.launch import Launch
from opsverify.pytest_plugin.request import TARGETS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from opsverify.pytest_plugin.plugin import PlanPlugin


class _PlanRecorder:
    """Keeps the plan when pytest has collected the suites."""

    plugin: PlanPlugin | None = None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.plugin = session.config.pluginmanager.get_plugin("opsverify-plan")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_stage(parser)
    add_run_options(parser, "plan")
    parser.add_argument("--json", action="store_true", help=say("print the plan as JSON"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Print the plan; 0 when it is complete, 2 (as pytest for errors in collection) with the reasons on stderr."""
    found = collect(options.stage, options.target, project_root(options.target), arguments_of(options))
    plan = Plan(found.stage, with_uncovered(found.stage, found.target, found.planned.values()))
    if options.json:
        sys.stdout.write(json.dumps(plan.to_dict(), ensure_ascii=False, indent=2) + "\n")
    else:
        for line in _lines(plan, found.target.name, found.target.language):
            tell(line, found.target.language)
    for remark in (*found.troubles, *found.waivers_of_no_check(found.target)):
        complain(remark, found.target.language)
    return ExitCode.INTERRUPTED if found.troubles else ExitCode.PASSED


def collect(
    stage: str, target: str, root: Path, more: Sequence[str] = (), plugins: Sequence[object] = ()
) -> PlanPlugin:
    """The plan of `stage` on `target`, as pytest collects it; contacts nothing.

    Raises TargetError for a wrong stage or target, and after pytest has said why when there is nothing to plan from.
    """
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    arguments = [*stage_arguments(root, stage, target), "-pno:terminal", "--collect-only", "--opsverify-plan", *more]
    stage_named(stage)
    load_target(find_target(target, root / TARGETS), with_secrets=False)
    recorder = _PlanRecorder()
    with contextlib.chdir(root), _frozen():  # the project's own runbook is found from the working directory
        pytest.main(
            arguments,
            plugins=[recorder, *plugins, Launch(root, settings_of(root), language_of([f"--target={target}", *more]))],
        )
    if recorder.plugin is None:
        raise TargetError(
            say("stage {stage} on target {target}: no plan, for the reason above", stage=stage, target=target)
        )
    return recorder.plugin


@contextlib.contextmanager
def _frozen() -> Iterator[None]:
    """What lives already is no garbage of a pytest that is started, which searches for it at its beginning and end."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _lines(plan: Plan, target: str, language: str) -> Iterator[str]:
    yield say("{name} on {target}: {count} planned", name=plan.stage.name, target=target, count=len(plan.checks))
    width = max((len(check.id) for check in plan.checks), default=0)
    for check in plan.checks:
        state = ""
        if check.not_applicable:
            state = say("  (not applicable: {not_applicable})", not_applicable=check.not_applicable)
        elif check.attests:
            state = say(
                "  (signed for by a person: opsverify attest {attests} --target {target})",
                attests=check.attests,
                target=target,
            )
        elif check.cannot_run:
            state = say("  (the stage will hold: {cannot_run})", cannot_run=check.cannot_run)
        elif check.waiver:
            state = say("  (waived: {waiver})", waiver=check.waiver)
        head = f"  {check.severity}  {check.id:<{width}}  {check.title(language)}  [{', '.join(check.sections)}]"
        yield join("", (head, state))
    for reason in undecided(plan):
        yield say("the stage will hold: {reason}", reason=reason)
