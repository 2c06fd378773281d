"""`opsverify sandbox`: the stand-in platform, a program of its own."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

from opsverify.config.project import project_root

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Declare nothing: every argument is the sandbox's."""


def run(_options: argparse.Namespace, arguments: Sequence[str]) -> NoReturn:
    """Become `python -m sandbox`: the library never imports the platform it verifies."""
    os.chdir(project_root())
    os.execv(sys.executable, [sys.executable, "-m", "sandbox", *arguments])  # noqa: S606 - no shell, our interpreter
