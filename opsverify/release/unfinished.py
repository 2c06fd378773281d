"""Unfinished rollout: one that was killed is named at the next start, and a person decides what becomes of it."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsverify.errors import Refused
from opsverify.evidence.files import write_atomic
from opsverify.language.message import say

if TYPE_CHECKING:
    from opsverify.evidence.target_state import TargetState

RECORD = "rollout.json"


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


def unfinished(state: TargetState) -> tuple[Path, dict[str, Any]] | None:
    """The folder and record of the rollout that has not ended; None where there is none. Raises Refused."""
    try:
        folder = Path(json.loads(state.unfinished.read_bytes())["folder"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(
            say(
                "{unfinished}: cannot be read ({error}); see which share is set, then remove it",
                unfinished=state.unfinished,
                error=error,
            )
        ) from error
    try:
        record = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        record = {}
    return folder, record if isinstance(record, dict) else {}


def where(folder: Path, record: dict[str, Any]) -> str:
    """How far it came, and which step has an unknown outcome."""
    steps = record.get("steps", [])
    if record.get("promoting"):
        return say(
            "rollout {name} was ended while it promoted (unknown outcome: the steps of actions.promote)",
            name=folder.name,
        )
    if record.get("rolling_back"):
        return say(
            "rollout {name} was ended while it rolled back (unknown outcome: the steps of actions.rollback)",
            name=folder.name,
        )
    if not steps:
        return say("rollout {name} was ended before its first share", name=folder.name)
    last = steps[-1]
    if "ok" not in last:
        return say(
            "rollout {name} was ended while {share} was set (unknown outcome: {share})",
            name=folder.name,
            share=last["share"],
        )
    decided = last.get("decision", say("nothing"))
    return say(
        "rollout {name} was ended at {share}, which had decided {decided}",
        name=folder.name,
        share=last["share"],
        decided=decided,
    )


def require_choice(found: tuple[Path, dict[str, Any]], choice: Choice | None) -> Choice:
    """The choice made for an unfinished rollout. Raises Refused, naming it, where none was made or it cannot be."""
    said = where(*found)
    if choice is None:
        options = ", ".join(f"--unfinished={option}" for option in Choice)
        raise Refused(say("{said}; choose one of {options}", said=said, options=options))
    begun = next((key for key in ("promoting", "rolling_back") if found[1].get(key)), None)
    if begun and choice is not Choice.ABANDON and not (begun == "promoting" and choice is Choice.ROLL_BACK):
        raise Refused(
            say(
                "{said}: these steps are not repeated by themselves; look at what they did, finish by "
                "hand, then --unfinished={abandon}",
                said=said,
                abandon=Choice.ABANDON,
            )
        )
    return choice
