"""Rollout: the runbook's gradual expansion; each share is set, observed and decided before the next."""

from __future__ import annotations

import datetime as dt
import json
import secrets as random
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from opsverify.commands import run_command
from opsverify.config.actions import share_of
from opsverify.config.placeholders import filled, resolve
from opsverify.core.stages import Decision
from opsverify.errors import Refused, TargetError
from opsverify.evidence.files import write_atomic
from opsverify.evidence.manifest import write_manifest
from opsverify.evidence.run_folder import timestamp
from opsverify.evidence.target_state import TargetState
from opsverify.language.message import in_language, join, say
from opsverify.release.act import execution_of, open_platform, used_in
from opsverify.release.authorize import Order, read_order, require_current, require_reached
from opsverify.release.execute import DONE, FAILED, HELD, Execution, Platform, carry_out, verify
from opsverify.release.unfinished import RECORD, Choice, forget, remember, require_choice, unfinished
from opsverify.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from opsverify.config.actions import ActionStep

STAGE = "prod-canary"


@dataclass
class Rollout:
    """One rollout: its folder holds every step's evidence, the journals of its actions, and `rollout.json`."""

    folder: Path
    platform: Platform
    command: ActionStep
    signing_key: str | None
    arguments: Sequence[str]
    state: TargetState
    record: dict[str, Any] = field(default_factory=dict)

    def run(self) -> int:
        """Set all shares in turn; 0 promoted completely, 1 rolled back, 10 on hold at the share reached."""
        try:
            return self._expand()
        except Refused as error:
            return self._close(HELD, say("stopped, nothing was rolled back: {error}", error=error))

    def begin(self) -> None:
        """Write the record of a rollout that has set nothing yet."""
        self.record = {
            "schema": "opsverify.rollout/1",
            "rollout_id": self.folder.name,
            "target": self.platform.target.name,
            "started_at": _now(),
            "steps": [],
        }
        self._write()

    def reached(self) -> dict[str, Any]:
        """The shares that the record says were promoted, each with the id of its run."""
        steps = self.record["steps"]
        return {step["share"]: step.get("run_id") for step in steps if step.get("decision") == Decision.PROMOTE.value}

    def require_reached(self) -> None:
        """Refuse to go on past a share whose own verdict and the target's state do not say what the record says."""
        target = self.platform.target
        shares, reached = target.canary.steps if target.canary else (), self.reached()
        for number, share in enumerate(shares[:-1], 1):
            if share not in reached:
                continue
            run = self.folder / _name(number, share)
            try:
                require_reached(
                    run, reached[share], target, self.signing_key, self.platform.redactor, self.platform.root
                )
            except Refused as error:
                raise Refused(
                    say(
                        "rollout {rollout}: its record says {share} was promoted, which cannot be confirmed "
                        "({error}); choose --unfinished={back} or --unfinished={abandon}",
                        rollout=self.folder.name,
                        share=share,
                        error=error,
                        back=Choice.ROLL_BACK,
                        abandon=Choice.ABANDON,
                    )
                ) from error

    def _expand(self) -> int:
        target = self.platform.target
        shares = target.canary.steps if target.canary else ()
        reached = self.reached()
        for number, share in enumerate(shares, 1):
            if share in reached and number < len(shares):
                continue
            self.platform.show(
                say(
                    "rollout step {number} of {count}: {share} of the traffic",
                    number=number,
                    count=len(shares),
                    share=share,
                )
            )
            entry: dict[str, Any] = {"share": share, "set_at": _now()}
            self.record["steps"].append(entry)
            self._write()
            if not self._set(share, entry):
                return self._close(self._roll_back(None), say("{share} could not be set", share=share))
            ended = self._verified(_name(number, share), share, entry)
            if isinstance(ended, int):
                return ended
            if number == len(shares):
                return self._promote(ended, share)
        return self._close(DONE, say("promoted completely"))

    def _verified(self, name: str, share: str, entry: dict[str, Any]) -> Order | int:
        """The order to go on by; the exit code where the rollout ended instead."""
        run = self.folder / name
        entry["exit_code"] = verify(self.platform, STAGE, run, f"--share={share}", *self.arguments)
        order = self._order(run, entry)
        if order is None:
            return self._close(
                HELD, say("on hold at {share}: the canary keeps that share; rerun, or roll back by hand", share=share)
            )
        if order.decision is Decision.ROLLBACK:
            return self._close(self._roll_back(order), say("rolled back at {share}", share=share))
        return order

    def _promote(self, order: Order, share: str) -> int:
        """Watch on for `actions.bake` at the last share, then promote; the exit code."""
        bake = self.platform.target.actions.bake
        end = monotonic() + (parse_duration(bake) if bake else 0.0)
        while bake and monotonic() < end:
            rounds = self.record.setdefault("bake", [])
            entry: dict[str, Any] = {"share": share, "began_at": _now()}
            rounds.append(entry)
            self.platform.show(
                say(
                    "rollout watches on at {share} for {bake} (actions.bake), window {count}",
                    share=share,
                    bake=bake,
                    count=len(rounds),
                )
            )
            ended = self._verified(f"bake-{len(rounds):02d}", share, entry)
            if isinstance(ended, int):
                return ended
            order = ended
        require_current(order, self.platform.target, self.platform.root)
        self.record["promoting"] = order.run_id
        self._write()
        journal = self.folder / "actions" / order.run_id
        code = carry_out(execution_of(order), journal, self.platform, used_in(self.state, order))
        if code != DONE:
            return self._close(self._roll_back(None), say("the promotion's steps failed"))
        return self._close(DONE, say("promoted completely"))

    def roll_back_unfinished(self) -> int:
        """Take back what an earlier process left."""
        if not self.record:
            damaged = self.folder / RECORD
            if damaged.exists() or damaged.is_symlink():
                damaged.rename(self.folder / f"{RECORD}.damaged")
            self.begin()
            share = say("an unknown share")
        else:
            share = next((step["share"] for step in reversed(self.record["steps"])), say("its start"))
        return self._close(self._roll_back(None), say("unfinished at {share}, rolled back by choice", share=share))

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
            self.platform.show(say("FAILED: {error}", error=error))
            return False
        argv = filled(self.command.run, values)
        self.platform.show(join("", ("    ", " ".join(argv))))
        ran = run_command(argv, self.command.timeout_s, actions.folder)
        entry |= {"argv": argv, "command_exit_code": ran.exit_code, "output": ran.output, "ok": ran.ok}
        self._write()
        if not ran.ok:
            self.platform.show(say("FAILED: {argv}: {text}", argv=" ".join(argv), text=ran.text))
        return ran.ok

    def _order(self, run: Path, entry: dict[str, Any]) -> Order | None:
        """The order of the step's verdict; None for hold and for every verdict that must not be carried out."""
        moment = dt.datetime.now(dt.UTC)
        try:
            order = read_order(run, self.platform.target, self.signing_key, self.platform.redactor, moment)
            require_current(order, self.platform.target, self.platform.root)
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
        self.record["rolling_back"] = True
        self._write()

        def used() -> None:
            self.state.use(str(execution.facts["run_id"]), STAGE, Decision.ROLLBACK.value)

        self.record["rollback_exit_code"] = carry_out(execution, journal, self.platform, used)
        return FAILED

    def _close(self, code: int, stands: str) -> int:
        self.record |= {"finished_at": _now(), "exit_code": code, "stands": in_language(stands, "en")}
        self._write()
        write_manifest(self.folder)
        forget(self.state)
        self.platform.show(say("rollout: {stands}  (exit {code})", stands=stands, code=code))
        self.platform.show(say("  evidence: {folder}", folder=self.folder))
        return code

    def _write(self) -> None:
        text = json.dumps(self.platform.redactor.data(self.record), ensure_ascii=False, indent=2)
        write_atomic(self.folder / RECORD, text + "\n")


def rollout(
    target_name: str,
    root: Path,
    arguments: Sequence[str],
    *,
    yes: bool,
    dry_run: bool,
    choice: Choice | None = None,
    language: str | None = None,
) -> int:
    """Expand the canary of a target step by step; the exit code. Raises TargetError and Refused (nothing was done).

    `choice`: what becomes of a rollout of the target that was killed.
    """
    platform, secrets = open_platform(target_name, root, language)
    target = platform.target
    command = target.actions.share
    if target.canary is None or not target.canary.steps or command is None:
        raise TargetError(
            say("target {name}: rollout needs canary.steps and [actions.share] with {{share}}", name=target.name)
        )
    if not (target.actions.promote and target.actions.rollback):
        raise TargetError(
            say("target {name}: rollout needs [[actions.promote]] and [[actions.rollback]]", name=target.name)
        )
    if dry_run or not (yes or target.actions.unattended):
        for share in target.canary.steps:
            shown = filled(command.run, {"share": f"{share_of(share):g}", "percent": f"{share_of(share) * 100:g}"})
            platform.show(
                say(
                    "  would run: {shown}, then verify {stage} --share={share}",
                    shown=" ".join(shown),
                    stage=STAGE,
                    share=share,
                )
            )
        platform.show(say("  then would run the steps of actions.promote; on a rollback those of actions.rollback"))
        if dry_run:
            return DONE
        platform.show(say("nothing was done; give --yes, or set actions.unattended = true in the target"))
        return HELD
    state = TargetState.of(root / "reports", target.name)
    key = secrets.of(target.evidence.signing_key)
    if target.environment == "production" and key is None:
        raise TargetError(say("target {name}: rollout on production needs evidence.signing_key", name=target.name))
    with state.lock():
        found = unfinished(state)
        if found is not None:
            choice = require_choice(found, choice, state)
            platform.show(join(": ", (found.where, choice)))
            if choice is Choice.ABANDON:
                forget(state)
                return HELD
            resumed = Rollout(found.folder, platform, command, key, arguments, state, found.record)
            if choice is Choice.ROLL_BACK:
                return resumed.roll_back_unfinished()
            resumed.require_reached()
            return resumed.run()
        started = Rollout(_new_folder(root), platform, command, key, arguments, state)
        started.begin()
        remember(state, started.folder)
        return started.run()


def _name(number: int, share: str) -> str:
    return f"{number:02d}-{share_of(share) * 100:g}"


def _new_folder(root: Path) -> Path:
    name = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-rollout-{random.token_hex(2)}"
    folder = root / "reports" / "rollouts" / name
    folder.mkdir(parents=True)
    return folder


def _facts(folder: Path, platform: Platform, decision: Decision) -> dict[str, str]:
    return {
        "run_id": folder.name,
        "stage": STAGE,
        "target": platform.target.name,
        "decision": decision.value,
    }


def _now() -> str:
    return timestamp(dt.datetime.now(dt.UTC))
