"""Act: carry out the decision of one run's verdict."""

from __future__ import annotations

import datetime as dt
import json
import signal
import sys
from typing import TYPE_CHECKING

from opsverify.config.actions import placeholders
from opsverify.config.load import find_target, load_target
from opsverify.config.placeholders import filled
from opsverify.core.stages import Decision
from opsverify.errors import Refused
from opsverify.evidence.redact import Redactor
from opsverify.evidence.run_folder import VERDICT, find_run_folder
from opsverify.release.authorize import Order, read_order
from opsverify.release.execute import DONE, HELD, Execution, Platform, carry_out

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.config.secrets import Secrets


def act(run: str, target_name: str | None, root: Path, *, yes: bool, dry_run: bool) -> int:
    """Carry out the verdict of `run` (an id, a folder, `latest`); the exit code.

    Raises Refused (nothing was done) and TargetError.
    """
    folder = find_run_folder(None if run == "latest" else run, root).resolve()
    platform, secrets = open_platform(target_name or _target_in(folder), root)
    key = secrets.of(platform.target.evidence.signing_key)
    order = read_order(folder, platform.target, key, platform.redactor, dt.datetime.now(dt.UTC))
    journal = folder.parent / "actions" / order.run_id
    if dry_run or not (yes or platform.target.actions.unattended):
        return _show(order, journal, platform, dry_run=dry_run)
    return carry_out(execution_of(order), journal, platform)


def open_platform(target_name: str, root: Path) -> tuple[Platform, Secrets]:
    """Load the target to act on it, and let SIGTERM stop this process as Ctrl-C does. Raises TargetError."""
    target_file = find_target(target_name, root / "targets").resolve()
    target, secrets = load_target(target_file)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return Platform(target, target_file, root, Redactor(secrets.values), _print), secrets


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


def _show(order: Order, journal: Path, platform: Platform, *, dry_run: bool) -> int:
    """Show what would be done; runs no command, not even those that print a value."""
    if journal.exists():
        raise Refused(f"run {order.run_id}: carried out before; see {journal}")
    signed = f"signed by {order.signed_by[:12]}..." if order.signed_by else "not signed: the target has no key"
    platform.show(f"{order.stage} on {platform.target.name}: {order.decision.value}  ({order.run_id}, {signed})")
    facts = {**order.facts, "target": platform.target.name}
    for number, step in enumerate(order.steps, 1):
        argv = filled(step.run, facts)
        platform.show(f"  would run {number}: {' '.join(argv)}    (runbook {step.runbook}, within {step.timeout})")
        for name in placeholders(argv):
            value = platform.target.actions.values[name]
            source = value.text if value.text is not None else f"output of {' '.join(value.run)}"
            platform.show(f"      {{{name}}}: {source}")
    if order.decision is Decision.ROLLBACK:
        platform.show("  would then verify post-rollback")
    if dry_run:
        return DONE
    platform.show("nothing was done; give --yes, or set actions.unattended = true in the target")
    return HELD


def _target_in(folder: Path) -> str:
    try:
        return str(json.loads((folder / VERDICT).read_text(encoding="utf-8"))["target"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{folder / VERDICT}: no verdict that names its target; name a finished run") from error


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
