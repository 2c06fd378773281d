"""`opsverify merge`: one verdict of a fleet, from its plan and the runs' folders or bundles."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_language
from opsverify.cli.key_arguments import add_signing_key, add_trusted_keys, signing_key, trusted_keys
from opsverify.cli.reader_language import reader_language
from opsverify.config.project import project_root
from opsverify.fleet.publish import delivered_beside, merge_fleet
from opsverify.language.message import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("plan", metavar="PLAN", type=Path, help=say("the fleet-plan.json"))
    parser.add_argument(
        "folders",
        metavar="FOLDER",
        nargs="*",
        type=Path,
        help=say("run folders or bundles (default: units/ beside the plan)"),
    )
    parser.add_argument(
        "--report-dir", metavar="DIR", type=Path, help=say("where verdict and page go (default: the plan's folder)")
    )
    add_trusted_keys(parser)
    add_signing_key(parser)
    add_language(parser)


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Merge; the exit code of the fleet's verdict. Raises TargetError for no plan, EvidenceError for a key."""
    folder = options.report_dir or options.plan.resolve().parent
    delivered = options.folders or delivered_beside(options.plan)
    now, language = dt.datetime.now(dt.UTC), reader_language(options)
    keys, key = trusted_keys(options), signing_key(options)
    return merge_fleet(options.plan, delivered, folder, keys, now, project_root(), language, key)
