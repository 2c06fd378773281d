"""Unfinished rollout: one that was killed is named at the next start, and a person decides what becomes of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsverify.core.stages import Decision
from opsverify.errors import EvidenceError, Refused
from opsverify.evidence.files import write_atomic
from opsverify.evidence.once_read import read_once
from opsverify.evidence.target_state import decided_below
from opsverify.language.message import say

if TYPE_CHECKING:
    from opsverify.evidence.target_state import TargetState

RECORD = "rollout.json"
ROLLBACK = Decision.ROLLBACK.value


class Choice(StrEnum):
    """What becomes of an unfinished rollout."""

    GO_ON = "go-on"
    ROLL_BACK = "roll-back"
    ABANDON = "abandon"


def remember(state: TargetState, folder: Path) -> None:
    """Name a rollout as unfinished, before its first step."""
    write_atomic(state.unfinished, json.dumps({"folder": str(folder.resolve())}))


def forget(state: TargetState) -> None:
    """The rollout has ended."""
    state.unfinished.unlink(missing_ok=True)


@dataclass(frozen=True)
class Unfinished:
    """A rollout that has not ended: its folder and record, or why the record cannot be read."""

    folder: Path
    record: dict[str, Any]
    damage: str | None = None

    @property
    def begun(self) -> str | None:
        """The steps whose outcome is unknown: `promoting` or `rolling_back`."""
        return next((key for key in ("promoting", "rolling_back") if self.record.get(key)), None)

    @property
    def where(self) -> str:
        """How far it came, and which step has an unknown outcome."""
        name = f"rollout {self.folder.name}"
        if self.damage:
            return say(
                "{name} has not ended, and its record cannot be read ({damage}): see which share is set",
                name=name,
                damage=self.damage,
            )
        if self.begun == "promoting":
            return say(
                "rollout {name} was ended while it promoted (unknown outcome: the steps of actions.promote)",
                name=self.folder.name,
            )
        if self.begun:
            return say(
                "rollout {name} was ended while it rolled back (unknown outcome: the steps of actions.rollback)",
                name=self.folder.name,
            )
        if not self.record["steps"]:
            return say("rollout {name} was ended before its first share", name=self.folder.name)
        last = self.record["steps"][-1]
        if "ok" not in last:
            return say(
                "rollout {name} was ended while {share} was set (unknown outcome: {share})",
                name=self.folder.name,
                share=last["share"],
            )
        bakes = self.record.get("bake") or [last]
        decided = bakes[-1].get("decision", say("nothing"))
        return say(
            "rollout {name} was ended at {share}, which had decided {decided}",
            name=self.folder.name,
            share=last["share"],
            decided=decided,
        )


def unfinished(state: TargetState) -> Unfinished | None:
    """The rollout that has not ended; None where there is none. Raises Refused."""
    try:
        folder = Path(json.loads(read_once(state.unfinished))["folder"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, EvidenceError) as error:
        raise Refused(
            say(
                "{unfinished}: cannot be read ({error}); see which share is set, then remove it",
                unfinished=state.unfinished,
                error=error,
            )
        ) from error
    try:
        record = json.loads(read_once(folder / RECORD))
    except OSError as error:
        return Unfinished(folder, {}, f"{RECORD}: {error.strerror}")
    except (ValueError, RecursionError):
        return Unfinished(folder, {}, f"{RECORD}: not JSON")
    except EvidenceError as error:
        return Unfinished(folder, {}, str(error))
    if not _is_record(record, folder):
        return Unfinished(folder, {}, f"{RECORD}: not the record of this rollout")
    return Unfinished(folder, record)


def require_none(state: TargetState) -> None:
    """Refuse while a rollout of the target has not ended."""
    found = unfinished(state)
    if found is not None:
        raise Refused(
            say(
                "{where}; nothing is carried out before `opsverify rollout --unfinished=...` ends it", where=found.where
            )
        )


def require_choice(found: Unfinished, choice: Choice | None, state: TargetState) -> Choice:
    """The choice made for an unfinished rollout. Raises Refused, naming it, where none was made or it cannot be."""
    if choice is None:
        options = ", ".join(f"--unfinished={option}" for option in Choice)
        raise Refused(say("{said}; choose one of {options}", said=found.where, options=options))
    if choice is Choice.ABANDON:
        return choice
    try:
        decided, used = decided_below(state, found.folder)
    except EvidenceError as error:
        raise Refused(
            say(
                "{where}; {error}; finish by hand, then --unfinished={abandon}",
                where=found.where,
                error=error,
                abandon=Choice.ABANDON,
            )
        ) from error
    entries = (*found.record.get("steps", ()), *found.record.get("bake", ()))
    decided |= {entry.get("decision") for entry in entries}
    rolling = found.begun == "rolling_back" or ROLLBACK in used
    if rolling or (choice is Choice.GO_ON and (found.begun or used)):
        raise Refused(
            say(
                "{said}: these steps are not repeated by themselves; look at what they did, finish by "
                "hand, then --unfinished={abandon}",
                said=found.where,
                abandon=Choice.ABANDON,
            )
        )
    if choice is Choice.GO_ON and (found.damage or ROLLBACK in decided):
        raise Refused(
            say(
                "{said}; a run of it decided rollback: it cannot go on; choose --unfinished=roll-back or "
                "--unfinished=abandon",
                said=found.where,
            )
            if not found.damage
            else say("{said}: it cannot go on; choose --unfinished=roll-back or --unfinished=abandon", said=found.where)
        )
    return choice


def _is_record(record: object, folder: Path) -> bool:
    if not isinstance(record, dict) or record.get("rollout_id") != folder.name:
        return False
    steps, bakes = record.get("steps"), record.get("bake", [])
    return (
        isinstance(steps, list)
        and isinstance(bakes, list)
        and all(isinstance(entry, dict) and isinstance(entry.get("share"), str) for entry in (*steps, *bakes))
    )
