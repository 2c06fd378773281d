"""`opsverify gate replay`: work a canary's decision out again from its observation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.canary.replay import replay
from opsverify.cli.arguments import add_language
from opsverify.cli.reader_language import reader_language
from opsverify.language.message import in_language

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_language(parser)
    parser.add_argument("action", choices=("replay",))
    parser.add_argument("file", metavar="FILE", help="observation.jsonl.gz of a run, or the run's folder")


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Print the decision; its exit code."""
    language = reader_language(options)
    return replay(Path(options.file), lambda text: sys.stdout.write(in_language(text, language)))
