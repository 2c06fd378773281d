"""Act: carry out the decision of one run's verdict."""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
import sys
from typing import TYPE_CHECKING

from opsverify.config.actions import placeholders
from opsverify.config.load import find_target, load_target
from opsverify.config.placeholders import filled
from opsverify.core.stages import Decision
from opsverify.errors import EvidenceError, Refused
from opsverify.evidence.once_read import read_once
from opsverify.evidence.redact import Redactor
from opsverify.evidence.run_folder import VERDICT, find_run_folder
from opsverify.evidence.target_state import TargetState
from opsverify.language.message import join, say
from opsverify.release.authorize import Order, read_order, require_current
from opsverify.release.execute import DONE, HELD, Execution, Platform, carry_out
from opsverify.release.journal import ACTIONS
from opsverify.release.unfinished import require_none

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opsverify.config.secrets import Secrets


def act(run: str, target_name: str | None, root: Path, *, yes: bool, dry_run: bool, language: str | None = None) -> int:
    """Carry out the verdict of `run` (an id, a folder, `latest`); the exit code.

    Raises Refused (nothing was done) and TargetError.
    """
    folder = find_run_folder(None if run == "latest" else run, root).resolve()
    platform, secrets = open_platform(target_name or _target_in(folder, root), root, language)
    key = secrets.of(platform.target.evidence.signing_key)
    order = read_order(folder, platform.target, key, platform.redactor, dt.datetime.now(dt.UTC))
    journal = folder.parent / "actions" / order.run_id
    _require_not_begun(order, journal)
    require_current(order, platform.target, root, latest=run == "latest")
    state = TargetState.of(root / "reports", platform.target.name)
    require_none(state)
    if dry_run or not (yes or platform.target.actions.unattended):
        return _show(order, platform, dry_run=dry_run)
    with state.lock():
        require_none(state)
        require_current(order, platform.target, root, latest=run == "latest")
        return carry_out(execution_of(order), journal, platform, used_in(state, order))


def used_in(state: TargetState, order: Order) -> Callable[[], None]:
    """What records, right before the first step, that the order is used."""
    return lambda: state.use(order.run_id, order.stage, order.decision.value)


def open_platform(target_name: str, root: Path, language: str | None = None) -> tuple[Platform, Secrets]:
    """Load the target to act on it, and let SIGTERM stop this process as Ctrl-C does. Raises TargetError."""
    target_file = find_target(target_name, root / "targets").resolve()
    target, secrets = load_target(target_file)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return Platform(target, target_file, root, Redactor(secrets.values), _print, language or target.language), secrets


def execution_of(order: Order) -> Execution:
    """The steps of an order, and the head of their journal."""
    head = {
        "run_id": order.run_id,
        "stage": order.stage,
        "verdict": {
            "folder": str(order.folder),
            "manifest_sha256": order.manifest_sha256,
            "signed_by": order.signed_by,
        },
    }
    return Execution(order.decision, order.steps, order.facts, head)


def _show(order: Order, platform: Platform, *, dry_run: bool) -> int:
    """Show what would be done; runs no command, not even those that print a value."""
    signed = (
        say("signed by {signed_by}...", signed_by=order.signed_by[:12])
        if order.signed_by
        else say("not signed: the target has no key")
    )
    platform.show(
        say(
            "{stage} on {name}: {decision}  ({run_id}, {signed})",
            stage=order.stage,
            name=platform.target.name,
            decision=order.decision.value,
            run_id=order.run_id,
            signed=signed,
        )
    )
    facts = {**order.facts, "target": platform.target.name}
    for number, step in enumerate(order.steps, 1):
        argv = filled(step.run, facts)
        platform.show(
            say(
                "  would run {number}: {argv}    (runbook {runbook}, within {timeout})",
                number=number,
                argv=" ".join(argv),
                runbook=step.runbook,
                timeout=step.timeout,
            )
        )
        for name in placeholders(argv):
            value = platform.target.actions.values[name]
            source = value.text if value.text is not None else say("output of {run}", run=" ".join(value.run))
            platform.show(join("", (f"      {{{name}}}: ", source)))
    if order.decision is Decision.ROLLBACK:
        platform.show(say("  would then verify post-rollback"))
    if dry_run:
        return DONE
    platform.show(say("nothing was done; give --yes, or set actions.unattended = true in the target"))
    return HELD


def _require_not_begun(order: Order, journal: Path) -> None:
    """Refuse steps that were begun before; where their outcome is unknown, say so."""
    if not journal.exists():
        return
    try:
        content = json.loads((journal / ACTIONS).read_text(encoding="utf-8"))
        unknown = [step["step"] for step in content["actions"] if step.get("started_at") and "finished_at" not in step]
    except (OSError, ValueError, KeyError, TypeError):
        unknown = [say("all steps: their journal cannot be read")]
    if unknown:
        raise Refused(
            say(
                "run {run_id}: begun before and ended in the middle; unknown outcome: {unknown}; steps "
                "are not run twice: look what it did, see {journal}, finish by hand or verify again",
                run_id=order.run_id,
                unknown=unknown[0],
                journal=journal,
            )
        )
    raise Refused(
        say(
            "run {run_id}: carried out before; steps are not run twice, see {journal}",
            run_id=order.run_id,
            journal=journal,
        )
    )


def _target_in(folder: Path, root: Path) -> str:
    """The project's own file of the target that the verdict names: nothing in the run's or the current folder."""
    try:
        name = json.loads(read_once(folder / VERDICT))["target"]
    except (OSError, ValueError, KeyError, TypeError, EvidenceError) as error:
        raise Refused(
            say("{folder}: no verdict that names its target; name a finished run", folder=folder / VERDICT)
        ) from error
    if not isinstance(name, str) or re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) is None:
        raise Refused(
            say(
                "{folder}: {name!r} is no name of a target; give --target", folder=folder / VERDICT, name=str(name)[:80]
            )
        )
    path = root / "targets" / f"{name}.toml"
    if not path.is_file():
        raise Refused(say("{folder}: the project has no {path}; give --target", folder=folder / VERDICT, path=path))
    return str(path)


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
