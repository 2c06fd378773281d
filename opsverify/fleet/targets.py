"""Targets of a fleet: files that patterns name, each once."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.config.load import find_target, may_be_target
from opsverify.config.project import project_root
from opsverify.errors import TargetError
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Sequence


def named_targets(patterns: Sequence[str]) -> list[Path]:
    """The files of `patterns`: names, files, or globs (a list of rights among them is none); sorted, each once.

    Raises TargetError for a pattern that names none.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        if glob.has_magic(pattern):
            typed = glob.glob(pattern, recursive=True)  # noqa: PTH207 - relative to the working directory, as typed
            paths = [path for path in map(Path, sorted(typed)) if path.is_file() and may_be_target(path)]
        else:
            paths = [find_target(pattern, project_root() / "targets")]
        if not paths:
            raise TargetError(say("--targets {pattern}: no such file", pattern=pattern))
        found |= {path.resolve(): None for path in paths}
    return sorted(found)
