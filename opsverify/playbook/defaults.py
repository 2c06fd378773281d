"""Defaults: the judgment platform's playbooks, in place of what a target leaves out."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsverify.config.playbook import Playbook, Replay

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.config.model import Target

_FILE = Path(__file__).with_name("judgment.toml")


@cache
def _judgment() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


@cache
def _default(name: str) -> Playbook:
    return Playbook.model_validate_json(json.dumps(_judgment()[name]))


def playbook_of(target: Target, name: str) -> Playbook:
    """The playbook called `name`: the target's own, or the judgment platform's."""
    return target.playbook.given(name) or _default(name)


def replay_of(target: Target) -> Replay:
    """How judgments are replayed: as the target says, or as the judgment platform does it."""
    return target.playbook.replay or Replay.model_validate_json(json.dumps(_judgment()["replay"]))


def confirmations(name: str) -> Callable[[Target], tuple[str, ...]]:
    """For `@per`: the items that the playbook `name` of a target confirms."""
    return lambda target: tuple(playbook_of(target, name).confirm)
