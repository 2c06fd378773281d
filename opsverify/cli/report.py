"""`opsverify report`: build the HTML report of one run."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_language
from opsverify.config.project import project_root
from opsverify.errors import EvidenceError
from opsverify.evidence.run_folder import VERDICT, find_run_folder
from opsverify.language.message import say
from opsverify.report.allure_report import build_report

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run_folder", nargs="?", metavar="RUN", help=say("run id or folder"))
    add_language(parser)


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Build the report and print its path. Raises EvidenceError."""
    folder = find_run_folder(options.run_folder, project_root())
    if not (folder / VERDICT).is_file():
        raise EvidenceError(
            say(
                "{folder}: no {verdict}; name a run's id or folder, or run `opsverify verify` first",
                folder=folder,
                verdict=VERDICT,
            )
        )
    language = options.language or json.loads((folder / VERDICT).read_text(encoding="utf-8")).get("language", "ko")
    sys.stdout.write(f"{build_report(folder, language, _progress)}\n")
    return 0


def _progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")
