"""Merging in a test: the command, and what its verdict says of each unit."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator

from opsverify.cli.main import main
from tests.pytest_plugin.contract import without_room
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.fleets import MadeFleet

GREEN: Final = ("delivered", "accept")


def merged(fleet: MadeFleet, *folders: Path, more: Sequence[str] = ()) -> tuple[int, dict[str, Any]]:
    """Exit code and verdict of `opsverify merge`, which keeps to the published schema."""
    code = main(["merge", str(fleet.plan_file), *map(str, folders), *more])
    verdict = json.loads((fleet.folder / "fleet-verdict.json").read_text(encoding="utf-8"))
    published().validate(verdict)
    return code, verdict


@cache
def published() -> Draft202012Validator:
    """The published schema, without room for a field that it does not name."""
    text = (REPOSITORY / "docs" / "fleet-verdict.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(without_room(json.loads(text)))


def states(verdict: dict[str, Any]) -> list[tuple[str, str]]:
    """State and decision of each unit."""
    return [(unit["state"], unit["decision"]) for unit in verdict["units"]]
