"""Exit codes of a stage: the contract with pipelines (design page, Contracts)."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from opsverify.core.stages import Decision

if TYPE_CHECKING:
    from collections.abc import Mapping


class ExitCode(IntEnum):
    """Exit codes of a process; to a pipeline, all but the first two mean hold. 2 to 5 as pytest defines them."""

    PASSED = 0
    FAILED = 1
    INTERRUPTED = 2
    INTERNAL_ERROR = 3
    USAGE = 4
    NOTHING_COLLECTED = 5
    HOLD = 10


EXIT: Final[Mapping[Decision, ExitCode]] = {
    Decision.PROMOTE: ExitCode.PASSED,
    Decision.ACCEPT: ExitCode.PASSED,
    Decision.ROLLBACK: ExitCode.FAILED,
    Decision.REJECT: ExitCode.FAILED,
    Decision.HOLD: ExitCode.HOLD,
}
"""The exit code of every decision."""

DECIDED: Final = frozenset(EXIT.values())
"""Codes of decisions: no process may end with one of them without a verdict."""
