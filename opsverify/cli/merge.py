"""`opsverify merge`: one verdict of a fleet, from its plan and the runs' folders or bundles."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_language
from opsverify.cli.reader_language import reader_language
from opsverify.config.project import project_root
from opsverify.evidence.trusted_keys import load_keys, read_key
from opsverify.fleet.publish import delivered_beside, merge_fleet
from opsverify.language.message import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from opsverify.evidence.trusted_keys import TrustedKey


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
    add_merge_keys(parser)
    add_language(parser)


def add_merge_keys(parser: argparse.ArgumentParser) -> None:
    """Take the keys by which units are verified."""
    parser.add_argument(
        "--public-key",
        metavar="FILE",
        action="append",
        default=[],
        help=say("ed25519 key (PEM), may be given again; without any only sums count"),
    )
    parser.add_argument("--keys", metavar="FILE", help=say("TOML file of keys with valid_from, valid_until, revoked"))


def merge_keys(options: argparse.Namespace) -> list[TrustedKey]:
    """The keys given. Raises EvidenceError where one cannot be read."""
    keys = [read_key(Path(path)) for path in options.public_key]
    return keys + list(load_keys(Path(options.keys)) if options.keys else ())


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Merge; the exit code of the fleet's verdict. Raises TargetError for no plan, EvidenceError for a key."""
    folder = options.report_dir or options.plan.resolve().parent
    delivered = options.folders or delivered_beside(options.plan)
    now, language = dt.datetime.now(dt.UTC), reader_language(options)
    return merge_fleet(options.plan, delivered, folder, merge_keys(options), now, project_root(), language)
