"""`opsverify dr target`: the newest point in time that can be recovered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_target
from opsverify.cli.ledger import newest_target
from opsverify.cli.reader_language import reader_language
from opsverify.config.project import project_root, target_argument
from opsverify.language.tell import tell

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Print the point in time (ISO 8601)."""
    tell(newest_target(target_argument(options.target), project_root()).isoformat(), reader_language(options))
    return 0
