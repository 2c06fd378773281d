"""Outbox of a target: what each receiver was told last of each stage, and what it has not got yet."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opsverify.evidence.files import write_atomic
from opsverify.notify.event import StageState, StateChange

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "outbox.json"


@dataclass
class Waiting:
    """An event that a receiver has not got: why, and from when on (Unix seconds) it may be sent again."""

    event: StateChange
    why: str = ""
    why_ko: str = ""
    not_before: float = 0.0


@dataclass
class Receiver:
    """What one receiver was told, and what waits for it, by stage: of a stage the newest event only."""

    told: dict[str, StageState] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)

    def known(self, stage: str) -> StageState | None:
        """The state that the receiver knows, or will when all is delivered."""
        waiting = self.waiting.get(stage)
        return waiting.event.state if waiting else self.told.get(stage)


def read(folder: Path) -> dict[str, Receiver]:
    """The outbox below `folder`; an empty one where there is none, or one that cannot be read: all is told anew."""
    try:
        content = json.loads((folder / NAME).read_bytes())
        return {name: _receiver(each) for name, each in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write(folder: Path, receivers: dict[str, Receiver]) -> None:
    """Keep the outbox. Raises EvidenceError where it cannot be written."""
    content = {name: asdict(receiver) for name, receiver in receivers.items()}
    write_atomic(folder / NAME, json.dumps(content, ensure_ascii=False, indent=1))


def _receiver(content: dict[str, Any]) -> Receiver:
    waiting = {
        stage: Waiting(**{**each, "event": StateChange.from_dict(each["event"])})
        for stage, each in content["waiting"].items()
    }
    return Receiver({stage: StageState(**each) for stage, each in content["told"].items()}, waiting)
