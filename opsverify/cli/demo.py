"""`opsverify demo`: the sandbox's demo, with or without a checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli import sandbox

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Declare nothing: every argument is the demo's."""


def run(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Become `python -m sandbox demo`."""
    return sandbox.run(options, ["demo", *arguments])
