"""`opsverify clean`: remove the synthetic rows that killed journeys left on a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_target
from opsverify.cli.reader_language import reader_language
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import Inconclusive, TargetError
from opsverify.language.message import say
from opsverify.language.tell import complain, tell
from opsverify.smoke.cleanup import remove_leftovers
from opsverify.units import parse_duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    parser.add_argument(
        "--older-than",
        default="10m",
        metavar="DURATION",
        help=say("journeys of other machines that began before this count as ended (default: 10m)"),
    )


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Print what was removed; 0 when nothing is left, 10 (hold) where that cannot be known.

    Raises TargetError for a target that cannot be used, or a duration that is none.
    """
    try:
        older_than_s = parse_duration(options.older_than)
    except ValueError as error:
        raise TargetError(say("--older-than: {error}", error=error)) from error
    target, secrets = load_target(find_target(target_argument(options.target), project_root() / "targets"))
    if target.postgres is None or target.synthetic.cleanup is None or not target.synthetic.tables:
        raise TargetError(
            say("{name}: synthetic.cleanup and synthetic.tables are missing: nothing to clean with", name=target.name)
        )
    try:
        removed = remove_leftovers(target, secrets, older_than_s)
    except Inconclusive as error:
        complain(str(error), reader_language(options))
        return ExitCode.HOLD
    for tag, rows in removed.items():
        tell(say("removed {rows} rows of {tag}", rows=rows, tag=tag), reader_language(options))
    tell(
        say("{name}: {count} journeys had left rows; none is left of ended ones", name=target.name, count=len(removed)),
        reader_language(options),
    )
    return ExitCode.PASSED
