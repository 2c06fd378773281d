"""`opsverify report`: build the HTML report of one run, or the page of a week or a month, as PDF too."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opsverify.cli.arguments import add_language
from opsverify.cli.reader_language import reader_language
from opsverify.config.project import project_root, target_argument
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import EvidenceError, TargetError
from opsverify.evidence.once_read import read_json
from opsverify.evidence.run_folder import VERDICT, find_run_folder
from opsverify.language.message import say
from opsverify.language.tell import tell
from opsverify.report.allure_report import build_report
from opsverify.report.period import KINDS
from opsverify.report.publish import publish_index, publish_period

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from opsverify.report.document import Document

INDEX: Final = "index"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run_folder", nargs="?", metavar="RUN", help=say("run id or folder; or index, weekly, monthly"))
    parser.add_argument("--target", metavar="NAME_OR_FILE", help=say("weekly, monthly: whose runs"))
    parser.add_argument(
        "--period", metavar="PERIOD", help=say("weekly: as 2026-W47, monthly: as 2026-11 (default: newest)")
    )
    parser.add_argument("--output", metavar="FILE", help=say("weekly, monthly: the file to write"))
    parser.add_argument("--pdf", action="store_true", help=say("weekly, monthly: as PDF too, after the page"))
    add_language(parser)


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Build the report and print its path. Raises EvidenceError or TargetError."""
    if options.run_folder in KINDS:
        return _period(options)
    if options.run_folder == INDEX:
        return _index(options)
    if given := [name for name in ("target", "period", "output", "pdf") if getattr(options, name)]:
        raise TargetError(say("--{name}: belongs to opsverify report {kinds}", name=given[0], kinds=" | ".join(KINDS)))
    folder = find_run_folder(options.run_folder, project_root())
    if not (folder / VERDICT).is_file():
        raise EvidenceError(
            say(
                "{folder}: no {verdict}; name a run's id or folder, or run `opsverify verify` first",
                folder=folder,
                verdict=VERDICT,
            )
        )
    language = options.language or _language_of(read_json(folder / VERDICT))
    progress = partial(tell, language=reader_language(options), stream=sys.stderr)
    sys.stdout.write(f"{build_report(folder, language, progress)}\n")
    return 0


def _language_of(verdict: object) -> str:
    """The language of the run's target; the report itself says what is wrong with another verdict."""
    return str(verdict.get("language", "ko")) if isinstance(verdict, dict) else "ko"


def _index(options: argparse.Namespace) -> int:
    if given := [name for name in ("target", "period", "pdf") if getattr(options, name)]:
        raise TargetError(say("--{name}: belongs to opsverify report {kinds}", name=given[0], kinds=" | ".join(KINDS)))
    language = reader_language(options)
    output = Path(options.output).resolve() if options.output else None
    path, page = publish_index(project_root(), output, language)
    return _told([path], page, language)


def _period(options: argparse.Namespace) -> int:
    if options.target is None:
        raise TargetError(say("missing --target: whose {kind} report", kind=options.run_folder))
    output = Path(options.output).resolve() if options.output else None
    paths, page = publish_period(
        target_argument(options.target), project_root(options.target), options.run_folder, options.period, output,
        options.language, pdf=options.pdf,
    )  # fmt: skip
    return _told(paths, page, reader_language(options))


def _told(paths: Sequence[Path], page: Document, language: str) -> int:
    """Print the state and the files of a page; 10 (hold) where a part of it could not be made."""
    tell(page.state[0 if language == "ko" else 1], language)
    for path in paths:
        tell(str(path), language)
    return ExitCode.PASSED if page.whole else ExitCode.HOLD
