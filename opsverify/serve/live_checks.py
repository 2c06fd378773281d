"""Live checks of a run: how many of its plan have ended, and which of them are not well, while it goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import EvidenceError
from opsverify.evidence.once_read import read_once
from opsverify.evidence.run_folder import PLAN, RESULTS
from opsverify.language.message import Message

if TYPE_CHECKING:
    from pathlib import Path

FAILED: Final = "failed"
"""Allure's word for a measured value outside its limit."""
UNMEASURED: Final = "broken"
"""Allure's word for a value that could not be measured."""
_CHECK: Final = "as_id"
"""The label of a result that names its check."""
_ENDING: Final = "-result.json"


@dataclass(frozen=True)
class CheckCounts:
    """Checks that run, those that have ended, and the titles of those that are not well."""

    planned: int
    done: int
    failed: tuple[Message, ...]
    unmeasured: tuple[Message, ...]


class LiveChecks:
    """The checks of one run; not for two threads at once. A result is read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._titles: dict[str, Message] | None = None
        self._read: set[str] = set()
        self._states: dict[str, str] = {}

    def counts(self) -> CheckCounts | None:
        """The counts now; None before the plan is written."""
        if self._titles is None:
            self._titles = _titles(self._folder / PLAN)
        if self._titles is None:
            return None
        self._look(self._titles)
        by_state = {
            state: tuple(title for check, title in self._titles.items() if self._states.get(check) == state)
            for state in (FAILED, UNMEASURED)
        }
        return CheckCounts(len(self._titles), len(self._states), by_state[FAILED], by_state[UNMEASURED])

    def _look(self, titles: dict[str, Message]) -> None:
        try:
            names = [path for path in (self._folder / RESULTS).iterdir() if path.name.endswith(_ENDING)]
        except OSError:  # no check has ended
            return
        for path in names:
            if path.name in self._read:
                continue
            try:
                result = json.loads(read_once(path))
                check = next(label["value"] for label in result["labels"] if label["name"] == _CHECK)
                state = str(result["status"])
            except (OSError, EvidenceError, ValueError, LookupError, TypeError, StopIteration):
                continue
            self._read.add(path.name)
            if check in titles:
                self._states[check] = state


def _titles(plan: Path) -> dict[str, Message] | None:
    """The titles of the checks that run, in their order."""
    try:
        checks: list[dict[str, Any]] = json.loads(read_once(plan))["checks"]
        return {
            str(check["id"]): Message.of(str(check["en"]), str(check["ko"]))
            for check in checks
            if not (check["not_applicable"] or check["cannot_run"] or check["attests"])
        }
    except (OSError, EvidenceError, ValueError, LookupError, TypeError):
        return None
