"""Rollout: the runbook's gradual expansion; each share is set, observed and decided before the next."""

from __future__ import annotations

import datetime as dt
import json
import secrets as random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opsverify.commands import run_command
from opsverify.config.actions import share_of
from opsverify.config.placeholders import filled, resolve
from opsverify.core.stages import Decision
from opsverify.errors import Refused, TargetError
from opsverify.evidence.files import write_atomic
from opsverify.evidence.manifest import write_manifest
from opsverify.evidence.run_folder import timestamp
from opsverify.release.act import execution_of, open_platform
from opsverify.release.authorize import Order, read_order
from opsverify.release.execute import DONE, FAILED, HELD, Execution, Platform, carry_out, verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from opsverify.config.actions import ActionStep

STAGE = "prod-canary"
RECORD = "rollout.json"


@dataclass
class Rollout:
    """One rollout: its folder holds every step's evidence, the journals of its actions, and `rollout.json`."""

    folder: Path
    platform: Platform
    command: ActionStep
    signing_key: str | None
    arguments: Sequence[str]
    record: dict[str, Any] = field(default_factory=dict)

    def run(self) -> int:
        """Set all shares in turn; 0 promoted completely, 1 rolled back, 10 on hold at the share reached."""
        try:
            return self._expand()
        except Refused as error:
            return self._close(HELD, f"stopped, nothing was rolled back: {error}")

    def _expand(self) -> int:
        target = self.platform.target
        shares = target.canary.steps if target.canary else ()
        self.record = {
            "schema": "opsverify.rollout/1",
            "rollout_id": self.folder.name,
            "target": target.name,
            "started_at": _now(),
            "steps": [],
        }
        for number, share in enumerate(shares, 1):
            self.platform.show(f"rollout step {number} of {len(shares)}: {share} of the traffic")
            entry: dict[str, Any] = {"share": share, "set_at": _now()}
            self.record["steps"].append(entry)
            if not self._set(share, entry):
                return self._close(self._roll_back(None), f"{share} could not be set")
            run = self.folder / f"{number:02d}-{share_of(share) * 100:g}"
            entry["exit_code"] = verify(self.platform, STAGE, run, f"--share={share}", *self.arguments)
            order = self._order(run, entry)
            if order is None:
                return self._close(
                    HELD, f"on hold at {share}: the canary keeps that share; rerun, or roll back by hand"
                )
            if order.decision is Decision.ROLLBACK:
                return self._close(self._roll_back(order), f"rolled back at {share}")
            if number == len(shares):
                code = carry_out(execution_of(order), self.folder / "actions" / order.run_id, self.platform)
                if code != DONE:
                    return self._close(self._roll_back(None), "the promotion's steps failed")
        return self._close(DONE, "promoted completely")

    def _set(self, share: str, entry: dict[str, Any]) -> bool:
        number = share_of(share)
        facts = {
            "share": f"{number:g}",
            "percent": f"{number * 100:g}",
            **_facts(self.folder, self.platform, Decision.PROMOTE),
        }
        actions = self.platform.target.actions
        try:
            values = resolve([self.command.run], actions.values, facts, actions.folder)
        except Refused as error:
            self.platform.show(f"FAILED: {error}")
            return False
        argv = filled(self.command.run, values)
        self.platform.show(f"    {' '.join(argv)}")
        ran = run_command(argv, self.command.timeout_s, actions.folder)
        entry |= {"argv": argv, "command_exit_code": ran.exit_code, "output": ran.output, "ok": ran.ok}
        self._write()
        if not ran.ok:
            self.platform.show(f"FAILED: {' '.join(argv)}: {ran.text}")
        return ran.ok

    def _order(self, run: Path, entry: dict[str, Any]) -> Order | None:
        """The order of the step's verdict; None for hold and for every verdict that must not be carried out."""
        moment = dt.datetime.now(dt.UTC)
        try:
            order = read_order(run, self.platform.target, self.signing_key, self.platform.redactor, moment)
        except Refused as error:
            entry |= {"decision": "hold", "why": str(error)}
            self.platform.show(str(error))
            self._write()
            return None
        entry |= {"run_id": order.run_id, "decision": order.decision.value}
        self._write()
        return order

    def _roll_back(self, order: Order | None) -> int:
        """Roll back completely, by a verdict or because a step failed; always 1: nothing was released."""
        if order is not None:
            execution = execution_of(order)
        else:
            execution = Execution(
                Decision.ROLLBACK,
                self.platform.target.actions.rollback,
                _facts(self.folder, self.platform, Decision.ROLLBACK),
                {"rollout_id": self.folder.name},
            )
        journal = self.folder / "actions" / (order.run_id if order else "rollback")
        self.record["rollback_exit_code"] = carry_out(execution, journal, self.platform)
        return FAILED

    def _close(self, code: int, where: str) -> int:
        self.record |= {"finished_at": _now(), "exit_code": code, "stands": where}
        self._write()
        write_manifest(self.folder)
        self.platform.show(f"rollout: {where}  (exit {code})")
        self.platform.show(f"  evidence: {self.folder}")
        return code

    def _write(self) -> None:
        text = json.dumps(self.platform.redactor.data(self.record), ensure_ascii=False, indent=2)
        write_atomic(self.folder / RECORD, text + "\n")


def rollout(target_name: str, root: Path, arguments: Sequence[str], *, yes: bool, dry_run: bool) -> int:
    """Expand the canary of a target step by step; the exit code. Raises TargetError and Refused (nothing was done)."""
    platform, secrets = open_platform(target_name, root)
    target = platform.target
    command = target.actions.share
    if target.canary is None or not target.canary.steps or command is None:
        raise TargetError(f"target {target.name}: rollout needs canary.steps and [actions.share] with {{share}}")
    if not (target.actions.promote and target.actions.rollback):
        raise TargetError(f"target {target.name}: rollout needs [[actions.promote]] and [[actions.rollback]]")
    if dry_run or not (yes or target.actions.unattended):
        for share in target.canary.steps:
            shown = filled(command.run, {"share": f"{share_of(share):g}", "percent": f"{share_of(share) * 100:g}"})
            platform.show(f"  would run: {' '.join(shown)}, then verify {STAGE} --share={share}")
        platform.show("  then would run the steps of actions.promote; on a rollback those of actions.rollback")
        if dry_run:
            return DONE
        platform.show("nothing was done; give --yes, or set actions.unattended = true in the target")
        return HELD
    name = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-rollout-{random.token_hex(2)}"
    folder = root / "reports" / "rollouts" / name
    folder.mkdir(parents=True)
    return Rollout(folder, platform, command, secrets.of(target.evidence.signing_key), arguments).run()


def _facts(folder: Path, platform: Platform, decision: Decision) -> dict[str, str]:
    return {
        "run_id": folder.name,
        "stage": STAGE,
        "target": platform.target.name,
        "decision": decision.value,
    }


def _now() -> str:
    return timestamp(dt.datetime.now(dt.UTC))
