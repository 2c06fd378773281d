"""Execution of steps, one after the other; after a rollback the platform is verified to be stable again."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.commands import run_command
from opsverify.config.placeholders import filled, resolve
from opsverify.core.exit_codes import ExitCode
from opsverify.core.stages import Decision
from opsverify.evidence.run_folder import VERDICT
from opsverify.language.message import in_language, join, say
from opsverify.release.journal import Journal
from opsverify.units import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from opsverify.config.actions import ActionStep
    from opsverify.config.model import Target
    from opsverify.evidence.redact import Redactor

DONE, FAILED, HELD = ExitCode.PASSED, ExitCode.FAILED, ExitCode.HOLD
STABILITY = "post-rollback"


@dataclass(frozen=True)
class Platform:
    """The target of an action: its file, the project folder, its secrets to redact, and where lines are printed."""

    target: Target
    target_file: Path
    root: Path
    redactor: Redactor
    write: Callable[[str], None]
    language: str = "en"

    def show(self, text: str) -> None:
        """Print one line, without secrets."""
        self.write(in_language(self.redactor.text(text), self.language))


@dataclass(frozen=True)
class Execution:
    """Steps to carry out for `decision`; `facts` fill placeholders, `head` begins the journal."""

    decision: Decision
    steps: Sequence[ActionStep]
    facts: Mapping[str, str]
    head: Mapping[str, object]


def carry_out(execution: Execution, folder: Path, platform: Platform, used: Callable[[], None] = lambda: None) -> int:
    """Carry `execution` out once; 0 done (after a rollback: stable), 1 failed or rejected, 10 not known to be stable.

    `used` is called right before the first step.

    Raises Refused, with nothing done, when a value cannot be determined or `folder` holds a journal already.
    """
    actions = platform.target.actions
    facts = {**execution.facts, "target": platform.target.name, "decision": execution.decision.value}
    values = resolve([step.run for step in execution.steps], actions.values, facts, actions.folder)
    argvs = [filled(step.run, values) for step in execution.steps]
    head = {**execution.head, "target": platform.target.name, "environment": platform.target.environment}
    journal = Journal.begin(folder, {**head, "decision": execution.decision.value, "values": values}, platform.redactor)
    journal.plan(execution.steps, argvs)
    used()
    began = dt.datetime.now(dt.UTC)
    failed = _run_steps(execution.steps, argvs, journal, platform)
    if failed is not None:
        return failed
    if execution.decision is not Decision.ROLLBACK:
        journal.close("done", DONE)
        return DONE
    return _verify_stability(began, journal, platform)


def _run_steps(
    steps: Sequence[ActionStep], argvs: Sequence[Sequence[str]], journal: Journal, platform: Platform
) -> int | None:
    """Run all steps; None if all succeeded."""
    for number, (step, argv) in enumerate(zip(steps, argvs, strict=True)):
        shown = " ".join(argv)
        platform.show(
            say(
                "step {number} of {count}: {shown}    (runbook {runbook})",
                number=number + 1,
                count=len(steps),
                shown=shown,
                runbook=step.runbook,
            )
        )
        journal.step_begins(number)
        ran = run_command(argv, step.timeout_s, platform.target.actions.folder)
        journal.step_ended(number, ran)
        for line in ran.output.strip().splitlines()[-5:]:
            platform.show(join("", ("    ", line)))
        if not ran.ok:
            left = [" ".join(argv) for argv in argvs[number + 1 :]]
            if journal.content["decision"] == Decision.ROLLBACK:
                left.append(f"verify {STABILITY}")
            journal.close("failed", FAILED, [shown, *left])
            platform.show(
                say("FAILED: {shown}: {text}; output in {folder}", shown=shown, text=ran.text, folder=journal.folder)
            )
            for command in left:
                platform.show(say("  left: {command}", command=command))
            return FAILED
        platform.show(say("    done in {duration_s}", duration_s=duration(round(ran.duration_s, 1))))
    return None


def _verify_stability(began: dt.datetime, journal: Journal, platform: Platform) -> int:
    folder = journal.folder / STABILITY
    platform.show(say("all steps done; verify {stability}", stability=STABILITY))
    code = verify(platform, STABILITY, folder, f"--rolled-back-at={began.isoformat()}")
    try:
        verdict = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
        run_id, decision = verdict["run_id"], verdict["decision"]
    except (OSError, ValueError, KeyError):
        run_id, decision = None, "hold"
    journal.note(post_rollback={"run_id": run_id, "decision": decision, "exit_code": code})
    outcome, exit_code = {0: ("done", DONE), 1: ("rejected", FAILED)}.get(code, ("held", HELD))
    journal.close(
        outcome,
        exit_code,
        () if exit_code == DONE else (say("verify {stability} again, after the fix", stability=STABILITY),),
    )
    platform.show(join("", (STABILITY, ": ", str(decision))))
    return exit_code


def verify(platform: Platform, stage: str, folder: Path, *arguments: str) -> int:
    """Run a stage in a process of its own; its exit code."""
    command = [
        sys.executable, "-m", "opsverify", "verify", stage, f"--target={platform.target_file}",
        f"--report-dir={folder}", *arguments,
    ]  # fmt: skip
    sys.stdout.flush()
    try:
        return subprocess.run(command, cwd=platform.root, stdin=subprocess.DEVNULL, check=False).returncode
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
