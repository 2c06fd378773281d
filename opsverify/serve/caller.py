"""Caller of an operation: a token of the file, or a job that its issuer identifies; what it may do, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

May = Literal["run", "read", "approve", "hook"]
ANY: Final = "*"


@dataclass(frozen=True)
class Caller:
    """Who asks: the name that is kept of it, what it may do, on which stages and targets (`*`: on all)."""

    name: str
    may: frozenset[May]
    stages: frozenset[str]
    targets: frozenset[str]
    is_job: bool = False
    """A program without a person behind it: it decides nothing that a person has to decide."""

    def covers(self, stage: str, target: str) -> bool:
        """Whether it is for this stage and this target."""
        return bool({stage, ANY} & self.stages) and bool({target, ANY} & self.targets)
