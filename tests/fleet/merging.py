"""Merging in a test: the command, and what its verdict says of each unit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from opsverify.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.fleets import MadeFleet

GREEN: Final = ("delivered", "accept")


def merged(fleet: MadeFleet, *folders: Path, more: Sequence[str] = ()) -> tuple[int, dict[str, Any]]:
    """Exit code and verdict of `opsverify merge`."""
    code = main(["merge", str(fleet.plan_file), *map(str, folders), *more])
    return code, json.loads((fleet.folder / "fleet-verdict.json").read_text(encoding="utf-8"))


def states(verdict: dict[str, Any]) -> list[tuple[str, str]]:
    """State and decision of each unit."""
    return [(unit["state"], unit["decision"]) for unit in verdict["units"]]
